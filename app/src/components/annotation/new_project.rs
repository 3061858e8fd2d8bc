//! The form that makes a project.

use std::collections::BTreeSet;

use domain::annotation::label::default_labels;
use domain::annotation::project::{LONGEST_GUIDELINES, LONGEST_NAME, LONGEST_TITLE, MOST_OVERLAP};
use domain::annotation::{Label, MemberRole, ProjectSettings};
use domain::culture::{Culture, CultureCode};
use domain::question::Scale;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::culture_choice::CultureChoice;
use super::membership::Membership;
use crate::api::ApiError;
use crate::api::annotation::{ItemSource, Joining, NewProject, SourceInfo};
use crate::backend::annotation::{Key, use_annotation};
use crate::browser;
use crate::components::ErrorNote;

/// What is being written.
#[derive(Clone, Copy)]
struct Draft {
    title: RwSignal<String>,
    guidelines: RwSignal<String>,
    labels: RwSignal<String>,
    ordered: RwSignal<bool>,
    overlap: RwSignal<usize>,
    target: RwSignal<Option<usize>>,
    blind: RwSignal<bool>,
    run: RwSignal<String>,
    file: RwSignal<Option<(String, String)>>,
    name: RwSignal<String>,
    cultures: RwSignal<BTreeSet<CultureCode>>,
}

impl Draft {
    fn new() -> Self {
        Self {
            title: RwSignal::default(),
            guidelines: RwSignal::default(),
            labels: RwSignal::new(
                default_labels().iter().map(line_of).collect::<Vec<_>>().join("\n"),
            ),
            ordered: RwSignal::new(false),
            overlap: RwSignal::new(2),
            target: RwSignal::new(None),
            blind: RwSignal::new(true),
            run: RwSignal::default(),
            file: RwSignal::default(),
            name: RwSignal::default(),
            cultures: RwSignal::default(),
        }
    }

    fn finished(self) -> NewProject {
        let source = match self.file.get_untracked() {
            Some((name, text)) if name.to_lowercase().ends_with(".csv") => ItemSource::Csv { text },
            Some((_, text)) => ItemSource::Jsonl { text },
            None => ItemSource::Run { run: self.run.get_untracked(), cultures: Vec::new() },
        };
        let scale = if self.ordered.get_untracked() { Scale::Ordered } else { Scale::Nominal };
        NewProject {
            settings: ProjectSettings {
                title: self.title.get_untracked(),
                guidelines: self.guidelines.get_untracked(),
                labels: self.labels.with_untracked(|text| labels_of(text)),
                scale,
                overlap: self.overlap.get_untracked(),
                target: self.target.get_untracked(),
                blind: self.blind.get_untracked(),
            },
            source,
            owner: Joining {
                name: self.name.get_untracked(),
                cultures: self.cultures.get_untracked().into_iter().collect(),
            },
        }
    }
}

/// A label as a line of the form: `right = Right: Most people would say so. +`.
fn line_of(label: &Label) -> String {
    let accepts = if label.accepts { " +" } else { "" };
    format!("{} = {}: {}{accepts}", label.id, label.name, label.explanation)
}

/// The labels of the form's lines; what is left out stays empty, for the server to refuse by its name.
fn labels_of(text: &str) -> Vec<Label> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (line, accepts) = match line.strip_suffix('+') {
                Some(line) => (line.trim_end(), true),
                None => (line, false),
            };
            let (id, rest) = line.split_once('=').unwrap_or((line, ""));
            let (name, explanation) = rest.split_once(':').unwrap_or((rest, ""));
            Label {
                id: id.trim().into(),
                name: name.trim().to_owned(),
                explanation: explanation.trim().to_owned(),
                accepts,
            }
        })
        .collect()
}

/// Makes a project; `on_made` gets its identifier.
#[component]
pub fn NewProjectForm(
    /// Cultures with their names.
    known: Vec<Culture>,
    /// Told about the project that was made.
    #[prop(into)]
    on_made: Callback<String>,
) -> impl IntoView {
    let draft = Draft::new();
    let annotation = StoredValue::new(use_annotation());
    let (refusal, busy) = (RwSignal::new(None::<ApiError>), RwSignal::new(false));
    let make = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(annotation) = annotation.get_value() else { return };
        let new = draft.finished();
        let title = new.settings.title.clone();
        busy.set(true);
        refusal.set(None);
        spawn_local(async move {
            match annotation.create(new).await {
                Ok(joined) => {
                    let key = Key { project: joined.project.clone(), token: joined.token };
                    let role = MemberRole::Owner;
                    Membership { key, member: joined.member, role, title }.keep();
                    on_made.run(joined.project);
                }
                Err(error) => refusal.set(Some(error)),
            }
            busy.set(false);
        });
    };
    let codes = known.iter().map(|culture| culture.code).collect::<Vec<_>>();
    view! {
        <form class="new-run new-project" aria-label="New project" autocomplete="off" on:submit=make
            data-testid="new-project">
            <Words draft/>
            <Source draft/>
            <Rules draft/>
            <label class="field">
                "Your name in the project"
                <input type="text" required maxlength=LONGEST_NAME.to_string() data-testid="owner-name"
                    on:input=move |event| draft.name.set(event_target_value(&event))/>
            </label>
            <CultureChoice codes known chosen=draft.cultures legend="Cultures you know and judge yourself, if any"/>
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
            <p class="start">
                <button type="submit" class="primary" data-testid="make-project" disabled=move || busy.get()>
                    "Make the project"
                </button>
            </p>
        </form>
    }
    .into_any()
}

