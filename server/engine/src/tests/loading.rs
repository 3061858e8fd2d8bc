//! Model folders, sound and broken.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::*;
use crate::{EngineError, LoadedModel};

const WEIGHTS: &str = "model.safetensors";

fn load(folder: &Path) -> Result<LoadedModel, EngineError> {
    LoadedModel::load(&ModelSource::Folder(folder.to_owned()), &Device::Cpu)
}

fn edit(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(file);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

fn tensors(folder: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder.join(WEIGHTS), &Device::Cpu).unwrap()
}

/// What the model says to a fixed prompt: its scores after the last token.
fn answer(model: &LoadedModel) -> Vec<f32> {
    let tokens = model.tokenizer.encode_chat(&conversation("p", "Hello")).unwrap();
    let segment = crate::decoder::Segment { len: tokens.len(), position: 0, adapter: None };
    let batch =
        crate::decoder::PackedBatch { tokens: &tokens, segments: &[segment], adapters: &[] };
    let hidden = model.decoder.forward(&batch, None).unwrap();
    let last = hidden.narrow(0, tokens.len() - 1, 1).unwrap();
    model.decoder.logits(&last).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_sound_folder_is_described() {
    let folder = tiny_model_dir();
    let model = load(folder.path()).unwrap();
    let info = &model.info;
    assert_eq!(model.hash.len(), 64);
    assert_eq!(info.hash, model.hash[..12]);
    assert_eq!((info.context, info.device.as_str(), info.starter), (512, "cpu", false));
    let count: usize = tensors(folder.path()).values().map(Tensor::elem_count).sum();
    assert_eq!(info.parameters, count);
    assert_eq!(info.name, folder.path().file_name().unwrap().to_string_lossy());
}

#[test]
fn shards_and_half_precision_give_the_same_model() {
    let folder = tiny_model_dir();
    let whole = load(folder.path()).unwrap();
    let all = tensors(folder.path());
    for (dtype, tolerance) in [(DType::F32, 0.0), (DType::F16, 0.02), (DType::BF16, 0.2)] {
        let mut map = serde_json::Map::new();
        let (mut first, mut second) = (HashMap::new(), HashMap::new());
        for (index, (name, tensor)) in all.iter().enumerate() {
            let tensor = tensor.to_dtype(dtype).unwrap();
            let (file, part) = if index % 2 == 0 {
                ("a.safetensors", &mut first)
            } else {
                ("b.safetensors", &mut second)
            };
            map.insert(name.clone(), json!(file));
            part.insert(name.clone(), tensor);
        }
        for (file, part) in [("a.safetensors", first), ("b.safetensors", second)] {
            candle_core::safetensors::save(&part, folder.path().join(file)).unwrap();
        }
        let index = json!({"metadata": {}, "weight_map": map}).to_string();
        fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        let sharded = load(folder.path()).unwrap();
        for (a, b) in answer(&whole).iter().zip(answer(&sharded)) {
            assert!((a - b).abs() <= tolerance, "{dtype:?}: {a} {b}");
        }
    }
}

/// Breaks a sound folder and checks which error comes of it.
#[track_caller]
fn check(code: &str, part: &str, break_it: impl FnOnce(&Path)) {
    let folder = tiny_model_dir();
    break_it(folder.path());
    let error = load(folder.path()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), code, "{text}");
    assert!(text.contains(part), "`{part}` is not in: {text}");
    assert!(text.contains('\n'), "no way out: {text}");
}

#[test]
fn missing_files_are_named() {
    check("model-missing", "is not a folder", |folder| fs::remove_dir_all(folder).unwrap());
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", WEIGHTS] {
        check("model-missing", file, |folder| fs::remove_file(folder.join(file)).unwrap());
    }
}

#[test]
fn broken_files_are_named() {
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
    {
        check("model-broken", file, |folder| fs::write(folder.join(file), "{\"a\": ").unwrap());
    }
    check("model-broken", "hidden_size", |folder| {
        edit(folder, "config.json", |config| {
            drop(config.as_object_mut().unwrap().remove("hidden_size"))
        });
    });
    check("model-broken", "`num_key_value_heads` must", |folder| {
        edit(folder, "config.json", |config| config["num_key_value_heads"] = json!(3));
    });
    check("unsupported-architecture", "LlamaForCausalLM", |folder| {
        edit(folder, "config.json", |config| config["architectures"] = json!(["MambaForCausalLM"]));
    });
}

