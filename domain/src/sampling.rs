//! How tokens are drawn, and how a reply ends.

use serde::{Deserialize, Serialize};

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// 0 picks the most probable token.
    pub temperature: f64,
    /// Nucleus: smallest set of tokens whose probability reaches this.
    pub top_p: f64,
    /// Every row starts its own generator from this seed.
    pub seed: u64,
    /// Largest number of new tokens.
    pub max_tokens: usize,
}

impl Default for Sampling {
    /// The paper's sampling for answers (section 3.2): temperature 0.6, top-p 0.9.
    fn default() -> Self {
        Self { temperature: 0.6, top_p: 0.9, seed: 7, max_tokens: 128 }
    }
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// The model ended its turn.
    Stop,
    /// It reached `max_tokens`, the model's context or its share of the engine's memory.
    Length,
}
