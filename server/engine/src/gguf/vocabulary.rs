//! The tokens of a GGUF file and what each is for.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use super::container::Container;
use super::pieces::SPACE;
use crate::error::EngineError;

/// Longest token in bytes; published ones stay below 300. Merges are searched for in all places of a
/// token, so a longer one would make a file slow to open.
const LONGEST: usize = 1024;

/// Tokens that end a turn or a text in the supported families. They are special and end a reply
/// whatever the file says of them, as in llama.cpp: older converters did not mark them.
pub const ENDS: [&str; 6] =
    ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>", "<end_of_turn>"];

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A part of texts.
    Normal,
    /// Stands for what no other token does.
    Unknown,
    /// Means something to the model; not a part of texts.
    Control,
    /// A part of texts that is never split or merged.
    Whole,
    /// Never met; keeps the numbers of the others.
    Unused,
    /// A single byte, written as `<0x41>`.
    Byte,
}

/// How spaces are written in tokens that are found in a text before any merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spaces {
    /// As in the file.
    AsWritten,
    /// As spaces: such tokens are looked for in the text itself.
    Plain,
    /// As [`super::pieces::SPACE`]: such tokens are looked for once the text's spaces are so too.
    Marked,
}

/// All tokens; a token's number is its place.
#[derive(Debug)]
pub struct Vocabulary<'a> {
    /// Their texts, all different.
    pub texts: Vec<Cow<'a, str>>,
    /// What they are for.
    pub kinds: Vec<TokenKind>,
    /// How spaces are written in whole tokens.
    spaces: Spaces,
}

/// A token that is found in texts before any merging, as tokenizer.json lists it.
#[derive(Debug, Serialize)]
pub struct AddedToken<'a> {
    id: usize,
    content: &'a str,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

/// Reads the tokens.
///
/// # Errors
/// [`EngineError::FileBroken`].
pub fn read(file: &Container, spaces: Spaces) -> Result<Vocabulary<'_>, EngineError> {
    let key = "tokenizer.ggml.tokens";
    let given = file.required(key, file.texts(key)?)?;
    let kinds = kinds(file, &given)?;
    let mut texts = Vec::with_capacity(given.len());
    for (number, (text, kind)) in given.into_iter().zip(&kinds).enumerate() {
        if text.len() > LONGEST {
            return Err(file.broken(format!(
                "token {number} has {} bytes, and may have at most {LONGEST}",
                text.len()
            )));
        }
        let whole = *kind == TokenKind::Whole;
        texts.push(match spaces {
            _ if text.is_empty() => Cow::Owned(format!("[EMPTY_{number}]")),
            Spaces::Plain if whole => Cow::Owned(text.replace(SPACE, " ")),
            Spaces::Marked if whole => Cow::Owned(text.replace(' ', SPACE)),
            _ => Cow::Borrowed(text),
        });
    }
    let vocabulary = Vocabulary { texts, kinds, spaces };
    let ids = vocabulary.ids();
    let double =
        vocabulary.texts.iter().enumerate().find(|(number, text)| {
            ids.get(text.as_ref()).is_some_and(|id| *id as usize != *number)
        });
    match double {
        Some((number, text)) => Err(file.broken(format!(
            "token {number} is `{text}`, and so is another; all must be different"
        ))),
        None => Ok(vocabulary),
    }
}

fn kinds(file: &Container, texts: &[&str]) -> Result<Vec<TokenKind>, EngineError> {
    let key = "tokenizer.ggml.token_type";
    let Some(numbers) = file.numbers(key)? else {
        return Ok(texts.iter().map(|text| kind(1.0, text)).collect());
    };
    if numbers.len() != texts.len() {
        return Err(file.broken(format!(
            "`{key}` has {} entries for {} tokens",
            numbers.len(),
            texts.len()
        )));
    }
    Ok(numbers.iter().zip(texts).map(|(number, text)| kind(*number, text)).collect())
}

fn kind(number: f64, text: &str) -> TokenKind {
    match number {
        _ if ENDS.contains(&text) => TokenKind::Control,
        2.0 => TokenKind::Unknown,
        3.0 => TokenKind::Control,
        4.0 => TokenKind::Whole,
        5.0 => TokenKind::Unused,
        6.0 => TokenKind::Byte,
        _ => TokenKind::Normal,
    }
}

impl Vocabulary<'_> {
    /// Numbers by texts.
    pub fn ids(&self) -> HashMap<&str, u32> {
        let texts = self.texts.iter().zip(0..);
        texts.map(|(text, id)| (text.as_ref(), id)).collect()
    }

    /// A token's text.
    pub fn text(&self, id: usize) -> Option<&str> {
        self.texts.get(id).map(AsRef::as_ref)
    }

    /// The tokens that are found before any merging.
    pub fn added(&self) -> Vec<AddedToken<'_>> {
        let tokens = self.texts.iter().zip(&self.kinds).enumerate();
        let added = tokens.filter_map(|(id, (content, kind))| {
            let special = match kind {
                TokenKind::Control | TokenKind::Unknown => true,
                TokenKind::Whole => false,
                TokenKind::Normal | TokenKind::Unused | TokenKind::Byte => return None,
            };
            Some(AddedToken {
                id,
                content,
                single_word: false,
                lstrip: false,
                rstrip: false,
                normalized: !special && self.spaces == Spaces::Marked,
                special,
            })
        });
        added.collect()
    }
}
