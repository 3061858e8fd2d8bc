//! What the engine is asked for, and what it answers with.
//!
//! Plain data; checking it against the model is the handle's work ([`super::handle`]).

use std::pin::Pin;
use std::task::{Context, Poll};

use app::api::{Finish, Sampling};
use domain::prompt::Message;
use futures::Stream;
use tokio::sync::mpsc::UnboundedReceiver;

use super::error::EngineError;

/// One reply wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRow {
    /// The conversation, ending with the user's message; the persona is its system message.
    pub messages: Vec<Message>,
    /// Name of a loaded adapter; `None` is the base model.
    pub adapter: Option<String>,
    /// How tokens are drawn.
    pub sampling: Sampling,
}

/// One question to score: how probable is each option as the reply?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScorePrompt {
    /// The conversation, ending with the user's message.
    pub messages: Vec<Message>,
    /// The whole reply per option, without the end token: `1`, `2`, .., `10`.
    pub options: Vec<String>,
    /// Name of a loaded adapter; `None` is the base model.
    pub adapter: Option<String>,
}

/// What happens to the rows of one [`GenerationStream`].
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
    },
    /// The row failed; the others go on.
    Failed {
        /// Index into the rows asked for.
        row: usize,
        /// Why.
        error: EngineError,
    },
}

/// The replies of one request as they arrive. It ends after every row's `Done` or `Failed`;
/// dropping it frees the rows at the next step.
#[derive(Debug)]
pub struct GenerationStream {
    pub(super) events: UnboundedReceiver<RowEvent>,
}

impl Stream for GenerationStream {
    type Item = RowEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RowEvent>> {
        self.events.poll_recv(context)
    }
}

impl GenerationStream {
    /// Collects the whole text of every row.
    ///
    /// # Errors
    /// The first row's failure, or [`EngineError::Stopped`] if the engine ended before a row did.
    pub async fn texts(mut self, rows: usize) -> Result<Vec<String>, EngineError> {
        let mut texts = vec![String::new(); rows];
        let mut done = 0;
        while let Some(event) = self.events.recv().await {
            match event {
                RowEvent::Text { row, text } => texts[row].push_str(&text),
                RowEvent::Done { .. } => done += 1,
                RowEvent::Failed { error, .. } => return Err(error),
            }
        }
        if done == rows { Ok(texts) } else { Err(EngineError::Stopped) }
    }
}
