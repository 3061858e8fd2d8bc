//! An adapter as it is in the middle of tuning: out of its newest checkpoint. Tuning itself is in
//! [`super::trainer`].

use std::collections::HashMap;
use std::io;
use std::path::Path;

use candle_core::Tensor;

use super::checkpoint::Checkpoints;
use super::{TuneConfig, TuningError};
use crate::decoder::{Decoder, LoraAdapter};

/// The adapter of the newest checkpoint in `folder`, which [`super::tune`] wrote with `config`, and
/// how many updates it has behind it; `None` where there is no checkpoint, or none any more.
///
/// # Errors
/// A checkpoint that can't be read or belongs to other settings.
pub fn newest(
    base: &Decoder,
    config: &TuneConfig,
    folder: &Path,
) -> Result<Option<(u64, LoraAdapter)>, TuningError> {
    let checkpoint = match Checkpoints::new(folder, 2).newest() {
        // Tuning removes old checkpoints, and all of them at its end, perhaps just now.
        Err(TuningError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        found => match found? {
            None => return Ok(None),
            Some(checkpoint) => checkpoint,
        },
    };
    let (step, _) = checkpoint.state::<serde::de::IgnoredAny>()?;
    // Its values don't matter; names and shapes do.
    let shape = LoraAdapter::init(base.config(), config.lora(), config.seed, base.device())?;
    let mut tensors = HashMap::new();
    for (name, tensor) in shape.parameters() {
        let values = checkpoint.values(&format!("weight.{name}"), tensor.dims())?;
        let tensor = Tensor::from_vec(values, tensor.shape(), base.device())?;
        tensors.insert(name, tensor);
    }
    Ok(Some((step, LoraAdapter::from_tensors(base.config(), config.lora(), &tensors)?)))
}
