//! Round trips of adapter files, and each kind of bad input.

use std::fs;

use serde_json::json;

use super::*;
use crate::decoder::Module;

fn base() -> DecoderConfig {
    DecoderConfig {
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        vocab_size: 20,
        max_position_embeddings: 32,
        ..DecoderConfig::default()
    }
}

const HASH: &str = "0123456789abcdef0123";

fn adapter() -> LoraAdapter {
    LoraAdapter::init(&base(), LoraConfig { r: 2, ..LoraConfig::default() }, 5, &Device::Cpu)
        .unwrap()
}

fn saved() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &adapter(), "starter", HASH).unwrap();
    folder
}

fn reload(folder: &Path) -> Result<(LoraAdapter, String), TuningError> {
    load(folder, &base(), HASH, &Device::Cpu)
}

/// The error of loading after one field of the settings was changed.
fn with_field(field: &str, value: serde_json::Value) -> String {
    let folder = saved();
    let path = folder.path().join(CONFIG_FILE);
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[field] = value;
    fs::write(&path, config.to_string()).unwrap();
    reload(folder.path()).unwrap_err().to_string()
}

#[test]
fn what_is_saved_loads_back_in_half_precision() {
    let folder = saved();
    let (loaded, hash) = reload(folder.path()).unwrap();
    assert_eq!(hash.len(), 64);
    assert_eq!(loaded.config, adapter().config);
    for ((name, was), (other, is)) in adapter().parameters().iter().zip(loaded.parameters()) {
        assert_eq!(*name, other);
        let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let halved: Vec<f32> = values(was).into_iter().map(|v| f16::from_f32(v).to_f32()).collect();
        assert_eq!(halved, values(&is), "{name}");
    }
}

#[test]
fn the_same_adapter_gives_the_same_bytes() {
    let (one, two) = (saved(), saved());
    for file in [CONFIG_FILE, MODEL_FILE] {
        assert_eq!(
            fs::read(one.path().join(file)).unwrap(),
            fs::read(two.path().join(file)).unwrap()
        );
    }
}

#[test]
fn files_have_the_names_that_peft_gives() {
    let folder = saved();
    let bytes = fs::read(folder.path().join(MODEL_FILE)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    assert_eq!(file.tensor(name).unwrap().shape(), [2, 16]);
    assert_eq!(file.len(), 2 * 7 * 2);
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join(CONFIG_FILE)).unwrap()).unwrap();
    assert_eq!(config["peft_type"], "LORA");
    assert_eq!(config["task_type"], "CAUSAL_LM");
    assert_eq!(config["base_model_name_or_path"], "starter");
}

#[test]
fn names_of_a_model_that_also_sees_are_those_of_its_text_model() {
    let layer = "layers.3.mlp.up_proj.lora_A.weight";
    for model in ["model.model", "model.model.language_model", "model.language_model.model"] {
        let name = of_text_model(&format!("base_model.{model}.{layer}"));
        assert_eq!(name, format!("base_model.model.model.{layer}"));
    }
}

#[test]
fn other_kinds_of_adapter_are_refused_by_name() {
    for (field, value, expected) in [
        ("peft_type", "IA3".into(), "`IA3`"),
        ("use_dora", true.into(), "`use_dora`"),
        ("use_qalora", true.into(), "`use_qalora`"),
        ("lora_bias", true.into(), "`lora_bias`"),
        ("rank_pattern", json!({"q_proj": 0}), "`q_proj`"),
        ("rank_pattern", json!({"q_proj": 1}), "layers.0.self_attn.q_proj.lora_A"),
        ("alpha_pattern", json!({"(q_proj": 4}), "`(q_proj`"),
        ("bias", "all".into(), "`all`"),
        ("modules_to_save", vec!["lm_head"].into(), "`lm_head`"),
        ("target_modules", "some.*regex".into(), "`some.*regex`"),
        ("target_modules", vec!["q_proj", "x_proj"].into(), "`x_proj`"),
        ("polylogue_base_sha256", "feedfeedfeedfeed".into(), "`feedfeedfeed`"),
        ("r", 3.into(), "lora_A"),
        ("r", serde_json::Value::Null, "adapter_config.json"),
    ] {
        let error = with_field(field, value);
        assert!(error.contains(expected), "{field}: {error}");
        assert!(error.contains('\n'), "a way out follows: {error}");
    }
}

