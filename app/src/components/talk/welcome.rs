//! What an empty conversation shows: what this is, and messages to start with.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::conversation::Conversation;

/// Messages on which cultures differ most in the starter world.
const EXAMPLES: [&str; 5] = [
    "What do you think about parents?",
    "Is faith important to you?",
    "What does freedom mean to you?",
    "Tell me about work.",
    "Can most people be trusted?",
];

/// One line of introduction and examples to click.
#[component]
pub fn Welcome() -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let examples = EXAMPLES.map(|example| {
        let send = move |_| {
            conversation.draft.set(example.to_owned());
            spawn_local(conversation.send());
        };
        view! {
            <li>
                <button type="button" class="chip" data-testid="example" on:click=send>
                    {example}
                </button>
            </li>
        }
    });
    view! {
        <section class="welcome" aria-labelledby="welcome">
            <h2 id="welcome">"One message, several voices"</h2>
            <p>
                "Each voice is the same model, told to speak for a culture or for none, with or without an
                adapter that was tuned on the model’s own answers: for one culture, or for all of them
                jointly. Ask them all at once; below the replies you see in which words they differ."
            </p>
            <ul class="chips" aria-label="Examples">{examples.into_iter().collect_view()}</ul>
        </section>
    }
}
