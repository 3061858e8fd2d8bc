//! Earlier runs, each a link that opens it.

use leptos::prelude::*;

use crate::api::{ApiError, SurveyRunInfo};
use crate::components::ErrorNote;
use crate::components::words::{minutes, state_name};
use crate::link;

/// The runs in the store, newest first.
#[component]
pub fn RunList(
    /// The runs.
    runs: Resource<Result<Vec<SurveyRunInfo>, ApiError>>,
    /// The run that is shown.
    shown: Memo<Option<String>>,
) -> impl IntoView {
    view! {
        <details class="runs" open=move || shown.with(Option::is_none)>
            <summary><h2>"Earlier runs"</h2></summary>
            <Transition fallback=|| view! { <p class="meta">"Loading"</p> }>
                {move || Suspend::new(async move {
                    match runs.await {
                        Ok(runs) if runs.is_empty() => {
                            view! { <p class="meta">"None yet."</p> }.into_any()
                        }
                        Ok(runs) => view! {
                            <ul data-testid="runs">
                                {runs.into_iter().map(|run| entry(run, shown)).collect_view()}
                            </ul>
                        }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Transition>
        </details>
    }
}

fn entry(run: SurveyRunInfo, shown: Memo<Option<String>>) -> impl IntoView {
    let address = format!("/survey?run={}", link::escape(&run.id));
    let id = run.id.clone();
    let here = move || shown.with(|shown| shown.as_ref() == Some(&id)).then_some("true");
    let of =
        run.recorded.as_ref().map_or_else(String::new, |model| format!(" · recorded: {model}"));
    let line = format!(
        "{}{of} · {} voices · {} of {} answers · {}",
        run.survey,
        run.voices.len(),
        run.answered,
        run.total,
        state_name(Some(run.state)),
    );
    view! {
        <li data-testid="run" data-run=run.id>
            <a href=address aria-current=here>{minutes(&run.created)}</a>
            <span class="meta">{line}</span>
        </li>
    }
}
