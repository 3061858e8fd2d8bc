//! The engine: loads a model, generates text and scores options.
//!
//! **Invariant:** candle stays in here, in [`crate::tuning`] and in the starter's trainer.

pub mod decoder;
pub mod device;
pub mod ops;
