//! A random model of a published shape with 18 random adapters, made once per folder.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use domain::random::SplitMix64;
use half::bf16;
use rayon::prelude::*;
use serde_json::json;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::BenchError;
use super::shape::Shape;
use super::workload::{VOICES, Workload};
use engine::decoder::init::parameter_shapes;
use engine::decoder::{DecoderConfig, LoraAdapter, LoraConfig};
use engine::gguf::names::file_name;
use engine::testing::{TEMPLATE, write_tokenizer};
use engine::tuning::peft;
use engine::weights::shard_names;
use engine::{ModelSource, WeightFormat};

/// Where the files of the bench are.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
    shape: Shape,
}

impl Files {
    /// The model's shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

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
        self.shape.config().vocab_size
    }

    /// The work.
    pub fn workload(&self) -> PathBuf {
        self.folder.join("workload.json")
    }

    /// The model to load for a form of the matrices: the GGUF file where it is kept as it is stored.
    pub fn source(&self, weights: WeightFormat) -> ModelSource {
        match weights {
            WeightFormat::Stored if self.shape.has_gguf() => ModelSource::Gguf(self.gguf()),
            _ => ModelSource::Folder(self.model()),
        }
    }

    /// The files of a shape below a folder that [`make`] has filled.
    pub fn at(folder: &Path, shape: Shape) -> Self {
        Self { folder: folder.join(shape.as_str()), shape }
    }
}

/// Makes what is missing below `folder`; `progress` hears what is being made.
pub fn make(
    folder: &Path,
    shape: Shape,
    mut progress: impl FnMut(&str),
) -> Result<Files, BenchError> {
    let files = Files::at(folder, shape);
    let config = shape.config();
    let model = files.model();
    std::fs::create_dir_all(&model).map_err(BenchError::file(&model))?;
    Workload::new(config.vocab_size).write(&files.workload())?;
    let path = model.join("config.json");
    if !path.is_file() {
        let weights = shape.layer_weights() + 2 * shape.head_weights();
        let gigabytes = 2.0 * weights as f64 / 1e9;
        progress(&format!("a random model of the shape of {shape}, up to {gigabytes:.0} GB"));
        write_tokenizer(&model);
        write_weights(&model, &config, SHARD)?;
        // The last one: where it is, the weights are whole.
        let text = serde_json::to_vec_pretty(&config_json(&config)).map_err(BenchError::model)?;
        std::fs::write(&path, text).map_err(BenchError::file(&path))?;
    }
    if shape.has_gguf() && !files.gguf().is_file() {
        progress("the same model as a GGUF file with Q8_0");
        write_gguf(&config, &model, &files.gguf())?;
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

/// Bytes of a file of weights.
const SHARD: usize = 2 << 30;

/// Writes random bf16 weights in files of about `shard` bytes, with an index of them: no more than one
/// file's weights are in memory.
fn write_weights(folder: &Path, config: &DecoderConfig, shard: usize) -> Result<(), BenchError> {
    let mut index = serde_json::Map::new();
    let (mut tensors, mut bytes, mut file) = (HashMap::new(), 0, 1);
    let parameters = parameter_shapes(config);
    let last = parameters.len().saturating_sub(1);
    for (place, (name, shape)) in parameters.into_iter().enumerate() {
        let tensor = random_weight(&name, shape, place as u64).map_err(BenchError::model)?;
        bytes += 2 * tensor.elem_count();
        let path = format!("model-{file:05}.safetensors");
        index.insert(name.clone(), json!(path));
        tensors.insert(name, tensor);
        if bytes >= shard || place == last {
            candle_core::safetensors::save(&tensors, folder.join(path))
                .map_err(BenchError::model)?;
            (tensors, bytes, file) = (HashMap::new(), 0, file + 1);
        }
    }
    let path = folder.join("model.safetensors.index.json");
    let text = json!({ "metadata": {}, "weight_map": index }).to_string();
    std::fs::write(&path, text).map_err(BenchError::file(&path))
}

/// Norms of one, biases of zero, and matrices with the deviation of fresh ones (0.02), evenly spread.
fn random_weight(name: &str, shape: Vec<usize>, seed: u64) -> candle_core::Result<Tensor> {
    const CHUNK: usize = 1 << 16;
    let width = 0.02 * 3_f64.sqrt();
    let count: usize = shape.iter().product();
    let mut values = vec![bf16::ONE; count];
    if name.ends_with(".bias") {
        values.fill(bf16::ZERO);
    } else if shape.len() > 1 {
        values.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, values)| {
            let mut random = SplitMix64::new(seed << 32 | chunk as u64);
            for value in values {
                *value = bf16::from_f64((2.0 * random.unit() - 1.0) * width);
            }
        });
    }
    Tensor::from_vec(values, shape, &Device::Cpu)
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
fn write_gguf(config: &DecoderConfig, model: &Path, path: &Path) -> Result<(), BenchError> {
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
        let index = model.join("model.safetensors.index.json");
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        for file in shard_names(&index).map_err(candle_core::Error::wrap)? {
            tensors.extend(candle_core::safetensors::load(model.join(file), &Device::Cpu)?);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use engine::testing::tiny_config;

    #[test]
    fn a_model_in_several_files_is_loaded_whole() {
        let folder = tempfile::tempdir().unwrap();
        let config = tiny_config();
        write_tokenizer(folder.path());
        write_weights(folder.path(), &config, 4096).unwrap();
        std::fs::write(folder.path().join("config.json"), config_json(&config).to_string())
            .unwrap();
        let source = ModelSource::Folder(folder.path().to_owned());
        let model = engine::LoadedModel::load(&source, &Device::Cpu).unwrap();
        let weights = parameter_shapes(&config);
        let count: usize = weights.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(model.info.parameters, count);
        assert!(folder.path().join("model-00002.safetensors").is_file());
    }
}
