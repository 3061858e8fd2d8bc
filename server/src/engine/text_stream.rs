//! From tokens to text as they come: whole characters only.
//!
//! A character may be spread over several tokens, and a tokenizer may write a token differently at
//! the start of a text; so a few earlier tokens are decoded along with the new ones.

use std::sync::Arc;

use super::error::EngineError;
use super::tokenizer::ModelTokenizer;

/// UTF-8 characters have at most four bytes, so more pending tokens than that hold bytes that will
/// never become a character.
const LONGEST_CHARACTER: usize = 4;

/// The text of one reply while it grows.
#[derive(Debug)]
pub struct TextStream {
    tokenizer: Arc<ModelTokenizer>,
    tokens: Vec<u32>,
    /// Tokens before this one don't matter any more.
    start: usize,
    /// The text of the tokens before this one has been handed out.
    told: usize,
}

impl TextStream {
    /// An empty reply.
    pub fn new(tokenizer: Arc<ModelTokenizer>) -> Self {
        Self { tokenizer, tokens: Vec::new(), start: 0, told: 0 }
    }

    /// Takes a token; the text that is complete now, which may be empty.
    ///
    /// # Errors
    /// [`EngineError::Tokenizer`].
    pub fn push(&mut self, token: u32) -> Result<String, EngineError> {
        self.tokens.push(token);
        let (before, now) = self.window()?;
        let incomplete = now.ends_with(char::REPLACEMENT_CHARACTER)
            && self.tokens.len() - self.told < LONGEST_CHARACTER;
        if incomplete || now.len() <= before.len() {
            return Ok(String::new());
        }
        let text = now.get(before.len()..).unwrap_or_default().to_owned();
        self.start = self.told;
        self.told = self.tokens.len();
        Ok(text)
    }

    /// What is left at the end, with U+FFFD for broken characters.
    ///
    /// # Errors
    /// [`EngineError::Tokenizer`].
    pub fn finish(&mut self) -> Result<String, EngineError> {
        let (before, now) = self.window()?;
        self.told = self.tokens.len();
        Ok(now.get(before.len()..).unwrap_or_default().to_owned())
    }

    fn window(&self) -> Result<(String, String), EngineError> {
        let before = self.tokenizer.decode(&self.tokens[self.start..self.told])?;
        Ok((before, self.tokenizer.decode(&self.tokens[self.start..])?))
    }
}