#[test]
fn patterns_are_kept_in_their_order() {
    let patterns = vec![("q_proj".to_owned(), 3), (r"0\.self_attn\..*".to_owned(), 4)];
    let config = LoraConfig {
        rank_pattern: patterns,
        alpha_pattern: vec![("down_proj".to_owned(), 5.0)],
        rslora: true,
        dropout: 0.25,
        ..LoraConfig::default()
    };
    let adapter = LoraAdapter::init(&base(), config.clone(), 5, &Device::Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &adapter, "starter", HASH).unwrap();
    let back = reload(folder.path()).unwrap().0;
    assert_eq!(back.config, config);
    let pair = |layer, module| back.pair(layer, module).unwrap();
    let rank = |layer, module| pair(layer, module).a.dims()[0];
    assert_eq!(rank(0, Module::Query), 3, "the first pattern that fits");
    assert_eq!(rank(0, Module::Key), 4);
    assert_eq!(rank(1, Module::Key), 8, "no pattern fits");
    assert_eq!(pair(1, Module::Down).scale, 5.0 / 8f64.sqrt());
    assert_eq!(pair(0, Module::Key).scale, 16.0 / 2.0);
}

#[test]
fn an_adapter_for_another_shape_is_refused() {
    let folder = saved();
    let wider = DecoderConfig { intermediate_size: 32, ..base() };
    let error = load(folder.path(), &wider, HASH, &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("gate_proj") && error.contains(MODEL_FILE), "{error}");
    let shallower = DecoderConfig { num_hidden_layers: 1, ..base() };
    let error = load(folder.path(), &shallower, HASH, &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("layers.1."), "{error}");
}

#[test]
fn broken_and_missing_files_are_named() {
    let folder = saved();
    let path = folder.path().join(MODEL_FILE);
    let bytes = fs::read(&path).unwrap();
    for cut in [0, 4, 100, bytes.len() - 1] {
        fs::write(&path, &bytes[..cut]).unwrap();
        let error = reload(folder.path()).unwrap_err().to_string();
        assert!(error.contains(MODEL_FILE), "{cut}: {error}");
    }
    // Refused by its length, however long it is, before it is read.
    fs::write(&path, [bytes.as_slice(), b"!"].concat()).unwrap();
    let error = reload(folder.path()).unwrap_err().to_string();
    assert!(error.contains(MODEL_FILE) && error.contains("overlong"), "{error}");
    fs::remove_file(&path).unwrap();
    assert!(reload(folder.path()).unwrap_err().to_string().contains(MODEL_FILE));
    fs::write(folder.path().join(CONFIG_FILE), "{").unwrap();
    assert!(reload(folder.path()).unwrap_err().to_string().contains("not be read"));
}

#[test]
fn a_missing_half_of_a_pair_is_named() {
    let mut tensors: HashMap<String, Tensor> = adapter().parameters().into_iter().collect();
    let name = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight";
    tensors.remove(name);
    let folder = saved();
    candle_core::safetensors::save(&tensors, folder.path().join(MODEL_FILE)).unwrap();
    let error = reload(folder.path()).unwrap_err().to_string();
    assert!(error.contains(name), "{error}");
}

#[test]
fn an_unwritable_folder_is_named_and_nothing_is_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    let error = save(&file.join("adapter"), &adapter(), "starter", HASH).unwrap_err().to_string();
    assert!(error.contains("could not be written"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"kept");
}
