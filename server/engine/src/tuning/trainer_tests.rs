//! Tuning on a tiny model: it learns, it leaves the base alone, and it survives being killed.

use std::fs;

use candle_core::Tensor;
use candle_nn::VarBuilder;

use super::*;
use crate::decoder::{DecoderConfig, init_parameters};
use crate::tuning::{peft, snapshot};

fn config() -> DecoderConfig {
    DecoderConfig {
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        vocab_size: 20,
        max_position_embeddings: 32,
        tie_word_embeddings: Some(true),
        ..DecoderConfig::default()
    }
}

/// A frozen model with weights wide enough that adapters matter.
fn base() -> (Decoder, Vec<Tensor>) {
    let parameters = init_parameters(&config(), 3, &Device::Cpu).unwrap();
    let scaled: std::collections::HashMap<String, Tensor> = parameters
        .iter()
        .map(|(name, var)| {
            let wide = if var.rank() == 2 { 10.0 } else { 1.0 };
            (name.clone(), (var.as_detached_tensor() * wide).unwrap())
        })
        .collect();
    let kept = scaled.values().cloned().collect();
    let builder = VarBuilder::from_tensors(scaled, DType::F32, &Device::Cpu);
    (Decoder::new(config(), builder).unwrap(), kept)
}

/// Prompts of two tokens with one right answer each, of different lengths.
fn sequences() -> Vec<Sequence> {
    (0..30u32)
        .map(|n| {
            let mut sequence = Sequence::default();
            sequence.extend(&vec![1 + n % 3; 2 + (n % 4) as usize], false);
            sequence.extend(&[10 + n % 3, 4], true);
            sequence
        })
        .collect()
}

fn settings() -> TuneConfig {
    TuneConfig {
        r: 4,
        learning_rate: 2e-2,
        epochs: 10,
        batch: 2,
        accumulation: 4,
        checkpoint_every: 5,
        micro_tokens: 16,
        ..TuneConfig::default()
    }
}

fn tune_until(
    folder: &Path,
    config: &TuneConfig,
    stop: u64,
) -> (Vec<TuneProgress>, Result<LoraAdapter, TuningError>) {
    let mut reports = Vec::new();
    let result = tune_sequences(&base().0, &sequences(), config, folder, &mut |report| {
        let step = report.step;
        reports.push(report);
        if step == stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (reports, result)
}

fn bytes(adapter: &LoraAdapter) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    peft::save(folder.path(), adapter, "tiny", "00").unwrap();
    fs::read(folder.path().join(peft::MODEL_FILE)).unwrap()
}

#[test]
fn the_default_is_the_papers() {
    let config = TuneConfig::default();
    assert_eq!((config.r, config.alpha, config.learning_rate), (8, 16.0, 1e-4));
    assert_eq!((config.batch, config.accumulation, config.epochs), (4, 32, 1));
    assert_eq!((config.warmup, config.cutoff, config.target_modules.len()), (0.1, 4096, 7));
}

#[test]
fn the_loss_falls_and_the_base_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (base, weights) = base();
    let copies: Vec<Vec<f32>> = weights.iter().map(values).collect();
    let mut losses = Vec::new();
    tune_sequences(&base, &sequences(), &settings(), folder.path(), &mut |report| {
        losses.push(report.loss);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(losses.len(), 40, "30 examples by 8 are 4 updates, ten times");
    assert!(losses[39] < 0.3 * losses[0], "{losses:?}");
    assert!(weights.iter().map(values).eq(copies), "base weights changed");
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn only_the_adapter_has_gradients() {
    let (base, weights) = base();
    let adapter =
        Arc::new(LoraAdapter::init(&config(), LoraConfig::default(), 1, &Device::Cpu).unwrap());
    let adapters = std::slice::from_ref(&adapter);
    let learner = Learner { decoder: &base, adapters, checkpointing: false };
    let batch = Packed::new(&sequences(), Some(0));
    let gradients = learner.loss(&batch).unwrap().backward().unwrap();
    assert!(weights.iter().all(|weight| gradients.get(weight).is_none()));
    let moved = adapter.parameters().iter().filter(|(_, t)| gradients.get(t).is_some()).count();
    assert_eq!(moved, adapter.parameters().len());
}

#[test]
fn a_killed_run_gives_the_same_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let whole = tune_until(&folder.path().join("whole"), &settings(), 0).1.unwrap();

    let killed = folder.path().join("killed");
    let (_, stopped) = tune_until(&killed, &settings(), 13);
    assert!(matches!(stopped, Err(TuningError::Cancelled { step: 13 })));
    // As if the kill had come before the save of step 13: what remains is step 10.
    fs::remove_file(killed.join("step-00000013.safetensors")).unwrap();
    let one_thread = TuneConfig { workers: 1, checkpoint_every: 7, ..settings() };
    let (reports, resumed) = tune_until(&killed, &one_thread, 0);
    assert_eq!(reports[0].step, 11);
    assert!(bytes(&resumed.unwrap()) == bytes(&whole), "other bytes after going on");
    let (reports, again) = tune_until(&killed, &settings(), 0);
    assert!(reports.is_empty(), "a finished run has nothing left to do");
    assert!(bytes(&again.unwrap()) == bytes(&whole));
}

#[test]
fn dropout_leaves_out_the_same_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let with = TuneConfig { dropout: 0.3, ..settings() };
    let whole = tune_until(&folder.path().join("whole"), &with, 0).1.unwrap();
    let killed = folder.path().join("killed");
    let (_, stopped) = tune_until(&killed, &with, 13);
    assert!(matches!(stopped, Err(TuningError::Cancelled { step: 13 })));
    fs::remove_file(killed.join("step-00000013.safetensors")).unwrap();
    let other = TuneConfig { workers: 1, gradient_checkpointing: true, ..with.clone() };
    let resumed = tune_until(&killed, &other, 0).1.unwrap();
    assert!(bytes(&resumed) == bytes(&whole), "other bytes after going on");
    assert_eq!(whole.config.dropout, 0.3);
    let without = tune_until(&folder.path().join("without"), &settings(), 0).1.unwrap();
    assert!(bytes(&without) != bytes(&whole), "nothing was left out");
}

#[test]
fn settings_that_are_new_leave_older_checkpoints_valid() {
    let text = settings().deciding();
    assert!(!text.contains("dropout") && !text.contains("epsilon"), "{text}");
    assert!(text.contains("betas: (0.9, 0.999), seed: 7,"), "{text}");
    for other in
        [TuneConfig { dropout: 0.1, ..settings() }, TuneConfig { epsilon: 1e-6, ..settings() }]
    {
        let other = other.deciding();
        assert!(other.contains("dropout: 0") && other.contains("epsilon: 1e-"), "{other}");
        assert_ne!(other, text);
    }
}

#[test]
fn the_newest_checkpoint_is_an_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let newest = || snapshot::newest(&base().0, &settings(), folder.path()).unwrap();
    assert!(newest().is_none());
    let _ = tune_until(folder.path(), &settings(), 7);
    let (step, early) = newest().unwrap();
    assert_eq!(step, 7);
    let whole = tune_until(folder.path(), &settings(), 0).1.unwrap();
    let (step, last) = newest().unwrap();
    assert_eq!(step, 40);
    assert!(bytes(&last) == bytes(&whole) && bytes(&early) != bytes(&whole));
}

