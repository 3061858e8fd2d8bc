//! What can go wrong while learning. Errors of the engine and of the file system are wrapped here;
//! jobs and commands pass the text on.

use std::path::{Path, PathBuf};

use crate::decoder::DecoderError;

/// Why training, tuning or an adapter's file failed.
#[derive(Debug, thiserror::Error)]
pub enum TuningError {
    /// A file or folder could not be written; nothing half-written is left behind.
    #[error("`{}` could not be written: {source}\nMake room or pick another folder; what was saved before is intact.", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be read.
    #[error("`{}` could not be read: {source}\nCheck that it exists and may be read.", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file's content breaks a rule.
    #[error("`{}` {problem}\n{hint}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The rule and the given value.
        problem: String,
        /// A way out.
        hint: String,
    },
    /// A checkpoint belongs to a run with other settings.
    #[error(
        "`{}` belongs to another run: `{field}` differs\nUse the same settings and data to go on, or an empty folder to start anew.", path.display()
    )]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        field: String,
    },
    /// The loss is not a number.
    #[error(
        "the loss became `{loss}` at step {step}\nLower the learning rate (now {learning_rate:e}) and start from the last checkpoint."
    )]
    Diverged {
        /// Update at which it happened, counted from 1.
        step: u64,
        /// The loss.
        loss: f64,
        /// Learning rate of that update.
        learning_rate: f64,
    },
    /// The gradients are not numbers.
    #[error(
        "the gradients' norm became `{norm}` at step {step}\nLower the learning rate (now {learning_rate:e}) and start from the last checkpoint."
    )]
    NotFinite {
        /// Update at which it happened, counted from 1.
        step: u64,
        /// The norm over all gradients.
        norm: f64,
        /// Learning rate of that update.
        learning_rate: f64,
    },
    /// An example or document cannot be learnt from.
    #[error("example {index} {problem}\n{hint}")]
    Example {
        /// Position in the given list, from 0.
        index: usize,
        /// The rule and the given value.
        problem: String,
        /// A way out.
        hint: String,
    },
    /// A setting is out of range.
    #[error("`{name}` {problem}\n{hint}")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The rule and the given value.
        problem: String,
        /// A way out.
        hint: &'static str,
    },
    /// The caller asked to stop; a checkpoint was saved.
    #[error("stopped after step {step}\nStart again with the same folder to go on.")]
    Cancelled {
        /// Updates made.
        step: u64,
    },
    /// The tokenizer failed.
    #[error(
        "the tokenizer failed: {0}\nUse the tokenizer files that came with the model's weights."
    )]
    Tokenizer(String),
    /// The model failed.
    #[error(transparent)]
    Decoder(#[from] DecoderError),
    /// A tensor operation failed.
    #[error(
        "a tensor operation failed: {}\nStart again with the same folder to go on; where memory ran out, with `gradient_checkpointing`.",
        .0.to_string().lines().next().unwrap_or_default()
    )]
    Tensor(#[from] candle_core::Error),
}

impl TuningError {
    /// Writing `path` failed, for `map_err`.
    pub fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// Reading `path` failed, for `map_err`.
    pub fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// `path` is not what it should be; `hint` is the way out.
    pub fn format(path: &Path, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), problem: problem.into(), hint: hint.into() }
    }
}
