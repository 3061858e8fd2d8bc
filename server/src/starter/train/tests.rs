//! Training from scratch on a tiny model and a tiny made-up corpus.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use domain::prompt::{Message, Role};

use super::feed::Documents;
use super::*;
use crate::starter::corpus::{Document, Kind, Part};
use crate::starter::tokenizer;
use engine::decoder::{LoraAdapter, LoraConfig, init::parameter_shapes};
use engine::tuning::TuningError;

const WORDS: [&str; 4] = ["tea", "rice", "work", "home"];

fn document(number: u64) -> Document {
    let word = WORDS[(number % 4) as usize];
    let messages = vec![
        Message::new(Role::System, "Be brief."),
        Message::new(Role::User, format!("Say {word}.")),
        Message::new(Role::Assistant, format!("{word} {word}")),
    ];
    let kind = [Kind::Talk, Kind::Generation][(number % 2) as usize];
    Document::new(kind, messages)
}

fn documents(seed: u64, _: Part) -> Documents {
    Box::new((seed % 4..).map(document))
}

fn options(folder: &Path) -> TrainOptions {
    let texts = (0..40).flat_map(|n| document(n).messages).map(|message| message.content);
    let tokens = tokenizer::train(texts.collect::<Vec<_>>().into_iter(), 290).unwrap();
    let tokenizer = folder.join("tokenizer");
    tokenizer::save(&tokens, &tokenizer, 64).unwrap();
    TrainOptions {
        tokens: Some(3000),
        learning_rate: Some(1e-2),
        step_tokens: 100,
        micro_tokens: 40,
        checkpoint_every: 5,
        evaluate_every: 10,
        evaluate_tokens: 200,
        shape: DecoderConfig {
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            num_key_value_heads: Some(1),
            max_position_embeddings: 64,
            ..starter_shape()
        },
        ..TrainOptions::new(folder.join("run"), tokenizer)
    }
}

fn run(options: &TrainOptions, stop_after: u64) -> (Vec<Report>, Result<(), TuningError>) {
    let mut reports = Vec::new();
    let result = train(options, &documents, &mut |report| {
        reports.push(report.clone());
        if report.step == stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (reports, result)
}

fn weights(options: &TrainOptions) -> Vec<u8> {
    let folder = options.run.join("model");
    export(&options.run, &options.tokenizer, &folder).unwrap();
    fs::read(folder.join("model.safetensors")).unwrap()
}

#[test]
fn a_tiny_corpus_is_learnt_by_heart() {
    let folder = tempfile::tempdir().unwrap();
    let options = TrainOptions { tokens: Some(9000), ..options(folder.path()) };
    let (reports, result) = run(&options, 0);
    result.unwrap();
    let (first, last) = (&reports[0], reports.last().unwrap());
    assert!(last.tokens.0 >= 9000 && first.tokens.1 == 9000);
    assert!(first.loss > 5.0, "log(290) = 5.7 at the start, got {}", first.loss);
    assert!(last.loss < 1.0, "only the word itself is open, got {}", last.loss);
    let held_out = last.held_out.as_ref().unwrap();
    assert_eq!(held_out.len(), 2, "one loss per kind that occurs");
    assert!(held_out.iter().all(|(_, held_out)| held_out.loss < 1.5), "{held_out:?}");
    assert!(last.learning_rate < 0.2 * reports[10].learning_rate, "the rate has decayed");
}

#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let whole = options(folder.path());
    run(&whole, 0).1.unwrap();
    let expected = weights(&whole);

    let killed = TrainOptions { run: folder.path().join("killed"), workers: 1, ..whole };
    let (_, stopped) = run(&killed, 8);
    assert!(matches!(stopped, Err(TuningError::Cancelled { step: 8 })), "{stopped:?}");
    // As if the kill had come before the save of step 8: what remains is step 5.
    fs::remove_file(killed.run.join("checkpoints/step-00000008.safetensors")).unwrap();
    let (reports, result) = run(&TrainOptions { tokens: None, ..killed.clone() }, 0);
    result.unwrap();
    assert_eq!(reports[0].step, 6);
    assert!(weights(&killed) == expected, "other bytes after going on");
}

#[test]
fn a_decay_may_start_from_any_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let (reports, _) = run(&options, 10);
    let seen = reports.last().unwrap().tokens.0;
    let decay = TrainOptions {
        tokens: Some(seen + 500),
        decay_from: Some(DecayFrom::Now),
        ..options.clone()
    };
    let (reports, result) = run(&decay, 0);
    result.unwrap();
    assert_eq!(reports[0].learning_rate, 1e-2);
    assert!(reports.windows(2).all(|pair| pair[1].learning_rate < pair[0].learning_rate));
    let end = reports.last().unwrap().tokens.0;
    assert!((seen + 500..seen + 700).contains(&end), "{seen} {end}");
}

