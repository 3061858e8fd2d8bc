//! A tiny random model in the layout of a real one, for tests here and in other crates.
//!
//! Always compiled, since tests of the whole server live in a crate of their own. Nothing of the
//! product uses it.
#![expect(clippy::expect_used, reason = "a test that can't write its own files has to stop")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use domain::random::SplitMix64;
use serde_json::json;
use tempfile::TempDir;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::decoder::init::parameter_shapes;
use super::decoder::{DecoderConfig, LoraAdapter, LoraConfig, TokenIds};

/// The starter's chat template.
pub const TEMPLATE: &str = "{% for message in messages %}{{ '<|' + message.role + '|>' + \
    message.content | trim + '<|end|>' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

const SPECIALS: [&str; 5] = ["<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"];
const END: u32 = 4;

/// Sizes of the tiny model: 2 layers, one token per byte, and room for 512 tokens.
pub fn tiny_config() -> DecoderConfig {
    DecoderConfig {
        hidden_size: 32,
        intermediate_size: 48,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        vocab_size: 264,
        max_position_embeddings: 512,
        tie_word_embeddings: Some(true),
        eos_token_id: Some(TokenIds::One(END)),
        ..DecoderConfig::default()
    }
}

/// A folder with the tiny model of seed 1.
pub fn tiny_model_dir() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    write_model(folder.path(), &tiny_config(), 1);
    folder
}

/// Writes config.json, tokenizer.json, tokenizer_config.json and model.safetensors with random
/// weights; the vocabulary must have room for 261 tokens.
pub fn write_model(folder: &Path, config: &DecoderConfig, seed: u64) {
    fs::create_dir_all(folder).expect("the folder");
    write_json(&folder.join("config.json"), &json!(config));
    write_tokenizer(folder);
    let mut random = SplitMix64::new(seed);
    // Wide enough that replies differ from one another and now and then end by themselves.
    let mut draw = |count: usize, scale: f64| -> Vec<f32> {
        (0..count).map(|_| ((random.unit() * 2.0 - 1.0) * scale) as f32).collect()
    };
    let tensors: HashMap<String, Tensor> = parameter_shapes(config)
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            let values = if shape.len() == 1 { vec![1.0; count] } else { draw(count, 0.4) };
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor");
            (name, tensor)
        })
        .collect();
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).expect("weights");
}

/// A random adapter that changes what the model says.
pub fn tiny_adapter(config: &DecoderConfig, seed: u64) -> LoraAdapter {
    let lora = LoraConfig { r: 4, ..LoraConfig::default() };
    let shapes = LoraAdapter::init(config, lora.clone(), seed, &Device::Cpu).expect("an adapter");
    let mut random = SplitMix64::new(seed);
    let tensors: HashMap<String, Tensor> = shapes
        .parameters()
        .into_iter()
        .map(|(name, tensor)| {
            let values: Vec<f32> =
                (0..tensor.elem_count()).map(|_| (random.unit() * 0.8 - 0.4) as f32).collect();
            let shape = tensor.dims().to_vec();
            (name, Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor"))
        })
        .collect();
    LoraAdapter::from_tensors(config, lora, &tensors).expect("an adapter")
}

fn write_json(path: &Path, value: &serde_json::Value) {
    fs::write(path, serde_json::to_vec_pretty(value).expect("JSON")).expect("a file");
}

/// One token per byte, after the special ones.
pub fn write_tokenizer(folder: &Path) {
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let bytes = alphabet.iter().map(char::to_string);
    let vocabulary: serde_json::Map<String, serde_json::Value> = SPECIALS
        .iter()
        .map(|special| (*special).to_owned())
        .chain(bytes)
        .enumerate()
        .map(|(id, token)| (token, json!(id)))
        .collect();
    let added: Vec<serde_json::Value> = SPECIALS
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": byte_level, "post_processor": null,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary, "merges": []},
    });
    write_json(&folder.join("tokenizer.json"), &tokenizer);
    let config = json!({"eos_token": "<|end|>", "pad_token": "<|pad|>", "chat_template": TEMPLATE});
    write_json(&folder.join("tokenizer_config.json"), &config);
}
