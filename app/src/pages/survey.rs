//! Survey (`/survey`, `/survey?run=ID`, `/survey?run=ID&beside=ID`): how close voices are to people.
//!
//! Hooks for tests (`data-testid`): `import`, in it `import-files`, `import-name`, `import-skip`,
//! `import-send`, `import-report` (with `data-state`: stored, unchanged, refused), `rejected-row`,
//! `rejected-save`, `recorded-run`;
//! `new-run`, in it `survey-choice`, `culture`, `few-cultures`, `all-cultures`, `no-cultures`,
//! `kind`, `templates`, `survey-size`, `survey-run`; `runs`, in it `run` (with `data-run`);
//! `survey-progress` (with `data-state`: loading, running, paused, done, cancelled, failed),
//! `survey-cancel`, `survey-resume`; `beside`; `results`, in it `metric`, `topic`, `all-topics`, `no-topics`,
//! `reference-note`, the charts (each with `save-csv`, `save-svg`, `save-png`)
//! `means`, `ranking`, `heat-map`, `relations`, `cross`, `question` (each with `simulated` where it applies), `mean-row`
//! and `ranking-row` (with `data-row`), `heat-kind`, `relations-kind`, `cross-kind`, `heat-cell`, `heat-reading`,
//! `question-choice`, `question-culture`, `option`; `outdated`; `error` (with `data-code`).

use leptos::prelude::*;
use leptos_meta::Title;

use crate::api::{SurveyRunInfo, World};
use crate::components::ErrorNote;
use crate::components::run_page::{RunLink, RunLinks, RunPage};
use crate::components::survey::follow::Followed;
use crate::components::survey::{BesideChoice, Import, ImportSurvey, NewRun, Results, RunProgress};
use crate::components::words::{minutes, state_name};
use crate::shell::WorldResource;

/// The Survey page.
#[component]
pub fn SurveyPage() -> impl IntoView {
    let WorldResource(world) = expect_context();
    // Not in what is drawn from the world: a stored survey draws that anew.
    let report = RwSignal::new(None::<Import>);
    view! {
        <Title text="Survey"/>
        <div class="page survey">
            <header class="intro">
                <h1>"Survey"</h1>
                <p class="meta">
                    "Ask voices the questions of a survey, and see how close their answers are to a
                    culture’s people. Scores are computed in your browser from the raw answers."
                </p>
            </header>
            <Suspense fallback=|| view! { <p class="meta">"Loading surveys"</p> }>
                {move || Suspend::new(async move {
                    match world.await {
                        Ok(world) => view! { <Survey world report/> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Suspense>
        </div>
    }
    .into_any()
}

/// The page once it is known what can be asked of whom.
#[component]
fn Survey(world: World, report: RwSignal<Option<Import>>) -> impl IntoView {
    let WorldResource(loaded) = expect_context();
    let on_import = move |()| loaded.refetch();
    let page = RunPage::new("/survey", |backend| backend.survey_runs());
    let shown = page.shown;
    let followed = Followed::default();
    followed.follow(shown);
    page.keep_up_with(Memo::new(move |_| followed.info.with(|i| Some(i.as_ref()?.state))));
    let beside = Followed::default();
    beside.follow(RunPage::<SurveyRunInfo>::named("beside"));
    let open = move |info: SurveyRunInfo| page.open(&info.id);
    view! {
        <div class="start-or-reopen">
            <details open=move || shown.with(Option::is_none)>
                <summary><h2>"New run"</h2></summary>
                <NewRun world=StoredValue::new(world) on_start=open/>
            </details>
            <details class="runs" open=move || shown.with(Option::is_none)>
                <summary><h2>"Earlier runs"</h2></summary>
                <RunLinks page entry none="None yet."/>
            </details>
            <details open=move || report.with(Option::is_some)>
                <summary><h2>"Import a survey"</h2></summary>
                <ImportSurvey report on_import/>
            </details>
        </div>
        <Show when=move || shown.with(Option::is_some)><ShownRun page followed beside/></Show>
    }
    .into_any()
}

/// The run that the address names.
#[component]
fn ShownRun(page: RunPage<SurveyRunInfo>, followed: Followed, beside: Followed) -> impl IntoView {
    let heading = move || {
        let described = |info: &SurveyRunInfo| match &info.recorded {
            Some(model) => format!("Recorded answers of {model}, {} voices", info.voices.len()),
            None => format!("Run of {} voices", info.voices.len()),
        };
        followed.info.with(|info| info.as_ref().map_or_else(|| "Run".to_owned(), described))
    };
    view! {
        <section class="run" aria-labelledby="run">
            <h2 id="run">{heading}</h2>
            {move || followed.error.get().map(|error| view! { <ErrorNote error/> })}
            <RunProgress followed/>
            <BesideChoice page followed beside/>
            {move || followed.data.get().map(|(survey, run)| view! { <Results survey run beside/> })}
        </section>
    }
    .into_any()
}

fn entry(run: &SurveyRunInfo) -> RunLink {
    let of =
        run.recorded.as_ref().map_or_else(String::new, |model| format!(" · recorded: {model}"));
    let outdated = if run.outdated { " · other questions than now" } else { "" };
    let line = format!(
        "{}{of} · {} voices · {} of {} answers · {}{outdated}",
        run.survey,
        run.voices.len(),
        run.answered,
        run.total,
        state_name(Some(run.state)),
    );
    RunLink { id: run.id.clone(), name: minutes(&run.created), line }
}
