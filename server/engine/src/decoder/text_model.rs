//! The text model inside of a checkpoint that also sees: where its settings and its tensors are.
//!
//! The larger models of Gemma 3 are published so. What belongs to their eyes is left alone: nobody
//! asks for it.

use serde_json::{Map, Value, json};

/// Name in `architectures` of Gemma 3 with eyes.
pub const GEMMA3_WITH_EYES: &str = "Gemma3ForConditionalGeneration";
/// Its name in `model_type`.
const MODEL_TYPE: &str = "gemma3";

/// Settings that stand beside the text model's and hold for it as well.
const SHARED: [&str; 3] = ["eos_token_id", "tie_word_embeddings", "quantization_config"];

/// The settings of the text model, where `config` is that of a model that also sees; else `config`
/// itself.
pub fn text_settings(config: Value) -> Value {
    if !sees(&config) {
        return config;
    }
    let mut settings = gemma3_defaults();
    if let Some(given) = config["text_config"].as_object() {
        settings.extend(given.clone());
    }
    for name in SHARED {
        if !config[name].is_null() {
            settings.insert(name.to_owned(), config[name].clone());
        }
    }
    // Not what it may say itself, which is a class of the library that wrote the file.
    settings.insert("architectures".to_owned(), json!(["Gemma3ForCausalLM"]));
    Value::Object(settings)
}

fn sees(config: &Value) -> bool {
    match config["architectures"].as_array().map(Vec::as_slice) {
        Some(names @ [_, ..]) => names.iter().any(|name| name == GEMMA3_WITH_EYES),
        _ => config["model_type"] == MODEL_TYPE,
    }
}

/// What `Gemma3TextConfig` of transformers takes where a file leaves a setting out, which published ones
/// do with most. Those that the family decides are in [`super::family`].
fn gemma3_defaults() -> Map<String, Value> {
    let defaults = json!({
        "model_type": "gemma3_text",
        "vocab_size": 262_208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131_072,
        "query_pre_attn_scalar": 256,
        "eos_token_id": 1,
    });
    match defaults {
        Value::Object(defaults) => defaults,
        _ => Map::new(),
    }
}

/// How a checkpoint's files name the tensors of its text model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// What they have for `model.`.
    body: &'static str,
    /// What they have for `lm_head.`.
    head: &'static str,
}

impl Names {
    /// Those of a model of text alone.
    pub const PLAIN: Self = Self { body: "model.", head: "lm_head." };

    /// All known ones: of a model of text alone, and of what older and newer versions of transformers
    /// write for one that also sees.
    const ALL: [Self; 3] = [
        Self::PLAIN,
        Self { body: "language_model.model.", head: "language_model.lm_head." },
        Self { body: "model.language_model.", head: "lm_head." },
    ];

    /// Those under which the embedding is there; [`Self::PLAIN`] if it isn't there at all, so that a
    /// refusal names it as everybody knows it.
    pub fn of(is_there: impl Fn(&str) -> bool) -> Self {
        let has_embedding = |names: &Self| is_there(&names.in_file("model.embed_tokens.weight"));
        Self::ALL.into_iter().find(has_embedding).unwrap_or(Self::PLAIN)
    }

    /// What the files call the tensor that the decoder calls `name`.
    pub fn in_file(self, name: &str) -> String {
        if let Some(rest) = name.strip_prefix("model.") {
            format!("{}{rest}", self.body)
        } else if let Some(rest) = name.strip_prefix("lm_head.") {
            format!("{}{rest}", self.head)
        } else {
            name.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::DecoderConfig;

    /// What gemma-3-4b says, without its eyes.
    fn published() -> Value {
        json!({
            "architectures": [GEMMA3_WITH_EYES],
            "model_type": "gemma3",
            "eos_token_id": [1, 106],
            "image_token_index": 262_144,
            "text_config": {
                "hidden_size": 2560,
                "intermediate_size": 10_240,
                "model_type": "gemma3_text",
                "num_hidden_layers": 34,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                "sliding_window": 1024
            },
            "vision_config": {"hidden_size": 1152, "model_type": "siglip_vision_model"}
        })
    }

    #[test]
    fn a_model_that_sees_has_the_settings_of_its_text_model() {
        let config: DecoderConfig = serde_json::from_value(text_settings(published())).unwrap();
        config.validate().unwrap();
        assert_eq!(config.family().architecture, "Gemma3ForCausalLM");
        assert_eq!((config.hidden_size, config.num_hidden_layers), (2560, 34));
        assert_eq!((config.num_attention_heads, config.kv_heads()), (8, 4));
        assert_eq!((config.head_width(), config.vocab_size), (256, 262_208));
        assert_eq!(config.max_position_embeddings, 131_072);
        assert_eq!(config.sliding_window, Some(Some(1024)));
        assert!(config.tied());
        assert_eq!(config.eos_token_id, Some(crate::decoder::TokenIds::Many(vec![1, 106])));
    }

    #[test]
    fn what_holds_for_the_whole_model_holds_for_its_text() {
        let mut quantised = published();
        quantised["quantization_config"] = json!({"bits": 4});
        let config: DecoderConfig = serde_json::from_value(text_settings(quantised)).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with("`quantization_config` must"), "{error}");

        let plain = json!({"architectures": ["LlamaForCausalLM"], "text_config": {"a": 1}});
        assert_eq!(text_settings(plain.clone()), plain);
        let unnamed = json!({"model_type": "gemma3", "text_config": {"hidden_size": 640}});
        assert_eq!(text_settings(unnamed)["hidden_size"], 640);
    }

    #[test]
    fn tensors_have_the_names_that_their_files_give_them() {
        for (embedding, norm, head) in [
            ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"),
            (
                "language_model.model.embed_tokens.weight",
                "language_model.model.norm.weight",
                "language_model.lm_head.weight",
            ),
            (
                "model.language_model.embed_tokens.weight",
                "model.language_model.norm.weight",
                "lm_head.weight",
            ),
            ("something.else", "model.norm.weight", "lm_head.weight"),
        ] {
            let names = Names::of(|name| name == embedding);
            assert_eq!(names.in_file("model.norm.weight"), norm);
            assert_eq!(names.in_file("lm_head.weight"), head);
            assert_eq!(names.in_file("other"), "other");
        }
    }
}
