//! What the server didn't accept, with the reason: nothing that somebody said goes away by itself.

use domain::annotation::{Act, Judgement};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::Desk;
use super::items::label_name;
use super::outbox::Refused;
use crate::browser;
use crate::components::ErrorNote;

/// Every act that was refused, to copy or discard.
#[component]
pub fn RefusedActs(
    /// The project.
    desk: Desk,
) -> impl IntoView {
    let any = Memo::new(move |_| desk.refused.with(|all| !all.is_empty()));
    let all = move || desk.refused.get();
    view! {
        <Show when=move || any.get()>
            <section class="refused-acts" aria-labelledby="refused-acts" data-testid="refused-acts">
                <h2 id="refused-acts">"Not accepted"</h2>
                <ul>
                    <For each=all key=|refused| refused.submission.id.clone() let:refused>
                        <Entry desk refused/>
                    </For>
                </ul>
            </section>
        </Show>
    }
    .into_any()
}

#[component]
fn Entry(desk: Desk, refused: Refused) -> impl IntoView {
    let item = refused.submission.item.clone();
    let words =
        StoredValue::new(format!("{item}: {}", untrack(|| said(desk, &refused.submission.act))));
    let copied = RwSignal::new("Copy");
    let copy = move |_| {
        spawn_local(async move {
            let done = browser::copy(words.get_value()).await;
            let _ = copied.try_set(if done { "Copied" } else { "Copy it by hand" });
        });
    };
    let error = refused.error.clone();
    let discard = move |_| desk.discard(&refused);
    view! {
        <li data-testid="refused" data-item=item.to_string()>
            <p class="said">{words.get_value()}</p>
            <ErrorNote error/>
            <button type="button" class="outlined" on:click=copy>{copied}</button>
            <button type="button" class="quiet" data-testid="discard" on:click=discard>"Discard"</button>
        </li>
    }
    .into_any()
}

/// What an act says, for people.
fn said(desk: Desk, act: &Act) -> String {
    let judgement = |said: &Judgement| match said.option {
        None => label_name(desk, &said.label),
        Some(option) => format!("{}, people would say {option}", label_name(desk, &said.label)),
    };
    match act {
        Act::Judged(said) => judgement(said),
        Act::Adjudicated(said) => format!("decided: {}", judgement(said)),
        Act::Skipped { reason } => format!("skipped: {}", reason.title()),
        Act::Commented { text, .. } => text.clone(),
        other => other.name().to_owned(),
    }
}
