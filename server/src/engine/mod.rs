//! The engine: loads a model, generates text and scores options.
//!
//! A request goes handle -> worker -> scheduler -> decoder -> sampler and back
//! over a channel of its own. In reading order:
//! - [`error`], [`request`], [`handle`]: what callers see;
//! - [`tokenizer`], [`chat_template`], [`text_stream`]: text and tokens;
//! - [`decoder`], [`ops`], [`device`]: the arithmetic.
//!
//! **Invariant:** candle stays in here, in [`crate::tuning`] and in the starter's trainer.

pub mod error;
pub mod handle;
pub mod request;

pub mod chat_template;
pub mod text_stream;
pub mod tokenizer;

pub mod decoder;
pub mod device;
pub mod ops;

pub use error::EngineError;
pub use handle::{DeviceChoice, Engine, EngineConfig, ModelSource};
pub use request::{GenerateRow, GenerationStream, RowEvent, ScorePrompt};
pub use tokenizer::{ModelTokenizer, TokenizerFiles};
