//! The handle that the rest of the server holds: checks a request, queues it, hands back a stream.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::api::{AdapterInfo, ModelInfo};

use super::error::EngineError;
use super::request::{GenerateRow, GenerationStream, ScorePrompt};

/// Which model to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The one inside the binary.
    Starter,
    /// A folder of config.json, tokenizer files and *.safetensors.
    Folder(PathBuf),
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// CUDA where the binary was built with it and a GPU is there, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of that number.
    Cuda(usize),
}

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Which model.
    pub source: ModelSource,
    /// Where to compute.
    pub device: DeviceChoice,
}

/// A running engine; clones share it. The thread that owns the model ends with the last clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    info: ModelInfo,
    base_hash: String,
}

impl Engine {
    /// Loads the model and starts the one thread that computes.
    ///
    /// # Errors
    /// Whatever is wrong with the model, see [`EngineError`].
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        match config.source {
            ModelSource::Starter => Err(EngineError::StarterMissing),
            ModelSource::Folder(path) => Err(EngineError::FolderMissing { path }),
        }
    }

    /// The base model.
    pub fn info(&self) -> &ModelInfo {
        &self.shared.info
    }

    /// SHA-256 of the weights, 64 hexadecimal digits.
    pub fn base_hash(&self) -> &str {
        &self.shared.base_hash
    }

    /// Starts one reply per row, all in one batch.
    ///
    /// # Errors
    /// Refusals come at once: too much queued, an unknown adapter, a prompt beyond the context,
    /// sampling out of range. Failures of a single row come as events.
    pub fn generate(&self, rows: Vec<GenerateRow>) -> Result<GenerationStream, EngineError> {
        let _ = rows;
        Err(EngineError::Stopped)
    }

    /// Probability per option of every prompt, normalised over its options; each option counts
    /// with its end token, so that `1` isn't credited with what `10` begins with.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub async fn score(&self, prompts: Vec<ScorePrompt>) -> Result<Vec<Vec<f64>>, EngineError> {
        let _ = prompts;
        Err(EngineError::Stopped)
    }

    /// Loads the adapter in `dir` (PEFT layout) under `name`, replacing one of the same name; rows
    /// in flight finish with the one they started with.
    ///
    /// # Errors
    /// [`EngineError::Adapter`] if the files are broken or belong to another base model.
    pub async fn load_adapter(&self, name: &str, dir: &Path) -> Result<AdapterInfo, EngineError> {
        let _ = (name, dir);
        Err(EngineError::Stopped)
    }

    /// The loaded adapters, joint ones first, then by name.
    pub fn adapters(&self) -> Vec<AdapterInfo> {
        Vec::new()
    }
}
