//! Gradients layer by layer are those of one pass over all layers.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use domain::random::SplitMix64;

use super::*;
use crate::decoder::{DecoderConfig, Dropout, LoraConfig, init_parameters};
use crate::tuning::optimizer::AdamWConfig;
use crate::tuning::packing::Sequence;

fn config() -> DecoderConfig {
    DecoderConfig {
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        vocab_size: 20,
        max_position_embeddings: 32,
        tie_word_embeddings: Some(true),
        ..DecoderConfig::default()
    }
}

fn batches(adapter: Option<usize>) -> Vec<Packed> {
    let sequence = |n: u32| {
        let mut sequence = Sequence::default();
        sequence.extend(&vec![1 + n % 3; 2 + n as usize], false);
        sequence.extend(&[10 + n % 3, 4], true);
        sequence
    };
    (0..3).map(|n| Packed::new(&[sequence(n), sequence(n + 1)], adapter)).collect()
}

fn optimizer(variables: Vec<(String, Var)>) -> AdamW {
    let config =
        AdamWConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, max_norm: 1.0 };
    AdamW::new(variables, config).unwrap()
}

/// The same micro-batches with and without checkpointing.
fn both(decoder: &Decoder, adapters: &[Arc<LoraAdapter>], optimizer: &AdamW) -> (Learned, Learned) {
    let workers = Workers::new(1, &Device::Cpu).unwrap();
    let learn = |checkpointing| {
        let learner = Learner { decoder, adapters, checkpointing };
        let adapter = (!adapters.is_empty()).then_some(0);
        learner.learn(&batches(adapter), optimizer, &workers).unwrap()
    };
    (learn(false), learn(true))
}

/// A frozen model, computed with in this data type.
fn frozen(dtype: DType) -> Decoder {
    frozen_of(&config(), dtype)
}

fn frozen_of(config: &DecoderConfig, dtype: DType) -> Decoder {
    let frozen = init_parameters(config, 3, &Device::Cpu).unwrap();
    let frozen = frozen.into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect();
    Decoder::new(config.clone(), VarBuilder::from_tensors(frozen, dtype, &Device::Cpu)).unwrap()
}

/// An adapter in f32 whose matrices are all away from zero by up to `size`, so that all have gradients.
fn adapter(size: f32) -> (Arc<LoraAdapter>, Vec<(String, Var)>) {
    adapter_of(&config(), LoraConfig::default(), size)
}

fn adapter_of(
    config: &DecoderConfig,
    settings: LoraConfig,
    size: f32,
) -> (Arc<LoraAdapter>, Vec<(String, Var)>) {
    let first = LoraAdapter::init(config, settings, 1, &Device::Cpu).unwrap();
    let mut random = SplitMix64::new(1);
    let variables: Vec<(String, Var)> = first
        .parameters()
        .into_iter()
        .map(|(name, tensor)| {
            let noise = (0..tensor.elem_count())
                .map(|_| (random.unit() as f32 * 2.0 - 1.0) * size)
                .collect();
            let noise = Tensor::from_vec(noise, tensor.shape(), &Device::Cpu).unwrap();
            (name, Var::from_tensor(&noise).unwrap())
        })
        .collect();
    let tensors =
        variables.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let adapter = LoraAdapter::from_tensors(config, first.config.clone(), &tensors).unwrap();
    (Arc::new(adapter), variables)
}

