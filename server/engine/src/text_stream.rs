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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LoadedModel;
    use crate::handle::ModelSource;
    use crate::testing::tiny_model_dir;

    fn tokenizer() -> Arc<ModelTokenizer> {
        let folder = tiny_model_dir();
        let source = ModelSource::Folder(folder.path().to_owned());
        LoadedModel::load(&source, &candle_core::Device::Cpu).unwrap().tokenizer
    }

    /// Pieces that a stream hands out for `tokens`, the last one by `finish`.
    fn pieces(tokenizer: &Arc<ModelTokenizer>, tokens: &[u32]) -> Vec<String> {
        let mut stream = TextStream::new(Arc::clone(tokenizer));
        let mut pieces: Vec<String> =
            tokens.iter().map(|&token| stream.push(token).unwrap()).collect();
        pieces.push(stream.finish().unwrap());
        pieces
    }

    #[test]
    fn characters_come_whole() {
        let tokenizer = tokenizer();
        for text in ["plain text", "สวัสดี, привет", "a 👩🏽‍🌾 farmer", "ends with é", " leading"]
        {
            // One token per byte: every character beyond ASCII is spread over several.
            let tokens = tokenizer.encode(text).unwrap();
            let pieces = pieces(&tokenizer, &tokens);
            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().all(|piece| !piece.contains('\u{fffd}')), "{pieces:?}");
            assert_eq!(pieces.iter().filter(|p| !p.is_empty()).count(), text.chars().count());
        }
    }

    #[test]
    fn broken_bytes_neither_block_nor_get_lost() {
        let tokenizer = tokenizer();
        let half = tokenizer.encode("é").unwrap()[0];
        let letter = tokenizer.encode("x").unwrap()[0];
        let pieces = pieces(&tokenizer, &[half, half, half, half, half, half, letter, half]);
        let text = pieces.concat();
        assert!(pieces[3].contains('\u{fffd}'), "held back too long: {pieces:?}");
        assert_eq!(text.chars().filter(|c| *c == '\u{fffd}').count(), 7, "{pieces:?}");
        assert!(text.contains('x'));
    }
}
