//! Adapters in the layout of Hugging Face's PEFT library: `adapter_config.json` beside
//! `adapter_model.safetensors`.
//!
//! One field more than PEFT's says which base model's weights the adapter was made for: the same
//! name is often given to different weights. The same adapter gives the same bytes.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::marker::PhantomData;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use half::f16;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorInfo, TensorView};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::TuningError;
use super::atomic::write_atomic;
use crate::decoder::{DecoderConfig, LoraAdapter, LoraConfig};
use crate::weights::check_length;

/// Settings file.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// Tensor file; its SHA-256 is the adapter's hash.
pub const MODEL_FILE: &str = "adapter_model.safetensors";

/// Largest head of a tensors' file that is read, in bytes; that of a thousand tensors is a tenth.
const LONGEST_HEAD: u64 = 10 << 20;

/// The fields of `adapter_config.json` that matter here. Fields that change the arithmetic are read
/// to be refused; others are ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AdapterConfig {
    peft_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_type: Option<String>,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    target_modules: Modules,
    #[serde(default = "none")]
    bias: String,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default, skip_serializing)]
    use_qalora: bool,
    #[serde(default, skip_serializing)]
    lora_bias: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    inference_mode: bool,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rank_pattern: Option<Pattern<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alpha_pattern: Option<Pattern<f64>>,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    polylogue_base_sha256: Option<String>,
}

/// PEFT writes a list of names, or one word such as `all-linear`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Modules {
    List(Vec<String>),
    Word(String),
}

/// Values by regular expression, in the order of the file: the first that fits counts.
#[derive(Debug, Clone)]
struct Pattern<T>(Vec<(String, T)>);

impl<T: Clone> Pattern<T> {
    fn new(values: &[(String, T)]) -> Option<Self> {
        (!values.is_empty()).then(|| Self(values.to_vec()))
    }
}

impl<T: Serialize> Serialize for Pattern<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(pattern, value)| (pattern, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pattern<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Vec<(String, T)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of values by pattern")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData)).map(Self)
    }
}

fn none() -> String {
    "none".to_owned()
}