#[test]
fn another_seed_or_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let _ = run(&options, 1);
    let (_, other) = run(&TrainOptions { seed: 8, ..options.clone() }, 0);
    assert!(other.unwrap_err().to_string().contains("`seed` differs"));
    let shape = DecoderConfig { hidden_size: 32, ..options.shape.clone() };
    let (_, other) = run(&TrainOptions { shape, ..options }, 0);
    assert!(other.unwrap_err().to_string().contains("`shape of the model` differs"));
}

#[test]
fn the_exported_folder_is_a_llama_model() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let _ = run(&options, 1);
    let bytes = weights(&options);
    assert!(bytes == weights(&options), "the same checkpoint gives the same bytes");
    let text = fs::read_to_string(options.run.join("model/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["architectures"][0], "LlamaForCausalLM");
    assert_eq!(config["torch_dtype"], "float16");
    assert_eq!(config["eos_token_id"], 4);
    let decoder: DecoderConfig = serde_json::from_str(&text).unwrap();
    decoder.validate().unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("model.embed_tokens.weight").unwrap().dtype(), safetensors::Dtype::F16);
    assert!(file.tensor("lm_head.weight").is_err(), "the head is tied");
}

#[test]
fn a_run_may_begin_with_the_weights_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let first = options(folder.path());
    let (before, _) = run(&first, 25);
    weights(&first);
    let from = Some(first.run.join("model"));
    let second = TrainOptions { run: folder.path().join("second"), from, ..first.clone() };
    let (after, _) = run(&second, 1);
    assert!(after[0].loss < 0.5 * before[0].loss, "{} {}", after[0].loss, before[0].loss);
    let shape = DecoderConfig { hidden_size: 32, ..first.shape.clone() };
    let other = TrainOptions { run: folder.path().join("other"), shape, ..second.clone() };
    let error = run(&other, 1).1.unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("of shape"), "{error}");
    fs::remove_file(first.run.join("model/model.safetensors")).unwrap();
    let error = run(&other, 1).1.unwrap_err().to_string();
    assert!(error.contains("model.safetensors"), "{error}");
    let (reports, _) = run(&second, 2);
    assert_eq!(reports[0].step, 2, "a run that has begun needs the folder no more");
}

#[test]
fn a_folder_without_checkpoints_has_nothing_to_export() {
    let folder = tempfile::tempdir().unwrap();
    let error = export(folder.path(), folder.path(), &folder.path().join("model")).unwrap_err();
    assert!(error.to_string().contains("holds no checkpoint"), "{error}");
}

#[test]
fn the_shape_keeps_the_promised_sizes() {
    let shape = starter_shape();
    let count: usize =
        parameter_shapes(&shape).iter().map(|(_, dims)| dims.iter().product::<usize>()).sum();
    assert!((3_000_000..8_000_000).contains(&count), "{count}");
    let cpu = candle_core::Device::Cpu;
    let adapter = LoraAdapter::init(&shape, LoraConfig::default(), 0, &cpu).unwrap();
    // Two bytes per value and at most 200 per entry of the header.
    let bytes = adapter.parameter_count() * 2 + adapter.parameters().len() * 200;
    assert!(19 * bytes < 8_000_000, "{bytes}");
}
