//! The decoder against another implementation, against itself in other batches, and its gradients
//! against finite differences.

mod adapters;
mod blend;
mod branches;
mod families;
mod naive;
mod parity;
mod speed;

use std::{collections::HashMap, sync::Arc};

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use domain::random::SplitMix64;

use super::{
    Decoder, DecoderConfig, DecoderError, KvCache, LoraAdapter, LoraConfig, PackedBatch, Segment,
    init_parameters,
};

/// A model of two layers with grouped heads.
fn tiny() -> DecoderConfig {
    DecoderConfig {
        hidden_size: 24,
        intermediate_size: 40,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        vocab_size: 50,
        max_position_embeddings: 64,
        tie_word_embeddings: Some(true),
        rms_norm_eps: 1e-5,
        ..DecoderConfig::default()
    }
}

/// Random weights wide enough that every part of the model matters.
fn weights(config: &DecoderConfig, seed: u64) -> HashMap<String, Tensor> {
    let parameters = init_parameters(config, seed, &Device::Cpu).unwrap();
    let widen = |(name, var): (String, Var)| {
        let factor = if var.rank() == 1 { 1.0 } else { 10.0 };
        (name, (var.as_detached_tensor() * factor).unwrap())
    };
    parameters.into_iter().map(widen).collect()
}

fn decoder(config: &DecoderConfig, weights: &HashMap<String, Tensor>) -> Decoder {
    let vb = VarBuilder::from_tensors(weights.clone(), DType::F32, &Device::Cpu);
    Decoder::new(config.clone(), vb).unwrap()
}

/// An adapter that changes something, made of `Var`s.
fn adapter(config: &DecoderConfig, modules: &[&str], seed: u64) -> LoraAdapter {
    let target_modules = modules.iter().map(|&name| name.to_owned()).collect();
    let settings = LoraConfig { r: 3, alpha: 6.0, target_modules, ..LoraConfig::default() };
    let adapter = LoraAdapter::init(config, settings, seed, &Device::Cpu).unwrap();
    let mut random = SplitMix64::new(seed + 1);
    for (_, tensor) in adapter.parameters() {
        let draw = |_| 0.4 * random.unit() as f32 - 0.2;
        let values: Vec<f32> = (0..tensor.elem_count()).map(draw).collect();
        let fresh = Tensor::from_vec(values, tensor.shape(), &Device::Cpu).unwrap();
        Var::from_tensor(&tensor).unwrap().set(&fresh).unwrap();
    }
    adapter
}

fn values(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[track_caller]
fn close(a: &Tensor, b: &Tensor, tolerance: f32) {
    assert_eq!(a.dims(), b.dims());
    for (index, (a, b)) in values(a).iter().zip(values(b)).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "entry {index}: {a} and {b}");
    }
}

fn tokens(count: usize, seed: u64) -> Vec<u32> {
    let mut random = SplitMix64::new(seed);
    (0..count).map(|_| random.below(50) as u32).collect()
}

/// Rows of `(length, adapter)` from position 0.
fn segments(rows: &[(usize, Option<usize>)]) -> Vec<Segment> {
    rows.iter().map(|&(len, adapter)| Segment { len, position: 0, adapter }).collect()
}
