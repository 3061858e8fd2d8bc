//! What is known of a base model.

use serde::{Deserialize, Serialize};

/// The base model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Name for people: `Polylogue Starter`, or the folder's name.
    pub name: String,
    /// First 12 hexadecimal digits of the SHA-256 of the weights, and the form of its matrices unless
    /// they are dense: `0123456789ab q8_0`.
    pub hash: String,
    /// Number of parameters.
    pub parameters: usize,
    /// Longest sequence, in tokens.
    pub context: usize,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// How matrices are kept: `f32`, `bf16`, `f16`, `q8_0` or `q4k`.
    pub weights: String,
    /// Whether this is the built-in starter model.
    pub starter: bool,
}
