//! Survey (`/survey`, `/survey?run=ID`): how close voices are to people.
//!
//! Hooks for tests (`data-testid`): `import`, in it `import-files`, `import-skip`, `import-send`,
//! `import-report` (with `data-state`: stored, unchanged, refused), `rejected-row`, `recorded-run`;
//! `new-run`, in it `survey-choice`, `culture`, `few-cultures`, `all-cultures`, `no-cultures`,
//! `kind`, `templates`, `survey-size`, `survey-run`; `runs`, in it `run` (with `data-run`);
//! `survey-progress` (with `data-state`: loading, running, done, cancelled, failed),
//! `survey-cancel`; `results`, in it `metric`, `topic`, `all-topics`, `no-topics`, the charts
//! `means`, `ranking`, `heat-map`, `question` (each with `simulated` where it applies), `mean-row`
//! and `ranking-row` (with `data-row`), `heat-kind`, `heat-cell`, `heat-reading`,
//! `question-choice`, `question-culture`, `option`; `error` (with `data-code`).

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use crate::api::import::ImportReport;
use crate::api::{SurveyRunInfo, World};
use crate::backend::use_backend;
use crate::components::ErrorNote;
use crate::components::survey::follow::Followed;
use crate::components::survey::{ImportSurvey, NewRun, Results, RunList, RunProgress};
use crate::link;
use crate::shell::WorldResource;

/// The Survey page.
#[component]
pub fn SurveyPage() -> impl IntoView {
    let WorldResource(world) = expect_context();
    // Not in what is drawn from the world: a stored survey draws that anew.
    let report = RwSignal::new(None::<ImportReport>);
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
fn Survey(world: World, report: RwSignal<Option<ImportReport>>) -> impl IntoView {
    let WorldResource(loaded) = expect_context();
    let on_import = move |()| loaded.refetch();
    let query = use_query_map();
    let shown = Memo::new(move |_| query.with(|query| query.get("run")));
    let backend = StoredValue::new(use_backend());
    let runs = Resource::new(
        || (),
        move |()| {
            let backend = backend.get_value();
            async move { backend?.survey_runs().await }
        },
    );
    let followed = Followed::default();
    followed.follow(shown);
    // A run that has ended looks different in the list.
    Effect::new(move |before: Option<bool>| {
        let ended = followed.data.with(Option::is_some);
        if ended && before == Some(false) {
            runs.refetch();
        }
        ended
    });
    let navigate = use_navigate();
    let open = move |info: SurveyRunInfo| {
        let address = format!("/survey?run={}", link::escape(&info.id));
        navigate(&address, NavigateOptions { scroll: false, ..Default::default() });
        runs.refetch();
    };
    view! {
        <div class="start-or-reopen">
            <details open=move || shown.with(Option::is_none)>
                <summary><h2>"New run"</h2></summary>
                <NewRun world=StoredValue::new(world) on_start=open/>
            </details>
            <RunList runs shown/>
            <details open=move || report.with(Option::is_some)>
                <summary><h2>"Import a survey"</h2></summary>
                <ImportSurvey report on_import/>
            </details>
        </div>
        <Show when=move || shown.with(Option::is_some)><ShownRun followed/></Show>
    }
    .into_any()
}

/// The run that the address names.
#[component]
fn ShownRun(followed: Followed) -> impl IntoView {
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
            {move || followed.data.get().map(|(survey, run)| view! { <Results survey run/> })}
        </section>
    }
    .into_any()
}
