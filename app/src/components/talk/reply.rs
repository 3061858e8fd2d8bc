//! One voice's reply: text while it comes, how it came to be, and what can be done with it.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::conversation::Conversation;
use super::record::{Phase, Reply, ReplyState, Seat, Turn, describe, describe_broken};
use crate::browser;
use crate::components::{ErrorNote, Glyph, Icon, VoiceTag};

/// The card of one voice in one turn; a voice that joined later can be asked here.
#[component]
pub fn ReplyCard(
    /// The turn it belongs to.
    turn: Turn,
    /// Whose reply.
    seat: Seat,
) -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let (voice, asked) = (seat.voice.clone(), StoredValue::new((turn.clone(), seat.clone())));
    let id = turn.id;
    let newest = Memo::new(move |_| {
        conversation.turns.with(|turns| turns.last().is_some_and(|turn| turn.id == id))
    });
    let reply = move || turn.reply(seat.id);
    view! {
        <article class="reply" data-testid="voice-card" data-voice=voice.slug()
            style=crate::color::style(voice.culture)>
            <header><h3><VoiceTag voice=voice.clone()/></h3></header>
            {move || match reply() {
                Some(reply) => view! { <Spoken reply asked newest/> }.into_any(),
                None => view! { <NotAsked asked newest/> }.into_any(),
            }}
        </article>
    }
    .into_any()
}

/// What was said, and the controls below.
#[component]
fn Spoken(reply: Reply, asked: StoredValue<(Turn, Seat)>, newest: Memo<bool>) -> impl IntoView {
    let state = reply.state;
    let text = {
        let state = state.clone();
        move || state.with(|state| state.text.clone())
    };
    let phase = Memo::new({
        let state = state.clone();
        move |_| state.with(|s| s.phase.clone())
    });
    let open = Memo::new(move |_| phase.with(|phase| *phase == Phase::Open));
    let waiting = {
        let state = state.clone();
        move || open.get() && state.with(|s| s.text.is_empty())
    };
    view! {
        <p class="reply-text" data-testid="reply-text" aria-busy=move || open.get().to_string()>
            {text}
            {move || waiting().then(|| view! { <span class="waiting">"thinking"</span> })}
        </p>
        <div class="reply-end" data-testid="reply-end" data-phase=move || phase.with(phase_name)>
            {move || phase.with(outcome)}
        </div>
        <Show when=move || !open.get()>
            <ReplyActions asked newest state=state.clone()/>
        </Show>
    }
    .into_any()
}

/// A word for the phase, for styles and tests.
fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Open => "open",
        Phase::Done(_) => "done",
        Phase::Stopped(_) => "stopped",
        Phase::Failed(_) => "failed",
    }
}

fn outcome(phase: &Phase) -> Option<AnyView> {
    match phase {
        Phase::Open => None,
        Phase::Done(info) => Some(meta(describe(info))),
        Phase::Stopped(broken) => Some(meta(describe_broken(broken))),
        Phase::Failed(error) => Some(view! { <ErrorNote error=error.clone()/> }.into_any()),
    }
}

fn meta(line: String) -> AnyView {
    view! { <p class="meta" data-testid="reply-meta">{line}</p> }.into_any()
}

#[component]
fn ReplyActions(
    asked: StoredValue<(Turn, Seat)>,
    newest: Memo<bool>,
    state: ArcRwSignal<ReplyState>,
) -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let label = asked.with_value(|(_, seat)| seat.voice.label());
    let copied = RwSignal::new(None::<bool>);
    let copy = move |_| {
        let text = state.with_untracked(|state| state.text.clone());
        spawn_local(async move {
            copied.set(Some(browser::copy(text).await));
            set_timeout(
                move || {
                    let _ = copied.try_set(None);
                },
                Duration::from_secs(2),
            );
        });
    };
    let again = move |_| {
        let (turn, seat) = asked.get_value();
        spawn_local(conversation.regenerate(turn, seat));
    };
    view! {
        <div class="actions">
            <Show when=move || newest.get()>
                <button type="button" class="quiet" data-testid="regenerate" on:click=again
                    title="Ask this voice again with the next seed"
                    disabled=move || { conversation.streams.get() > 0 }>
                    <Icon glyph=Glyph::Again/>"Again"
                    <span class="visually-hidden">{format!(": {label}")}</span>
                </button>
            </Show>
            <button type="button" class="quiet" data-testid="copy" on:click=copy>
                <Icon glyph=Glyph::Copy/>
                {move || match copied.get() {
                    None => "Copy",
                    Some(true) => "Copied",
                    Some(false) => "Not copied: the browser refused",
                }}
            </button>
        </div>
    }
}

/// For a voice that joined after the message was sent.
#[component]
fn NotAsked(asked: StoredValue<(Turn, Seat)>, newest: Memo<bool>) -> impl IntoView {
    let conversation = expect_context::<Conversation>();
    let ask = move |_| {
        let (turn, seat) = asked.get_value();
        spawn_local(conversation.regenerate(turn, seat));
    };
    view! {
        <p class="meta">"This voice joined later."</p>
        <Show when=move || newest.get()>
            <div class="actions">
                <button type="button" class="quiet" data-testid="ask-too" on:click=ask
                    disabled=move || { conversation.streams.get() > 0 }>
                    "Ask it too"
                </button>
            </div>
        </Show>
    }
}
