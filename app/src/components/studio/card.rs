//! The frame of a step: its name, where it stands, and what it has to show.

use domain::method::{Elicitation, MethodSettings, Step};
use domain::training_set::Selection;
use leptos::prelude::*;

use super::follow::Followed;
use crate::api::method_run::{StepInfo, StepState, Whole};
use crate::api::{JobState, MethodRunInfo};
use crate::components::words::{counted, duration, grouped};

/// A step of the shown run.
#[component]
pub fn StepCard(
    /// The run.
    followed: Followed,
    /// Which step.
    step: Step,
    /// What it has to show.
    children: Children,
) -> impl IntoView {
    let number = Step::ALL.iter().position(|other| *other == step).unwrap_or_default() + 1;
    let state = Memo::new(move |_| with_step(followed, step, state_of).unwrap_or("waiting"));
    let line = Memo::new(move |_| with_step(followed, step, sentence).unwrap_or_default());
    let how = Memo::new(move |_| {
        followed.info.with(|info| info.as_ref().map(|info| settings(&info.settings, step)))
    });
    let way = Memo::new(move |_| with_step(followed, step, |_, info| (info.done, info.total)));
    let known = move || way.get().filter(|(_, total)| *total > 0 && state.get() == "running");
    view! {
        <section class="step" data-testid="step" data-step=step.as_str() data-state=state
            aria-labelledby=format!("step-{step}")>
            <header>
                <span class="number" aria-hidden="true">{move || match state.get() {
                    "done" => "✓".to_owned(),
                    _ => number.to_string(),
                }}</span>
                <h3 id=format!("step-{step}")>{title(step)}</h3>
                <p class="meta" data-testid="step-line">{line}</p>
                <p class="meta how" data-testid="step-settings">{move || how.get()}</p>
            </header>
            {move || known().map(|(done, total)| view! {
                <progress max=total.to_string() value=done.to_string()
                    aria-label=format!("{step}")></progress>
            })}
            {children()}
        </section>
    }
    .into_any()
}

fn with_step<T>(
    followed: Followed,
    step: Step,
    read: impl Fn(&MethodRunInfo, &StepInfo) -> T,
) -> Option<T> {
    followed.info.with(|info| {
        let info = info.as_ref()?;
        Some(read(info, info.steps.iter().find(|found| found.step == step)?))
    })
}

fn title(step: Step) -> &'static str {
    match step {
        Step::Generate => "Generate",
        Step::Elicit => "Elicit",
        Step::Collect => "Collect",
        Step::Tune => "Tune",
        Step::Evaluate => "Evaluate",
    }
}

/// What the step does, while there is nothing else to say.
fn explanation(step: Step) -> &'static str {
    match step {
        Step::Generate => "The model writes new questions like the survey’s own.",
        Step::Elicit => "Every question is asked without a culture and as each culture.",
        Step::Collect => "Where naming the culture changes the answer, the pair is kept.",
        Step::Tune => "Adapters learn the answers that were kept.",
        Step::Evaluate => "All voices answer the survey and are compared with people.",
    }
}

fn unit(step: Step) -> &'static str {
    match step {
        Step::Generate => "question",
        Step::Elicit | Step::Evaluate => "answer",
        Step::Collect => "pair",
        Step::Tune => "update",
    }
}

/// The settings that the step goes by.
fn settings(run: &MethodSettings, step: Step) -> String {
    match step {
        Step::Generate => {
            let seeds = match run.seeds_per_topic {
                None => String::new(),
                Some(count) => format!(" after {}", counted(count, "seed")),
            };
            format!("{} per topic{seeds} · filter {}", run.per_topic, run.filter)
        }
        Step::Elicit => {
            let read = match run.elicitation {
                Elicitation::Probabilities => "option probabilities".to_owned(),
                Elicitation::Samples(count) => {
                    counted(count, "drawn reply").replace("replys", "replies")
                }
            };
            let prompts = &run.templates;
            format!("style {} · {read} · prompts {}@{}", run.style, prompts.id(), prompts.version())
        }
        Step::Collect => format!("rule {}", run.rule),
        Step::Tune => {
            let Selection { source, share, .. } = run.selection;
            let part = if share < 1.0 {
                format!(" · {:.0} % of them", 100.0 * share)
            } else {
                String::new()
            };
            let general = match run.general {
                0.0 => String::new(),
                general => format!(" · {general} general conversations to a pair"),
            };
            format!(
                "{source} pairs{part}{general} · rank {} · rate {:e} · {} · {} an update",
                run.tuning.rank,
                run.learning_rate,
                counted(run.epochs, "epoch"),
                counted(run.accumulation, "batch").replace("batchs", "batches"),
            )
        }
        Step::Evaluate => format!("survey {}", run.survey),
    }
}

