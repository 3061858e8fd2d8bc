//! Earlier runs of the method, each a link that opens it.

use leptos::prelude::*;

use super::form::adapters_in_words;
use crate::api::{ApiError, JobState, MethodRunInfo};
use crate::components::ErrorNote;
use crate::components::words::{minutes, state_name};
use crate::link;

/// The runs in the store, newest first.
#[component]
pub fn RunList(
    /// The runs.
    runs: Resource<Result<Vec<MethodRunInfo>, ApiError>>,
    /// The run that is shown.
    shown: Memo<Option<String>>,
) -> impl IntoView {
    view! {
        <section class="runs" aria-labelledby="runs">
            <h2 id="runs">"Runs"</h2>
            <Transition fallback=|| view! { <p class="meta">"Loading"</p> }>
                {move || Suspend::new(async move {
                    match runs.await {
                        Ok(runs) if runs.is_empty() => view! {
                            <p class="meta">"None yet. A run stays here with everything it has made."</p>
                        }.into_any(),
                        Ok(runs) => view! {
                            <ul data-testid="runs">
                                {runs.into_iter().map(|run| entry(run, shown)).collect_view()}
                            </ul>
                        }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
        </section>
    }
    .into_any()
}

fn entry(run: MethodRunInfo, shown: Memo<Option<String>>) -> impl IntoView {
    let address = format!("/studio?run={}", link::escape(&run.id));
    let id = run.id.clone();
    let here = move || shown.with(|shown| shown.as_ref() == Some(&id)).then_some("true");
    let adapters: Vec<_> = run.settings.adapters().into_iter().map(|(_, target)| target).collect();
    let line = format!(
        "{} · {} per topic, {} · {}",
        where_it_stands(&run),
        run.settings.per_topic,
        adapters_in_words(&adapters),
        minutes(&run.created),
    );
    view! {
        <li data-testid="run" data-run=run.id.clone()>
            <a href=address aria-current=here>{run.id.clone()}</a>
            <span class="meta">{line}</span>
        </li>
    }
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
