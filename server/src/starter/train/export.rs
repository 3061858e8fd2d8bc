//! A checkpoint as a model folder: weights in f16 with Hugging Face names, config.json, tokenizer.

use std::collections::HashMap;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, TensorView};

use super::run::RunState;
use engine::decoder::init::parameter_shapes;
use engine::tuning::TuningError;
use engine::tuning::atomic::write_atomic;
use engine::tuning::checkpoint::Checkpoints;

/// Writes the newest checkpoint of the run in `run` to `folder`, with the tokenizer's files from
/// `tokenizer`. The same checkpoint gives the same bytes.
pub fn export(run: &Path, tokenizer: &Path, folder: &Path) -> Result<(), TuningError> {
    let checkpoints = run.join("checkpoints");
    let newest = Checkpoints::new(&checkpoints, 2).newest()?.ok_or_else(|| {
        TuningError::format(
            &checkpoints,
            "holds no checkpoint",
            "Train first with `polylogue starter train`.",
        )
    })?;
    let (_, state): (u64, RunState) = newest.state()?;
    let fail = |problem: String| TuningError::format(newest.path(), problem, "Train anew.");
    let mut tensors = Vec::new();
    for (name, dims) in parameter_shapes(&state.config) {
        let values = newest.values(&format!("weight.{name}"), &dims)?;
        if values.iter().any(|value| !f16::from_f32(*value).is_finite()) {
            return Err(fail(format!("has a value in `{name}` that f16 cannot hold")));
        }
        let bytes: Vec<u8> =
            values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
        tensors.push((name, dims, bytes));
    }
    let views = tensors
        .iter()
        .map(|(name, dims, bytes)| Ok((name, TensorView::new(Dtype::F16, dims.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| fail(error.to_string()))?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes =
        safetensors::serialize(views, Some(metadata)).map_err(|error| fail(error.to_string()))?;
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        let path = tokenizer.join(file);
        let text = std::fs::read(&path).map_err(TuningError::read(&path))?;
        write_atomic(&folder.join(file), &text)?;
    }
    write_atomic(&folder.join("config.json"), config_json(&state)?.as_bytes())?;
    write_atomic(&folder.join("model.safetensors"), &bytes)
}

fn config_json(state: &RunState) -> Result<String, TuningError> {
    let text = |error: serde_json::Error| TuningError::Tokenizer(error.to_string());
    let mut config = serde_json::to_value(&state.config).map_err(text)?;
    if let Some(fields) = config.as_object_mut() {
        fields.insert("torch_dtype".to_owned(), "float16".into());
        fields.insert("use_cache".to_owned(), true.into());
        // Hugging Face's default would be a token of ours.
        fields.insert("bos_token_id".to_owned(), serde_json::Value::Null);
    }
    serde_json::to_string_pretty(&config).map_err(text)
}
