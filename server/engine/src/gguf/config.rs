//! From the metadata of a GGUF file to the decoder's configuration.
//!
//! The keys are those that llama.cpp's converter writes; where it leaves a value out, llama.cpp's own
//! value for that architecture is taken. Which tensors must be there follows in [`super::names`].

use serde_json::{Value, json};

use super::container::Container;
use super::names::{EMBEDDING, OUTPUT, ROTARY_FACTORS};
use super::tensor;
use crate::decoder::DecoderConfig;
use crate::decoder::family::{FAMILIES, Family};
use crate::error::EngineError;

/// Names of architectures in GGUF files, with those of Hugging Face.
const ARCHITECTURES: [(&str, &str); 6] = [
    ("llama", "LlamaForCausalLM"),
    ("qwen2", "Qwen2ForCausalLM"),
    ("qwen3", "Qwen3ForCausalLM"),
    ("smollm3", "SmolLM3ForCausalLM"),
    ("gemma2", "Gemma2ForCausalLM"),
    ("gemma3", "Gemma3ForCausalLM"),
];

/// Layers of the one Gemma 2 and the one Gemma 3 (both of 27 billion weights) whose attention scores
/// are scaled by another width than that of a head; no key says so.
const WIDER_SCORES: [(&str, usize); 2] = [("gemma2", 46), ("gemma3", 62)];

/// What the metadata says, checked by the decoder's rules.
///
/// # Errors
/// [`EngineError::UnsupportedArchitecture`], [`EngineError::FileBroken`],
/// [`EngineError::ModelRefused`].
pub fn read(file: &Container) -> Result<DecoderConfig, EngineError> {
    let (architecture, family) = known_architecture(file)?;
    let keys = Keys { file, architecture, family };
    keys.refuse_experts()?;
    let mut config = keys.sizes()?;
    keys.attention(&mut config)?;
    keys.rotation(&mut config)?;
    config.validate().map_err(|error| file.refused(error))?;
    Ok(config)
}

/// The architecture's name in the file, and its family.
fn known_architecture(file: &Container) -> Result<(&'static str, &'static Family), EngineError> {
    let key = "general.architecture";
    let given = file.required(key, file.text(key)?)?;
    let known = ARCHITECTURES.iter().find(|(name, _)| *name == given).and_then(|(name, theirs)| {
        let family = FAMILIES.iter().find(|family| family.architecture == *theirs)?;
        Some((*name, family))
    });
    known.ok_or_else(|| EngineError::UnsupportedArchitecture {
        path: file.path().to_owned(),
        architecture: given.chars().take(100).collect(),
        supported: ARCHITECTURES.map(|(name, _)| name).join(", "),
    })
}

