//! Files that can't be used: each is refused with its name, the rule and the given value.

use super::*;

#[track_caller]
fn refused(name: &str, change: impl FnOnce(&mut Values, &mut Tensors), code: &str, said: &str) {
    let (_folder, path) = edited(name, change);
    let error = load(path).err().unwrap_or_else(|| panic!("loaded in spite of {said}"));
    let text = error.to_string();
    assert!(error.code() == code && text.contains(said), "{} {text}", error.code());
    assert_eq!(text.lines().count(), 2, "{text}");
}

/// Sets a value, or removes it.
#[track_caller]
fn value(name: &str, key: &str, value: Option<Value>, code: &str, said: &str) {
    let change = |values: &mut Values, _: &mut Tensors| match value {
        Some(value) => drop(values.insert(key.to_owned(), value)),
        None => assert!(values.remove(key).is_some()),
    };
    refused(name, change, code, said);
}

fn text(text: &str) -> Option<Value> {
    Some(Value::String(text.to_owned()))
}

fn ones(count: usize) -> Option<Value> {
    Some(Value::Array(vec![Value::U32(1); count]))
}

#[test]
fn an_unchanged_copy_is_loaded() {
    let (_folder, path) = edited("llama-3", |_, _| ());
    let (copy, original) = (load(path).unwrap(), model("llama-3"));
    let (ours, theirs) = (reply(&copy.decoder, &[5, 6], 9), reply(&original.decoder, &[5, 6], 9));
    assert_eq!(ours, theirs);
}

#[test]
fn settings_that_are_not_supported_are_refused_by_name() {
    let other = "unsupported-architecture";
    value("llama-3", "general.architecture", text("phi3"), other, "`phi3`");
    let known = "llama, qwen2, qwen3, smollm3, gemma2, gemma3";
    value("llama-3", "general.architecture", text("mamba"), other, known);
    for (key, given, said) in [
        ("general.architecture", None, "no `general.architecture`"),
        ("llama.block_count", None, "no `llama.block_count`"),
        ("llama.block_count", text("two"), "`llama.block_count` must be a whole number"),
        ("llama.block_count", Some(Value::I32(-2)), "and is -2"),
        ("llama.block_count", Some(Value::U32(u32::MAX)), "`llama.block_count` is 4294967295"),
        ("llama.block_count", Some(Value::U64(1 << 40)), "and is 1099511627776"),
        ("llama.block_count", Some(Value::U32(0)), "`num_hidden_layers` must be above zero"),
        ("llama.block_count", Some(Value::U32(3)), "tensor `blk.2.attn_norm.weight` is missing"),
        ("llama.embedding_length", Some(Value::U32(u32::MAX)), "`hidden_size` must be at most"),
        ("llama.attention.head_count", Some(Value::U32(0)), "`num_attention_heads` must be above"),
        ("llama.attention.head_count", Some(Value::U32(8)), "`blk.0.attn_q.weight` must have"),
        ("llama.attention.head_count_kv", ones(2), "differs by layer"),
        ("llama.attention.layer_norm_rms_epsilon", None, "layer_norm_rms_epsilon`"),
        ("llama.attention.key_length", Some(Value::U32(6)), "must be 6, the width of a head"),
        ("llama.rope.dimension_count", Some(Value::U32(4)), "`llama.rope.dimension_count`"),
        ("llama.rope.freq_base", Some(Value::F32(-1.0)), "`rope_theta`"),
        ("llama.rope.scaling.type", text("linear"), "beside a tensor `rope_freqs.weight`"),
        ("llama.expert_count", Some(Value::U32(8)), "it mixes 8 experts"),
        ("split.count", Some(Value::U16(3)), "one of 3 parts"),
    ] {
        value("llama-3", key, given, "model-broken", said);
    }
    let pattern = "gemma3.attention.sliding_window_pattern";
    value("gemma3", pattern, ones(5), "model-broken", "has 5 entries for 6 layers");
    let yarn = "`default`, `linear` or `llama3`";
    value("qwen2", "qwen2.rope.scaling.type", text("yarn"), "model-broken", yarn);
}

