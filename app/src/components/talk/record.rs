//! What is said in a conversation: seats, turns and replies. Data with signals; no view, no network.

use domain::prompt::{Message, Role};
use domain::voice::Voice;
use leptos::prelude::*;

use crate::api::{ApiError, Finish, ReplyInfo};

/// A place in the row of voices; a changed voice gets a new one, with no past.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// Unique within the conversation.
    pub id: u64,
    /// Who sits there.
    pub voice: Voice,
}

/// How far a reply is.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Asked, or speaking.
    Open,
    /// Complete.
    Done(ReplyInfo),
    /// The person stopped it.
    Stopped,
    /// It went wrong; the other voices went on.
    Failed(ApiError),
}

/// What a voice has said so far.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyState {
    /// The text so far.
    pub text: String,
    /// How far it is.
    pub phase: Phase,
    /// The seed that draws it.
    pub seed: u64,
}

/// One voice's reply to one message.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The seat it belongs to.
    pub seat: u64,
    /// What it says.
    pub state: ArcRwSignal<ReplyState>,
}

impl Reply {
    /// A reply that has been asked for.
    pub fn open(seat: u64, seed: u64) -> Self {
        let state = ReplyState { text: String::new(), phase: Phase::Open, seed };
        Self { seat, state: ArcRwSignal::new(state) }
    }

    /// Ends the reply if it is still open.
    pub fn settle(&self, phase: Phase) {
        if self.state.with_untracked(|state| state.phase == Phase::Open) {
            self.state.update(|state| state.phase = phase);
        }
    }
}

/// One message and its replies.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Unique within the conversation.
    pub id: u64,
    /// What the person said.
    pub message: String,
    /// Who answered what.
    pub replies: ArcRwSignal<Vec<Reply>>,
}

impl Turn {
    /// The reply of `seat`, if it was asked. Tracks.
    pub fn reply(&self, seat: u64) -> Option<Reply> {
        self.replies.with(|replies| replies.iter().find(|reply| reply.seat == seat).cloned())
    }
}

/// The exchange of one seat: what it was asked and what it said. Failed replies are left out with
/// their message, so that user and assistant alternate.
pub fn history<'a>(turns: impl Iterator<Item = &'a Turn>, seat: u64) -> Vec<Message> {
    turns
        .filter_map(|turn| {
            let state = turn.reply(seat)?.state.get();
            let said = !matches!(state.phase, Phase::Failed(_)) && !state.text.trim().is_empty();
            said.then(|| {
                [
                    Message::new(Role::User, &turn.message),
                    Message::new(Role::Assistant, state.text.trim()),
                ]
            })
        })
        .flatten()
        .collect()
}

/// The line under a reply: `Polylogue Starter 0123456789ab · joint 9f… · seed 7 · 24 tokens · 41 tok/s`.
pub fn describe(info: &ReplyInfo) -> String {
    let mut parts = vec![format!("{} {}", info.model, info.model_hash)];
    parts.push(match &info.adapter {
        Some(adapter) => format!("adapter {} {}", adapter.name, adapter.hash),
        None => "no adapter".to_owned(),
    });
    parts.push(format!("seed {}", info.seed));
    parts.push(format!("{} tokens", info.tokens));
    parts.push(format!("{:.0} tok/s", info.tokens_per_second));
    if info.finish == Finish::Length {
        parts.push("cut at the length limit".to_owned());
    }
    parts.join(" · ")
}
