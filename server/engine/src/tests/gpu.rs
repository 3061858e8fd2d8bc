//! The GPU's results beside the CPU's. They need an NVIDIA GPU and a build with the feature `cuda`:
//! `cargo test --package engine --release --features cuda --lib tests::gpu -- --ignored`.

use candle_core::{DType, Device};

use super::*;
use crate::decoder::{PackedBatch, Segment};
use crate::{ScorePrompt, WeightFormat};

/// Largest difference of a logit in shares of the largest one: bfloat16 keeps 8 bits, and layers add up.
const OF_LARGEST: f32 = 0.02;

/// Largest difference of an option's probability.
const OF_PROBABILITY: f64 = 0.03;

fn logits(device: &Device, weights: WeightFormat) -> Vec<f32> {
    let model = LoadedModel::load_as(&ModelSource::Starter, device, weights).unwrap();
    let tokens: Vec<u32> = (5..205).collect();
    let segments = [Segment { len: tokens.len(), position: 0, adapter: None }];
    let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters: &[] };
    let hidden = model.decoder.forward(&batch, None).unwrap();
    let logits = model.decoder.logits(&hidden).unwrap().to_dtype(DType::F32).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn logits_agree_within_the_rounding_of_bfloat16() {
    let gpu = DeviceChoice::Cuda(0).open().unwrap();
    let exact = logits(&Device::Cpu, WeightFormat::F32);
    let given = logits(&gpu, WeightFormat::BF16);
    assert_eq!(exact.len(), given.len());
    let largest = exact.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    for (index, (given, exact)) in given.iter().zip(&exact).enumerate() {
        assert!((given - exact).abs() < OF_LARGEST * largest, "{index}: {given} for {exact}");
    }
}

#[tokio::test]
#[ignore = "needs an NVIDIA GPU"]
async fn options_of_voices_with_adapters_are_as_probable() {
    let prompts: Vec<ScorePrompt> = [None, Some("joint"), Some("specific-THA")]
        .into_iter()
        .map(|adapter| ScorePrompt {
            messages: conversation(
                "You are somebody from Thailand.",
                "How important is family? 1. Very 2. Rather 3. Not at all",
            ),
            options: ["1", "2", "3"].map(str::to_owned).into(),
            adapter: adapter.map(str::to_owned).into(),
        })
        .collect();
    let scores = async |device| {
        let config = EngineConfig::new(ModelSource::Starter, device);
        Engine::start(config).unwrap().score(prompts.clone()).await.unwrap()
    };
    let (exact, given) = (scores(DeviceChoice::Cpu).await, scores(DeviceChoice::Cuda(0)).await);
    for (given, exact) in given.iter().flatten().zip(exact.iter().flatten()) {
        assert!((given - exact).abs() < OF_PROBABILITY, "{given} for {exact}");
    }
}