#[test]
fn broken_weights_are_named() {
    let cut = |length: fn(usize) -> usize| {
        move |folder: &Path| {
            let bytes = fs::read(folder.join(WEIGHTS)).unwrap();
            fs::write(folder.join(WEIGHTS), &bytes[..length(bytes.len())]).unwrap();
        }
    };
    check("model-broken", "cut off", cut(|_| 0));
    check("model-broken", "cut off", cut(|_| 100));
    check("model-broken", "cut off", cut(|length| length - 1));
    check("model-broken", WEIGHTS, |folder| {
        fs::write(folder.join(WEIGHTS), vec![255; 999]).unwrap()
    });
    for (claim, offsets) in [("[50000, 50000]", "[0, 10000000000]"), ("[4]", "[8, 4]")] {
        check("model-broken", WEIGHTS, |folder| {
            let tensor =
                format!("{{\"dtype\": \"F32\", \"shape\": {claim}, \"data_offsets\": {offsets}}}");
            let header = format!("{{\"model.norm.weight\": {tensor}}}");
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.as_bytes());
            bytes.extend([0; 64]);
            fs::write(folder.join(WEIGHTS), bytes).unwrap();
        });
    }
    let change = |change: fn(&mut HashMap<String, Tensor>)| {
        move |folder: &Path| {
            let mut all = tensors(folder);
            change(&mut all);
            candle_core::safetensors::save(&all, folder.join(WEIGHTS)).unwrap();
        }
    };
    let name = "model.layers.1.mlp.up_proj.weight";
    check(
        "model-broken",
        name,
        change(|all| drop(all.remove("model.layers.1.mlp.up_proj.weight"))),
    );
    check("model-broken", name, |folder| {
        let mut all = tensors(folder);
        let narrow = all[name].narrow(1, 0, 8).unwrap().contiguous().unwrap();
        all.insert(name.to_owned(), narrow);
        candle_core::safetensors::save(&all, folder.join(WEIGHTS)).unwrap();
    });
    check("model-broken", "must be F32, F16 or BF16", |folder| {
        let mut all = tensors(folder);
        all.insert("x".to_owned(), Tensor::zeros(4, DType::U8, &Device::Cpu).unwrap());
        candle_core::safetensors::save(&all, folder.join(WEIGHTS)).unwrap();
    });
    let index = |map: Value| {
        move |folder: &Path| {
            let text = json!({"weight_map": map}).to_string();
            fs::write(folder.join("model.safetensors.index.json"), text).unwrap();
        }
    };
    check("model-missing", "gone.safetensors", index(json!({"a": "gone.safetensors"})));
    check("model-broken", "../model.safetensors", index(json!({"a": "../model.safetensors"})));
    check("model-broken", "is empty", index(json!({})));
}

/// Adds a special token with the next number that is free.
fn add_token(folder: &Path, content: &str) {
    edit(folder, "tokenizer.json", |tokenizer| {
        let added = tokenizer["added_tokens"].as_array_mut().unwrap();
        let mut token = added[0].clone();
        token["content"] = json!(content);
        // Five special tokens and one for every byte go before.
        token["id"] = json!(261 + added.len() - 5);
        added.push(token);
    });
}

#[test]
fn added_tokens_beyond_the_embedding_are_text_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let config = crate::decoder::DecoderConfig { vocab_size: 261, ..crate::testing::tiny_config() };
    crate::testing::write_model(folder.path(), &config, 1);
    add_token(folder.path(), "<image_soft_token>");
    let model = load(folder.path()).unwrap();
    let text = "a<image_soft_token>b";
    let tokens = model.tokenizer.encode(text).unwrap();
    assert!(tokens.iter().all(|token| *token < 261), "{tokens:?}");
    assert_eq!((tokens.len(), model.tokenizer.decode(&tokens).unwrap().as_str()), (20, text));

    let refused = |file: &str, value: Value| {
        let before = fs::read(folder.path().join("tokenizer_config.json")).unwrap();
        edit(folder.path(), "tokenizer_config.json", |config| config[file] = value);
        let error = load(folder.path()).unwrap_err();
        fs::write(folder.path().join("tokenizer_config.json"), before).unwrap();
        assert_eq!(error.code(), "tokenizer-mismatch", "{error}");
        let text = error.to_string();
        assert!(
            text.contains("number 261, but the model's embedding table has 261 rows"),
            "{text}"
        );
        text
    };
    let named = refused("bos_token", json!("<image_soft_token>"));
    assert!(named.contains("its bos_token `<image_soft_token>`"), "{named}");
    let template = "<|user|>{{ messages[0].content }}<image_soft_token>";
    let written = refused("chat_template", json!(template));
    assert!(written.contains("which the chat template writes"), "{written}");
}

