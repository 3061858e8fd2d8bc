//! GGUF files against what Hugging Face's transformers and tokenizers say of the same weights and
//! tokens, and files that are damaged or hold something else. `tests/make.py` made the files and the
//! answers.

mod broken;
mod hostile;
mod texts;

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;

use candle_core::quantized::gguf_file::{Content, Value, write};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use domain::prompt::{Message, Role};
use domain::sampling::Sampling;
use serde::Deserialize;
use tempfile::TempDir;

use super::*;
use crate::decoder::{Decoder, PackedBatch, Segment};
use crate::{
    AdapterChoice, DeviceChoice, Engine, EngineConfig, GenerateRow, LoadedModel, ModelSource,
};

#[derive(Deserialize)]
struct Expected {
    /// Token ids of the prompts.
    rows: Vec<Vec<u32>>,
    /// Logits after each row.
    logits: Vec<Vec<f32>>,
    /// What follows each row when the best token is always taken.
    greedy: Vec<Vec<u32>>,
}

const MODELS: [&str; 8] =
    ["llama-3", "mistral", "qwen2", "qwen3", "smollm3", "gemma2", "gemma3", "llama-k"];

fn fixture(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/gguf/tests").join(file)
}

fn load(path: PathBuf) -> Result<LoadedModel, EngineError> {
    LoadedModel::load(&ModelSource::Gguf(path), &Device::Cpu)
}

