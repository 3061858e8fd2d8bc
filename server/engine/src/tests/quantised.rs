//! Models whose matrices are kept in few bits: close to the dense ones, and as independent of company.

use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;

use super::*;
use crate::decoder::{DecoderConfig, PackedBatch, Segment};
use crate::testing::{tiny_adapter, write_model};
use crate::{LoadedModel, WeightFormat};

/// Wide enough for whole blocks of 256 columns, except the rows of the last layer of each block.
fn wide_config() -> DecoderConfig {
    DecoderConfig { hidden_size: 256, intermediate_size: 96, ..tiny_config() }
}

/// A model with weights of usual size: wide ones make attention so sharp that any error grows.
fn write_mild_model(folder: &Path) {
    write_model(folder, &wide_config(), 1);
    let path = folder.join("model.safetensors");
    let tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
    let mild = |(name, tensor): (String, Tensor)| {
        let scale = if tensor.rank() == 2 { 0.15 } else { 1.0 };
        (name, (tensor * scale).unwrap())
    };
    let tensors: HashMap<String, Tensor> = tensors.into_iter().map(mild).collect();
    candle_core::safetensors::save(&tensors, path).unwrap();
}

fn logits(model: &LoadedModel) -> Vec<f32> {
    let tokens: Vec<u32> = (5..69).collect();
    let segments = [Segment { len: tokens.len(), position: 0, adapter: None }];
    let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters: &[] };
    let hidden = model.decoder.forward(&batch, None).unwrap();
    model.decoder.logits(&hidden).unwrap().flatten_all().and_then(|x| x.to_vec1()).unwrap()
}

/// Root of the mean square of the difference, in shares of the values'.
fn error(given: &[f32], exact: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = given.iter().zip(exact).map(|(a, b)| square(a - b)).sum();
    (difference / exact.iter().copied().map(square).sum::<f64>()).sqrt()
}

#[test]
fn logits_stay_close_to_those_of_dense_matrices() {
    let folder = tempfile::tempdir().unwrap();
    write_mild_model(folder.path());
    let source = ModelSource::Folder(folder.path().to_owned());
    let load = |format| LoadedModel::load_as(&source, &candle_core::Device::Cpu, format).unwrap();
    let dense = load(WeightFormat::F32);
    let exact = logits(&dense);
    for (format, limit) in [
        (WeightFormat::BF16, 0.01),
        (WeightFormat::F16, 0.002),
        (WeightFormat::Q8_0, 0.02),
        (WeightFormat::Q4K, 0.25),
    ] {
        let model = load(format);
        assert_eq!(model.hash, dense.hash, "adapters fit both");
        assert_eq!(model.info.weights, format.to_string());
        let error = error(&logits(&model), &exact);
        assert!(error > 0.0 && error < limit, "{format}: {error}");
    }
}

#[test]
fn stored_blocks_are_computed_with_as_they_are() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gguf/tests");
    // Q4_K, Q6_K and Q8_0 in one file; a matrix in f16.
    for (file, limit) in [("llama-k.gguf", 0.03), ("qwen3.gguf", 0.03), ("mistral.gguf", 1e-4)] {
        let source = ModelSource::Gguf(fixtures.join(file));
        let load = |format| LoadedModel::load_as(&source, &candle_core::Device::Cpu, format);
        let dense = logits(&load(WeightFormat::F32).unwrap());
        let error = error(&logits(&load(WeightFormat::Stored).unwrap()), &dense);
        assert!(error < limit, "{file}: {error}");
    }
}

#[tokio::test]
async fn a_batch_of_voices_says_what_each_says_alone() {
    for format in [WeightFormat::BF16, WeightFormat::Q8_0, WeightFormat::Q4K] {
        let folder = tempfile::tempdir().unwrap();
        write_model(folder.path(), &wide_config(), 1);
        let source = ModelSource::Folder(folder.path().to_owned());
        let config =
            EngineConfig { weights: Some(format), ..EngineConfig::new(source, DeviceChoice::Cpu) };
        let engine = Engine::start(config).unwrap();
        engine.adapter_store().insert("joint", tiny_adapter(&wide_config(), 1));
        let voices = [
            row("You are somebody.", None, 1),
            row("You are somebody from Thailand, and you speak as people do there.", None, 1),
            row("You are somebody.", Some("joint"), 2),
        ];
        let together = engine.generate(voices.to_vec()).unwrap().texts(3).await.unwrap();
        for (voice, together) in voices.into_iter().zip(together) {
            let alone = engine.generate(vec![voice]).unwrap().texts(1).await.unwrap();
            assert_eq!(alone, [together], "{format}");
        }
    }
}

#[test]
fn what_is_no_number_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write_model(folder.path(), &wide_config(), 1);
    let path = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
    let name = "model.layers.1.mlp.gate_proj.weight";
    let broken = (tensors[name].clone() * f64::NAN).unwrap();
    let broken: Tensor = broken.contiguous().unwrap();
    tensors.insert(name.to_owned(), broken);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let source = ModelSource::Folder(folder.path().to_owned());
    let load = LoadedModel::load_as(&source, &candle_core::Device::Cpu, WeightFormat::Q8_0);
    let error = load.err().unwrap().to_string();
    assert!(error.contains(name) && error.contains("no finite numbers"), "{error}");
    assert_eq!(error.lines().count(), 2, "no way out: {error}");
}