#[test]
fn a_model_that_also_sees_speaks_as_its_text_model_does() {
    let plain = tempfile::tempdir().unwrap();
    let config = crate::decoder::DecoderConfig {
        architectures: Some(vec!["Gemma3ForCausalLM".to_owned()]),
        model_type: Some("gemma3_text".to_owned()),
        head_dim: Some(8),
        query_pre_attn_scalar: Some(8.0),
        sliding_window: Some(Some(16)),
        tie_word_embeddings: Some(false),
        ..crate::testing::tiny_config()
    };
    crate::testing::write_model(plain.path(), &config, 1);
    let layouts = [("language_model.model.", "language_model."), ("model.language_model.", "")];
    for (body, before_head) in layouts {
        let seeing = tempfile::tempdir().unwrap();
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            fs::copy(plain.path().join(file), seeing.path().join(file)).unwrap();
        }
        let mut text: Value =
            serde_json::from_slice(&fs::read(plain.path().join("config.json")).unwrap()).unwrap();
        let fields = text.as_object_mut().unwrap();
        fields.remove("architectures");
        let eos = fields.remove("eos_token_id").unwrap();
        let outer = json!({
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
            "eos_token_id": eos, "text_config": text, "vision_config": {"hidden_size": 4},
        });
        fs::write(seeing.path().join("config.json"), outer.to_string()).unwrap();
        let mut renamed: HashMap<String, Tensor> = tensors(plain.path())
            .into_iter()
            .map(|(name, tensor)| match name.strip_prefix("model.") {
                Some(rest) => (format!("{body}{rest}"), tensor),
                None => (format!("{before_head}{name}"), tensor),
            })
            .collect();
        let eye = Tensor::zeros((4, 4), DType::F32, &Device::Cpu).unwrap();
        renamed.insert("vision_tower.vision_model.embeddings.weight".to_owned(), eye);
        candle_core::safetensors::save(&renamed, seeing.path().join(WEIGHTS)).unwrap();
        for format in
            [crate::WeightFormat::F32, crate::WeightFormat::BF16, crate::WeightFormat::Q8_0]
        {
            let load = |folder: &Path| {
                let source = ModelSource::Folder(folder.to_owned());
                LoadedModel::load_as(&source, &Device::Cpu, format).unwrap()
            };
            let (plain, seeing) = (load(plain.path()), load(seeing.path()));
            assert_eq!(answer(&plain), answer(&seeing), "{body} {format}");
            assert_eq!(plain.info.parameters, seeing.info.parameters);
            assert_eq!(plain.tokenizer.end_ids(), seeing.tokenizer.end_ids());
        }
    }
    // What is missing is named as in a model of text alone.
    let mut lacking = tensors(plain.path());
    lacking.remove("model.embed_tokens.weight").unwrap();
    candle_core::safetensors::save(&lacking, plain.path().join(WEIGHTS)).unwrap();
    let error = load(plain.path()).unwrap_err().to_string();
    assert!(error.contains("`model.embed_tokens.weight` is missing"), "{error}");
}

#[test]
fn a_tokenizer_that_does_not_fit_is_refused() {
    check("tokenizer-mismatch", "100 rows", |folder| {
        edit(folder, "config.json", |config| config["vocab_size"] = json!(100));
    });
    check("tokenizer-mismatch", "`<eos>`", |folder| {
        edit(folder, "tokenizer_config.json", |config| config["eos_token"] = json!("<eos>"));
    });
    check("tokenizer-mismatch", "`<|other|>`", |folder| {
        edit(folder, "tokenizer_config.json", |config| {
            config["chat_template"] = json!("<|user|>{{ messages[0].content }}<|other|>");
        });
    });
    check("tokenizer-mismatch", "no end token", |folder| {
        edit(folder, "config.json", |config| {
            drop(config.as_object_mut().unwrap().remove("eos_token_id"))
        });
        edit(folder, "tokenizer_config.json", |config| {
            drop(config.as_object_mut().unwrap().remove("eos_token"))
        });
    });
    check("tokenizer-mismatch", "end token 999", |folder| {
        fs::write(folder.join("generation_config.json"), "{\"eos_token_id\": [4, 999]}").unwrap();
    });
    check("chat-template", "put a chat_template.jinja", |folder| {
        edit(folder, "tokenizer_config.json", |config| {
            drop(config.as_object_mut().unwrap().remove("chat_template"))
        });
    });
    check("chat-template", "chat template", |folder| {
        fs::write(folder.join("chat_template.jinja"), "{% for %}").unwrap();
    });
}
