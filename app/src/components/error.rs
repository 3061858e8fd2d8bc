//! A refusal or failure, shown where it happened.

use leptos::prelude::*;

use crate::api::ApiError;

/// What happened, and the way out.
#[component]
pub fn ErrorNote(
    /// What the server (or the way to it) said.
    error: ApiError,
) -> impl IntoView {
    // A message may carry its way out on a second line.
    let (what, rest) = match error.message.split_once('\n') {
        Some((what, rest)) => (what.to_owned(), Some(rest.to_owned())),
        None => (error.message.clone(), None),
    };
    let hint = error.hint.clone().or(rest);
    view! {
        <div class="error" role="alert" data-testid="error" data-code=error.code>
            <p>{marked(&what)}</p>
            {hint.map(|hint| view! { <p class="hint">{marked(&hint)}</p> })}
        </div>
    }
}

/// Shows what stands in backticks as code.
pub fn marked(text: &str) -> Vec<AnyView> {
    text.split('`')
        .enumerate()
        .map(|(place, part)| {
            let part = part.to_owned();
            if place % 2 == 1 { view! { <code>{part}</code> }.into_any() } else { part.into_any() }
        })
        .collect()
}
