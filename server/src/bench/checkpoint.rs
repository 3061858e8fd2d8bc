//! A random model of the shape of Qwen2.5-0.5B with 18 random adapters, made once per folder.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use serde_json::json;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::BenchError;
use super::workload::{VOICES, Workload};
use engine::decoder::{DecoderConfig, LoraAdapter, LoraConfig, TokenIds, init_parameters};
use engine::gguf::names::file_name;
use engine::testing::{TEMPLATE, write_tokenizer};
use engine::tuning::peft;
use engine::{ModelSource, WeightFormat};

/// The model's config.json: Qwen2.5-0.5B's sizes (Qwen2.5 technical report, table 1, and its
/// published configuration).
fn config() -> DecoderConfig {
    DecoderConfig {
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
        // Nothing that the measures draw ends a reply.
        eos_token_id: Some(TokenIds::One(4)),
        ..DecoderConfig::default()
    }
}

/// Where the files of the bench are.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// The model's folder.
    pub fn model(&self) -> PathBuf {
        self.folder.join("model")
    }

    /// The same model as a GGUF file.
    pub fn gguf(&self) -> PathBuf {
        self.folder.join("model-q8_0.gguf")
    }

    /// The folder of the adapters' folders.
    pub fn adapters(&self) -> PathBuf {
        self.folder.join("adapters")
    }

    /// The folder of one voice's adapter.
    pub fn adapter(&self, voice: usize) -> PathBuf {
        self.adapters().join(voice.to_string())
    }

    /// The adapter that tuning begins with: it changes nothing yet.
    pub fn first_adapter(&self) -> PathBuf {
        self.adapters().join("first")
    }

    /// What is learnt in tuning.
    pub fn tuning(&self) -> PathBuf {
        self.folder.join("tuning.json")
    }

    /// Number of tokens that the model knows.
    pub fn vocabulary(&self) -> usize {
        config().vocab_size
    }

    /// The work.
    pub fn workload(&self) -> PathBuf {
        self.folder.join("workload.json")
    }

    /// The model to load for a form of the matrices: the GGUF file where it is kept as it is stored.
    pub fn source(&self, weights: WeightFormat) -> ModelSource {
        match weights {
            WeightFormat::Stored => ModelSource::Gguf(self.gguf()),
            _ => ModelSource::Folder(self.model()),
        }
    }

    /// The files in a folder that [`make`] has filled.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }
}

/// Makes what is missing in `folder`; `progress` hears what is being made.
pub fn make(folder: &Path, mut progress: impl FnMut(&str)) -> Result<Files, BenchError> {
    let files = Files::at(folder);
    let config = config();
    let model = files.model();
    let weights = model.join("model.safetensors");
    std::fs::create_dir_all(&model).map_err(BenchError::file(&model))?;
    Workload::new(config.vocab_size).write(&files.workload())?;
    if !weights.is_file() {
        progress("a random model of the shape of Qwen2.5-0.5B, 1 GB");
        write_tokenizer(&model);
        let path = model.join("config.json");
        let text = serde_json::to_vec_pretty(&config_json(&config)).map_err(BenchError::model)?;
        std::fs::write(&path, text).map_err(BenchError::file(&path))?;
        let half = |(name, tensor): (String, candle_core::Var)| {
            Ok((name, tensor.as_tensor().detach().to_dtype(DType::BF16)?))
        };
        let tensors = init_parameters(&config, 1, &Device::Cpu).map_err(BenchError::model)?;
        let tensors: candle_core::Result<HashMap<String, Tensor>> =
            tensors.into_iter().map(half).collect();
        // Under another name first: a file that is there is whole.
        let unfinished = model.join("model.safetensors.part");
        candle_core::safetensors::save(&tensors.map_err(BenchError::model)?, &unfinished)
            .map_err(BenchError::model)?;
        std::fs::rename(&unfinished, &weights).map_err(BenchError::file(&weights))?;
    }
    if !files.gguf().is_file() {
        progress("the same model as a GGUF file with Q8_0, 0.5 GB");
        write_gguf(&config, &weights, &files.gguf())?;
    }
    if !files.first_adapter().join("adapter_model.safetensors").is_file() {
        progress("19 random adapters");
        for voice in 0..VOICES {
            let adapter = adapter(&config, voice as u64).map_err(BenchError::model)?;
            save(&files.adapter(voice), &adapter, &model)?;
        }
        let first = LoraAdapter::init(&config, LoraConfig::default(), 100, &Device::Cpu);
        save(&files.first_adapter(), &first.map_err(BenchError::model)?, &model)?;
    }
    Ok(files)
}