#[component]
fn Words(draft: Draft) -> impl IntoView {
    view! {
        <label class="field">
            "Title"
            <input type="text" required maxlength=LONGEST_TITLE.to_string() data-testid="project-title"
                on:input=move |event| draft.title.set(event_target_value(&event))/>
        </label>
        <label class="field">
            "Guidelines for annotators (Markdown)"
            <textarea rows="4" maxlength=LONGEST_GUIDELINES.to_string() data-testid="project-guidelines"
                on:input=move |event| draft.guidelines.set(event_target_value(&event))></textarea>
        </label>
    }
}

/// A run, or a file.
#[component]
fn Source(draft: Draft) -> impl IntoView {
    let sources = RwSignal::new(Vec::<SourceInfo>::new());
    let annotation = StoredValue::new(use_annotation());
    // An effect runs in the browser only, which alone has the list.
    Effect::new(move |_| {
        let Some(annotation) = annotation.get_value() else { return };
        spawn_local(async move {
            let found = annotation.sources().await.unwrap_or_default();
            let first = found.first().map(|source| source.run.clone()).unwrap_or_default();
            if draft.run.try_set(first).is_none() {
                sources.set(found);
            }
        });
    });
    let choose = move |event: leptos::ev::Event| {
        spawn_local(async move {
            let chosen = browser::chosen_file(event).await;
            let _ = draft.file.try_set(chosen);
        });
    };
    view! {
        <fieldset class="stack">
            <legend>"What is judged"</legend>
            <Show when=move || !sources.with(Vec::is_empty) fallback=|| view! {
                <p class="meta">"No run of the method has collected instances yet: a file will do."</p>
            }>
                <label class="field">
                    "The instances of a run, or a file below"
                    <select data-testid="source-run"
                        on:change=move |event| draft.run.set(event_target_value(&event))>
                        {move || sources.get().into_iter().map(|source| {
                            let label = format!("{} ({} instances)", source.run, source.instances);
                            view! { <option value=source.run>{label}</option> }
                        }).collect_view()}
                    </select>
                </label>
            </Show>
            <label class="field">
                "A file: JSON lines or CSV with culture, question, options, unaware, aware"
                <input type="file" accept=".jsonl,.ndjson,.json,.csv" data-testid="source-file" on:change=choose/>
            </label>
            <p class="meta" role="status" data-testid="file-read">
                {move || draft.file.with(|file| file.as_ref().map(|(name, text)| {
                    format!("{name}: {} lines", text.lines().count())
                }))}
            </p>
        </fieldset>
    }
    .into_any()
}

#[component]
fn Rules(draft: Draft) -> impl IntoView {
    let overlap = move |event| {
        draft.overlap.set(event_target_value(&event).trim().parse().unwrap_or(0));
    };
    let target = move |event| draft.target.set(event_target_value(&event).trim().parse().ok());
    view! {
        <div class="choices">
            <label class="field">
                "People per item"
                <input type="number" min="1" max=MOST_OVERLAP.to_string() value="2" data-testid="overlap"
                    on:change=overlap/>
            </label>
            <label class="field">
                "Items per culture (empty: all)"
                <input type="number" min="1" data-testid="target" on:change=target/>
            </label>
        </div>
        <label>
            <input type="checkbox" checked data-testid="blind"
                on:change=move |event| draft.blind.set(event_target_checked(&event))/>
            "Blind: nobody sees others’ judgements of an item until it is complete"
        </label>
        <details class="note">
            <summary>"Labels"</summary>
            <label class="field">
                "One per line: identifier = Name: when to choose it. A + at the end puts instances with
                this verdict into the training set."
                <textarea rows="6" data-testid="labels" prop:value=move || draft.labels.get()
                    on:input=move |event| draft.labels.set(event_target_value(&event))></textarea>
            </label>
            <label>
                <input type="checkbox" data-testid="ordered"
                    on:change=move |event| draft.ordered.set(event_target_checked(&event))/>
                "The labels are in an order that means something"
            </label>
        </details>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_survive_their_lines() {
        let labels = default_labels();
        let text = labels.iter().map(line_of).collect::<Vec<_>>().join("\n");
        assert_eq!(labels_of(&text), labels);
        let short = labels_of("yes = Yes +\n\nno");
        assert!(short[0].accepts && short[0].name == "Yes");
        assert_eq!((short[1].id.as_str(), short[1].name.as_str()), ("no", ""));
    }
}
