//! From what was accepted to an adapter: one action, its progress, and how close the voices are to people
//! before and after. The parts that show a run are the Studio's.

use domain::annotation::is_accepted;
use domain::method::Step;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::calm::calm;
use super::desk::Desk;
use crate::api::annotation::AcceptedRun;
use crate::api::{ApiError, JobState};
use crate::components::ErrorNote;
use crate::components::studio::follow::Followed;
use crate::components::studio::{Evaluated, StepCard, Tuned};
use crate::components::words::{counted, state_name};
use crate::link;

/// The runs that learn what a project has accepted.
#[component]
pub fn AdapterView(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let runs = RwSignal::new(Vec::<AcceptedRun>::new());
    // A person's choice; until there is one, the newest run is shown.
    let chosen = RwSignal::new(None::<String>);
    let refusal = RwSignal::new(None::<ApiError>);
    let newest = move || runs.with(|runs| runs.first().map(|run| run.run.clone()));
    let shown = Memo::new(move |_| chosen.get().or_else(newest));
    let followed = Followed::default();
    followed.follow(shown);
    let state = Memo::new(move |_| followed.info.with(|i| i.as_ref().map(|info| info.state)));
    // Also whenever the shown run begins or ends: the list says where each stands.
    Effect::new(move |_| {
        state.track();
        spawn_local(async move {
            let (annotation, key) = (desk.annotation.get_value(), desk.key.get_value());
            // The view may be gone by now.
            let _ = match annotation.method_runs(key).await {
                Ok(found) => runs.try_set(found).is_none(),
                Err(error) => refusal.try_set(Some(error)).is_none(),
            };
        });
    });
    view! {
        <div class="adapter">
            <section aria-labelledby="tune-accepted">
                <h2 id="tune-accepted">"An adapter from what was accepted"</h2>
                <Begin desk chosen followed refusal/>
                {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
                <Runs runs shown chosen/>
            </section>
            {move || followed.error.get().map(|error| view! { <ErrorNote error/> })}
            <Show when=move || state.get().is_some()><ShownTuning followed state/></Show>
        </div>
    }
    .into_any()
}

/// What there is to learn, and the button for owners.
#[component]
fn Begin(
    desk: Desk,
    chosen: RwSignal<Option<String>>,
    followed: Followed,
    refusal: RwSignal<Option<ApiError>>,
) -> impl IntoView {
    let busy = RwSignal::new(false);
    let source = desk.project.with_value(|project| project.source_run.clone());
    let accepted = calm(desk, |settings, state, items| {
        items.iter().filter(|item| is_accepted(settings, state, item)).count()
    });
    let manages = move || desk.member().is_some_and(|member| member.role.manages());
    let start = move |_| {
        busy.set(true);
        refusal.set(None);
        spawn_local(async move {
            let (annotation, key) = (desk.annotation.get_value(), desk.key.get_value());
            let started = annotation.start_method_run(key).await;
            let _ = busy.try_set(false);
            match started {
                Ok(info) => {
                    let _ = chosen.try_set(Some(info.id));
                    followed.again();
                }
                Err(error) => drop(refusal.try_set(Some(error))),
            }
        });
    };
    let Some(source) = source else {
        return view! {
            <p data-testid="no-source">
                "The items came from a file. Tuning here needs a run of the method, whose survey says how
                close the voices are to people. Under “People” the training set can be saved as a file."
            </p>
        }
        .into_any();
    };
    let address = format!("/studio?run={}", link::escape(&source));
    view! {
        <p>
            <span data-testid="accepted-count">{move || counted(accepted.get(), "instance")}</span>
            " of the run "<a href=address>{source}</a>" accepted so far. A new run takes over its questions
            and answers, tunes on these instances alone, and compares all voices with people. Judgements
            that change later don’t change it."
        </p>
        <Show when=manages fallback=|| view! { <p class="meta">"Owners of the project can start it."</p> }>
            <p class="start">
                <button type="button" class="primary" data-testid="tune-accepted"
                    disabled=move || busy.get() on:click=start>
                    "Tune an adapter from what was accepted"
                </button>
            </p>
        </Show>
    }
    .into_any()
}

/// All runs, to choose the one that is shown.
#[component]
fn Runs(
    runs: RwSignal<Vec<AcceptedRun>>,
    shown: Memo<Option<String>>,
    chosen: RwSignal<Option<String>>,
) -> impl IntoView {
    let entry = move |run: AcceptedRun| {
        let (name, wanted) = (run.run.clone(), run.run.clone());
        let words =
            format!("{}, {}", counted(run.instances, "instance"), state_name(Some(run.state)));
        view! {
            <li data-testid="accepted-run" data-run=run.run.clone()>
                <button type="button" class="quiet"
                    aria-pressed=move || (shown.get().as_deref() == Some(name.as_str())).to_string()
                    on:click=move |_| chosen.set(Some(wanted.clone()))>{run.run.clone()}</button>
                <span class="meta">{words}</span>
            </li>
        }
    };
    view! {
        <Show when=move || runs.with(|runs| runs.len() > 1)>
            <ul class="run-choice" aria-label="Runs on what was accepted">
                {move || runs.get().into_iter().map(entry).collect_view()}
            </ul>
        </Show>
    }
    .into_any()
}

/// A run on what was accepted: how far it is, how to talk to it, and what it brings.
#[component]
fn ShownTuning(followed: Followed, state: Memo<Option<JobState>>) -> impl IntoView {
    let name = move || followed.info.with(|info| info.as_ref().map(|info| info.id.clone()));
    let address = move || format!("/studio?run={}", link::escape(&name().unwrap_or_default()));
    let learnt = move || {
        followed.info.with(|info| {
            let accepted = info.as_ref()?.settings.accepted.as_ref()?;
            Some(counted(accepted.count(), "accepted instance"))
        })
    };
    view! {
        <section class="method-run" aria-labelledby="shown-tuning" data-testid="tuning"
            data-state=move || state_name(state.get())>
            <h2 id="shown-tuning">{name}</h2>
            <p class="meta" role="status">
                "Learns "{learnt}": "{move || state_name(state.get())}". "
                <a href=address data-testid="in-studio">"Open it in the Studio"</a>
                ", where it can be paused and repeated."
            </p>
            {move || followed.info.with(|info| info.as_ref()?.error.clone())
                .map(|error| view! { <ErrorNote error/> })}
            <StepCard followed step=Step::Tune><Tuned followed/></StepCard>
            <StepCard followed step=Step::Evaluate>
                <p class="meta">
                    "Before is “aware”: the culture is named and nothing was tuned. After are “joint” and
                    “specific”: the same with an adapter."
                </p>
                <Evaluated followed/>
            </StepCard>
        </section>
    }
    .into_any()
}