/// Saves an adapter whose settings say nothing of the weights it belongs to: the model is there in
/// several files.
fn save(folder: &Path, adapter: &LoraAdapter, model: &Path) -> Result<(), BenchError> {
    let base = model.display().to_string();
    peft::save(folder, adapter, &base, "").map_err(BenchError::model)?;
    let path = &folder.join("adapter_config.json");
    let text = std::fs::read(path).map_err(BenchError::file(path))?;
    let mut config: serde_json::Value = serde_json::from_slice(&text).map_err(BenchError::model)?;
    if let Some(fields) = config.as_object_mut() {
        fields.remove("polylogue_base_sha256");
    }
    let text = serde_json::to_vec_pretty(&config).map_err(BenchError::model)?;
    std::fs::write(path, text).map_err(BenchError::file(path))
}

/// The names that Hugging Face's library wants beyond the decoder's own.
fn config_json(config: &DecoderConfig) -> serde_json::Value {
    let mut value = json!(config);
    value["hidden_act"] = json!("silu");
    value["use_sliding_window"] = json!(false);
    value["torch_dtype"] = json!("bfloat16");
    value
}

/// The model as llama.cpp's converter would write it, with a vocabulary of the model's size.
fn write_gguf(config: &DecoderConfig, weights: &Path, path: &Path) -> Result<(), BenchError> {
    let text = |text: &str| Value::String(text.to_owned());
    let number = |number: usize| Value::U32(number as u32);
    let bytes = ByteLevel::alphabet().into_iter().map(|byte| byte.to_string());
    // llama.cpp wants at least one merge.
    let merged = std::iter::once("ab".to_owned());
    let unused = (257..config.vocab_size).map(|id| format!("<unused{id}>"));
    let mut tokens: Vec<String> = bytes.chain(merged).chain(unused).collect();
    tokens[..256].sort_unstable();
    let end = tokens.len() - 1;
    let kinds = (0..tokens.len()).map(|id| Value::I32(if id == end { 3 } else { 1 }));
    let values = [
        ("general.architecture", text("qwen2")),
        ("general.name", text("bench")),
        ("qwen2.block_count", number(config.num_hidden_layers)),
        ("qwen2.context_length", number(config.max_position_embeddings)),
        ("qwen2.embedding_length", number(config.hidden_size)),
        ("qwen2.feed_forward_length", number(config.intermediate_size)),
        ("qwen2.attention.head_count", number(config.num_attention_heads)),
        ("qwen2.attention.head_count_kv", number(config.kv_heads())),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::F32(config.rms_norm_eps as f32)),
        ("qwen2.rope.freq_base", Value::F32(1e6)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("qwen2")),
        ("tokenizer.ggml.token_type", Value::Array(kinds.collect())),
        ("tokenizer.ggml.merges", Value::Array(vec![text("a b")])),
        ("tokenizer.ggml.eos_token_id", number(end)),
        ("tokenizer.chat_template", text(TEMPLATE)),
        ("tokenizer.ggml.tokens", Value::Array(tokens.into_iter().map(Value::String).collect())),
    ];
    let write = || -> candle_core::Result<()> {
        let tensors = candle_core::safetensors::load(weights, &Device::Cpu)?;
        let mut tensors: Vec<(String, Tensor)> = tensors.into_iter().collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        let quantise = |(name, tensor): (String, Tensor)| {
            let kind = if tensor.rank() == 2 { GgmlDType::Q8_0 } else { GgmlDType::F32 };
            Ok((file_name(&name, false), QTensor::quantize(&tensor.to_dtype(DType::F32)?, kind)?))
        };
        let tensors: candle_core::Result<Vec<_>> = tensors.into_iter().map(quantise).collect();
        let tensors = tensors?;
        let values: Vec<(&str, &Value)> = values.iter().map(|(key, v)| (*key, v)).collect();
        let tensors: Vec<_> = tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
        let unfinished = path.with_extension("part");
        let mut file = BufWriter::new(File::create(&unfinished)?);
        gguf_file::write(&mut file, &values, &tensors)?;
        file.flush()?;
        Ok(std::fs::rename(&unfinished, path)?)
    };
    write().map_err(BenchError::model)
}

/// An adapter of all linear layers whose second factors aren't zero.
fn adapter(
    config: &DecoderConfig,
    seed: u64,
) -> Result<LoraAdapter, engine::decoder::DecoderError> {
    let fresh = LoraAdapter::init(config, LoraConfig::default(), seed, &Device::Cpu)?;
    let change = |(name, tensor): (String, Tensor)| {
        let tensor = match name.ends_with("lora_B.weight") {
            true => Tensor::randn(0_f32, 0.02, tensor.dims(), &Device::Cpu)?,
            false => tensor.detach(),
        };
        Ok((name, tensor))
    };
    let tensors: candle_core::Result<HashMap<String, Tensor>> =
        fresh.parameters().into_iter().map(change).collect();
    LoraAdapter::from_tensors(config, fresh.config.clone(), &tensors?)
}
