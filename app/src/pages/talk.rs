//! Talk (`/`): one message to several voices, side by side.
//!
//! Hooks for tests (`data-testid`): `message`, `send`, `stop`, `seed`, `temperature`, `copy-link`,
//! `new-conversation`, `example`; `voice-chip` (with `data-voice`), `change-voice`, `remove-voice`,
//! `add-voice`, `voice-editor`, `voice-culture`, `voice-adapter`; `turn`, in it `voice-card` (with
//! `data-voice`), in it `reply-text`, `reply-end` (with `data-phase`: open, done, stopped, failed),
//! `reply-meta`, `regenerate`, `copy`, `ask-too`; `comparison`, in it `distinctive` (with
//! `data-voice`), `similarity`, `similarity-cell`; `error` (with `data-code`).

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::hooks::use_location;

use crate::api::World;
use crate::browser;
use crate::components::ErrorNote;
use crate::components::talk::conversation::Conversation;
use crate::components::talk::record::Phase;
use crate::components::talk::{ComparisonPanel, Composer, TurnView, VoiceBar, Welcome};
use crate::link::{DeepLink, LONGEST_QUERY};
use crate::shell::WorldResource;

/// The Talk page.
#[component]
pub fn TalkPage() -> impl IntoView {
    let WorldResource(world) = expect_context();
    view! {
        <Title text="Talk"/>
        <div class="page talk">
            <h1 class="visually-hidden">"Talk with several voices at once"</h1>
            <Suspense fallback=|| view! { <p class="meta">"Loading voices"</p> }>
                {move || Suspend::new(async move {
                    match world.await {
                        Ok(world) => view! { <Talk world/> }.into_any(),
                        Err(error) => view! { <ErrorNote error/> }.into_any(),
                    }
                })}
            </Suspense>
        </div>
    }
    .into_any()
}

/// The page once it is known who can speak.
#[component]
fn Talk(world: World) -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let link = DeepLink::decode(&use_location().search.get_untracked());
    let pending = StoredValue::new(conversation.open(&link, &world));
    // An effect runs in the browser only: the server must not ask.
    Effect::new(move |_| {
        let messages = pending.try_update_value(std::mem::take).unwrap_or_default();
        spawn_local(async move {
            for message in messages {
                if !conversation.ask(message).await {
                    break;
                }
            }
        });
    });
    keep_address(conversation);
    let world = StoredValue::new(world);
    view! {
        <VoiceBar world/>
        <Show when=move || conversation.turns.with(Vec::is_empty)><Welcome/></Show>
        <For each=move || conversation.turns.get() key=|turn| turn.id let:turn>
            <TurnView turn/>
        </For>
        <ComparisonPanel/>
        <Announcer/>
        <Composer/>
    }
    .into_any()
}

/// Keeps the address bar at the link of what is shown, from the first change on.
fn keep_address(conversation: Conversation) {
    Effect::new(move |before: Option<String>| {
        let query = conversation.link().encode();
        let changed = match before {
            Some(before) => before != query,
            // Coming back from another page: what was said is still here.
            None => !conversation.turns.with_untracked(Vec::is_empty),
        };
        if changed && query.len() <= LONGEST_QUERY {
            browser::replace_query(&query);
        }
        query
    });
}

/// Tells screen readers how far the replies are, without reading every word as it comes.
#[component]
fn Announcer() -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let said = Memo::new(move |_| {
        let Some(turn) = conversation.turns.with(|turns| turns.last().cloned()) else {
            return String::new();
        };
        let replies = turn.replies.get();
        let open = replies.iter().filter(|r| r.state.with(|s| s.phase == Phase::Open)).count();
        let failed = replies
            .iter()
            .filter(|r| r.state.with(|s| matches!(s.phase, Phase::Failed(_))))
            .count();
        let complete = replies.len() - open;
        match failed {
            0 => format!("{complete} of {} voices have answered", replies.len()),
            _ => format!("{complete} of {} voices are done, {failed} failed", replies.len()),
        }
    });
    view! { <p class="visually-hidden" role="status" data-testid="status">{said}</p> }
}
