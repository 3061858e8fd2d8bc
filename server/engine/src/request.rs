//! What the engine is asked for, and what it answers with.
//!
//! Plain data; checking it against the model is the handle's work ([`super::handle`]), and how
//! events travel is in [`super::mailbox`].

use std::sync::Arc;

use domain::adapter::{AdapterInfo, BlendPart};
use domain::prompt::Message;
use domain::sampling::{Finish, Sampling};

use super::error::EngineError;

/// Who asks. Clients take turns, so that one who asks for much delays the others little; the name
/// itself means nothing to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// The client of that name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The server's own work.
    pub fn server() -> Self {
        Self::new("server")
    }
}

/// What is added to the base model.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum AdapterChoice {
    /// Nothing.
    #[default]
    Base,
    /// The adapter of that name.
    Named(String),
    /// The sum of several adapters' changes, each times its weight; see [`super::blends::check`] for
    /// the rules.
    Blend(Vec<BlendPart>),
}

impl From<Option<String>> for AdapterChoice {
    fn from(name: Option<String>) -> Self {
        name.map_or(Self::Base, Self::Named)
    }
}

impl From<&str> for AdapterChoice {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

/// One reply wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRow {
    /// The conversation, ending with the user's message; the persona is its system message.
    pub messages: Vec<Message>,
    /// What is added to the base model.
    pub adapter: AdapterChoice,
    /// How tokens are drawn.
    pub sampling: Sampling,
}

/// One question to score: how probable is each option as the reply?
#[derive(Debug, Clone, PartialEq)]
pub struct ScorePrompt {
    /// The conversation, ending with the user's message.
    pub messages: Vec<Message>,
    /// The whole reply per option, without the end token: `1`, `2`, .., `10`.
    pub options: Vec<String>,
    /// What is added to the base model.
    pub adapter: AdapterChoice,
}

/// What happens to the rows of one [`super::GenerationStream`].
#[derive(Debug, Clone, PartialEq)]
pub enum RowEvent {
    /// More text.
    Text {
        /// Index into the rows asked for.
        row: usize,
        /// Text to append; whole characters only, never empty.
        text: String,
    },
    /// The row is complete.
    Done {
        /// Index into the rows asked for.
        row: usize,
        /// New tokens, without the end token.
        tokens: usize,
        /// Seconds from the first new token to the last.
        seconds: f64,
        /// Why it ended.
        finish: Finish,
        /// What was added to the base model, as it was when the row was asked for.
        adapter: Option<AdapterInfo>,
    },
    /// The row failed; the others go on.
    Failed {
        /// Index into the rows asked for.
        row: usize,
        /// Why.
        error: EngineError,
    },
}
