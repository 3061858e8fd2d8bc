//! Bringing a survey in: files chosen in the browser, and what the server made of them.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::ApiError;
use crate::api::import::{ImportOutcome, ImportReport, RecordedRun};
use crate::backend::use_live;
use crate::browser::{self, Files};
use crate::components::{ErrorNote, marked};
use crate::link;

/// The file input; its files are taken from the document when the form is sent.
const FILES: &str = "survey-files";

/// An import that has been made.
#[derive(Clone)]
pub struct Import {
    /// What it came to.
    report: ImportReport,
    /// What was sent.
    files: Files,
    /// The name that was given to recorded answers.
    name: Option<String>,
}

/// Chooses files and imports them.
#[component]
pub fn ImportSurvey(
    /// What the last import came to; it outlives this form, which is drawn anew for a new survey.
    report: RwSignal<Option<Import>>,
    /// Told once a survey has been stored.
    #[prop(into)]
    on_import: Callback<()>,
) -> impl IntoView {
    let refusal = RwSignal::new(None::<ApiError>);
    let skip = RwSignal::new(false);
    let name = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let live = StoredValue::new(use_live());
    let send = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let (Some(live), Some(files)) = (live.get_value(), browser::chosen_files(FILES)) else {
            return;
        };
        busy.set(true);
        refusal.set(None);
        report.set(None);
        spawn_local(async move {
            let name = name.get_untracked().trim().to_owned();
            let name = (!name.is_empty()).then_some(name);
            match live.import_survey(files.clone(), name.clone(), skip.get_untracked()).await {
                Ok(found) => {
                    let stored = found.outcome == ImportOutcome::Stored;
                    report.set(Some(Import { report: found, files, name }));
                    if stored {
                        on_import.run(());
                    }
                }
                Err(error) => refusal.set(Some(error)),
            }
            busy.set(false);
        });
    };
    view! {
        <form class="import" aria-label="Import a survey" on:submit=send data-testid="import">
            <p class="meta">
                "A " <code>".csv"</code> " or " <code>".jsonl"</code> " file as in the template ("
                <a href="/api/surveys/example.csv" download="">"CSV"</a> ", "
                <a href="/api/surveys/example.jsonl" download="">"JSON lines"</a>
                "), or a GlobalOpinionQA file. A survey of the same name is replaced."
            </p>
            <label class="field">
                "Files"
                <input type="file" id=FILES multiple accept=".csv,.jsonl,.json" required
                    data-testid="import-files"/>
            </label>
            <label class="field">
                "Name of the model, where recorded answers are among them"
                <input type="text" maxlength="64" placeholder="made from the answers"
                    data-testid="import-name" prop:value=name
                    on:input=move |event| name.set(event_target_value(&event))/>
            </label>
            <label>
                <input type="checkbox" data-testid="import-skip"
                    on:change=move |event| skip.set(event_target_checked(&event))/>
                "Leave out rows that break a rule instead of importing nothing"
            </label>
            <p class="start">
                <button type="submit" class="primary" data-testid="import-send" disabled=busy>
                    {move || if busy.get() { "Importing" } else { "Import" }}
                </button>
            </p>
            <div role="status">
                {move || report.get().map(|import| view! { <Report import/> })}
            </div>
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
            <RealSurvey/>
        </form>
    }
    .into_any()
}

/// How to use the paper's own survey, which isn't ours to give away.
#[component]
fn RealSurvey() -> impl IntoView {
    view! {
        <details class="note">
            <summary>"Use the real survey"</summary>
            <p>
                "The starter’s people are simulated. With a copy of the data released with CultureSPA
                (World Values Survey, wave 7) voices are compared with real people. Choose together, from
                its " <code>"data"</code> " folder: " <code>"wvs_questions.json"</code> " and "
                <code>"proportions_group_by_country.json"</code> "; if you have them also "
                <code>"country_similarity.json"</code> " and " <code>"self_alignment_examples.json"</code>
                ". Files named " <code>"wvs_result_culture_….json"</code> " from its "
                <code>"result"</code> " folder become recorded voices, to be read and compared like others."
            </p>
            <p>
                "On the server, " <code>"polylogue import DIR"</code> " takes the whole folder at once:
                the server must not be running meanwhile."
            </p>
        </details>
    }
}

