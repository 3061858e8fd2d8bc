//! Fresh weights for training from scratch: seeded, the same bits on every machine.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use domain::random::SplitMix64;

use super::{DecoderConfig, DecoderError, Module};

/// Standard deviation of fresh weights (GPT-2's; wider ones make early training crawl through
/// denormal numbers).
const DEVIATION: f64 = 0.02;

/// Every weight of a decoder by its Hugging Face name, as f32 `Var`s: norms are one, the rest is
/// normal, narrower by √(2 layers) where it is added to the residual stream. The builder for
/// [`super::Decoder::new`] is `VarBuilder::from_tensors` of these.
pub fn init_parameters(
    config: &DecoderConfig,
    seed: u64,
    device: &Device,
) -> Result<BTreeMap<String, Var>, DecoderError> {
    config.validate()?;
    let mut random = SplitMix64::new(seed);
    let residual = DEVIATION / (2.0 * config.num_hidden_layers as f64).sqrt();
    let mut parameters = BTreeMap::new();
    for (name, shape) in parameter_shapes(config) {
        let count: usize = shape.iter().product();
        let narrow = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
        let deviation = if narrow { residual } else { DEVIATION };
        let one = if config.family().norm_offset { 0.0 } else { 1.0 };
        let values: Vec<f32> = match shape.len() {
            1 if name.ends_with(".bias") => vec![0.0; count],
            1 => vec![one; count],
            _ => (0..count).map(|_| (normal(&mut random) * deviation) as f32).collect(),
        };
        let tensor = Tensor::from_vec(values, shape, device)?;
        parameters.insert(name, Var::from_tensor(&tensor)?);
    }
    Ok(parameters)
}

/// Names and shapes of every weight, in checkpoint order.
pub fn parameter_shapes(config: &DecoderConfig) -> Vec<(String, Vec<usize>)> {
    let (hidden, vocab) = (config.hidden_size, config.vocab_size);
    let mut shapes = vec![("model.embed_tokens.weight".to_owned(), vec![vocab, hidden])];
    for layer in 0..config.num_hidden_layers {
        let name = |rest: &str| format!("model.layers.{layer}.{rest}.weight");
        shapes.push((name("input_layernorm"), vec![hidden]));
        for module in Module::ALL {
            let (rows, columns) = module.shape(config);
            shapes.push((name(module.path()), vec![rows, columns]));
            if config.has_bias(module) {
                shapes.push((format!("model.layers.{layer}.{}.bias", module.path()), vec![rows]));
            }
        }
        if config.family().head_norms {
            let width = config.head_width();
            shapes.extend(
                ["q_norm", "k_norm"].map(|n| (name(&format!("self_attn.{n}")), vec![width])),
            );
        }
        shapes.push((name("post_attention_layernorm"), vec![hidden]));
        if config.family().output_norms {
            let norms = ["pre_feedforward_layernorm", "post_feedforward_layernorm"];
            shapes.extend(norms.map(|norm| (name(norm), vec![hidden])));
        }
    }
    shapes.push(("model.norm.weight".to_owned(), vec![hidden]));
    if !config.tied() {
        shapes.push(("lm_head.weight".to_owned(), vec![vocab, hidden]));
    }
    shapes
}

/// A standard normal number (Box-Muller).
fn normal(random: &mut SplitMix64) -> f64 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.unit()).cos()
}
