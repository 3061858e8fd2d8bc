//! The configuration of a decoder, as Hugging Face writes it in `config.json`.
//!
//! What this decoder can't compute is refused here by name, so that no checkpoint is silently run
//! with the wrong arithmetic. What follows from the family alone is in [`super::family`], rotary
//! frequencies are in [`super::rotary`].

use serde::{Deserialize, Deserializer, Serialize};

use super::DecoderError;
use super::family::{Biases, FAMILIES, Family, Windows, supported};
use super::lora::Module;
use super::rotary::Rotation;
use crate::ops::{Activation, LayerRule, Scoring};

/// Most layers; published models have up to 126.
const MOST_LAYERS: usize = 1024;

/// Largest width, vocabulary, context or other size.
const MOST_WIDE: usize = 1 << 28;

/// No head of attention is wider; its rotary frequencies are made before any tensor is looked for.
const WIDEST_HEAD: usize = 1 << 16;

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
    /// Architecture names, one of [`FAMILIES`] among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architectures: Option<Vec<String>>,
    /// The family's name; says it where `architectures` is absent.
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
    /// Width of a head; the family's, or `hidden_size / num_attention_heads`, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Base of the rotary frequencies; the family's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// Base of the rotary frequencies of layers with a window; the family's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_local_base_freq: Option<f64>,
    /// Rotary settings of newer files, perhaps by kind of layer; they come before those above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<serde_json::Value>,
    /// Stretched rotary frequencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<serde_json::Value>,
    /// For each layer 1 if it turns queries and keys, 0 if not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_rope_layers: Option<Vec<u8>>,
    /// Every so many layers one doesn't turn, where `no_rope_layers` is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_rope_layer_interval: Option<usize>,
    /// For each layer `full_attention` or `sliding_attention`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_types: Option<Vec<String>>,
    /// Tokens that a layer with a window sees; null sees all, absent is the family's.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<Option<usize>>,
    /// Whether any layer has a window; in some families only.
    #[serde(default)]
    pub use_sliding_window: bool,
    /// The first layer with a window, in some families.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_window_layers: Option<usize>,
    /// Every so many layers one has no window, in some families.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window_pattern: Option<usize>,
    /// Attention scores are divided by the root of this; by that of the head's width where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_pre_attn_scalar: Option<f64>,
    /// Attention scores are bent to stay below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attn_logit_softcapping: Option<f64>,
    /// Scores of tokens are bent to stay below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_logit_softcapping: Option<f64>,
    /// Must be absent or false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_bidirectional_attention: Option<bool>,
    /// Added to the mean square under the root of every norm.
    #[serde(default = "defaults::rms_norm_eps")]
    pub rms_norm_eps: f64,
    /// Longest text in tokens.
    pub max_position_embeddings: usize,
    /// Whether the output layer is the embedding itself; the family's custom where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tie_word_embeddings: Option<bool>,
    /// Activation of the feed-forward layer, `silu` or `gelu_pytorch_tanh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_act: Option<String>,
    /// The same under its newer name, which comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_activation: Option<String>,
    /// Whether attention layers have biases, where the family leaves it open.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether feed-forward layers have biases.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Settings of a quantised checkpoint; must be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization_config: Option<serde_json::Value>,
    /// The token before every text. Like the padding token it is kept for who reads the file next, and
    /// needn't be a token: some files have -1 or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<serde_json::Value>,
    /// The tokens that end a reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos_token_id: Option<TokenIds>,
    /// The padding token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_token_id: Option<serde_json::Value>,
}

mod defaults {
    pub fn rms_norm_eps() -> f64 {
        1e-6
    }
}

