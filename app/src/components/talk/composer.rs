//! Where the message is written, with what draws the replies.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::conversation::Conversation;
use crate::browser;
use crate::components::{ErrorNote, Glyph, Icon};
use crate::link::LONGEST_QUERY;

/// Message box, send, stop, seed, temperature, link.
#[component]
pub fn Composer() -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let running = Memo::new(move |_| conversation.streams.get() > 0);
    view! {
        // Before the page is alive, the form itself opens the link that asks the message.
        <form class="composer" aria-label="Message" action="/" method="get" autocomplete="off" on:submit=move |event| {
            event.prevent_default();
            spawn_local(conversation.send());
        }>
            {move || conversation.refusal.get().map(|error| view! { <ErrorNote error/> })}
            <div class="message-row">
                <MessageBox/>
                <button type="submit" class="primary" data-testid="send" hidden=move || running.get()>
                    <Icon glyph=Glyph::Send/>"Send"
                </button>
                <button type="button" class="primary stop" data-testid="stop"
                    hidden=move || !running.get() on:click=move |_| conversation.stop()>
                    <Icon glyph=Glyph::Stop/>"Stop"
                </button>
            </div>
            <Settings/>
        </form>
    }
    .into_any()
}

/// Enter sends; with Shift it begins a new line.
#[component]
fn MessageBox() -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let area = NodeRef::<leptos::html::Textarea>::new();
    Effect::new(move |alive: Option<()>| {
        let Some(area) = area.get() else { return };
        let (draft, written) = (conversation.draft.get(), area.value());
        if alive.is_none() && draft.is_empty() {
            // What was typed before the page came alive counts.
            conversation.draft.set(written);
        } else if draft != written {
            area.set_value(&draft);
        }
    });
    let keys = move |event: leptos::ev::KeyboardEvent| {
        // While an input method composes, Enter belongs to it.
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            spawn_local(conversation.send());
        }
    };
    view! {
        <label class="visually-hidden" for="message">"Message to all voices"</label>
        <textarea id="message" name="q" data-testid="message" rows="1" node_ref=area
            placeholder="Message to all voices" on:keydown=keys
            on:input=move |event| conversation.draft.set(event_target_value(&event))
        ></textarea>
    }
}

#[component]
fn Settings() -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    // A field shows what counts: what isn't taken gives way to what was there.
    let seed = move |event: leptos::ev::Event| {
        if let Ok(seed) = event_target_value(&event).trim().parse() {
            conversation.seed.set(seed);
        }
        browser::show_in_field(&event, &conversation.seed.get_untracked().to_string());
    };
    let temperature = move |event: leptos::ev::Event| {
        let given = event_target_value(&event).trim().parse::<f64>().ok();
        if let Some(temperature) = given.filter(|temperature| temperature.is_finite()) {
            conversation.temperature.set(temperature.clamp(0.0, 2.0));
        }
        browser::show_in_field(&event, &conversation.temperature.get_untracked().to_string());
    };
    view! {
        <div class="settings">
            <label>
                "Seed "
                <input type="number" min="0" step="1" data-testid="seed" class="seed"
                    value=conversation.seed.get_untracked().to_string()
                    prop:value=move || conversation.seed.get().to_string() on:change=seed/>
            </label>
            <label>
                "Temperature "
                <input type="number" min="0" max="2" step="0.1" data-testid="temperature"
                    value=conversation.temperature.get_untracked().to_string()
                    prop:value=move || conversation.temperature.get().to_string()
                    on:change=temperature/>
            </label>
            <CopyLink/>
            <Show when=move || !conversation.turns.with(Vec::is_empty)>
                <button type="button" class="quiet" data-testid="new-conversation"
                    on:click=move |_| { conversation.clear(); browser::focus("message"); }>
                    "New conversation"
                </button>
            </Show>
        </div>
    }
    .into_any()
}

/// Copies the address that asks the same of the same voices.
#[component]
fn CopyLink() -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let said = RwSignal::new("Copy link");
    let copy = move |_| {
        let query = untrack(|| conversation.link()).encode();
        if query.len() > LONGEST_QUERY {
            said.set("Too long for a link");
            return;
        }
        let address = browser::absolute(&format!("/?{query}"));
        spawn_local(async move {
            said.set(if browser::copy(address).await {
                "Link copied"
            } else {
                "Use the address bar"
            });
            set_timeout(
                move || {
                    let _ = said.try_set("Copy link");
                },
                std::time::Duration::from_secs(2),
            );
        });
    };
    view! {
        <button type="button" class="quiet" data-testid="copy-link" on:click=copy
            title="Opens the same voices with the same seed and messages">
            <Icon glyph=Glyph::Link/>{said}
        </button>
    }
}