/// `waiting`, `running`, `stopped` or `done`, for styles and tests.
fn state_of(run: &MethodRunInfo, info: &StepInfo) -> &'static str {
    match (info.state, run.state) {
        (StepState::Waiting, _) => "waiting",
        (StepState::Done, _) => "done",
        (StepState::Begun, JobState::Running) => "running",
        (StepState::Begun, _) => "stopped",
    }
}

/// Where the step stands, in words.
fn sentence(run: &MethodRunInfo, info: &StepInfo) -> String {
    let unit = unit(info.step);
    let part = info.part.as_ref().map_or(String::new(), |part| format!("{part}: "));
    let way = format!("{part}{} of {}", grouped(info.done), counted(info.total, unit));
    match state_of(run, info) {
        "done" if info.step == Step::Tune => counted(info.done, "adapter"),
        "done" => counted(info.total, unit),
        "running" if info.total == 0 => "Beginning".to_owned(),
        "running" => match info.remaining_seconds {
            Some(seconds) => {
                let whole = info.whole.as_ref().map(all_adapters).unwrap_or_default();
                format!("{way}, about {} left{whole}", duration(seconds))
            }
            None => way,
        },
        "stopped" => format!("Stopped at {way}"),
        _ => explanation(info.step).to_owned(),
    }
}

/// `; of all 19 adapters 1 is done, 120 updates left, about 12 min`; nothing where there is only one.
fn all_adapters(whole: &Whole) -> String {
    let Whole { parts_done, parts, rest, remaining_seconds } = *whole;
    if parts < 2 {
        return String::new();
    }
    let time = remaining_seconds.map_or(String::new(), |s| format!(", about {}", duration(s)));
    let are = if parts_done == 1 { "is" } else { "are" };
    format!(
        "; of all {} {parts_done} {are} done, {} left{time}",
        counted(parts, "adapter"),
        counted(rest, "update")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: JobState) -> MethodRunInfo {
        let settings = r#"{"survey":"s","base_hash":"0","seed":7,"per_topic":1,"cultures":["THA"],
            "learning_rate":1e-4,"epochs":1,"accumulation":1}"#;
        let settings: MethodSettings = serde_json::from_str(settings).unwrap();
        let steps = Step::ALL.map(StepInfo::waiting).to_vec();
        let (id, created) = ("r".to_owned(), String::new());
        MethodRunInfo { id, settings, state, steps, revision: 0, error: None, created }
    }

    #[test]
    fn a_step_says_what_it_goes_by() {
        let mut run = run(JobState::Done).settings;
        let told = |run: &MethodSettings, step| settings(run, step);
        assert_eq!(told(&run, Step::Generate), format!("1 per topic · filter {}", run.filter));
        assert_eq!(told(&run, Step::Collect), "rule different");
        assert_eq!(
            told(&run, Step::Elicit),
            "style aware · option probabilities · prompts english@1"
        );
        let tuned = "inconsistent pairs · rank 8 · rate 1e-4 · 1 epoch · 1 batch an update";
        assert_eq!(told(&run, Step::Tune), tuned);
        assert_eq!(told(&run, Step::Evaluate), "survey s");
        (run.seeds_per_topic, run.elicitation) = (Some(1), Elicitation::Samples(5));
        (run.selection.share, run.general, run.accumulation) = (0.5, 0.25, 32);
        assert!(told(&run, Step::Generate).starts_with("1 per topic after 1 seed ·"));
        assert!(told(&run, Step::Elicit).contains("· 5 drawn replies ·"));
        let tuned = told(&run, Step::Tune);
        assert!(tuned.contains("pairs · 50 % of them · 0.25 general conversations"), "{tuned}");
        assert!(tuned.ends_with("· 32 batches an update"), "{tuned}");
    }

    #[test]
    fn a_step_says_where_it_stands() {
        let begun = StepInfo {
            state: StepState::Begun,
            part: Some("joint".to_owned()),
            done: 12,
            total: 1200,
            remaining_seconds: Some(30.0),
            ..StepInfo::waiting(Step::Tune)
        };
        let done =
            StepInfo { state: StepState::Done, part: None, done: 4, total: 4, ..begun.clone() };
        for (state, info, expect) in [
            (JobState::Running, begun.clone(), "joint: 12 of 1,200 updates, about 30 s left"),
            (
                JobState::Running,
                StepInfo {
                    whole: Some(Whole {
                        parts_done: 1,
                        parts: 19,
                        rest: 2400,
                        remaining_seconds: Some(600.0),
                    }),
                    ..begun.clone()
                },
                "joint: 12 of 1,200 updates, about 30 s left; of all 19 adapters 1 is done, 2,400 \
                 updates left, about 10 min",
            ),
            (JobState::Paused, begun, "Stopped at joint: 12 of 1,200 updates"),
            (JobState::Paused, done, "4 adapters"),
            (
                JobState::Running,
                StepInfo::waiting(Step::Tune),
                "Adapters learn the answers that were kept.",
            ),
        ] {
            assert_eq!(sentence(&run(state), &info), expect);
        }
    }
}
