//! What is said in a conversation: seats, turns and replies. Data with signals; no view, no network.

use domain::prompt::{Message, Role};
use domain::voice::Voice;
use leptos::prelude::*;

use crate::api::{AdapterInfo, ApiError, Finish, ReplyInfo};

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
    Stopped(Broken),
    /// It went wrong; the other voices went on.
    Failed(ApiError),
}

/// What is known of a reply that was stopped: the server tells the rest only at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// The model and the adapter that spoke.
    pub origin: Origin,
    /// The seed that drew it.
    pub seed: u64,
    /// How its text came.
    pub pace: Pace,
}

/// Who speaks, beneath the persona.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Origin {
    /// Base model's name.
    pub model: String,
    /// Base model's hash.
    pub model_hash: String,
    /// Adapter with its hash, if one is applied.
    pub adapter: Option<AdapterInfo>,
}

/// When the pieces of a text came; a piece is a token, or a few that make a letter together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// Pieces so far.
    pub pieces: usize,
    /// When the first one came, in milliseconds of [`crate::browser::milliseconds`].
    first: f64,
    /// When the last one came.
    last: f64,
}

impl Pace {
    /// Another piece came at `now`.
    pub fn arrive(&mut self, now: f64) {
        if self.pieces == 0 {
            self.first = now;
        }
        self.last = now;
        self.pieces += 1;
    }

    /// Pieces per second, from the first to the last; `None` where that took no time.
    pub fn per_second(self) -> Option<f64> {
        let seconds = (self.last - self.first) / 1000.0;
        (seconds > 0.0).then(|| (self.pieces - 1) as f64 / seconds)
    }
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
    /// How its text comes.
    pub pace: Pace,
}

impl ReplyState {
    /// One that has been asked for.
    pub fn open(seed: u64) -> Self {
        Self { text: String::new(), phase: Phase::Open, seed, pace: Pace::default() }
    }
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
        Self { seat, state: ArcRwSignal::new(ReplyState::open(seed)) }
    }

    /// Ends the reply of `origin` by the person's will, if it is still open.
    pub fn stop(&self, origin: &Origin) {
        let broken = self.state.with_untracked(|state| Broken {
            origin: origin.clone(),
            seed: state.seed,
            pace: state.pace,
        });
        self.settle(Phase::Stopped(broken));
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

/// The line under a reply: `Polylogue Starter 0123456789ab · adapter joint 9f… · seed 7 · 24 tokens · 41 tok/s`.
pub fn describe(info: &ReplyInfo) -> String {
    let mut parts = origin(&info.model, &info.model_hash, info.adapter.as_ref(), info.seed);
    parts.push(counted(info.tokens));
    // One token takes no time from the first to the last.
    if info.tokens_per_second > 0.0 {
        parts.push(format!("{:.0} tok/s", info.tokens_per_second));
    }
    if info.finish == Finish::Length {
        parts.push("cut at the length limit".to_owned());
    }
    parts.join(" · ")
}

/// The same under a reply that was stopped: tokens are counted as they came.
pub fn describe_broken(broken: &Broken) -> String {
    let Origin { model, model_hash, adapter } = &broken.origin;
    let mut parts = origin(model, model_hash, adapter.as_ref(), broken.seed);
    parts.push(match broken.pace.pieces {
        0 => "stopped before the first token".to_owned(),
        count => format!("stopped after {}", counted(count)),
    });
    parts.extend(broken.pace.per_second().map(|speed| format!("{speed:.0} tok/s")));
    parts.join(" · ")
}

fn origin(model: &str, hash: &str, adapter: Option<&AdapterInfo>, seed: u64) -> Vec<String> {
    let adapter = match adapter {
        Some(adapter) => format!("adapter {} {}", adapter.name, adapter.hash),
        None => "no adapter".to_owned(),
    };
    vec![format!("{model} {hash}"), adapter, format!("seed {seed}")]
}

fn counted(tokens: usize) -> String {
    format!("{tokens} token{}", if tokens == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_counts_what_came_after_the_first_piece() {
        let mut pace = Pace::default();
        assert_eq!((pace.pieces, pace.per_second()), (0, None));
        pace.arrive(1000.0);
        assert_eq!((pace.pieces, pace.per_second()), (1, None));
        for now in [1100.0, 1200.0] {
            pace.arrive(now);
        }
        assert_eq!(pace.pieces, 3);
        assert!((pace.per_second().unwrap() - 10.0).abs() < 1e-9, "{pace:?}");
    }
}
