//! Learning: the optimiser, training steps over packed sequences, LoRA tuning and PEFT files.
//!
//! - [`packing`]: sequences laid end to end, and which of their tokens count;
//! - [`gradient`]: losses and gradients of micro-batches, side by side on all cores;
//! - [`optimizer`], [`schedule`]: AdamW and its learning rate;
//! - [`checkpoint`], [`atomic`]: what a killed run goes on from;
//! - [`examples`], [`trainer`]: supervised tuning of LoRA adapters (step 4 of the method);
//! - [`snapshot`]: an adapter in the middle of its tuning;
//! - [`peft`]: adapters in the Hugging Face PEFT layout;
//! - [`ability`]: what tuning costs in general ability.
//!
//! Training the starter from scratch uses the same parts and lives in the server.

pub mod ability;
pub mod atomic;
pub mod checkpoint;
pub mod error;
pub mod examples;
pub mod gradient;
pub mod optimizer;
pub mod packing;
pub mod peft;
pub mod schedule;
pub mod snapshot;
pub mod trainer;

pub use error::TuningError;
pub use examples::Example;
pub use trainer::{TuneConfig, TuneProgress, tune, updates};
