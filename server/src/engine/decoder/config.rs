//! The configuration of a Llama-architecture decoder, as Hugging Face writes it in `config.json`.
//!
//! What this decoder can't compute is refused here by name, so that no checkpoint is silently run
//! with the wrong arithmetic.

use serde::{Deserialize, Serialize};

use super::DecoderError;

/// One end token or several, as `config.json` allows both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// One token.
    One(u32),
    /// Any of these.
    Many(Vec<u32>),
}

/// Sizes and constants of a decoder; field names are those of `config.json`. The default values are
/// those that the format gives to absent fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecoderConfig {
    /// Architecture names; only `LlamaForCausalLM` is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architectures: Option<Vec<String>>,
    /// Architecture family; only `llama` is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_type: Option<String>,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; as many as query heads where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; `hidden_size / num_attention_heads` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Base of the rotary frequencies.
    #[serde(default = "defaults::rope_theta")]
    pub rope_theta: f64,
    /// Rotary settings of newer files; a `rope_theta` in here comes before the one above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<serde_json::Value>,
    /// Stretched rotary frequencies; must be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<serde_json::Value>,
    /// Added to the mean square under the root of every norm.
    #[serde(default = "defaults::rms_norm_eps")]
    pub rms_norm_eps: f64,
    /// Longest text in tokens.
    pub max_position_embeddings: usize,
    /// Whether the output layer is the embedding itself.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Activation of the feed-forward layer; only `silu` is known.
    #[serde(default = "defaults::hidden_act")]
    pub hidden_act: String,
    /// Whether attention layers have biases; must be false.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether feed-forward layers have biases; must be false.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Settings of a quantised checkpoint; must be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization_config: Option<serde_json::Value>,
    /// The token before every text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<u32>,
    /// The tokens that end a reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos_token_id: Option<TokenIds>,
    /// The padding token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_token_id: Option<u32>,
}

mod defaults {
    pub fn rope_theta() -> f64 {
        10_000.0
    }

    pub fn rms_norm_eps() -> f64 {
        1e-6
    }

    pub fn hidden_act() -> String {
        "silu".to_owned()
    }
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            architectures: Some(vec!["LlamaForCausalLM".to_owned()]),
            model_type: Some("llama".to_owned()),
            hidden_size: 4096,
            intermediate_size: 11_008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            vocab_size: 32_000,
            rope_theta: defaults::rope_theta(),
            rope_parameters: None,
            rope_scaling: None,
            rms_norm_eps: defaults::rms_norm_eps(),
            max_position_embeddings: 2048,
            tie_word_embeddings: false,
            hidden_act: defaults::hidden_act(),
            attention_bias: false,
            mlp_bias: false,
            quantization_config: None,
            bos_token_id: None,
            eos_token_id: None,
            pad_token_id: None,
        }
    }
}

