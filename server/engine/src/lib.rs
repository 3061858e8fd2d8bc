//! The engine: loads a model, generates text and scores options.
//!
//! A request goes [`handle`] -> [`prompts`] -> [`worker`] -> [`scheduler`] -> [`pass`] ->
//! [`sampler`] and back through a mailbox of its own. In reading order:
//! - [`error`], [`request`], [`limits`], [`handle`]: what callers see;
//! - [`mailbox`]: how replies travel back;
//! - [`hub`], `hub_snapshot`, [`gguf`], [`loading`], [`weights`], [`weight_format`], `starter_files`: from files to a
//!   model in memory;
//! - [`tokenizer`], `added_tokens`, [`chat_template`], `python_json`, [`text_stream`]: text and tokens;
//!   [`confined`]: what a template may take;
//! - [`adapters`], [`adapter_source`], [`residents`], [`adapter_memory`], [`blends`], [`asked`],
//!   `starter_adapters`: which adapters are known, where their files are, which are in memory and what
//!   they take of it, mixtures of them, and those of one request;
//! - [`places`], [`turns`], [`cache_memory`]: who may queue work, whose turn it is, and who gets
//!   memory;
//! - [`prompts`], [`worker`], [`scheduler`], [`row`], [`portions`], [`pass`], [`sampler`]: one
//!   thread, one batch for all replies;
//! - [`prefixes`]: what was read before and needn't be read again;
//! - [`option_plan`], [`option_scorer`]: probabilities of options, beside the replies;
//! - [`decoder`], [`ops`], [`device`]: the arithmetic;
//! - [`testing`]: a tiny random model.
//!
//! **Invariant:** candle stays in here, in [`tuning`], in the benches and in the starter's trainer.

pub mod error;
pub mod handle;
pub mod limits;
pub mod mailbox;
mod memory;
pub mod request;

pub mod gguf;
pub mod hub;
mod hub_snapshot;
pub mod loading;
mod starter_files;
pub mod weight_format;
pub mod weights;
mod weights_hash;

mod added_tokens;
pub mod chat_template;
pub mod confined;
mod python_json;
pub mod text_stream;
pub mod tokenizer;

pub mod adapter_memory;
pub mod adapter_source;
pub mod adapters;
pub mod asked;
pub mod blends;
pub mod residents;
mod starter_adapters;

pub mod cache_memory;
mod load;
pub mod pass;
pub mod places;
mod portions;
pub mod prefixes;
pub mod prompts;
pub mod row;
pub mod sampler;
pub mod scheduler;
pub mod turns;
pub mod worker;

pub mod option_plan;
pub mod option_scorer;

pub mod decoder;
pub mod device;
pub mod ops;

pub mod testing;

pub mod tuning;

#[cfg(test)]
mod tests;

/// As in the product: templates are stopped by it.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: confined::Confining<std::alloc::System> = confined::Confining(std::alloc::System);

pub use device::DeviceChoice;
pub use error::EngineError;
pub use handle::{Engine, EngineConfig, ModelSource};
pub use limits::Limits;
pub use loading::{LoadedModel, short_id};
pub use mailbox::GenerationStream;
pub use request::{AdapterChoice, ClientId, GenerateRow, RowEvent, ScorePrompt};
pub use tokenizer::{ModelTokenizer, TokenizerFiles};
pub use weight_format::WeightFormat;
