//! Tokens that a tokenizer has and its model hasn't: Gemma 3's models of text alone come with the
//! tokenizer of those that see, whose marker of an image lies behind the last row of their embedding.
//!
//! Such tokens are taken out of the tokenizer, so that no text can have them: what they are written
//! with is then text like any other.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tokenizers::Tokenizer;

use super::error::EngineError;

const FILE: &str = "tokenizer.json";

/// A tokenizer all of whose tokens the model knows.
pub struct Fitted {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// What was taken out, by its text, with the number that it had.
    pub beyond: HashMap<String, u32>,
}

impl Fitted {
    /// Reads tokenizer.json for a model with `rows` rows in its embedding table.
    ///
    /// # Errors
    /// [`EngineError::FileBroken`], or [`EngineError::TokenizerMismatch`] if a token of the base
    /// vocabulary, which texts are made of, lies beyond the table.
    pub fn read(json: &[u8], rows: usize) -> Result<Self, EngineError> {
        let tokenizer = Tokenizer::from_bytes(json).map_err(|error| broken(&error))?;
        check_base(&tokenizer, rows)?;
        let added = added(&tokenizer);
        let beyond: HashMap<String, u32> =
            added.iter().filter(|(_, id)| **id as usize >= rows).map(owned).collect();
        if beyond.is_empty() {
            return Ok(Self { tokenizer, beyond });
        }
        let json = without(json, &beyond).map_err(|error| broken(&error))?;
        let tokenizer = Tokenizer::from_bytes(json).map_err(|error| broken(&error))?;
        // New tokens get rising numbers in the file's order, so none of those that stay has moved.
        Ok(Self { tokenizer, beyond })
    }
}

/// Numbers of the added tokens by their text.
fn added(tokenizer: &Tokenizer) -> HashMap<String, u32> {
    let tokens = tokenizer.get_added_tokens_decoder().into_iter();
    tokens.map(|(id, token)| (token.content, id)).collect()
}

fn owned((token, id): (&String, &u32)) -> (String, u32) {
    (token.clone(), *id)
}

fn check_base(tokenizer: &Tokenizer, rows: usize) -> Result<(), EngineError> {
    let largest = tokenizer.get_vocab(false).into_iter().max_by_key(|(_, id)| *id);
    match largest {
        Some((token, id)) if id as usize >= rows => {
            Err(mismatch(format!("its token `{token}` has number {id}, but {}", table(rows))))
        }
        None if tokenizer.get_vocab_size(true) == 0 => {
            Err(mismatch(format!("{FILE} has an empty vocabulary")))
        }
        _ => Ok(()),
    }
}

/// How large the table is, for messages.
pub fn table(rows: usize) -> String {
    format!("the model's embedding table has {rows} rows")
}

/// The file without some of its added tokens. The rest, which is large, is copied as it stands.
fn without(json: &[u8], beyond: &HashMap<String, u32>) -> serde_json::Result<Vec<u8>> {
    const ADDED: &str = "added_tokens";
    let mut parts: BTreeMap<String, &RawValue> = serde_json::from_slice(json)?;
    let mut tokens: Vec<Value> = match parts.get(ADDED) {
        Some(tokens) => serde_json::from_str(tokens.get())?,
        None => Vec::new(),
    };
    tokens.retain(|token| {
        token["content"].as_str().is_none_or(|content| !beyond.contains_key(content))
    });
    let tokens = to_raw_value(&tokens)?;
    parts.insert(ADDED.to_owned(), &tokens);
    serde_json::to_vec(&parts)
}

fn broken(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::FileBroken { path: FILE.into(), reason: error.to_string() }
}

/// A tokenizer that doesn't fit the model.
pub fn mismatch(reason: String) -> EngineError {
    EngineError::TokenizerMismatch { reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Two tokens of the vocabulary, and `added` ones of these numbers.
    fn file(added: &[(&str, u32)]) -> Vec<u8> {
        let added: Vec<Value> = added
            .iter()
            .map(|(content, id)| {
                json!({"id": id, "content": content, "single_word": false, "lstrip": false,
                       "rstrip": false, "normalized": false, "special": true})
            })
            .collect();
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "dropout": null, "unk_token": null,
                "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
                "byte_fallback": false, "ignore_merges": false,
                "vocab": {"a": 0, "b": 1}, "merges": []},
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn what_lies_beyond_the_table_is_taken_out() {
        let json = file(&[("<x>", 2), ("<y>", 3), ("<z>", 4)]);
        let whole = Fitted::read(&json, 5).unwrap();
        assert!(whole.beyond.is_empty());
        assert_eq!(whole.tokenizer.token_to_id("<z>"), Some(4));

        let fitted = Fitted::read(&json, 3).unwrap();
        let beyond = [("<y>".to_owned(), 3), ("<z>".to_owned(), 4)];
        assert_eq!(fitted.beyond, HashMap::from(beyond));
        assert_eq!(fitted.tokenizer.token_to_id("<x>"), Some(2));
        assert_eq!(fitted.tokenizer.token_to_id("<y>"), None);
        let tokens = fitted.tokenizer.encode_fast("a<z>b<x>", false).unwrap();
        assert_eq!(tokens.get_ids(), [0, 1, 2], "what no token is written with is left out");
    }

    #[test]
    fn the_base_vocabulary_must_fit() {
        let Err(error) = Fitted::read(&file(&[("<x>", 2)]), 1) else { panic!("`b` has no row") };
        assert!(error.to_string().contains("`b` has number 1"), "{error}");
        assert!(error.to_string().contains("1 rows"), "{error}");
    }
}
