//! The shown run: its name and state, what a person can do with it, and its five steps.

use domain::method::Step;
use domain::training_set::Accepted;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::card::StepCard;
use super::collect::Collected;
use super::elicit::Elicited;
use super::evaluate::Evaluated;
use super::follow::Followed;
use super::generate::Generated;
use super::tune::Tuned;
use crate::api::{ApiError, JobState, MethodRunInfo};
use crate::backend::{Steering, use_live};
use crate::components::ErrorNote;
use crate::components::words::{counted, state_name};
use crate::link;

/// The run that the address names.
#[component]
pub fn ShownRun(
    /// The run.
    followed: Followed,
) -> impl IntoView {
    let info = followed.info;
    let state = Memo::new(move |_| info.with(|info| info.as_ref().map(|info| info.state)));
    let current = Memo::new(move |_| {
        let at_work = |info: &MethodRunInfo| {
            let step = info.current().filter(|_| info.state == JobState::Running)?;
            Some(step.step)
        };
        info.with(|info| info.as_ref().and_then(at_work))
    });
    let name = move || info.with(|info| info.as_ref().map(|info| info.id.clone()));
    view! {
        <section class="method-run" aria-labelledby="shown-run" data-testid="shown-run"
            data-state=move || state_name(state.get())>
            <header class="run-head">
                <h2 id="shown-run">{name}</h2>
                <p class="state" role="status">
                    {move || info.with(|i| i.as_ref().map(sentence))}
                    // The page is long: a way to where something happens.
                    {move || current.get().map(|step| view! {
                        " "<a href=format!("#step-{step}")>{step.as_str()}</a>
                    })}
                </p>
                <Controls followed state/>
            </header>
            {move || info.with(|info| info.as_ref()?.settings.accepted.as_ref().map(learnt))}
            {move || followed.error.get().map(|error| view! { <ErrorNote error/> })}
            {move || info.with(|info| info.as_ref()?.error.clone())
                .map(|error| view! { <ErrorNote error/> })}
            <Show when=move || state.get().is_some()>
                <StepCard followed step=Step::Generate><Generated followed/></StepCard>
                <StepCard followed step=Step::Elicit><Elicited followed/></StepCard>
                <StepCard followed step=Step::Collect><Collected followed/></StepCard>
                <StepCard followed step=Step::Tune><Tuned followed/></StepCard>
                <StepCard followed step=Step::Evaluate><Evaluated followed/></StepCard>
                <Record followed/>
            </Show>
        </section>
    }
    .into_any()
}

/// That a run learns only what people accepted, and of whose instances.
fn learnt(accepted: &Accepted) -> impl IntoView + use<> {
    let source = accepted.source_run.clone();
    let address = format!("/studio?run={}", link::escape(&source));
    let words = counted(accepted.count(), "instance");
    view! {
        <p class="meta" data-testid="learns-accepted">
            {format!("Learns only the {words} that people accepted, of the run ")}
            <a href=address>{source}</a>"."
        </p>
    }
}

/// Pause, resume, cancel: those that make sense now.
#[component]
fn Controls(followed: Followed, state: Memo<Option<JobState>>) -> impl IntoView {
    let refusal = RwSignal::new(None::<ApiError>);
    let busy = RwSignal::new(false);
    let live = StoredValue::new(use_live());
    let steer = move |how: Steering| {
        let id = followed.info.with_untracked(|info| info.as_ref().map(|info| info.id.clone()));
        let (Some(id), Some(live)) = (id, live.get_value()) else { return };
        busy.set(true);
        refusal.set(None);
        spawn_local(async move {
            match live.steer_method_run(id, how).await {
                Ok(info) => {
                    followed.info.set(Some(info));
                    followed.again();
                }
                Err(error) => refusal.set(Some(error)),
            }
            busy.set(false);
        });
    };
    let one = move |how: Steering, word: &'static str, when: fn(JobState) -> bool| {
        view! {
            <Show when=move || state.get().is_some_and(when)>
                <button type="button" class="outlined" data-testid=word.to_lowercase()
                    disabled=move || busy.get() on:click=move |_| steer(how)>{word}</button>
            </Show>
        }
    };
    view! {
        <div class="controls">
            {one(Steering::Pause, "Pause", |state| state == JobState::Running)}
            {one(Steering::Resume, "Resume", |state| {
                matches!(state, JobState::Paused | JobState::Cancelled | JobState::Failed)
            })}
            {one(Steering::Cancel, "Cancel", |state| {
                matches!(state, JobState::Running | JobState::Paused)
            })}
        </div>
        {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
    }
}

/// What repeats the run elsewhere, and what proves that the same came out.
#[component]
fn Record(followed: Followed) -> impl IntoView {
    let address = move || {
        let id = followed.info.with(|info| info.as_ref().map(|info| link::escape(&info.id)));
        format!("/api/method-runs/{}/manifest", id.unwrap_or_default())
    };
    let command = move || followed.info.with(|info| info.as_ref().map(command));
    let again = move || {
        let id = followed.info.with(|info| info.as_ref().map(|info| info.id.clone()));
        format!("polylogue reproduce {}", id.unwrap_or_default())
    };
    view! {
        <section class="step" aria-labelledby="record">
            <h3 id="record">"Repeat it"</h3>
            <p class="meta">"The same as a command; with these settings it gives the same bytes:"</p>
            <p class="scroll"><code class="command" data-testid="run-command">{command}</code></p>
            <p class="meta">
                "The manifest holds the hashes of survey, prompts, model, every step and adapter. "
                <code>{again}</code>
                " runs everything once more and compares them."
            </p>
            <p><a download="" rel="external" href=address data-testid="manifest">
                "Download the manifest"
            </a></p>
        </section>
    }
}

fn command(info: &MethodRunInfo) -> String {
    let named =
        domain::method::MethodRequest { run: Some(info.id.clone()), ..info.settings.request() };
    format!("polylogue run {}", named.options())
}

/// The run's state in a sentence.
fn sentence(info: &MethodRunInfo) -> &'static str {
    match info.state {
        JobState::Running => "Running",
        JobState::Paused => "Paused. Everything so far is kept.",
        JobState::Done => "Done",
        JobState::Cancelled => "Cancelled. What was done is kept.",
        JobState::Failed => "Stopped by an error. What was done is kept.",
    }
}
