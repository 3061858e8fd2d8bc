//! Studio (`/studio`, `/studio?run=ID`): the steps of the method, from the first question to voices
//! that are compared with people.
//!
//! Hooks for tests (`data-testid`): `new-run`, in it `preset` (by `value`), `summary`, `start`,
//! `change-settings`, in it `name`, `survey`, `per-topic`, `learning-rate`, `epochs`, `accumulation`,
//! `seed`, `culture` and `adapter` (by `value`), `style`, `rule`, `source`, `samples`, `share`, `general`,
//! and `command`; `runs`, in it `run` (with `data-run`);
//! `shown-run` (with `data-state`: loading, running, paused, done, cancelled, failed), in it `pause`,
//! `resume`, `cancel`, five times `step` (with `data-step` and `data-state`: waiting, running, stopped,
//! done), in it `step-line`; `generate-counts`, `kept-samples`, `dropped-samples`; `collect-counts`,
//! `instance-samples`, the chart `inconsistency`; `adapter-choice`, `talk-to`, the charts `loss` and
//! `sample`; `gains`, the chart `evaluation` with `evaluation-row` and `evaluation-table`;
//! `run-command`, `manifest`; `error` (with `data-code`).

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use crate::api::{JobState, MethodRunInfo, World};
use crate::backend::use_backend;
use crate::components::ErrorNote;
use crate::components::studio::follow::Followed;
use crate::components::studio::{RunList, ShownRun, StartRun};
use crate::link;
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
    let query = use_query_map();
    let shown = Memo::new(move |_| query.with(|query| query.get("run")));
    let backend = StoredValue::new(use_backend());
    let runs = Resource::new(
        || (),
        move |()| {
            let backend = backend.get_value();
            async move { backend?.method_runs().await }
        },
    );
    let followed = Followed::default();
    followed.follow(shown);
    let state = Memo::new(move |_| followed.info.with(|i| i.as_ref().map(|info| info.state)));
    // A run that has ended, or goes on, looks different in the list.
    Effect::new(move |before: Option<Option<JobState>>| {
        let now = state.get();
        if before.flatten().is_some_and(|before| Some(before) != now) {
            runs.refetch();
        }
        now
    });
    let navigate = use_navigate();
    let open = move |info: MethodRunInfo| {
        let address = format!("/studio?run={}", link::escape(&info.id));
        navigate(&address, NavigateOptions { scroll: false, ..Default::default() });
        runs.refetch();
    };
    view! {
        <div class="start-or-reopen">
            <details open=move || shown.with(Option::is_none)>
                <summary><h2>"New run"</h2></summary>
                <StartRun world=StoredValue::new(world) on_start=open/>
            </details>
            <RunList runs shown/>
        </div>
        <Show when=move || shown.with(Option::is_some)><ShownRun followed/></Show>
    }
    .into_any()
}