/// Tells a null from an absent field.
fn given<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<usize>>, D::Error> {
    Option::deserialize(field).map(Some)
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
            rope_theta: None,
            rope_local_base_freq: None,
            rope_parameters: None,
            rope_scaling: None,
            no_rope_layers: None,
            no_rope_layer_interval: None,
            layer_types: None,
            sliding_window: None,
            use_sliding_window: false,
            max_window_layers: None,
            sliding_window_pattern: None,
            query_pre_attn_scalar: None,
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
            use_bidirectional_attention: None,
            rms_norm_eps: defaults::rms_norm_eps(),
            max_position_embeddings: 2048,
            tie_word_embeddings: None,
            hidden_act: None,
            hidden_activation: None,
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
    /// The family; `None` for one that isn't supported.
    pub fn known_family(&self) -> Option<&'static Family> {
        match self.architectures.as_deref() {
            Some(names @ [_, ..]) => {
                let named = |family: &&Family| names.iter().any(|n| n == family.architecture);
                FAMILIES.iter().find(named)
            }
            _ => {
                let name = self.model_type.as_deref().unwrap_or("llama");
                FAMILIES.iter().find(|family| family.model_type == name)
            }
        }
    }

    /// The family of a valid configuration.
    pub fn family(&self) -> &'static Family {
        self.known_family().unwrap_or(&FAMILIES[0])
    }

    /// Number of key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of one head.
    pub fn head_width(&self) -> usize {
        let divided = self.hidden_size / self.num_attention_heads.max(1);
        self.head_dim.or(self.family().head_width).unwrap_or(divided)
    }

    /// Whether the output layer is the embedding itself.
    pub fn tied(&self) -> bool {
        self.tie_word_embeddings.unwrap_or(self.family().tied)
    }

    /// What the embedding is multiplied by.
    pub fn embedding_scale(&self) -> Option<f64> {
        self.family().embedding_scaled.then(|| (self.hidden_size as f64).sqrt())
    }

    /// Activation of the feed-forward layer; `None` for one that isn't supported.
    pub fn activation(&self) -> Option<Activation> {
        let given = self.hidden_activation.as_deref().or(self.hidden_act.as_deref());
        match given.unwrap_or(self.family().activation) {
            "silu" => Some(Activation::Silu),
            "gelu_pytorch_tanh" => Some(Activation::GeluTanh),
            _ => None,
        }
    }

    /// Whether a linear layer has a bias.
    pub fn has_bias(&self, module: Module) -> bool {
        match (module, self.family().biases) {
            (Module::Gate | Module::Up | Module::Down, _) => self.mlp_bias,
            (Module::Output, Biases::Inputs) | (_, Biases::Never) => false,
            (_, Biases::Inputs) => true,
            (_, Biases::AsConfigured) => self.attention_bias,
        }
    }

    /// How attention scores become shares.
    pub fn scoring(&self) -> Scoring {
        let scalar = self.query_pre_attn_scalar.unwrap_or(self.head_width() as f64);
        let softcap = self.attn_logit_softcapping.map(|cap| cap as f32);
        Scoring { scale: scalar.powf(-0.5) as f32, softcap }
    }

    /// The rotary embeddings that [`LayerRule::angles`] chooses from: that of most layers, then that
    /// of layers with a window where it differs.
    pub fn rotations(&self) -> Result<Vec<Rotation>, DecoderError> {
        let family = self.family();
        let theta = self.rope_theta.unwrap_or(family.theta);
        let mut rotations = vec![Rotation::new(self, "full_attention", theta, true)?];
        if let Some(window_theta) = family.window_theta {
            let theta = self.rope_local_base_freq.unwrap_or(window_theta);
            rotations.push(Rotation::new(self, "sliding_attention", theta, false)?);
        }
        Ok(rotations)
    }

    /// What sets the attention of each layer apart.
    pub fn layer_rules(&self) -> Vec<LayerRule> {
        let rule = |layer| {
            let window = self.window().filter(|_| self.has_window(layer));
            let own = self.family().window_theta.is_some() && window.is_some();
            let angles = self.turns(layer).then_some(usize::from(own));
            LayerRule { angles, window }
        };
        (0..self.num_hidden_layers).map(rule).collect()
    }

    /// Tokens that layers with a window see.
    fn window(&self) -> Option<usize> {
        let family = self.family();
        let switched = matches!(family.windows, Windows::FromLayer | Windows::WithoutRope);
        let window = self.sliding_window.unwrap_or(family.window);
        window
            .filter(|_| family.windows != Windows::Never)
            .filter(|_| !switched || self.use_sliding_window)
    }

    fn has_window(&self, layer: usize) -> bool {
        if let Some(kind) = self.layer_types.as_ref().and_then(|types| types.get(layer)) {
            return kind == "sliding_attention";
        }
        match self.family().windows {
            Windows::Never => false,
            Windows::All => true,
            Windows::FromLayer => layer >= self.max_window_layers.unwrap_or(28),
            Windows::WithoutRope => !self.turns(layer),
            Windows::AllButEvery(n) => {
                !(layer + 1).is_multiple_of(self.sliding_window_pattern.unwrap_or(n))
            }
        }
    }

    /// Whether a layer turns queries and keys.
    fn turns(&self, layer: usize) -> bool {
        if !self.family().layers_without_rope {
            return true;
        }
        match self.no_rope_layers.as_ref().and_then(|layers| layers.get(layer)) {
            Some(turns) => *turns != 0,
            None => !(layer + 1).is_multiple_of(self.no_rope_layer_interval.unwrap_or(4)),
        }
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
        if self.head_dim.or(self.family().head_width).is_none()
            && !self.hidden_size.is_multiple_of(heads)
        {
            let rule = format!("be a multiple of the {heads} of `num_attention_heads`");
            return Err(refuse("hidden_size", &rule, self.hidden_size, MEND_CONFIG));
        }
        self.validate_numbers()?;
        self.rotations().map(|_| ())
    }

    fn validate_sizes(&self) -> Result<(), DecoderError> {
        let sizes = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.kv_heads()),
            ("vocab_size", self.vocab_size),
            ("head_dim", self.head_width()),
            ("max_position_embeddings", self.max_position_embeddings),
            ("sliding_window", self.window().unwrap_or(1)),
            ("sliding_window_pattern", self.sliding_window_pattern.unwrap_or(1)),
            ("no_rope_layer_interval", self.no_rope_layer_interval.unwrap_or(1)),
        ];
        if let Some((field, value)) = sizes.into_iter().find(|&(_, value)| value == 0) {
            return Err(refuse(field, "be above zero", value, MEND_CONFIG));
        }
        // What is listed per layer is made before any tensor is looked for.
        let layers = ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS);
        let head = ("head_dim", self.head_width(), WIDEST_HEAD);
        let bounded = sizes.map(|(field, value)| (field, value, MOST_WIDE));
        match bounded.into_iter().chain([layers, head]).find(|&(_, value, most)| value > most) {
            Some((field, value, most)) => {
                Err(refuse(field, &format!("be at most {most}"), value, MEND_CONFIG))
            }
            None => Ok(()),
        }
    }

    fn validate_numbers(&self) -> Result<(), DecoderError> {
        let numbers = [
            ("rms_norm_eps", Some(self.rms_norm_eps)),
            ("rope_theta", self.rope_theta),
            ("rope_local_base_freq", self.rope_local_base_freq),
            ("query_pre_attn_scalar", self.query_pre_attn_scalar),
            ("attn_logit_softcapping", self.attn_logit_softcapping),
            ("final_logit_softcapping", self.final_logit_softcapping),
        ];
        for (field, value) in numbers {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
                return Err(refuse(field, "be a number above zero", value, MEND_CONFIG));
            }
        }
        Ok(())
    }

    fn validate_family(&self) -> Result<(), DecoderError> {
        if self.known_family().is_none() {
            let (field, given) = match self.architectures.as_deref() {
                Some(names @ [_, ..]) => ("architectures", names.join(", ")),
                _ => ("model_type", self.model_type.clone().unwrap_or_default()),
            };
            let rule = format!("name one of {}", supported());
            return Err(refuse(field, &rule, given, OTHER_MODEL));
        }
        let family = self.family();
        if let Some(name) = self.model_type.as_ref().filter(|name| *name != family.model_type) {
            let rule = format!("be `{}`, as `{}` is", family.model_type, family.architecture);
            return Err(refuse("model_type", &rule, name, OTHER_MODEL));
        }
        if self.activation().is_none() {
            let given = self.hidden_activation.as_ref().or(self.hidden_act.as_ref());
            let given = given.map_or("", String::as_str);
            return Err(refuse(
                "hidden_act",
                "be `silu` or `gelu_pytorch_tanh`",
                given,
                OTHER_MODEL,
            ));
        }
        if self.use_bidirectional_attention == Some(true) {
            return Err(refuse("use_bidirectional_attention", "be false", true, OTHER_MODEL));
        }
        if let Some(settings) = &self.quantization_config {
            return Err(refuse("quantization_config", "be absent", settings, OTHER_MODEL));
        }
        let known =
            |kind: &&String| ["full_attention", "sliding_attention"].contains(&kind.as_str());
        if let Some(kind) = self.layer_types.iter().flatten().find(|kind| !known(kind)) {
            let rule = "hold `full_attention` and `sliding_attention` alone";
            return Err(refuse("layer_types", rule, kind, OTHER_MODEL));
        }
        Ok(())
    }
}