#[test]
fn micro_batches_do_not_change_an_update() {
    let folder = tempfile::tempdir().unwrap();
    let losses = |micro_tokens, dropout: f64| {
        let config = TuneConfig { micro_tokens, dropout, ..settings() };
        let name = format!("{micro_tokens}-{dropout}");
        let (reports, _) = tune_until(&folder.path().join(name), &config, 4);
        reports.into_iter().map(|report| report.loss).collect::<Vec<_>>()
    };
    for dropout in [0.0, 0.3] {
        for (one, many) in losses(1000, dropout).iter().zip(losses(8, dropout)) {
            assert!((one - many).abs() < 1e-4, "{one} {many} {dropout}");
        }
    }
}

#[test]
fn a_folder_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _ = tune_until(folder.path(), &settings(), 1);
    let other = TuneConfig { learning_rate: 1e-3, ..settings() };
    let error = tune_until(folder.path(), &other, 0).1.unwrap_err().to_string();
    assert!(error.contains("`settings` differs"), "{error}");
    let fewer = &sequences()[..9];
    let result = tune_sequences(&base().0, fewer, &settings(), folder.path(), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(result.unwrap_err().to_string().contains("`examples` differs"));
}

#[test]
fn settings_out_of_range_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (config, name) in [
        (TuneConfig { batch: 0, ..settings() }, "`batch`"),
        (TuneConfig { warmup: 1.5, ..settings() }, "`warmup`"),
        (TuneConfig { dropout: 1.0, ..settings() }, "`dropout`"),
        (TuneConfig { epsilon: 0.0, ..settings() }, "`epsilon`"),
        (TuneConfig { learning_rate: f64::NAN, ..settings() }, "`learning_rate`"),
        (TuneConfig { target_modules: vec!["nothing".into()], ..settings() }, "`nothing`"),
    ] {
        let error = tune_until(folder.path(), &config, 0).1.unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        assert_eq!(error.lines().count(), 2, "no way out: {error}");
    }
    let none =
        tune_sequences(&base().0, &[], &settings(), folder.path(), &mut |_| ControlFlow::Break(()));
    assert!(none.unwrap_err().to_string().contains("`examples`"));
}

#[test]
fn a_loss_that_is_not_a_number_is_an_error() {
    let (_, weights) = base();
    let parameters = init_parameters(&config(), 3, &Device::Cpu).unwrap();
    assert!(!weights.is_empty());
    let broken = parameters
        .iter()
        .map(|(name, var)| (name.clone(), (var.as_detached_tensor() * f64::NAN).unwrap()))
        .collect();
    let builder = VarBuilder::from_tensors(broken, DType::F32, &Device::Cpu);
    let base = Decoder::new(config(), builder).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let result = tune_sequences(&base, &sequences(), &settings(), folder.path(), &mut |_| {
        ControlFlow::Continue(())
    });
    let error = result.unwrap_err().to_string();
    assert!(error.contains("`NaN` at step 1") && error.contains("learning rate"), "{error}");
}