/// A model wide enough for products in whole numbers of 16 bits, where the processor has them; its adapter
/// changes all layers, or one, before which nothing needs a gradient.
#[test]
fn of_an_adapter_on_a_wide_model_to_the_bit() {
    let wide = DecoderConfig { hidden_size: 768, intermediate_size: 768, ..config() };
    let wide = DecoderConfig { num_hidden_layers: 2, ..wide };
    for modules in [&["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"][..], &["down_proj"]] {
        let target_modules = modules.iter().map(|&name| name.to_owned()).collect();
        let settings = LoraConfig { r: 2, target_modules, ..LoraConfig::default() };
        let (adapter, variables) = adapter_of(&wide, settings, 0.1);
        let (optimizer, adapters) = (optimizer(variables), [adapter]);
        let (whole, parts) = both(&frozen_of(&wide, DType::F32), &adapters, &optimizer);
        assert_eq!(whole.loss, parts.loss, "{modules:?}");
        assert_eq!(whole.gradients, parts.gradients, "{modules:?}");
        // A model that is trained too is multiplied in f32.
        let trained = init_parameters(&wide, 3, &Device::Cpu).unwrap();
        let trained =
            trained.into_iter().map(|(name, var)| (name, var.as_tensor().clone())).collect();
        let trained = VarBuilder::from_tensors(trained, DType::F32, &Device::Cpu);
        let trained = Decoder::new(wide.clone(), trained).unwrap();
        let (exact, _) = both(&trained, &adapters, &optimizer);
        assert!((whole.loss - exact.loss).abs() < 1e-3 * exact.loss, "{modules:?}");
        for (given, exact) in whole.gradients.iter().zip(&exact.gradients) {
            let length = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>();
            let difference = length(&mut given.iter().zip(exact).map(|(a, b)| a - b));
            let share = (difference / length(&mut exact.iter().copied())).sqrt();
            assert!(share < 3e-3, "{modules:?}: {share}");
        }
    }
}