/// Saves an adapter into `folder` with tensors in f16, and returns the SHA-256 of its tensors'
/// file. `base_name` and `base_hash` (SHA-256 of the weights) say which model it changes.
///
/// # Errors
/// A value that f16 cannot hold, or a file that cannot be written; each file is whole or absent.
pub fn save(
    folder: &Path,
    adapter: &LoraAdapter,
    base_name: &str,
    base_hash: &str,
) -> Result<String, TuningError> {
    let path = folder.join(MODEL_FILE);
    let fail = |problem: String| TuningError::format(&path, problem, "Tune with a lower rate.");
    let mut tensors = Vec::new();
    for (name, tensor) in adapter.parameters() {
        let tensor = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?;
        let halves: Vec<f16> = tensor.to_vec1::<f32>()?.into_iter().map(f16::from_f32).collect();
        if halves.iter().any(|half| !half.is_finite()) {
            return Err(fail(format!("cannot hold `{name}`: a value is beyond the range of f16")));
        }
        let bytes: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        tensors.push((name, bytes));
    }
    let shapes: HashMap<String, Vec<usize>> =
        adapter.parameters().into_iter().map(|(name, t)| (name, t.dims().to_vec())).collect();
    let views = tensors
        .iter()
        .map(|(name, bytes)| Ok((name, TensorView::new(Dtype::F16, shapes[name].clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| fail(error.to_string()))?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes =
        safetensors::serialize(views, Some(metadata)).map_err(|error| fail(error.to_string()))?;
    let config = serde_json::to_string_pretty(&config_of(adapter, base_name, base_hash))
        .map_err(|error| fail(error.to_string()))?;
    // The settings go first: without its tensors a folder is refused, never half-used.
    write_atomic(&folder.join(CONFIG_FILE), config.as_bytes())?;
    write_atomic(&path, &bytes)?;
    Ok(format!("{:x}", Sha256::digest(&bytes)))
}

fn config_of(adapter: &LoraAdapter, base_name: &str, base_hash: &str) -> AdapterConfig {
    AdapterConfig {
        peft_type: "LORA".to_owned(),
        task_type: Some("CAUSAL_LM".to_owned()),
        r: adapter.config.r,
        lora_alpha: adapter.config.alpha,
        lora_dropout: adapter.config.dropout,
        target_modules: Modules::List(adapter.config.target_modules.clone()),
        bias: none(),
        use_dora: false,
        use_qalora: false,
        lora_bias: false,
        use_rslora: adapter.config.rslora,
        fan_in_fan_out: false,
        inference_mode: true,
        modules_to_save: None,
        rank_pattern: Pattern::new(&adapter.config.rank_pattern),
        alpha_pattern: Pattern::new(&adapter.config.alpha_pattern),
        base_model_name_or_path: Some(base_name.to_owned()),
        polylogue_base_sha256: Some(base_hash.to_owned()),
    }
}

/// Loads an adapter for the model of `base` whose weights have the SHA-256 `base_hash`, as f32 on
/// `device`; also returns the SHA-256 of its tensors' file. An adapter that does not say which
/// weights it was made for is taken if its shapes fit.
///
/// # Errors
/// A missing, broken or cut file; an adapter for other weights, of another kind, with missing or
/// surplus tensors, or of wrong shapes.
pub fn load(
    folder: &Path,
    base: &DecoderConfig,
    base_hash: &str,
    device: &Device,
) -> Result<(LoraAdapter, String), TuningError> {
    let read = |path: &Path| std::fs::read(path).map_err(TuningError::read(path));
    let (config, model) = (folder.join(CONFIG_FILE), folder.join(MODEL_FILE));
    // A file that isn't what it says is refused before it is in memory, however long it is.
    File::open(&model).map_err(TuningError::read(&model))?;
    check_length(&model).map_err(|reason| not_whole(&model, &reason))?;
    from_bytes(folder, &read(&config)?, &read(&model)?, base, base_hash, device)
}

fn not_whole(model: &Path, reason: &dyn fmt::Display) -> TuningError {
    let problem = format!("is not a whole safetensors file: {reason}");
    TuningError::format(model, problem, "Copy or download it again.")
}

/// The name in the text model, of which a model that also sees is made; both of its orders are in use.
fn of_text_model(name: &str) -> String {
    name.replacen(".language_model.model.", ".model.", 1).replacen(
        ".model.language_model.",
        ".model.",
        1,
    )
}

/// Bytes that the adapter in `folder` will take in memory; reads no more than the head of its
/// tensors' file. `None` where that can't be read, for [`load`] to explain.
pub fn bytes_in_memory(folder: &Path) -> Option<usize> {
    let mut file = File::open(folder.join(MODEL_FILE)).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let mut head = length.to_vec();
    file.take(u64::from_le_bytes(length).min(LONGEST_HEAD)).read_to_end(&mut head).ok()?;
    bytes_of_tensors(&head)
}

/// The same from the contents of the tensors' file, or from its head alone.
pub fn bytes_of_tensors(model: &[u8]) -> Option<usize> {
    let length = u64::from_le_bytes(*model.first_chunk::<8>()?);
    let end = usize::try_from(length).ok()?.checked_add(8)?;
    let head: Metadata = serde_json::from_slice(model.get(8..end)?).ok()?;
    let values = |tensor: &&TensorInfo| tensor.shape.iter().product::<usize>();
    Some(head.tensors().values().map(values).sum::<usize>() * size_of::<f32>())
}

/// [`load`] from the files' contents, such as adapters inside the binary; `folder` names them in
/// errors.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(
    folder: &Path,
    config: &[u8],
    model: &[u8],
    base: &DecoderConfig,
    base_hash: &str,
    device: &Device,
) -> Result<(LoraAdapter, String), TuningError> {
    let (config_path, model_path) = (folder.join(CONFIG_FILE), folder.join(MODEL_FILE));
    let config: AdapterConfig = serde_json::from_slice(config).map_err(|error| {
        let problem = format!("is not an adapter's settings: {error}");
        TuningError::format(&config_path, problem, "Save the adapter again.")
    })?;
    config.check(&config_path, base_hash)?;
    let broken = |error: &dyn fmt::Display| not_whole(&model_path, error);
    let file = SafeTensors::deserialize(model).map_err(|error| broken(&error))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        let tensor = to_tensor(&view, device).map_err(|error| broken(&error))?;
        tensors.insert(of_text_model(&name), tensor);
    }
    let lora = LoraConfig {
        r: config.r,
        alpha: config.lora_alpha,
        target_modules: config.modules(),
        rslora: config.use_rslora,
        rank_pattern: config.rank_pattern.map(|pattern| pattern.0).unwrap_or_default(),
        alpha_pattern: config.alpha_pattern.map(|pattern| pattern.0).unwrap_or_default(),
        dropout: config.lora_dropout,
    };
    let adapter = LoraAdapter::from_tensors(base, lora, &tensors).map_err(|error| {
        let text = error.to_string();
        let (problem, hint) =
            text.split_once('\n').unwrap_or((&text, "Use an adapter of this model."));
        TuningError::format(&model_path, format!("does not fit: {problem}"), hint)
    })?;
    Ok((adapter, format!("{:x}", Sha256::digest(model))))
}

impl AdapterConfig {
    /// Refuses what would be computed wrongly, by name.
    fn check(&self, path: &Path, base_hash: &str) -> Result<(), TuningError> {
        let refuse = |field: &str, rule: &str, given: String| {
            let problem = format!("is not supported: `{field}` must be {rule}, got `{given}`");
            Err(TuningError::format(path, problem, "Use a plain LoRA adapter."))
        };
        if self.peft_type != "LORA" {
            return refuse("peft_type", "`LORA`", self.peft_type.clone());
        }
        if self.bias != "none" {
            return refuse("bias", "`none`", self.bias.clone());
        }
        for (field, set) in [
            ("use_dora", self.use_dora),
            ("use_qalora", self.use_qalora),
            ("lora_bias", self.lora_bias),
            ("fan_in_fan_out", self.fan_in_fan_out),
        ] {
            if set {
                return refuse(field, "`false`", "true".to_owned());
            }
        }
        if let Some(modules) = self.modules_to_save.as_ref().filter(|list| !list.is_empty()) {
            return refuse("modules_to_save", "empty", modules.join(", "));
        }
        if let Modules::Word(word) = &self.target_modules
            && word != "all-linear"
        {
            return refuse("target_modules", "a list of names or `all-linear`", word.clone());
        }
        match &self.polylogue_base_sha256 {
            Some(made_for) if made_for != base_hash => {
                let short = |hash: &str| hash.chars().take(12).collect::<String>();
                let problem = format!(
                    "was tuned for base weights `{}`, but the loaded model has `{}`",
                    short(made_for),
                    short(base_hash)
                );
                let hint = "Load the model it was made for, or tune an adapter for this one.";
                Err(TuningError::format(path, problem, hint))
            }
            _ => Ok(()),
        }
    }

    fn modules(&self) -> Vec<String> {
        match &self.target_modules {
            Modules::List(list) => list.clone(),
            Modules::Word(_) => LoraConfig::default().target_modules,
        }
    }
}

/// A tensor in f32, from f32, f16 or bf16.
fn to_tensor(view: &TensorView<'_>, device: &Device) -> candle_core::Result<Tensor> {
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        other => candle_core::bail!("tensors of type {other:?} are not read"),
    };
    Tensor::from_raw_buffer(view.data(), dtype, view.shape(), device)?.to_dtype(DType::F32)
}

#[cfg(test)]
#[path = "peft_tests.rs"]
mod tests;
