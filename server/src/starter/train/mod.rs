//! Training the starter model from scratch: `polylogue starter train`.
//!
//! - [`feed`]: documents become packed steps on a thread of their own;
//! - [`run`]: the loop, its checkpoints and its progress;
//! - [`export`]: a checkpoint as a Hugging Face model folder in f16.
//!
//! The corpus is in [`super::corpus`], the tokenizer in [`super::tokenizer`].

pub mod export;
pub mod feed;
pub mod run;

use std::path::PathBuf;

use crate::starter::tokenizer::{END, PAD};
use engine::decoder::{DecoderConfig, TokenIds};

pub use export::export;
pub use run::{HeldOutLoss, Report, train};

/// When the learning rate begins to fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecayFrom {
    /// After this many tokens.
    Tokens(u64),
    /// At the checkpoint that the run goes on from (at once in a new run).
    Now,
}

/// Settings of one call of [`train`]. `None` takes what the checkpoint says, or the default in a
/// new run.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Folder of the run: `checkpoints/` and `model/`.
    pub run: PathBuf,
    /// Folder with tokenizer.json and tokenizer_config.json.
    pub tokenizer: PathBuf,
    /// Model folder whose weights a new run begins with; `None` begins with random ones.
    pub from: Option<PathBuf>,
    /// Seed of weights and documents.
    pub seed: u64,
    /// Tokens of the whole run, warm-up and decay included (default 25 million).
    pub tokens: Option<u64>,
    /// Start of the decay (default: half of the tokens).
    pub decay_from: Option<DecayFrom>,
    /// Peak learning rate (default 2e-3).
    pub learning_rate: Option<f64>,
    /// Tokens per update.
    pub step_tokens: usize,
    /// Tokens per micro-batch, about.
    pub micro_tokens: usize,
    /// Updates between checkpoints.
    pub checkpoint_every: u64,
    /// Updates between evaluations on held-out documents.
    pub evaluate_every: u64,
    /// Held-out tokens per evaluation, about.
    pub evaluate_tokens: usize,
    /// Threads that compute; 0 takes one per core.
    pub workers: usize,
    /// Where to compute.
    pub device: candle_core::Device,
    /// Shape of the model; the vocabulary is the tokenizer's.
    pub shape: DecoderConfig,
}

impl TrainOptions {
    /// The starter's settings.
    pub fn new(run: PathBuf, tokenizer: PathBuf) -> Self {
        Self {
            run,
            tokenizer,
            from: None,
            seed: 7,
            tokens: None,
            decay_from: None,
            learning_rate: None,
            step_tokens: 2048,
            micro_tokens: 1024,
            checkpoint_every: 100,
            evaluate_every: 250,
            evaluate_tokens: 12_000,
            workers: 0,
            device: candle_core::Device::Cpu,
            shape: starter_shape(),
        }
    }
}

/// The starter's shape: about 4.2 million parameters. Nineteen adapters of rank 8 in f16 take
/// 19 x 0.37 MB = 7 MB, below the 8 MB that the repository gives them; a sixth layer would not fit.
pub fn starter_shape() -> DecoderConfig {
    DecoderConfig {
        hidden_size: 256,
        intermediate_size: 640,
        num_hidden_layers: 5,
        num_attention_heads: 8,
        num_key_value_heads: Some(4),
        vocab_size: 3072,
        rope_theta: Some(10_000.0),
        rms_norm_eps: 1e-5,
        max_position_embeddings: 1024,
        tie_word_embeddings: Some(true),
        hidden_act: Some("silu".to_owned()),
        eos_token_id: Some(TokenIds::One(END)),
        pad_token_id: Some(PAD.into()),
        ..DecoderConfig::default()
    }
}

#[cfg(test)]
mod tests;