#[test]
fn what_a_file_leaves_out_is_as_in_llama_cpp() {
    let read = |name: &str, changes: Vec<(&str, Option<Value>)>| {
        let (_folder, path) = edited(name, |values, _| {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(values.insert(key.to_owned(), value)),
                    None => drop(values.remove(key)),
                }
            }
        });
        config::read(&Container::open(&path).unwrap()).unwrap()
    };
    let gemma2 = read(
        "gemma2",
        vec![
            ("gemma2.attention.sliding_window", None),
            ("gemma2.attn_logit_softcapping", None),
            ("gemma2.final_logit_softcapping", None),
        ],
    );
    let caps = (gemma2.attn_logit_softcapping, gemma2.final_logit_softcapping);
    assert_eq!(caps, (Some(50.0), Some(30.0)));
    let windows = |config: &DecoderConfig| {
        config.layer_rules().iter().map(|rule| rule.window).collect::<Vec<_>>()
    };
    assert_eq!(windows(&gemma2), [Some(4096), None]);
    let gemma3 = |key, value| read("gemma3", vec![(key, value)]);
    let whole = gemma3("gemma3.attention.sliding_window", None);
    assert_eq!(windows(&whole), [None; 6]);
    let pattern = "gemma3.attention.sliding_window_pattern";
    let third = gemma3(pattern, Some(Value::U32(3)));
    assert_eq!(windows(&third), [Some(7), Some(7), None].repeat(2));
    let flags = [true, false, false, false, false, true].map(Value::Bool);
    let named = gemma3(pattern, Some(Value::Array(flags.to_vec())));
    assert_eq!(windows(&named), [Some(7), None, None, None, None, Some(7)]);
    // The one of 27 billion weights divides its scores by another width.
    let largest = gemma3("gemma3.block_count", Some(Value::U32(62)));
    assert_eq!(largest.query_pre_attn_scalar, Some(16.0));
    let qwen2 = read(
        "qwen2",
        vec![
            ("qwen2.attention.key_length", None),
            ("qwen2.attention.value_length", None),
            ("qwen2.rope.freq_base", None),
        ],
    );
    assert_eq!((qwen2.head_width(), qwen2.rope_theta), (16, Some(10_000.0)));
    let doubled = read(
        "qwen2",
        vec![
            ("qwen2.rope.scaling.type", text("linear")),
            ("qwen2.rope.scaling.factor", Some(Value::F32(2.0))),
        ],
    );
    assert_eq!(doubled.rotations().unwrap()[0].frequencies(8)[0], 0.5);
}

#[test]
fn tokenizers_that_do_not_fit_are_refused() {
    for (name, key, given, said) in [
        ("qwen2", "model", text("bert"), "of the kind `bert`, and must be `gpt2` or `llama`"),
        ("qwen2", "pre", text("falcon"), "as `falcon` does"),
        ("qwen2", "pre", text("falcon"), "llama-bpe"),
        ("qwen2", "pre", Some(Value::Bool(true)), "`tokenizer.ggml.pre` must be a text"),
        ("qwen2", "tokens", None, "no `tokenizer.ggml.tokens`"),
        ("qwen2", "tokens", ones(300), "must be an array of texts"),
        ("qwen2", "token_type", ones(7), "has 7 entries for 300 tokens"),
        ("qwen2", "merges", None, "no `tokenizer.ggml.merges`"),
        ("qwen2", "merges", Some(Value::Array(vec![Value::String("a".into())])), "has `a`"),
        ("qwen2", "merges", Some(Value::Array(vec![Value::String("z q".into())])), "has `z q`"),
        ("qwen2", "bos_token_id", Some(Value::U32(300)), "below the 300 tokens, and is 300"),
        ("mistral", "scores", ones(5), "has 5 entries for 400 tokens"),
        ("mistral", "add_space_prefix", text("no"), "must be true or false"),
    ] {
        value(name, &format!("tokenizer.ggml.{key}"), given, "model-broken", said);
    }
    value("qwen2", "tokenizer.chat_template", None, "model-broken", "no `tokenizer.chat_template`");
    let long = "x".repeat(1025);
    for (token, said) in [("a", "is `a`, and so is another"), (&long, "has 1025 bytes")] {
        let last = |values: &mut Values, _: &mut Tensors| {
            let Some(Value::Array(tokens)) = values.get_mut("tokenizer.ggml.tokens") else {
                panic!("no tokens")
            };
            tokens[299] = Value::String(token.to_owned());
        };
        refused("qwen2", last, "model-broken", said);
    }
    let more = |values: &mut Values, _: &mut Tensors| {
        for (key, given) in
            [("tokens", Value::String("one more".into())), ("token_type", Value::I32(1))]
        {
            let list = values.get_mut(&format!("tokenizer.ggml.{key}"));
            let Some(Value::Array(list)) = list else { panic!("no {key}") };
            list.push(given);
        }
    };
    refused("qwen2", more, "tokenizer-mismatch", "`one more` has number 300");
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let zeros = |rows, columns| {
        let zeros = Tensor::zeros((rows, columns), DType::F32, &Device::Cpu).unwrap();
        QTensor::quantize(&zeros, GgmlDType::F32).unwrap()
    };
    let put = |name: &'static str, tensor: QTensor| {
        move |_: &mut Values, tensors: &mut Tensors| {
            tensors.insert(name.to_owned(), tensor);
        }
    };
    let remove = |name: &'static str| {
        move |_: &mut Values, tensors: &mut Tensors| {
            assert!(tensors.remove(name).is_some());
        }
    };
    let broken = "model-broken";
    refused("qwen3", remove("blk.1.attn_k_norm.weight"), broken, "`blk.1.attn_k_norm.weight`");
    refused("qwen3", remove("token_embd.weight"), broken, "`token_embd.weight` is missing");
    let shapes = "must have the shape [64, 64] by its metadata, and has [64, 32]";
    refused("qwen3", put("blk.0.ffn_up.weight", zeros(64, 32)), broken, shapes);
    refused("qwen3", put("blk.0.ffn_gate_inp.weight", zeros(4, 64)), broken, "`blk.0.ffn_gate_inp");
    refused("llama-3", put("rope_freqs.weight", zeros(1, 3)), broken, "4 `factors` above zero");
}
