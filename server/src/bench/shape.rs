//! The models of the bench: random weights in the shape of published ones.

use std::fmt;
use std::str::FromStr;

use engine::decoder::init::parameter_shapes;
use engine::decoder::{DecoderConfig, TokenIds};

/// A published model's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Qwen2.5-0.5B (Qwen2.5 technical report, table 1, and its published configuration).
    Qwen05B,
    /// Llama-3-8B (The Llama 3 Herd of Models, table 3, and its published configuration).
    Llama8B,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 2] = [Self::Qwen05B, Self::Llama8B];

    /// Name in commands, folders and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Qwen05B => "qwen2.5-0.5b",
            Self::Llama8B => "llama-3-8b",
        }
    }

    /// The model's config.json. Nothing that the measures draw ends a reply.
    pub fn config(self) -> DecoderConfig {
        let end = Some(TokenIds::One(4));
        match self {
            Self::Qwen05B => DecoderConfig {
                architectures: Some(vec!["Qwen2ForCausalLM".to_owned()]),
                model_type: Some("qwen2".to_owned()),
                hidden_size: 896,
                intermediate_size: 4864,
                num_hidden_layers: 24,
                num_attention_heads: 14,
                num_key_value_heads: Some(2),
                vocab_size: 151_936,
                max_position_embeddings: 32_768,
                rope_theta: Some(1e6),
                rms_norm_eps: 1e-6,
                tie_word_embeddings: Some(true),
                eos_token_id: end,
                ..DecoderConfig::default()
            },
            Self::Llama8B => DecoderConfig {
                architectures: Some(vec!["LlamaForCausalLM".to_owned()]),
                model_type: Some("llama".to_owned()),
                hidden_size: 4096,
                intermediate_size: 14_336,
                num_hidden_layers: 32,
                num_attention_heads: 32,
                num_key_value_heads: Some(8),
                vocab_size: 128_256,
                max_position_embeddings: 8192,
                rope_theta: Some(5e5),
                rms_norm_eps: 1e-5,
                tie_word_embeddings: Some(false),
                eos_token_id: end,
                ..DecoderConfig::default()
            },
        }
    }

    /// Whether llama.cpp is asked too: it gets a GGUF file with Q8_0, which its package computes with on
    /// the CPU.
    pub fn has_gguf(self) -> bool {
        self == Self::Qwen05B
    }

    /// Weights of a layer's matrices, all layers together.
    pub fn layer_weights(self) -> usize {
        let shapes = parameter_shapes(&self.config());
        let matrices = shapes
            .iter()
            .filter(|(name, shape)| shape.len() == 2 && name.starts_with("model.layers."));
        matrices.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Weights of the output head.
    pub fn head_weights(self) -> usize {
        let config = self.config();
        config.vocab_size * config.hidden_size
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|shape| shape.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join("`, `");
            format!("`{text}` is not a shape of the bench\nUse one of `{known}`.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_the_published_numbers_of_weights() {
        // Without embeddings: 0.36 billion (Qwen2.5-0.5B's card); 6.98 billion (Llama-3-8B: 8.03 less two
        // vocabularies of 128,256 x 4,096).
        for (shape, billions) in [(Shape::Qwen05B, 0.36), (Shape::Llama8B, 6.98)] {
            let found = shape.layer_weights() as f64 / 1e9;
            assert!((found - billions).abs() < 0.005, "{shape}: {found}");
            assert_eq!(shape.to_string().parse(), Ok(shape));
        }
        assert!("8b".parse::<Shape>().unwrap_err().contains("llama-3-8b"));
    }
}