/// The keys of one architecture.
struct Keys<'a> {
    file: &'a Container,
    architecture: &'static str,
    family: &'static Family,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn number(&self, name: &str) -> Result<Option<usize>, EngineError> {
        let key = self.key(name);
        if self.file.is_array(&key) {
            return Err(self.file.refused(format!(
                "`{key}` differs by layer, and must be the same in all layers\nUse another model."
            )));
        }
        self.file.number(&key)
    }

    fn required(&self, name: &str) -> Result<usize, EngineError> {
        self.file.required(&self.key(name), self.number(name)?)
    }

    fn float(&self, name: &str) -> Result<Option<f64>, EngineError> {
        self.file.float(&self.key(name))
    }

    fn refuse_experts(&self) -> Result<(), EngineError> {
        match self.number("expert_count")?.unwrap_or(0) {
            0 => Ok(()),
            count => Err(self.file.refused(format!(
                "it mixes {count} experts, which isn't supported\nUse a model without experts."
            ))),
        }
    }

    fn sizes(&self) -> Result<DecoderConfig, EngineError> {
        let heads = self.required("attention.head_count")?;
        let hidden = self.required("embedding_length")?;
        let layers = self.required("block_count")?;
        // Every layer has tensors, so a number beyond theirs is a fault, not a reason to make room.
        if layers > self.file.tensor_count() {
            return Err(self.file.broken(format!(
                "`{}` is {layers}, but it has {} tensors",
                self.key("block_count"),
                self.file.tensor_count()
            )));
        }
        let embedding = self.file.tensor(EMBEDDING).map(|(info, _)| info.shape.first().copied());
        let Some(Some(vocab_size)) = embedding else {
            return Err(self.file.broken(format!("tensor `{EMBEDDING}` is missing")));
        };
        let has = |name: &str| self.file.tensor(name).is_some();
        let epsilon = "attention.layer_norm_rms_epsilon";
        Ok(DecoderConfig {
            architectures: Some(vec![self.family.architecture.to_owned()]),
            model_type: Some(self.family.model_type.to_owned()),
            hidden_size: hidden,
            intermediate_size: self.required("feed_forward_length")?,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: self.number("attention.head_count_kv")?,
            head_dim: Some(self.head_width(hidden, heads)?),
            vocab_size,
            max_position_embeddings: self.required("context_length")?,
            rms_norm_eps: self.file.required(&self.key(epsilon), self.float(epsilon)?)?,
            tie_word_embeddings: Some(!has(OUTPUT)),
            attention_bias: has("blk.0.attn_q.bias"),
            mlp_bias: has("blk.0.ffn_gate.bias"),
            ..DecoderConfig::default()
        })
    }

    /// Width of a head, which must be the same for queries, keys and values, and turn as a whole.
    fn head_width(&self, hidden: usize, heads: usize) -> Result<usize, EngineError> {
        let turned = self.number("rope.dimension_count")?;
        let given = self.number("attention.key_length")?.or(turned);
        let width = given.unwrap_or(hidden / heads.max(1));
        for (name, other) in [
            ("attention.value_length", self.number("attention.value_length")?),
            ("rope.dimension_count", turned),
        ] {
            if let Some(other) = other.filter(|other| *other != width) {
                return Err(self.file.refused(format!(
                    "`{}` must be {width}, the width of a head, and is {other}\nUse another model.",
                    self.key(name)
                )));
            }
        }
        Ok(width)
    }

    /// Windows and what is done to the scores; only Gemma has either.
    fn attention(&self, config: &mut DecoderConfig) -> Result<(), EngineError> {
        if !self.architecture.starts_with("gemma") {
            return Ok(());
        }
        let gemma2 = self.architecture == "gemma2";
        let window = self.number("attention.sliding_window")?;
        // Gemma 2 always has a window, Gemma 3 where the file names one.
        let window = if gemma2 { window.or(Some(4096)) } else { window.filter(|width| *width > 0) };
        config.sliding_window = Some(window);
        let pattern = self.key("attention.sliding_window_pattern");
        if self.file.is_array(&pattern) {
            config.layer_types = Some(self.layer_types(&pattern, config.num_hidden_layers)?);
        } else {
            config.sliding_window_pattern = self.file.number(&pattern)?;
        }
        let default = |cap: f64| gemma2.then_some(cap);
        config.attn_logit_softcapping = self.float("attn_logit_softcapping")?.or(default(50.0));
        config.final_logit_softcapping = self.float("final_logit_softcapping")?.or(default(30.0));
        let wider = WIDER_SCORES.contains(&(self.architecture, config.num_hidden_layers));
        let divided = config.hidden_size / config.num_attention_heads.max(1);
        config.query_pre_attn_scalar = wider.then_some(divided as f64);
        Ok(())
    }

    /// Which layers have a window, where the file says so of each.
    fn layer_types(&self, key: &str, count: usize) -> Result<Vec<String>, EngineError> {
        let layers = self.file.numbers(key)?.unwrap_or_default();
        if layers.len() != count {
            let given = layers.len();
            return Err(self
                .file
                .broken(format!("`{key}` has {given} entries for {count} layers")));
        }
        let name = |narrow: &f64| match *narrow != 0.0 {
            true => "sliding_attention".to_owned(),
            false => "full_attention".to_owned(),
        };
        Ok(layers.iter().map(name).collect())
    }

    fn rotation(&self, config: &mut DecoderConfig) -> Result<(), EngineError> {
        // llama.cpp's value where the file gives none.
        config.rope_theta = Some(self.float("rope.freq_base")?.unwrap_or(10_000.0));
        config.rope_local_base_freq = self.float("rope.freq_base_swa")?;
        let key = self.key("rope.scaling.type");
        let kind = self.file.text(&key)?.filter(|kind| *kind != "none");
        config.rope_scaling = match (self.factors()?, kind) {
            (None, None) => None,
            (None, Some(kind)) => {
                Some(json!({"rope_type": kind, "factor": self.float("rope.scaling.factor")?}))
            }
            (Some(factors), None) => Some(json!({"rope_type": "factors", "factors": factors})),
            (Some(_), Some(kind)) => {
                return Err(self.file.refused(format!(
                    "`{key}` is `{kind}` beside a tensor `{ROTARY_FACTORS}`, and must be `none`\n\
                     Use another file of the model."
                )));
            }
        };
        Ok(())
    }

    /// What the frequencies are divided by.
    fn factors(&self) -> Result<Option<Value>, EngineError> {
        let Some((info, bytes)) = self.file.tensor(ROTARY_FACTORS) else { return Ok(None) };
        let values = tensor::dequantize(info, bytes)
            .and_then(|factors| factors.flatten_all()?.to_vec1::<f32>())
            .map_err(|error| self.file.broken(error))?;
        Ok(Some(json!(values)))
    }
}
