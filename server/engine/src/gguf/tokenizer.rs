//! From the metadata of a GGUF file to the tokenizer's files of a model folder.
//!
//! The file alone decides, whatever lies beside it. How the two supported kinds cut and merge is in
//! [`super::byte_level`] and [`super::pieces`].

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::container::Container;
use super::vocabulary::{self, AddedToken, ENDS, Spaces, Vocabulary};
use super::{byte_level, pieces};
use crate::error::EngineError;
use crate::tokenizer::TokenizerFiles;

/// The parts of tokenizer.json that the kinds of tokenizers differ in.
#[derive(Debug)]
pub struct Pipeline<'a> {
    /// What is done to a text first.
    pub normalizer: Value,
    /// How it is cut into words.
    pub pre_tokenizer: Value,
    /// How tokens become text.
    pub decoder: Value,
    /// Whether texts begin with the first token where the file doesn't say.
    pub begins: bool,
    /// How words become tokens.
    pub model: Merging<'a>,
}

/// Byte-pair encoding, as tokenizer.json describes it.
#[derive(Debug, Serialize)]
pub struct Merging<'a> {
    /// Always `BPE`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Stands for what no other token does.
    pub unk_token: Option<&'a str>,
    /// Whether several of those become one.
    pub fuse_unk: bool,
    /// Whether tokens of single bytes go before it.
    pub byte_fallback: bool,
    /// Whether a word that is a token is taken without merging.
    pub ignore_merges: bool,
    /// Numbers by tokens.
    pub vocab: HashMap<&'a str, u32>,
    /// Pairs, the first one first.
    pub merges: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct TokenizerJson<'a> {
    version: &'static str,
    added_tokens: Vec<AddedToken<'a>>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Merging<'a>,
}

/// The files for a model with `vocab_size` rows in its embedding table.
///
/// # Errors
/// [`EngineError::FileBroken`] if something is missing or doesn't fit the rest;
/// [`EngineError::ModelRefused`] for a kind of tokenizer that isn't supported.
pub fn read(file: &Container, vocab_size: usize) -> Result<TokenizerFiles, EngineError> {
    let key = "tokenizer.ggml.model";
    let kind = file.required(key, file.text(key)?)?;
    let vocabulary = match kind {
        "gpt2" => vocabulary::read(file, Spaces::AsWritten)?,
        "llama" => vocabulary::read(file, pieces::spaces(file)?)?,
        other => {
            return Err(file.refused(format!(
                "its tokenizer is of the kind `{}`, and must be `gpt2` or `llama`\nUse another \
                 model.",
                other.chars().take(100).collect::<String>()
            )));
        }
    };
    let pipeline = match kind {
        "gpt2" => byte_level::pipeline(file, &vocabulary)?,
        _ => pieces::pipeline(file, &vocabulary)?,
    };
    let named = Named::read(file, &vocabulary)?;
    let tokenizer = TokenizerJson {
        version: "1.0",
        added_tokens: vocabulary.added(),
        normalizer: pipeline.normalizer,
        pre_tokenizer: pipeline.pre_tokenizer,
        post_processor: named.frame(file, pipeline.begins)?,
        decoder: pipeline.decoder,
        model: pipeline.model,
    };
    let key = "tokenizer.chat_template";
    let Some(template) = file.text(key)? else {
        return Err(file.refused(format!(
            "its metadata has no `{key}`\nUse a model that was made for conversations."
        )));
    };
    Ok(TokenizerFiles {
        tokenizer: serde_json::to_vec(&tokenizer).map_err(|error| file.broken(error))?,
        config: named.config(template).to_string().into_bytes(),
        template: None,
        end_ids: named.ends(&vocabulary),
        vocab_size,
    })
}

/// A token with a role: its number and its text.
type Role<'a> = Option<(usize, &'a str)>;

/// Tokens with roles.
struct Named<'a> {
    bos: Role<'a>,
    eos: Role<'a>,
    unknown: Role<'a>,
    padding: Role<'a>,
    /// Ends a turn, and a turn that waits for a tool.
    turn_ends: [Role<'a>; 2],
}

impl<'a> Named<'a> {
    fn read(file: &Container, vocabulary: &'a Vocabulary<'a>) -> Result<Self, EngineError> {
        let role = |name: &str| {
            let key = format!("tokenizer.ggml.{name}_token_id");
            let Some(id) = file.number(&key)? else { return Ok(None) };
            let text = vocabulary.text(id).ok_or_else(|| {
                let count = vocabulary.texts.len();
                file.broken(format!("`{key}` must be below the {count} tokens, and is {id}"))
            })?;
            Ok::<Role<'a>, EngineError>(Some((id, text)))
        };
        Ok(Self {
            bos: role("bos")?,
            eos: role("eos")?,
            unknown: role("unknown")?,
            padding: role("padding")?,
            turn_ends: [role("eot")?, role("eom")?],
        })
    }

    /// What tokenizer.json adds around a text.
    fn frame(&self, file: &Container, begins: bool) -> Result<Value, EngineError> {
        let add = |name: &str, default: bool, role: Role<'a>| {
            let key = format!("tokenizer.ggml.add_{name}_token");
            let add = file.flag(&key)?.unwrap_or(default);
            Ok::<Role<'a>, EngineError>(role.filter(|_| add))
        };
        let (first, last) = (add("bos", begins, self.bos)?, add("eos", false, self.eos)?);
        if first.or(last).is_none() {
            return Ok(Value::Null);
        }
        let token = |role: Role<'_>| {
            role.map(|(_, text)| json!({"SpecialToken": {"id": text, "type_id": 0}}))
        };
        let part = |id: &str, kind: u8| Some(json!({"Sequence": {"id": id, "type_id": kind}}));
        let single = [token(first), part("A", 0), token(last)];
        let pair = [token(first), part("A", 0), part("B", 1), token(last)];
        let special: Map<String, Value> = [first, last]
            .into_iter()
            .flatten()
            .map(|(id, text)| (text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]})))
            .collect();
        Ok(json!({
            "type": "TemplateProcessing",
            "single": single.into_iter().flatten().collect::<Vec<_>>(),
            "pair": pair.into_iter().flatten().collect::<Vec<_>>(),
            "special_tokens": special,
        }))
    }

    /// tokenizer_config.json.
    fn config(&self, template: &str) -> Value {
        let mut config = Map::new();
        for (name, role) in [
            ("bos_token", self.bos),
            ("eos_token", self.eos),
            ("unk_token", self.unknown),
            ("pad_token", self.padding),
        ] {
            if let Some((_, text)) = role {
                config.insert(name.to_owned(), json!(text));
            }
        }
        config.insert("chat_template".to_owned(), json!(template));
        Value::Object(config)
    }

    /// Tokens that end a reply, the named ones first.
    fn ends(&self, vocabulary: &Vocabulary<'_>) -> Vec<u32> {
        let named = [self.eos, self.turn_ends[0], self.turn_ends[1]].into_iter().flatten();
        let known = vocabulary.ids();
        let mut ends: Vec<u32> = named.filter_map(|(id, _)| id.try_into().ok()).collect();
        ends.extend(ENDS.iter().filter_map(|text| known.get(text)));
        ends
    }
}
