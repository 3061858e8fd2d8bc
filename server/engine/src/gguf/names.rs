//! Where each weight of the decoder is in a GGUF file.
//!
//! llama.cpp's converter renames tensors, and changes two kinds of them; both are undone when a
//! tensor is read ([`super::tensor`]). What it does is told by its source (`conversion/llama.py` and
//! `conversion/gemma.py` of llama.cpp).

use std::collections::{BTreeMap, BTreeSet};

use super::container::Container;
use crate::decoder::DecoderConfig;
use crate::decoder::init::parameter_shapes;
use crate::error::EngineError;

/// The embedding.
pub const EMBEDDING: &str = "token_embd.weight";
/// The output layer; absent where it is the embedding.
pub const OUTPUT: &str = "output.weight";
/// What rotary frequencies are divided by, in models such as Llama 3.1.
pub const ROTARY_FACTORS: &str = "rope_freqs.weight";

/// Families whose query and key rows are in another order in the file.
const PERMUTED: [&str; 2] = ["llama", "smollm3"];

/// Where a weight is, and what the converter did to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The tensor's name in the file.
    pub name: String,
    /// Heads whose rows are in the file's order.
    pub permuted_heads: Option<usize>,
    /// Whether one was added to every number.
    pub one_added: bool,
}

/// The place of every weight by its Hugging Face name, with the shape that `config` asks for.
///
/// # Errors
/// [`EngineError::FileBroken`] if one is missing or has another shape;
/// [`EngineError::ModelRefused`] if the file has more tensors than the decoder knows.
pub fn places(
    file: &Container,
    config: &DecoderConfig,
) -> Result<BTreeMap<String, Place>, EngineError> {
    let mut places = BTreeMap::new();
    for (weight, shape) in parameter_shapes(config) {
        let place = place(&weight, config);
        let Some((info, _)) = file.tensor(&place.name) else {
            return Err(file.broken(format!("tensor `{}` is missing", place.name)));
        };
        if info.shape != shape {
            return Err(file.broken(format!(
                "tensor `{}` must have the shape {shape:?} by its metadata, and has {:?}",
                place.name, info.shape
            )));
        }
        places.insert(weight, place);
    }
    let used: BTreeSet<&str> = places.values().map(|place| place.name.as_str()).collect();
    let unknown = file.tensor_names().find(|name| *name != ROTARY_FACTORS && !used.contains(name));
    match unknown {
        None => Ok(places),
        Some(name) => Err(file.refused(format!(
            "it has a tensor `{name}`, which {} doesn't use here\nUse a plain file of the model.",
            config.family().architecture
        ))),
    }
}

fn place(weight: &str, config: &DecoderConfig) -> Place {
    let family = config.family();
    let permuted = PERMUTED.contains(&family.model_type);
    let permuted_heads = match weight {
        _ if !permuted => None,
        _ if weight.contains(".q_proj.") => Some(config.num_attention_heads),
        _ if weight.contains(".k_proj.") => Some(config.kv_heads()),
        _ => None,
    };
    let one_added = family.norm_offset && weight.ends_with("norm.weight");
    Place { name: file_name(weight, family.output_norms), permuted_heads, one_added }
}

/// The file's name for a weight; `output_norms` as in the family.
pub fn file_name(weight: &str, output_norms: bool) -> String {
    let (stem, kind) = weight.rsplit_once('.').unwrap_or((weight, "weight"));
    let layer = stem.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
    let name = match (stem, layer) {
        (_, Some((layer, part))) => format!("blk.{layer}.{}", part_name(part, output_norms)),
        ("model.embed_tokens", _) => "token_embd".to_owned(),
        ("model.norm", _) => "output_norm".to_owned(),
        ("lm_head", _) => "output".to_owned(),
        (other, _) => other.to_owned(),
    };
    format!("{name}.{kind}")
}

fn part_name(part: &str, output_norms: bool) -> &str {
    match part {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "post_attention_layernorm" if output_norms => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        other => other,
    }
}

/// Which row of the file is each row of Hugging Face's order. Within a head the file has pairs of
/// neighbours where Hugging Face has two halves.
pub fn source_rows(rows: usize, heads: usize) -> Vec<usize> {
    let width = rows / heads.max(1);
    let half = width / 2;
    let source = |row: usize| {
        let (head, within) = (row / width.max(1), row % width.max(1));
        head * width + 2 * (within % half.max(1)) + within / half.max(1)
    };
    (0..rows).map(source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_has_the_converters_name() {
        for (weight, output_norms, name) in [
            ("model.embed_tokens.weight", false, EMBEDDING),
            ("lm_head.weight", false, OUTPUT),
            ("model.norm.weight", true, "output_norm.weight"),
            ("model.layers.11.self_attn.o_proj.bias", false, "blk.11.attn_output.bias"),
            ("model.layers.0.post_attention_layernorm.weight", false, "blk.0.ffn_norm.weight"),
            (
                "model.layers.0.post_attention_layernorm.weight",
                true,
                "blk.0.post_attention_norm.weight",
            ),
            ("model.layers.0.pre_feedforward_layernorm.weight", true, "blk.0.ffn_norm.weight"),
        ] {
            assert_eq!(file_name(weight, output_norms), name);
        }
    }

    #[test]
    fn rows_of_a_head_come_apart_into_halves() {
        assert_eq!(source_rows(12, 2), [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
    }
}
