//! What can go wrong while building or running a decoder; nothing here knows of HTTP or files.

use thiserror::Error;

/// A refusal of the decoder. The first line of the message names the thing, the rule and the given
/// value; where there is a way out it follows on a second line.
#[derive(Debug, Error)]
pub enum DecoderError {
    /// A field of `config.json` breaks a rule.
    #[error("`{field}` must {rule}, got {given}\n{hint}")]
    Config {
        /// The field's name in `config.json`.
        field: &'static str,
        /// What the field must do or be.
        rule: String,
        /// What it is.
        given: String,
        /// What the user can do.
        hint: &'static str,
    },
    /// The checkpoint lacks a weight.
    #[error(
        "tensor `{name}` is missing from the checkpoint\nUse a folder whose safetensors files and config.json belong together."
    )]
    MissingTensor {
        /// Its Hugging Face name.
        name: String,
    },
    /// A weight or an adapter's matrix has another shape than the configuration says.
    #[error(
        "tensor `{name}` must have the shape {expected:?}, got {found:?}\nIt was probably made for another model; use the files of this one."
    )]
    Shape {
        /// The tensor's name in its file.
        name: String,
        /// The shape that the configuration asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// An adapter's files and its settings disagree.
    #[error(
        "adapter tensor `{name}` {rule}\nUse an adapter_model.safetensors that belongs to its adapter_config.json and to this model."
    )]
    Adapter {
        /// The tensor's PEFT name.
        name: String,
        /// What is wrong with it.
        rule: String,
    },
    /// An adapter's settings can't be used.
    #[error(
        "adapter setting `{field}` must {rule}, got {given}\nUse the settings of a plain LoRA adapter for the layers of this model."
    )]
    AdapterConfig {
        /// The field's name in `adapter_config.json`.
        field: &'static str,
        /// What the field must do or be.
        rule: String,
        /// What it is.
        given: String,
    },
    /// A batch that doesn't describe its own tokens; always a programming error of the caller.
    #[error("a batch's `{what}` must be {expected}, got {given}")]
    Batch {
        /// Which part of the batch.
        what: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        given: String,
    },
    /// A token that the vocabulary doesn't hold.
    #[error(
        "token {token} is outside of the vocabulary of {vocab_size}\nThe tokenizer doesn't belong to this model."
    )]
    Token {
        /// The token's id.
        token: u32,
        /// The number of tokens that the model knows.
        vocab_size: usize,
    },
    /// A text that is longer than the model can see.
    #[error(
        "a text of {needed} tokens is longer than this model's `max_position_embeddings` of {limit}\nShorten the text or start a new conversation."
    )]
    TooLong {
        /// Tokens in the cache and in the batch together.
        needed: usize,
        /// The model's limit.
        limit: usize,
    },
    /// The tensor library refused.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