impl DecoderConfig {
    /// Number of key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of one head.
    pub fn head_width(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Base of the rotary frequencies.
    pub fn theta(&self) -> f64 {
        let newer = self.rope_parameters.as_ref().and_then(|r| r.get("rope_theta")?.as_f64());
        newer.unwrap_or(self.rope_theta)
    }

    /// Checks every rule that the decoder relies on.
    pub fn validate(&self) -> Result<(), DecoderError> {
        self.validate_family()?;
        self.validate_sizes()?;
        let head = self.head_width();
        if head == 0 || !head.is_multiple_of(2) {
            return Err(refuse("head_dim", "be even and above zero", head, MEND_CONFIG));
        }
        let (heads, kv) = (self.num_attention_heads, self.kv_heads());
        if !heads.is_multiple_of(kv) {
            let rule = format!("divide the {heads} of `num_attention_heads`");
            return Err(refuse("num_key_value_heads", &rule, kv, MEND_CONFIG));
        }
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            let rule = format!("be a multiple of the {heads} of `num_attention_heads`");
            return Err(refuse("hidden_size", &rule, self.hidden_size, MEND_CONFIG));
        }
        for (field, value) in [("rope_theta", self.theta()), ("rms_norm_eps", self.rms_norm_eps)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(refuse(field, "be a number above zero", value, MEND_CONFIG));
            }
        }
        Ok(())
    }

    fn validate_sizes(&self) -> Result<(), DecoderError> {
        let sizes = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.kv_heads()),
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        match sizes.into_iter().find(|&(_, value)| value == 0) {
            Some((field, value)) => Err(refuse(field, "be above zero", value, MEND_CONFIG)),
            None => Ok(()),
        }
    }

    fn validate_family(&self) -> Result<(), DecoderError> {
        if let Some(names) = &self.architectures
            && !names.iter().any(|name| name == "LlamaForCausalLM")
        {
            let given = names.join(", ");
            return Err(refuse("architectures", "hold `LlamaForCausalLM`", given, OTHER_MODEL));
        }
        if let Some(family) = &self.model_type
            && family != "llama"
        {
            return Err(refuse("model_type", "be `llama`", family, OTHER_MODEL));
        }
        if self.hidden_act != "silu" {
            return Err(refuse("hidden_act", "be `silu`", &self.hidden_act, OTHER_MODEL));
        }
        for (field, value) in [("attention_bias", self.attention_bias), ("mlp_bias", self.mlp_bias)]
        {
            if value {
                return Err(refuse(field, "be false", value, OTHER_MODEL));
            }
        }
        if let Some(settings) = &self.quantization_config {
            return Err(refuse("quantization_config", "be absent", settings, OTHER_MODEL));
        }
        self.validate_rotary()
    }

    fn validate_rotary(&self) -> Result<(), DecoderError> {
        for (field, settings) in
            [("rope_scaling", &self.rope_scaling), ("rope_parameters", &self.rope_parameters)]
        {
            let Some(settings) = settings else { continue };
            let kind = settings.get("rope_type").or_else(|| settings.get("type"));
            let plain = settings.is_null() || kind.and_then(|k| k.as_str()) == Some("default");
            if !plain {
                let rule = "be absent or of the type `default`";
                return Err(refuse(field, rule, settings, OTHER_MODEL));
            }
        }
        Ok(())
    }
}

const MEND_CONFIG: &str = "Mend config.json; its values must be those the weights were made with.";
const OTHER_MODEL: &str = "Use a Llama-architecture checkpoint without this feature.";

fn refuse(
    field: &'static str,
    rule: &str,
    given: impl std::fmt::Display,
    hint: &'static str,
) -> DecoderError {
    DecoderError::Config { field, rule: rule.to_owned(), given: format!("`{given}`"), hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(change: serde_json::Value) -> DecoderConfig {
        let mut value = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama",
            "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50,
            "max_position_embeddings": 128, "rope_theta": 500000.0, "rope_scaling": null,
            "torch_dtype": "bfloat16", "eos_token_id": [1, 2]
        });
        let fields = change.as_object().unwrap();
        value.as_object_mut().unwrap().extend(fields.clone());
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn reads_a_hugging_face_file_and_survives_a_round_trip() {
        let config = read(json!({}));
        config.validate().unwrap();
        assert_eq!((config.kv_heads(), config.head_width()), (2, 16));
        assert_eq!(config.theta(), 500_000.0);
        assert_eq!(config.eos_token_id, Some(TokenIds::Many(vec![1, 2])));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<DecoderConfig>(&text).unwrap(), config);
    }

    #[test]
    fn newer_rotary_settings_come_first() {
        let config = read(json!({"rope_parameters": {"rope_type": "default", "rope_theta": 7.0}}));
        config.validate().unwrap();
        assert_eq!(config.theta(), 7.0);
    }

    #[test]
    fn refuses_what_it_cannot_compute() {
        let cases = [
            (json!({"architectures": ["Qwen2ForCausalLM"]}), "architectures"),
            (json!({"model_type": "qwen2"}), "model_type"),
            (json!({"hidden_act": "gelu"}), "hidden_act"),
            (json!({"attention_bias": true}), "attention_bias"),
            (json!({"quantization_config": {"bits": 4}}), "quantization_config"),
            (json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}), "rope_scaling"),
            (json!({"num_key_value_heads": 3}), "num_key_value_heads"),
            (json!({"num_key_value_heads": 0}), "num_key_value_heads"),
            (json!({"num_attention_heads": 6}), "hidden_size"),
            (json!({"head_dim": 15}), "head_dim"),
            (json!({"vocab_size": 0}), "vocab_size"),
            (json!({"rope_theta": -1.0}), "rope_theta"),
        ];
        for (change, field) in cases {
            let error = read(change.clone()).validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}` must ")), "{change}: {error}");
            assert!(error.contains('\n'), "no way out: {error}");
        }
    }
}
