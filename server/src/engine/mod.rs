//! The engine: loads a model, generates text and scores options.
//!
//! A request goes [`handle`] -> [`prompts`] -> [`worker`] -> [`scheduler`] -> [`pass`] ->
//! [`sampler`] and back over a channel of its own. In reading order:
//! - [`error`], [`request`], [`handle`]: what callers see;
//! - [`hub`], [`gguf`], [`loading`], [`weights`], [`weight_format`], `starter_files`: from files to a
//!   model in memory;
//! - [`tokenizer`], [`chat_template`], [`text_stream`]: text and tokens;
//! - [`adapters`], `starter_adapters`: which adapters are loaded;
//! - [`prompts`], [`worker`], [`scheduler`], [`pass`], [`sampler`]: one thread, one batch for all
//!   replies;
//! - [`option_plan`], [`option_scorer`]: probabilities of options, beside the replies;
//! - [`decoder`], [`ops`], [`device`]: the arithmetic;
//! - [`testing`]: a tiny random model.
//!
//! **Invariant:** candle stays in here, in [`crate::tuning`] and in the starter's trainer.

pub mod error;
pub mod handle;
pub mod request;

pub mod gguf;
pub mod hub;
pub mod loading;
mod starter_files;
pub mod weight_format;
pub mod weights;

pub mod chat_template;
pub mod text_stream;
pub mod tokenizer;

pub mod adapters;
mod starter_adapters;

mod load;
pub mod pass;
pub mod prompts;
pub mod sampler;
pub mod scheduler;
pub mod worker;

pub mod option_plan;
pub mod option_scorer;

pub mod decoder;
pub mod device;
pub mod ops;

pub mod testing;

#[cfg(test)]
mod tests;

pub use device::DeviceChoice;
pub use error::EngineError;
pub use handle::{Engine, EngineConfig, ModelSource};
pub use loading::{LoadedModel, short_id};
pub use request::{GenerateRow, GenerationStream, RowEvent, ScorePrompt};
pub use tokenizer::{ModelTokenizer, TokenizerFiles};
pub use weight_format::WeightFormat;