/// What the import came to, with every rejected row that is listed.
#[component]
fn Report(import: Import) -> impl IntoView {
    let Import { report, files, name } = import;
    let heading = heading(&report);
    let state = match report.outcome {
        ImportOutcome::Stored => "stored",
        ImportOutcome::Unchanged => "unchanged",
        ImportOutcome::Refused => "refused",
    };
    let unlisted = report.rejected_total - report.rejected.len();
    let rows = report.rejected.into_iter().map(|row| {
        view! {
            <tr data-testid="rejected-row">
                <td>{row.file}</td>
                <td>{row.line}</td>
                <td class="reason">{marked(&row.reason)}</td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    let runs = report.recorded.into_iter().map(|run| {
        let address = format!("/survey?run={}", link::escape(&run.run));
        view! {
            <p>
                <a href=address data-testid="recorded-run">{format!("Recorded answers of {}", run.model)}</a>
                {recorded(&run)}
            </p>
        }
    });
    let runs = runs.collect_view();
    view! {
        <div class="import-report" data-testid="import-report" data-state=state>
            <p>{heading}</p>
            {runs}
            {(report.rejected_total > 0).then(|| view! {
                <div class="scroll" tabindex="0" role="region" aria-label="Rejected rows">
                    <table class="numbers">
                        <thead>
                            <tr><th scope="col">"file"</th><th scope="col">"line"</th>
                                <th scope="col">"reason"</th></tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            })}
            {(unlisted > 0).then(|| {
                view! { <AllRejected files name unlisted total=report.rejected_total/> }
            })}
        </div>
    }
}

/// Offers every rejected row as a file.
#[component]
fn AllRejected(
    /// The files that were sent.
    files: Files,
    /// The name that came with them.
    name: Option<String>,
    /// Rows that the table doesn't show.
    unlisted: usize,
    /// Rows altogether.
    total: usize,
) -> impl IntoView {
    let (busy, refusal) = (RwSignal::new(false), RwSignal::new(None::<ApiError>));
    let live = StoredValue::new(use_live());
    let (files, name) = (StoredValue::new(files), StoredValue::new(name));
    let save = move |_| {
        let (Some(live), name) = (live.get_value(), name.get_value()) else { return };
        busy.set(true);
        refusal.set(None);
        spawn_local(async move {
            match live.rejected_rows(files.get_value(), name).await {
                Ok(rows) => browser::save_file("rejected.jsonl", &rows),
                Err(error) => refusal.set(Some(error)),
            }
            busy.set(false);
        });
    };
    view! {
        <p class="meta">
            {format!("and {unlisted} more: ")}
            <button type="button" data-testid="rejected-save" disabled=busy on:click=save>
                {format!("Save all {total}")}
            </button>
        </p>
        {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
    }
}

/// What is said of recorded answers beside their name.
fn recorded(run: &RecordedRun) -> String {
    let RecordedRun { voices, answers, unreadable, unchanged, .. } = run;
    let known = if *unchanged { "; they were there already" } else { "" };
    format!(": {voices} voices, {answers} answers, {unreadable} unreadable{known}")
}

fn heading(report: &ImportReport) -> String {
    let ImportReport { title, questions, cultures, answers, rejected_total, .. } = report;
    let rows = match rejected_total {
        0 => String::new(),
        1 => " One row was left out.".to_owned(),
        n => format!(" {n} rows were left out."),
    };
    match report.outcome {
        ImportOutcome::Stored => format!(
            "“{title}” can be asked now: {questions} questions, {cultures} cultures, {answers} reference \
             answers.{rows}"
        ),
        ImportOutcome::Unchanged => {
            format!("“{title}” was there already, the same in everything.{rows}")
        }
        ImportOutcome::Refused => match rejected_total {
            1 => "Nothing was imported: one row breaks a rule.".to_owned(),
            n => format!("Nothing was imported: {n} rows break a rule."),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heading_says_what_became_of_it() {
        let report = |outcome, rejected_total| ImportReport {
            survey: "s".to_owned(),
            title: "Tea".to_owned(),
            questions: 3,
            cultures: 2,
            answers: 6,
            outcome,
            rejected: vec![],
            rejected_total,
            recorded: vec![],
        };
        for (report, expect) in [
            (report(ImportOutcome::Stored, 0), "6 reference answers."),
            (report(ImportOutcome::Stored, 2), "2 rows were left out."),
            (report(ImportOutcome::Unchanged, 0), "there already"),
            (report(ImportOutcome::Refused, 1), "Nothing was imported: one row breaks a rule."),
        ] {
            let heading = heading(&report);
            assert!(heading.contains(expect), "{heading}");
        }
    }
}
