//! Tokenizers of bytes like GPT-2's: what the file's name for one stands for.
//!
//! The patterns are those of the tokenizer.json files of the models that the names come from.

use serde_json::{Value, json};

use super::container::Container;
use super::tokenizer::{Merging, Pipeline};
use super::vocabulary::Vocabulary;
use crate::error::EngineError;

/// How a text is cut into words before anything is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// GPT-2's words.
    Plain,
    /// The same, every digit alone.
    SingleDigits,
    /// Every match of a pattern.
    Pattern(&'static str),
}

/// What a name in `tokenizer.ggml.pre` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PreTokenizer {
    names: &'static [&'static str],
    words: Words,
    /// Whether a word that is a token is taken without merging.
    whole_words: bool,
    /// Whether letters and their accents are joined first.
    joined_accents: bool,
    /// Whether texts begin with the first token where the file doesn't say.
    begins: bool,
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const PLAIN: PreTokenizer = PreTokenizer {
    names: &["gpt-2", "default"],
    words: Words::Plain,
    whole_words: false,
    joined_accents: false,
    begins: false,
};

const KNOWN: [PreTokenizer; 7] = [
    PreTokenizer {
        names: &["llama-bpe", "llama3", "llama-v3"],
        words: Words::Pattern(LLAMA3),
        whole_words: true,
        begins: true,
        ..PLAIN
    },
    PreTokenizer { names: &["smaug-bpe"], words: Words::Pattern(LLAMA3), ..PLAIN },
    PreTokenizer { names: &["qwen2"], words: Words::Pattern(QWEN2), joined_accents: true, ..PLAIN },
    PreTokenizer { names: &["deepseek-r1-qwen"], words: Words::Pattern(QWEN2), ..PLAIN },
    PreTokenizer { names: &["smollm"], words: Words::SingleDigits, ..PLAIN },
    PreTokenizer {
        names: &["tekken"],
        words: Words::Pattern(TEKKEN),
        whole_words: true,
        begins: true,
        ..PLAIN
    },
    PLAIN,
];

/// The parts of tokenizer.json.
///
/// # Errors
/// [`EngineError::ModelRefused`] for an unknown name, [`EngineError::FileBroken`] for a merge whose
/// tokens aren't known.
pub fn pipeline<'a>(
    file: &'a Container,
    vocabulary: &'a Vocabulary<'a>,
) -> Result<Pipeline<'a>, EngineError> {
    let given = file.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let Some(known) = KNOWN.iter().find(|known| known.names.contains(&given)) else {
        let names: Vec<&str> = KNOWN.iter().flat_map(|known| known.names).copied().collect();
        return Err(file.refused(format!(
            "its tokenizer cuts words as `{}` does, which isn't known here\nUse the model's folder, \
             or a file with one of: {}.",
            given.chars().take(100).collect::<String>(),
            names.join(", ")
        )));
    };
    let vocab = vocabulary.ids();
    let mut merges = Vec::new();
    let key = "tokenizer.ggml.merges";
    for merge in file.required(key, file.texts(key)?)? {
        // The first part has at least one character, which may be a space.
        let second = merge.char_indices().nth(1).map_or(merge.len(), |(place, _)| place);
        let space = merge[second..].find(' ').map(|place| second + place);
        let parts = space.map(|place| (&merge[..place], &merge[place + 1..]));
        let known = |(left, right): &(&str, &str)| {
            let whole = [*left, *right].concat();
            [*left, *right, &whole].into_iter().all(|token| vocab.contains_key(token))
        };
        merges.push(parts.filter(known).ok_or_else(|| {
            file.broken(format!("`{key}` has `{merge}`, which doesn't join two of its tokens"))
        })?);
    }
    Ok(Pipeline {
        normalizer: if known.joined_accents { json!({"type": "NFC"}) } else { Value::Null },
        pre_tokenizer: pre_tokenizer(known.words),
        decoder: bytes(false),
        begins: known.begins,
        model: Merging {
            kind: "BPE",
            unk_token: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: known.whole_words,
            vocab,
            merges,
        },
    })
}

fn pre_tokenizer(words: Words) -> Value {
    let (first, last) = match words {
        Words::Plain => return bytes(true),
        Words::SingleDigits => (json!({"type": "Digits", "individual_digits": true}), bytes(true)),
        Words::Pattern(pattern) => {
            let pattern = json!({"Regex": pattern});
            let split = json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false});
            (split, bytes(false))
        }
    };
    json!({"type": "Sequence", "pretokenizers": [first, last]})
}

/// Bytes as characters; cuts into GPT-2's words before, if asked.
fn bytes(words: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": words})
}
