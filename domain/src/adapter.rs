//! LoRA adapters as everybody sees them, and mixtures of them.

use serde::{Deserialize, Serialize};

use crate::culture::CultureCode;

/// A LoRA adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterInfo {
    /// Unique name: `joint`, `specific-THA`; one that a run has tuned has the run's name in front:
    /// `method-3/joint`.
    pub name: String,
    /// First 12 hexadecimal digits of the SHA-256 of `adapter_model.safetensors`.
    pub hash: String,
    /// The culture it was tuned for; `None` for a joint adapter.
    pub culture: Option<CultureCode>,
}

impl AdapterInfo {
    /// The run that tuned it; `None` for one that came with the model.
    pub fn run(&self) -> Option<&str> {
        Some(self.name.split_once('/')?.0)
    }

    /// Whether it is a checkpoint of one that was still being tuned.
    pub fn is_checkpoint(&self) -> bool {
        self.name.contains('@')
    }
}

/// Most adapters in a blend.
pub const LARGEST_BLEND: usize = 8;

/// Largest absolute value of a weight in a blend.
pub const LARGEST_WEIGHT: f64 = 2.0;

/// One adapter of a blend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlendPart {
    /// Its name.
    pub adapter: String,
    /// What its change is multiplied by, from -[`LARGEST_WEIGHT`] to [`LARGEST_WEIGHT`].
    pub weight: f64,
}
