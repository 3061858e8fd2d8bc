//! The shown run: its name and state, what a person can do with it, and its five steps.

use domain::method::{MethodRequest, Step};
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
use crate::api::{ApiError, JobState, MethodRunInfo, World};
use crate::backend::{Steering, use_live};
use crate::components::ErrorNote;
use crate::components::words::{counted, state_name};
use crate::link;

/// The run that the address names.
#[component]
pub fn ShownRun(
    /// The run.
    followed: Followed,
    /// What this server has loaded.
    world: StoredValue<World>,
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
                <Record followed world/>
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
fn Record(followed: Followed, world: StoredValue<World>) -> impl IntoView {
    let address = move || {
        let id = followed.info.with(|info| info.as_ref().map(|info| link::escape(&info.id)));
        format!("/api/method-runs/{}/manifest", id.unwrap_or_default())
    };
    let command = move || {
        followed.info.with(|info| world.with_value(|world| Some(command(info.as_ref()?, world))))
    };
    let other = move || {
        followed.info.with(|info| world.with_value(|world| other_model(info.as_ref()?, world)))
    };
    let again = move || {
        let id = followed.info.with(|info| info.as_ref().map(|info| info.id.clone()));
        format!("polylogue reproduce {}", id.unwrap_or_default())
    };
    view! {
        <section class="step" aria-labelledby="record">
            <h3 id="record">"Repeat it"</h3>
            <p class="meta">"The same as a command; with these settings it gives the same bytes:"</p>
            <p class="scroll"><code class="command" data-testid="run-command">{command}</code></p>
            {move || other().map(|name| view! {
                <p class="meta">
                    "The run began with the model "<b>{name}</b>
                    ", which this server has not loaded: add it with "<code>"--model"</code>
                    ", and "<code>"--weights"</code>" as then."
                </p>
            })}
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

/// The command that gives the run again. The model is left out where it isn't this server's.
fn command(info: &MethodRunInfo, world: &World) -> String {
    let named = MethodRequest { run: Some(info.id.clone()), ..info.settings.request() };
    let set = &info.settings.templates;
    let prompts = format!("{}@{}", set.id(), set.version());
    let mut server = world.options.clone();
    if other_model(info, world).is_some() {
        server.model.clear();
    }
    format!("polylogue run {}{}", named.options(), server.with_prompts(Some(&prompts)))
}

/// The name of the run's model where it, or the form of its matrices, isn't what this server has loaded.
fn other_model(info: &MethodRunInfo, world: &World) -> Option<String> {
    let begun = &info.settings.base_hash;
    // Beside the hash stands the form of the matrices, unless they are dense.
    let (hash, form) = begun.split_once(' ').unwrap_or((begun, ""));
    let (loaded, loaded_form) = world.model.hash.split_once(' ').unwrap_or((&world.model.hash, ""));
    if hash.starts_with(loaded) && form == loaded_form {
        return None;
    }
    let named = info.settings.inputs.as_ref().map(|inputs| inputs.model.as_str());
    let name = named.unwrap_or_else(|| hash.get(..12).unwrap_or(hash));
    Some(if form.is_empty() { name.to_owned() } else { format!("{name}, {form}") })
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

#[cfg(test)]
mod tests {
    use domain::method::{Inputs, MethodSettings};

    use super::*;
    use crate::api::CommandOptions;
    use crate::components::talk::choice::tests::world;

    fn info(base_hash: &str) -> MethodRunInfo {
        let settings: MethodSettings = serde_json::from_value(serde_json::json!({
            "survey": "starter", "base_hash": base_hash, "seed": 7, "per_topic": 16,
            "cultures": ["THA"], "learning_rate": 1e-3, "epochs": 4, "accumulation": 4,
        }))
        .unwrap();
        let inputs = Inputs {
            version: "1".to_owned(),
            model: "Qwen".to_owned(),
            survey_hash: String::new(),
            prompts_hash: String::new(),
        };
        MethodRunInfo {
            id: "mine".to_owned(),
            settings: MethodSettings { inputs: Some(inputs), ..settings },
            state: JobState::Done,
            steps: vec![],
            revision: 0,
            error: None,
            created: String::new(),
        }
    }

    #[test]
    fn a_runs_command_names_its_model_or_says_that_it_is_another() {
        let mut world = world(&["THA"], &[]);
        world.options = CommandOptions {
            model: "--model q.gguf".to_owned(),
            templates: "--templates d".to_owned(),
        };
        for (base_hash, loaded, expect) in [
            ("0123456789abcdef", "0123456789ab", None),
            ("0123456789abcdef q8_0", "0123456789ab q8_0", None),
            ("0123456789abcdef q8_0", "0123456789ab", Some("Qwen, q8_0")),
            ("0123456789abcdef", "0123456789ab q8_0", Some("Qwen")),
            ("fedcba9876543210", "0123456789ab", Some("Qwen")),
        ] {
            world.model.hash = loaded.to_owned();
            let info = info(base_hash);
            assert_eq!(other_model(&info, &world).as_deref(), expect, "{base_hash} {loaded}");
            let command = command(&info, &world);
            assert_eq!(command.ends_with(" --model q.gguf"), expect.is_none(), "{command}");
            assert!(command.starts_with("polylogue run --run mine "), "{command}");
            assert!(!command.contains("--templates"), "the built-in set needs none: {command}");
        }
    }
}
