//! A random model of the shape of Qwen2.5-0.5B with 18 random adapters, made once per folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::json;

use super::BenchError;
use super::workload::{VOICES, Workload};
use crate::engine::decoder::{DecoderConfig, LoraAdapter, LoraConfig, TokenIds, init_parameters};
use crate::engine::testing::write_tokenizer;
use crate::engine::weights::Weights;
use crate::tuning::peft;

/// The model's config.json: Qwen2.5-0.5B's sizes (Qwen2.5 technical report, table 1, and its
/// published configuration).
fn config() -> DecoderConfig {
    DecoderConfig {
        architectures: vec!["Qwen2ForCausalLM".to_owned()],
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

    /// The work.
    pub fn workload(&self) -> PathBuf {
        self.folder.join("workload.json")
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
    if !files.adapter(VOICES - 1).join("adapter_model.safetensors").is_file() {
        progress("18 random adapters");
        let hash = Weights::find(&model).and_then(|found| found.hash());
        let hash = hash.map_err(BenchError::model)?;
        for voice in 0..VOICES {
            let adapter = adapter(&config, voice as u64).map_err(BenchError::model)?;
            let base = model.display().to_string();
            peft::save(&files.adapter(voice), &adapter, &base, &hash).map_err(BenchError::model)?;
        }
    }
    Ok(files)
}

/// The names that Hugging Face's library wants beyond the decoder's own.
fn config_json(config: &DecoderConfig) -> serde_json::Value {
    let mut value = json!(config);
    value["hidden_act"] = json!("silu");
    value["use_sliding_window"] = json!(false);
    value["torch_dtype"] = json!("bfloat16");
    value
}

/// An adapter of all linear layers whose second factors aren't zero.
fn adapter(
    config: &DecoderConfig,
    seed: u64,
) -> Result<LoraAdapter, crate::engine::decoder::DecoderError> {
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
