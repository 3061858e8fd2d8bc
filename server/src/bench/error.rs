//! What quantised matrices, and our product with them, change in a model's scores.

use candle_core::Device;
use serde::{Deserialize, Serialize};

use super::BenchError;
use super::checkpoint::Files;
use super::workload::Workload;
use engine::pass::{self, Part, Want};
use engine::{EngineError, LoadedModel, ModelSource, WeightFormat};

/// How far the scores of two forms of a model lie apart, over the last tokens of the workload's prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// Length of the difference of all logits by the length of the second form's.
    pub logits: f64,
    /// Largest difference of a probability among the options.
    pub option_probability: f64,
}

/// The bench's form of the model beside f32.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Beside the same blocks taken apart into f32: what the product adds. `None` where the model has no
    /// file of blocks.
    pub product: Option<Deviation>,
    /// Beside the weights before they were quantised: what everything adds.
    pub weights: Deviation,
}

/// What each of some prompts scores, token by token.
type Logits = Vec<Vec<f32>>;

impl Errors {
    /// Loads the forms one after the other.
    pub(super) fn measure(
        files: &Files,
        weights: WeightFormat,
        device: &Device,
    ) -> Result<Self, BenchError> {
        let work = Workload::read(&files.workload())?;
        let logits = |source: &ModelSource, weights| {
            logits(source, weights, device, &work.prompts).map_err(BenchError::model)
        };
        let own = files.source(weights);
        let ours = logits(&own, weights)?;
        let product = match own {
            ModelSource::Gguf(_) => Some(logits(&own, WeightFormat::F32)?),
            _ => None,
        };
        let single = logits(&ModelSource::Folder(files.model()), WeightFormat::F32)?;
        let from = |other: &Logits| Deviation::between(&ours, other, &work.options);
        Ok(Self { product: product.as_ref().map(from), weights: from(&single) })
    }
}

impl Deviation {
    fn between(ours: &Logits, other: &Logits, options: &[u32]) -> Self {
        let pairs = || ours.iter().flatten().zip(other.iter().flatten());
        let square = |value: f64| value * value;
        let apart: f64 = pairs().map(|(a, b)| square(f64::from(a - b))).sum();
        let length: f64 = pairs().map(|(_, b)| square(f64::from(*b))).sum();
        let probability = ours.iter().zip(other).flat_map(|(a, b)| {
            let (a, b) = (among(a, options), among(b, options));
            a.into_iter().zip(b).map(|(a, b)| (a - b).abs())
        });
        Self {
            logits: (apart / length).sqrt(),
            option_probability: probability.fold(0.0, f64::max),
        }
    }
}

/// Probabilities of the options' tokens among themselves.
fn among(logits: &[f32], options: &[u32]) -> Vec<f64> {
    let scores = options.iter().filter_map(|token| logits.get(*token as usize));
    let scores: Vec<f64> = scores.map(|score| f64::from(*score).exp()).collect();
    let sum: f64 = scores.iter().sum();
    scores.into_iter().map(|score| score / sum).collect()
}

fn logits(
    source: &ModelSource,
    weights: WeightFormat,
    device: &Device,
    prompts: &[Vec<u32>],
) -> Result<Logits, EngineError> {
    let model = LoadedModel::load_as(source, device, weights)?;
    let mut caches: Vec<_> = prompts.iter().map(|_| model.decoder.new_cache()).collect();
    let mut parts: Vec<Part<'_>> = prompts
        .iter()
        .zip(&mut caches)
        .map(|(tokens, cache)| Part { tokens, cache, adapter: None, want: Want::Last, paths: &[] })
        .collect();
    let logits = pass::run(&model.decoder, &mut parts)?;
    Ok((0..logits.rows()).map(|row| logits.row(row).to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_relative_for_logits_and_largest_for_probabilities() {
        let single = vec![vec![3.0, 4.0, 0.0]];
        let ours = vec![vec![3.0, 4.0, 0.5]];
        let found = Deviation::between(&ours, &single, &[0, 2]);
        assert!((found.logits - 0.1).abs() < 1e-9, "{found:?}");
        let share = |a: f64, b: f64| a.exp() / (a.exp() + b.exp());
        let apart = share(0.5, 3.0) - share(0.0, 3.0);
        assert!((found.option_probability - apart).abs() < 1e-6, "{found:?}");
        assert_eq!(Deviation::between(&single, &single, &[0, 1]).logits, 0.0);
    }
}
