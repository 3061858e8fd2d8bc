//! Linear combinations of adapters, exact: the sum of low-rank changes is a change whose rank is the
//! sum of their ranks. `Σ wᵢ sᵢ Bᵢ Aᵢ` is the product of `[w₁ s₁ B₁, w₂ s₂ B₂, ..]` side by side and
//! of `[A₁; A₂; ..]` one below the other; PEFT calls this the combination type `cat`.

use std::collections::HashMap;

use candle_core::{Result, Tensor};

use super::DecoderError;
use super::lora::{LoraAdapter, LoraConfig, LoraPair, Module};

impl LoraAdapter {
    /// The sum of the adapters' changes, each times its weight. For serving: it has no gradients of
    /// its own.
    ///
    /// # Errors
    /// [`DecoderError::Candle`] if the adapters were made for models of different sizes.
    pub fn blend(parts: &[(&Self, f64)]) -> std::result::Result<Self, DecoderError> {
        let depth = parts.iter().map(|(part, _)| part.layers.len()).max().unwrap_or_default();
        let mut layers = Vec::with_capacity(depth);
        for layer in 0..depth {
            let mut pairs = HashMap::new();
            for module in Module::ALL {
                let changes: Vec<(&LoraPair, f64)> = parts
                    .iter()
                    .filter_map(|(part, weight)| Some((part.pair(layer, module)?, *weight)))
                    .collect();
                if !changes.is_empty() {
                    pairs.insert(module, join(&changes)?);
                }
            }
            layers.push(pairs);
        }
        let r: usize = parts.iter().map(|(part, _)| part.config.r).sum();
        let targeted = |module: &Module| layers.iter().any(|pairs| pairs.contains_key(module));
        let modules = Module::ALL.into_iter().filter(targeted);
        let target_modules = modules.map(|module| module.name().to_owned()).collect();
        // The factors hold weights and scales, which leaves a scale of one.
        let config = LoraConfig { r, alpha: r as f64, target_modules, ..LoraConfig::default() };
        Ok(Self { config, layers, dropout: None })
    }
}

fn join(changes: &[(&LoraPair, f64)]) -> Result<LoraPair> {
    let a: Vec<&Tensor> = changes.iter().map(|(pair, _)| &pair.a).collect();
    let scaled = |(pair, weight): &(&LoraPair, f64)| &pair.b * (pair.scale * weight);
    let b = changes.iter().map(scaled).collect::<Result<Vec<Tensor>>>()?;
    Ok(LoraPair {
        a: Tensor::cat(&a, 0)?.contiguous()?,
        b: Tensor::cat(&b, 1)?.contiguous()?,
        scale: 1.0,
    })
}
