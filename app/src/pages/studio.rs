//! Studio (`/studio`, `/studio?run=ID`): the steps of the method, from the first question to voices
//! that are compared with people.
//!
//! Hooks for tests (`data-testid`): `new-run`, in it `preset` (by `value`), `summary`, `start`,
//! `change-settings`, in it `name`, `survey`, `per-topic`, `learning-rate`, `epochs`, `accumulation`,
//! `seed`, `culture` and `adapter` (by `value`), and folded: in `prompt-settings` `prompts`, `style`, `samples`
//! and `seeds-per-topic`, in `filter-settings` `filter` and every rule by its name, in `pair-settings` `rule`,
//! `source`, `share` and `general`, in `tuning-settings` every setting by its name and `module` (by `value`);
//! `fault` beside a field that breaks a rule, and `command`; `runs`, in it `run` (with `data-run`);
//! `shown-run` (with `data-state`: loading, running, paused, done, cancelled, failed), in it `pause`,
//! `resume`, `cancel`, five times `step` (with `data-step` and `data-state`: waiting, running, stopped,
//! done), in it `step-line`; `generate-counts`, `kept-samples`, `dropped-samples`; `elicit-counts`,
//! `elicit-samples`; `collect-counts`,
//! `noise-floor`, `instance-samples`, the chart `inconsistency` with `inconsistency-kind`; `adapter-choice`, `talk-to`, the charts `loss` and
//! `sample`; `gains`, the chart `evaluation` with `evaluation-row`, `evaluation-table` and `topic-table`;
//! `run-command`, `manifest`; `error` (with `data-code`).

use leptos::prelude::*;
use leptos_meta::Title;

use crate::api::{JobState, MethodRunInfo, World};
use crate::components::ErrorNote;
use crate::components::run_page::{RunLink, RunLinks, RunPage};
use crate::components::studio::follow::Followed;
use crate::components::studio::form::adapters_in_words;
use crate::components::studio::{ShownRun, StartRun};
use crate::components::words::{minutes, state_name};
use crate::shell::WorldResource;

/// The Studio page.
#[component]
pub fn StudioPage() -> impl IntoView {
    let WorldResource(world) = expect_context();
    view! {
        <Title text="Studio"/>
        <div class="page studio">
            <header class="intro">
                <h1>"Studio"</h1>
                <p class="meta">
                    "Let the model find out for itself where cultures answer differently, and tune
                    adapters on that: five steps, each of which you can watch."
                </p>
            </header>
            <Suspense fallback=|| view! { <p class="meta">"Loading"</p> }>
                {move || Suspend::new(async move {
                    match world.await {
                        Ok(world) => view! { <Studio world/> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Suspense>
        </div>
    }
    .into_any()
}

/// The page once it is known what can be chosen.
#[component]
fn Studio(world: World) -> impl IntoView {
    let world = StoredValue::new(world);
    let page = RunPage::new("/studio", |backend| backend.method_runs());
    let shown = page.shown;
    let followed = Followed::default();
    followed.follow(shown);
    page.keep_up_with(Memo::new(move |_| followed.info.with(|i| Some(i.as_ref()?.state))));
    let open = move |info: MethodRunInfo| page.open(&info.id);
    view! {
        <div class="start-or-reopen">
            <details open=move || shown.with(Option::is_none)>
                <summary><h2>"New run"</h2></summary>
                <StartRun world on_start=open/>
            </details>
            <section class="runs" aria-labelledby="runs">
                <h2 id="runs">"Runs"</h2>
                <RunLinks page entry
                    none="None yet. A run stays here with everything it has made."/>
            </section>
        </div>
        <Show when=move || shown.with(Option::is_some)><ShownRun followed world/></Show>
    }
    .into_any()
}

fn entry(run: &MethodRunInfo) -> RunLink {
    let adapters: Vec<_> = run.settings.adapters().into_iter().map(|(_, target)| target).collect();
    let line = format!(
        "{} · {} per topic, {} · {}",
        where_it_stands(run),
        run.settings.per_topic,
        adapters_in_words(&adapters),
        minutes(&run.created),
    );
    RunLink { id: run.id.clone(), name: run.id.clone(), line }
}

/// `paused at tune`, `done`. One at work moves on while the list stands.
fn where_it_stands(run: &MethodRunInfo) -> String {
    let state = state_name(Some(run.state));
    let stopped = !matches!(run.state, JobState::Running | JobState::Done);
    match run.current().filter(|_| stopped) {
        Some(step) => format!("{state} at {}", step.step),
        None => state.to_owned(),
    }
}
