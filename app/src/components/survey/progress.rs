//! How far a run is, and the buttons that end it or make it go on.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::follow::Followed;
use crate::api::{ApiError, JobState, SurveyRunInfo};
use crate::backend::use_live;
use crate::components::ErrorNote;
use crate::components::words::{duration, state_name};

/// Progress of the run that the page shows.
#[component]
pub fn RunProgress(
    /// The run.
    followed: Followed,
) -> impl IntoView {
    let refusal = RwSignal::new(None::<ApiError>);
    let live = StoredValue::new(use_live());
    let cancel = move |_| {
        let info = followed.info.get_untracked();
        let (Some(info), Some(live)) = (info, live.get_value()) else { return };
        spawn_local(async move {
            match live.cancel_survey_run(info.id).await {
                Ok(info) => followed.info.set(Some(info)),
                Err(error) => refusal.set(Some(error)),
            }
        });
    };
    let resume = move |_| {
        let info = followed.info.get_untracked();
        let (Some(info), Some(live)) = (info, live.get_value()) else { return };
        spawn_local(async move {
            match live.resume_survey_run(info.id).await {
                Ok(info) => {
                    refusal.set(None);
                    followed.info.set(Some(info));
                    followed.again();
                }
                Err(error) => refusal.set(Some(error)),
            }
        });
    };
    let state = Memo::new(move |_| followed.info.with(|i| i.as_ref().map(|info| info.state)));
    let running = move || state.get() == Some(JobState::Running);
    let stopped = move || {
        matches!(state.get(), Some(JobState::Paused | JobState::Cancelled | JobState::Failed))
    };
    // Numbers change many times a second; a screen reader hears every tenth.
    let spoken = Memo::new(move |_| followed.info.with(|info| info.as_ref().map(tenth)));
    let count = move |of: fn(&SurveyRunInfo) -> usize| {
        followed.info.with(|info| info.as_ref().map_or(0, of).to_string())
    };
    view! {
        <div class="progress" data-testid="survey-progress" data-state=move || state_name(state.get())>
            <Show when=running>
                <progress max=move || count(|info| info.total) value=move || count(|info| info.answered)
                    aria-label="Answers"></progress>
                <button type="button" class="outlined" data-testid="survey-cancel" on:click=cancel>
                    "Cancel"
                </button>
            </Show>
            <p class="meta">{move || followed.info.with(|i| i.as_ref().map(sentence))}</p>
            <Show when=stopped>
                <button type="button" class="outlined" data-testid="survey-resume" on:click=resume
                    title="Asks what isn’t answered yet">
                    "Resume"
                </button>
            </Show>
            <p class="visually-hidden" role="status">{spoken}</p>
            {move || followed.info.with(|info| info.as_ref()?.error.clone())
                .map(|error| view! { <ErrorNote error/> })}
            {move || refusal.get().map(|error| view! { <ErrorNote error/> })}
        </div>
    }
    .into_any()
}

/// The state in words.
fn sentence(info: &SurveyRunInfo) -> String {
    let counted = format!("{} of {} answers", info.answered, info.total);
    match info.state {
        JobState::Done if info.answered < info.total => {
            format!("{counted} name an option; the others can’t be read.")
        }
        JobState::Running => match info.remaining_seconds {
            Some(seconds) => format!("{counted}, about {} left", duration(seconds)),
            None => counted,
        },
        JobState::Done => format!("All {} answers are in.", info.total),
        JobState::Paused => format!("Paused: {counted} are kept and shown."),
        JobState::Cancelled => format!("Cancelled: {counted} are kept and shown."),
        JobState::Failed => format!("Failed after {counted}; these are kept and shown."),
    }
}

/// The state as it is spoken: `30 % answered`.
fn tenth(info: &SurveyRunInfo) -> String {
    if info.state == JobState::Running {
        format!("{} % answered", info.answered * 10 / info.total.max(1) * 10)
    } else {
        sentence(info)
    }
}