pub(super) const MEND_CONFIG: &str =
    "Mend config.json; its values must be those the weights were made with.";
pub(super) const OTHER_MODEL: &str = "Use a checkpoint without this feature.";

pub(super) fn refuse(
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
        assert_eq!(config.rotations().unwrap()[0].theta, 500_000.0);
        assert_eq!(config.eos_token_id, Some(TokenIds::Many(vec![1, 2])));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<DecoderConfig>(&text).unwrap(), config);
    }

    #[test]
    fn tokens_that_nobody_asks_for_may_be_anything() {
        let config = read(json!({"bos_token_id": [1, 2], "pad_token_id": -1}));
        config.validate().unwrap();
        assert_eq!(
            (config.bos_token_id, config.pad_token_id),
            (Some(json!([1, 2])), Some(json!(-1)))
        );
    }

    #[test]
    fn newer_rotary_settings_come_first() {
        let config = read(json!({"rope_parameters": {"rope_type": "default", "rope_theta": 7.0}}));
        config.validate().unwrap();
        assert_eq!(config.rotations().unwrap()[0].theta, 7.0);
    }

    #[test]
    fn every_family_has_its_layers() {
        let rules = |architecture: &str, mut change: serde_json::Value| {
            let fields = change.as_object_mut().unwrap();
            fields.insert("architectures".to_owned(), json!([architecture]));
            fields.insert("model_type".to_owned(), json!(null));
            fields.insert("num_hidden_layers".to_owned(), json!(7));
            let config = read(change);
            config.validate().unwrap();
            let rule = |rule: LayerRule| (rule.angles, rule.window);
            config.layer_rules().into_iter().map(rule).collect::<Vec<_>>()
        };
        let (plain, window) = ((Some(0), None), (Some(0), Some(4096)));
        let all = |rule| vec![rule; 7];
        assert_eq!(rules("LlamaForCausalLM", json!({"sliding_window": 9})), all(plain));
        assert_eq!(rules("MistralForCausalLM", json!({})), all(window));
        assert_eq!(rules("MistralForCausalLM", json!({"sliding_window": null})), all(plain));
        let unused = json!({"sliding_window": 9, "use_sliding_window": false});
        assert_eq!(rules("Qwen2ForCausalLM", unused), all(plain));
        let used = json!({"use_sliding_window": true, "max_window_layers": 5});
        assert_eq!(rules("Qwen3ForCausalLM", used), [vec![plain; 5], vec![window; 2]].concat());
        let smol = rules("SmolLM3ForCausalLM", json!({}));
        assert_eq!((smol[2], smol[3], smol[4]), (plain, (None, None), plain));
        let given = json!({"no_rope_layers": [0, 1, 1, 1, 1, 1, 1], "no_rope_layer_interval": 2});
        assert_eq!(rules("SmolLM3ForCausalLM", given)[..2], [(None, None), plain]);
        let gemma2 = rules("Gemma2ForCausalLM", json!({}));
        assert_eq!(gemma2[..3], [window, plain, window]);
        let own = (Some(1), Some(512));
        let gemma3 = rules("Gemma3ForCausalLM", json!({"sliding_window": 512}));
        assert_eq!(gemma3, [vec![own; 5], vec![plain, own]].concat());
        let types = ["full_attention", "sliding_attention"].repeat(4);
        let gemma3 =
            rules("Gemma3ForCausalLM", json!({"sliding_window": 512, "layer_types": types}));
        assert_eq!(gemma3[..2], [plain, own]);
    }

    #[test]
    fn refuses_what_it_cannot_compute() {
        let cases = [
            (json!({"architectures": ["PhiForCausalLM"]}), "architectures"),
            (json!({"architectures": null, "model_type": "phi"}), "model_type"),
            (json!({"model_type": "qwen2"}), "model_type"),
            (json!({"hidden_act": "gelu"}), "hidden_act"),
            (json!({"quantization_config": {"bits": 4}}), "quantization_config"),
            (json!({"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}), "rope_scaling"),
            (json!({"layer_types": ["full_attention", "linear_attention"]}), "layer_types"),
            (json!({"use_bidirectional_attention": true}), "use_bidirectional_attention"),
            (
                json!({"architectures": null, "model_type": "mistral", "sliding_window": 0}),
                "sliding_window",
            ),
            (json!({"num_key_value_heads": 3}), "num_key_value_heads"),
            (json!({"num_key_value_heads": 0}), "num_key_value_heads"),
            (json!({"num_attention_heads": 6}), "hidden_size"),
            (json!({"head_dim": 15}), "head_dim"),
            (json!({"head_dim": 0}), "head_dim"),
            (json!({"head_dim": 4_000_000_000_u64}), "head_dim"),
            (json!({"vocab_size": 0}), "vocab_size"),
            (json!({"num_hidden_layers": 4_000_000_000_u64}), "num_hidden_layers"),
            (json!({"hidden_size": 4_000_000_000_u64}), "hidden_size"),
            (json!({"rope_theta": -1.0}), "rope_theta"),
        ];
        for (change, field) in cases {
            let error = read(change.clone()).validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{field}` must ")), "{change}: {error}");
            assert!(error.contains('\n'), "no way out: {error}");
        }
    }
}