fn model(name: &str) -> LoadedModel {
    load(fixture(&format!("{name}.gguf"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn expected<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&fs::read(fixture(&format!("{name}.json"))).unwrap()).unwrap()
}

type Values = BTreeMap<String, Value>;
type Tensors = BTreeMap<String, QTensor>;

/// A copy of a model's file with changes, in a folder that goes with the test.
fn edited(name: &str, change: impl FnOnce(&mut Values, &mut Tensors)) -> (TempDir, PathBuf) {
    let mut source = fs::File::open(fixture(&format!("{name}.gguf"))).unwrap();
    let content = Content::read(&mut source).unwrap();
    let mut tensors = Tensors::new();
    for name in content.tensor_infos.keys() {
        let tensor = content.tensor(&mut source, name, &Device::Cpu).unwrap();
        tensors.insert(name.clone(), tensor);
    }
    let mut values: Values = content.metadata.into_iter().collect();
    change(&mut values, &mut tensors);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edited.gguf");
    let values: Vec<(&str, &Value)> = values.iter().map(|(key, v)| (key.as_str(), v)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(key, t)| (key.as_str(), t)).collect();
    write(&mut fs::File::create(&path).unwrap(), &values, &tensors).unwrap();
    (folder, path)
}

/// The greedy reply to `row`, and the logits after the prompt.
fn reply(model: &Decoder, row: &[u32], steps: usize) -> (Vec<u32>, Vec<f32>) {
    let mut cache = model.new_cache();
    let (mut next, mut reply, mut first) = (row.to_vec(), vec![], vec![]);
    for step in 0..steps {
        let segments = [Segment { len: next.len(), position: cache.len(), adapter: None }];
        let batch = PackedBatch { tokens: &next, segments: &segments, adapters: &[] };
        let hidden = model.forward(&batch, Some(&mut [&mut cache])).unwrap();
        let logits = model.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
        let logits = &logits[next.len() - 1];
        if step == 0 {
            first.clone_from(logits);
        }
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        next = vec![best.unwrap() as u32];
        reply.push(next[0]);
    }
    (reply, first)
}

#[test]
fn logits_and_greedy_replies_are_those_of_transformers() {
    for name in MODELS {
        let model = model(name);
        let expected: Expected = expected(name);
        for (index, row) in expected.rows.iter().enumerate() {
            let (greedy, logits) = reply(&model.decoder, row, expected.greedy[index].len());
            let theirs = &expected.logits[index];
            assert_eq!(logits.len(), theirs.len(), "{name}");
            let largest = theirs.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            let differences = logits.iter().zip(theirs).map(|(a, b)| (a - b).abs());
            let error = differences.fold(0.0f32, f32::max) / largest;
            assert!(error < 1e-4, "{name} row {index}: logits off by {error}");
            assert_eq!(greedy, expected.greedy[index], "{name} row {index}");
        }
    }
}

#[test]
fn blocks_hold_the_same_numbers_as_the_decoders_weights() {
    for (name, types) in [
        ("llama-k", vec![GgmlDType::Q4K, GgmlDType::Q6K, GgmlDType::Q8_0]),
        ("smollm3", vec![GgmlDType::Q8_0]),
        ("mistral", vec![GgmlDType::F16]),
        ("gemma2", vec![GgmlDType::BF16]),
        ("qwen2", vec![GgmlDType::F32]),
    ] {
        let file = Arc::new(GgufFile::open(&fixture(&format!("{name}.gguf"))).unwrap());
        let builder = file.builder(DType::F32, &Device::Cpu);
        let mut met = Vec::new();
        for weight in file.places.keys() {
            let Some(raw) = file.raw(weight) else {
                assert!(weight.contains("norm") || weight.ends_with("bias"), "{name}: {weight}");
                continue;
            };
            met.push(raw.dtype);
            // As a kernel would: blocks in memory of their own.
            let storage = QStorage::from_data(Cow::Borrowed(&raw.bytes), &Device::Cpu, raw.dtype);
            let tensor = QTensor::new(storage.unwrap(), raw.shape.as_slice()).unwrap();
            let blocks = tensor.dequantize(&Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
            let numbers = builder.get(&raw.shape, weight).unwrap().to_vec2::<f32>().unwrap();
            assert!(blocks == numbers, "{name}: {weight}");
        }
        assert!(types.iter().all(|kind| met.contains(kind)), "{name}: {met:?}");
        assert_eq!(file.raw("model.layers.9.mlp.up_proj.weight"), None);
    }
}

#[test]
fn a_file_is_named_hashed_and_spoken_to_like_a_folder() {
    for (name, opening, ends) in [
        ("llama-3", "<|start_header_id|>", vec!["<|eot_id|>", "<|end_of_text|>"]),
        ("mistral", "[INST]", vec!["</s>"]),
        ("qwen3", "<|im_start|>", vec!["<|im_end|>", "<|endoftext|>"]),
        ("gemma3", "<start_of_turn>", vec!["<eos>", "<end_of_turn>"]),
    ] {
        let model = model(name);
        assert_eq!(model.info.name, name);
        assert_eq!((model.info.context, model.info.starter), (128, false));
        assert!(model.hash.starts_with(&model.info.hash) && model.hash.len() == 64);
        let inner = model.tokenizer.inner();
        let id = |token: &str| inner.token_to_id(token).unwrap();
        let ends: Vec<u32> = ends.into_iter().map(id).collect();
        assert_eq!(model.tokenizer.end_ids(), ends, "{name}");
        let messages = [Message::new(Role::User, "How important is family?")];
        let tokens = model.tokenizer.encode_chat(&messages).unwrap();
        let first = if name == "qwen3" { 0 } else { 1 };
        assert_eq!(tokens[first], id(opening), "{name}: {tokens:?}");
        let text = model.tokenizer.decode(&tokens).unwrap();
        assert!(text.contains("How important is family?"), "{name}: {text}");
    }
}

#[test]
fn a_path_that_ends_in_gguf_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("model.gguf");
    let text = place.to_str().unwrap();
    assert_eq!(ModelSource::from(text), ModelSource::Gguf(place.clone()));
    assert_eq!(
        ModelSource::from("owner/Name.Q8_0.GGUF"),
        ModelSource::Gguf(PathBuf::from("owner/Name.Q8_0.GGUF"))
    );
    let error = load(place.clone()).unwrap_err();
    assert!(matches!(&error, EngineError::FileMissing { path, .. } if *path == place), "{error}");
    fs::write(&place, "").unwrap();
    assert_eq!(load(place.clone()).unwrap_err().code(), "model-broken");
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    assert_eq!(ModelSource::from(text), ModelSource::Folder(place));
}

#[tokio::test]
async fn the_engine_serves_a_file() {
    let source = ModelSource::Gguf(fixture("gemma3.gguf"));
    let engine = Engine::start(EngineConfig::new(source, DeviceChoice::Cpu)).unwrap();
    let row = |temperature| GenerateRow {
        messages: vec![Message::new(Role::User, "How important is family?")],
        adapter: AdapterChoice::Base,
        sampling: Sampling { temperature, top_p: 1.0, seed: 1, max_tokens: 20 },
    };
    let rows = vec![row(0.9), row(0.9), row(5.0)];
    let texts = engine.generate(rows).unwrap().texts(3).await.unwrap();
    assert!(texts.iter().all(|text| !text.is_empty()), "{texts:?}");
    assert_eq!(texts[0], texts[1], "the same seed");
    assert_ne!(texts[0], texts[2]);
}