/// Rows with several targets, of which the last layer computes one each, and two adapters side by side.
#[test]
fn of_wanted_rows_are_those_of_all_rows() {
    let ((first, one), (second, two)) = (adapter(0.5), adapter(0.4));
    let optimizer = optimizer(one.into_iter().chain(two).collect());
    let (decoder, adapters) = (frozen(DType::F32), [first, second]);
    let mut packed = batches(Some(0)).remove(2);
    packed.segments[1].adapter = Some(1);
    let last = packed.rows.len() - 1;
    for (target, row) in [(7, packed.rows[last]), (3, packed.rows[last])] {
        packed.rows.push(row);
        packed.targets.push(target);
        packed.weights.push(0.5);
    }
    let learner = Learner { decoder: &decoder, adapters: &adapters, checkpointing: false };
    let given = learner.loss(&packed).unwrap();
    let all = batch(&packed, &adapters);
    let hidden = decoder.forward(&all, None).unwrap();
    let rows = Tensor::new(packed.rows.as_slice(), &Device::Cpu).unwrap();
    let hidden = hidden.index_select(&rows, 0).unwrap();
    let expected = decoder.loss(&hidden, &packed.targets, &packed.weights).unwrap();
    let both = [given, expected].map(|loss| {
        let gradients = optimizer.collect(&[loss.backward().unwrap()]).unwrap();
        (loss.to_scalar::<f32>().unwrap(), gradients)
    });
    assert!((both[0].0 - both[1].0).abs() < 1e-6);
    for (given, expected) in both[0].1.iter().zip(&both[1].1) {
        assert!(expected.iter().any(|value| *value != 0.0));
        assert!(given.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}

#[test]
fn of_an_adapter_to_the_bit() {
    let (adapter, variables) = adapter(0.5);
    let (whole, parts) = both(&frozen(DType::F32), &[adapter], &optimizer(variables));
    assert_eq!(whole.loss, parts.loss);
    assert!(whole.gradients.iter().all(|values| values.iter().any(|value| *value != 0.0)));
    assert_eq!(whole.gradients, parts.gradients);
}

#[test]
fn the_number_of_workers_changes_no_bit() {
    let (adapter, variables) = adapter(0.5);
    let (decoder, optimizer, adapters) = (frozen(DType::F32), optimizer(variables), [adapter]);
    let learner = Learner { decoder: &decoder, adapters: &adapters, checkpointing: false };
    // Seven micro-batches of other lengths and weights, in waves of one to as many as there are.
    let mut all: Vec<Packed> =
        std::iter::repeat_with(|| batches(Some(0))).take(3).flatten().collect();
    all.truncate(7);
    let learn = |batches: &[Packed], count: usize| {
        let workers = Workers::new(count, &Device::Cpu).unwrap();
        learner.learn(batches, &optimizer, &workers).unwrap()
    };
    let one = learn(&all, 1);
    for count in [2, 3, 7, 9] {
        let several = learn(&all, count);
        assert_eq!(several.loss, one.loss, "{count} workers");
        assert_eq!(several.gradients, one.gradients, "{count} workers");
    }
    // The sum is that of every micro-batch by itself, in order.
    let weight: f64 = all.iter().map(Packed::weight).sum();
    let (mut loss, mut gradients) = (0.0, Vec::new());
    for batch in &all {
        let alone = learn(std::slice::from_ref(batch), 1);
        loss += alone.loss * (batch.weight() / weight);
        add_scaled(&mut gradients, alone.gradients, (batch.weight() / weight) as f32);
    }
    assert_eq!((loss, gradients), (one.loss, one.gradients));
    assert!(learn(&[], 2).gradients.is_empty());
}

#[test]
fn of_an_adapter_with_dropout_to_the_bit() {
    let (adapter, variables) = adapter(0.5);
    let (decoder, optimizer, adapters) = (frozen(DType::F32), optimizer(variables), [adapter]);
    let workers = Workers::new(1, &Device::Cpu).unwrap();
    let learn = |checkpointing, step| {
        let mut batches = batches(Some(0));
        let mut row = 0;
        for batch in &mut batches {
            batch.dropout = Some(Dropout::new(0.5, 1, step).from_row(row));
            row += batch.tokens.len();
        }
        let learner = Learner { decoder: &decoder, adapters: &adapters, checkpointing };
        learner.learn(&batches, &optimizer, &workers).unwrap()
    };
    let (whole, parts) = (learn(false, 0), learn(true, 0));
    assert_eq!(whole.loss, parts.loss);
    assert!(whole.gradients.iter().all(|values| values.iter().any(|value| *value != 0.0)));
    assert_eq!(whole.gradients, parts.gradients);
    let (again, next) = (learn(false, 0), learn(false, 1));
    assert_eq!((again.loss, &again.gradients), (whole.loss, &whole.gradients));
    assert_ne!(next.gradients, whole.gradients, "another update leaves out something else");
}

#[test]
fn of_a_whole_model_with_a_tied_embedding() {
    let variables: Vec<(String, Var)> =
        init_parameters(&config(), 3, &Device::Cpu).unwrap().into_iter().collect();
    let tensors =
        variables.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let decoder = Decoder::new(config(), builder).unwrap();
    let (whole, parts) = both(&decoder, &[], &optimizer(variables));
    assert_eq!(whole.loss, parts.loss);
    for (whole, parts) in whole.gradients.iter().zip(&parts.gradients) {
        assert!(whole.iter().any(|value| *value != 0.0), "nothing reached a parameter");
        // The embedding's two parts, as input and as output, are added in another order.
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * (1.0 + a.abs());
        assert!(whole.iter().zip(parts).all(close), "{whole:?} {parts:?}");
    }
}

#[test]
fn of_an_adapter_on_a_model_in_bfloat16() {
    let (adapter, variables) = adapter(0.1);
    let (optimizer, adapters) = (optimizer(variables), [adapter]);
    let (_, exact) = both(&frozen(DType::F32), &adapters, &optimizer);
    let (whole, parts) = both(&frozen(DType::BF16), &adapters, &optimizer);
    assert_eq!(whole.gradients, parts.gradients);
    assert!((whole.loss - exact.loss).abs() < 1e-2 * exact.loss, "{} {}", whole.loss, exact.loss);
    // An update follows the whole gradient: what is small in it may be rounded to nothing.
    let all = |learned: &Learned| -> Vec<f32> { learned.gradients.concat() };
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let (rounded, exact) = (all(&whole), all(&exact));
    let cosine =
        product(&rounded, &exact) / (product(&rounded, &rounded) * product(&exact, &exact)).sqrt();
    assert!(cosine > 0.99, "{cosine}");
}
