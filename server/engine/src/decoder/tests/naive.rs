//! The same model as a plain composition of candle's operations, as an oracle for values, gradients
//! and speed.

use std::collections::HashMap;

use candle_core::{Result, Tensor};

use super::super::{DecoderConfig, Segment};
use crate::ops::{AttentionPlan, Heads, LayerRule, composite};

/// Logits `[tokens, vocab]` of tied weights.
pub fn logits(
    config: &DecoderConfig,
    weights: &HashMap<String, Tensor>,
    tokens: &[u32],
    segments: &[Segment],
) -> Result<Tensor> {
    let heads = Heads {
        query: config.num_attention_heads,
        kv: config.kv_heads(),
        width: config.head_width(),
    };
    let spans = segments.iter().map(|segment| (segment.len, 0));
    let frequencies = config.rotations().unwrap()[0].frequencies(heads.width);
    let plan = AttentionPlan::new(heads, config.scoring(), &[frequencies], spans);
    let rule = LayerRule { angles: Some(0), window: None };
    let embedding = &weights["model.embed_tokens.weight"];
    let mut hidden = embedding.index_select(&Tensor::new(tokens, embedding.device())?, 0)?;
    for layer in 0..config.num_hidden_layers {
        let weight = |name: &str| &weights[&format!("model.layers.{layer}.{name}.weight")];
        let norm = |x: &Tensor, name| composite::rms_norm(x, weight(name), config.rms_norm_eps);
        let linear = |x: &Tensor, name| composite::linear(x, weight(name));
        let normed = norm(&hidden, "input_layernorm")?;
        let parts = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
        let parts =
            parts.into_iter().map(|name| linear(&normed, name)).collect::<Result<Vec<_>>>()?;
        let mixed = composite::attention(&Tensor::cat(&parts, 1)?, &plan, rule, None)?;
        hidden = (hidden + linear(&mixed, "self_attn.o_proj")?)?;
        let normed = norm(&hidden, "post_attention_layernorm")?;
        let wide = (linear(&normed, "mlp.gate_proj")?.silu()? * linear(&normed, "mlp.up_proj")?)?;
        hidden = (hidden + linear(&wide, "mlp.down_proj")?)?;
    }
    let hidden = composite::rms_norm(&hidden, &weights["model.norm.weight"], config.rms_norm_eps)?;
    composite::linear(&hidden, embedding)
}
