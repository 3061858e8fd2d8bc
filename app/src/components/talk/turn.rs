//! One message and the replies to it, side by side.

use leptos::prelude::*;

use super::conversation::Conversation;
use super::record::Turn;
use super::reply::ReplyCard;

/// A message and a card per present voice.
#[component]
pub fn TurnView(
    /// What was said.
    turn: Turn,
) -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let heading = format!("turn-{}", turn.id);
    let message = turn.message.clone();
    view! {
        <section class="turn" aria-labelledby=heading data-testid="turn">
            <h2 class="asked" id=heading.clone()><span class="visually-hidden">"You: "</span>{message}</h2>
            <div class="replies">
                <For each=move || conversation.seats.get() key=|seat| seat.id let:seat>
                    <ReplyCard turn=turn.clone() seat/>
                </For>
            </div>
        </section>
    }
}
