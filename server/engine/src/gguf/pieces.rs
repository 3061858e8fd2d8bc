//! Tokenizers like those of SentencePiece, as Llama 2, Mistral and Gemma have them: characters are
//! merged by the scores of what they become.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::container::Container;
use super::tokenizer::{Merging, Pipeline};
use super::vocabulary::{Spaces, TokenKind, Vocabulary};
use crate::error::EngineError;

/// Stands for a space within tokens.
pub const SPACE: &str = "▁";

/// The parts of tokenizer.json.
///
/// # Errors
/// [`EngineError::FileBroken`].
pub fn pipeline<'a>(
    file: &'a Container,
    vocabulary: &'a Vocabulary<'a>,
) -> Result<Pipeline<'a>, EngineError> {
    let key = "tokenizer.ggml.scores";
    let scores = file.required(key, file.numbers(key)?)?;
    if scores.len() != vocabulary.texts.len() {
        return Err(file.broken(format!(
            "`{key}` has {} entries for {} tokens",
            scores.len(),
            vocabulary.texts.len()
        )));
    }
    let prefix = has_prefix(file)?;
    let unknown = file.number("tokenizer.ggml.unknown_token_id")?;
    let unknown = unknown
        .or_else(|| vocabulary.kinds.iter().position(|kind| *kind == TokenKind::Unknown))
        .and_then(|id| vocabulary.text(id));
    Ok(Pipeline {
        normalizer: normalizer(prefix),
        pre_tokenizer: Value::Null,
        decoder: decoder(prefix),
        begins: true,
        model: Merging {
            kind: "BPE",
            unk_token: unknown,
            fuse_unk: true,
            byte_fallback: true,
            ignore_merges: false,
            vocab: vocabulary.ids(),
            merges: merges(vocabulary, &scores),
        },
    })
}

/// How whole tokens are written. Where every text gets a space in front, the tokens themselves would
/// get one too, if they were looked for after that.
///
/// # Errors
/// [`EngineError::FileBroken`].
pub fn spaces(file: &Container) -> Result<Spaces, EngineError> {
    Ok(if has_prefix(file)? { Spaces::Plain } else { Spaces::Marked })
}

/// Whether every text gets a space in front.
fn has_prefix(file: &Container) -> Result<bool, EngineError> {
    Ok(file.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true))
}

fn normalizer(prefix: bool) -> Value {
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE});
    match prefix {
        false => spaces,
        true => json!({
            "type": "Sequence",
            "normalizers": [{"type": "Prepend", "prepend": SPACE}, spaces],
        }),
    }
}

fn decoder(prefix: bool) -> Value {
    let mut steps = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({"type": "Sequence", "decoders": steps})
}

/// A way to make a token out of two others.
struct Merge<'a> {
    parts: (&'a str, &'a str),
    ids: (u32, u32),
    lengths: (usize, usize),
    score: f64,
}

/// Every way to make a token out of two others, those with better scores first; in ties longer left
/// parts, then longer right parts go first, as when Hugging Face converts such a tokenizer.
fn merges<'a>(vocabulary: &'a Vocabulary<'a>, scores: &[f64]) -> Vec<(&'a str, &'a str)> {
    let tokens = || vocabulary.texts.iter().zip(&vocabulary.kinds).zip(0u32..);
    let normal: HashMap<&str, u32> = tokens()
        .filter(|((_, kind), _)| **kind == TokenKind::Normal)
        .map(|((text, _), id)| (text.as_ref(), id))
        .collect();
    let mut merges = Vec::new();
    for (((text, kind), _), score) in tokens().zip(scores) {
        if *kind != TokenKind::Normal {
            continue;
        }
        let first = merges.len();
        let characters = text.chars().count();
        for (length, (place, _)) in text.char_indices().enumerate().skip(1) {
            let parts = text.split_at(place);
            if let (Some(left), Some(right)) = (normal.get(parts.0), normal.get(parts.1)) {
                let lengths = (length, characters - length);
                merges.push(Merge { parts, ids: (*left, *right), lengths, score: *score });
            }
        }
        merges[first..].sort_by_key(|merge| merge.ids);
    }
    merges.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.lengths.cmp(&a.lengths)));
    merges.into_iter().map(|merge| merge.parts).collect()
}
