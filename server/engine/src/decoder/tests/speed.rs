//! How fast the starter's shape trains and generates; ignored, since it asserts nothing about time:
//! `cargo test -p engine --lib decoder::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use super::*;
use crate::ops;

fn starter() -> DecoderConfig {
    DecoderConfig {
        hidden_size: 256,
        intermediate_size: 704,
        num_hidden_layers: 4,
        num_attention_heads: 8,
        num_key_value_heads: Some(4),
        vocab_size: 3072,
        max_position_embeddings: 1024,
        tie_word_embeddings: Some(true),
        ..DecoderConfig::default()
    }
}

fn trained(config: &DecoderConfig) -> HashMap<String, Tensor> {
    let parameters = init_parameters(config, 1, &Device::Cpu).unwrap();
    parameters.into_iter().map(|(name, var)| (name, var.into_inner())).collect()
}

/// 2048 tokens in segments of 32 to 224.
fn packed() -> (Vec<u32>, Vec<Segment>) {
    let mut random = SplitMix64::new(5);
    let tokens: Vec<u32> = (0..2048).map(|_| random.below(3072) as u32).collect();
    let mut rows = Vec::new();
    let mut left = tokens.len();
    while left > 0 {
        let len = (32 + random.below(193)).min(left);
        rows.push((len, None));
        left -= len;
    }
    (tokens, segments(&rows))
}

fn time(mut f: impl FnMut()) -> f64 {
    f();
    let mut best = f64::INFINITY;
    for _ in 0..6 {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

#[test]
#[ignore = "a measurement"]
fn training_step() {
    ops::flush_denormals();
    let config = starter();
    let weights = trained(&config);
    let (tokens, segments) = packed();
    let ones = vec![1.0; tokens.len()];
    let targets = Tensor::new(tokens.as_slice(), &Device::Cpu).unwrap();
    let model = decoder(&config, &weights);
    let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters: &[] };
    let forward = time(|| {
        model.loss(&model.forward(&batch, None).unwrap(), &tokens, &ones).unwrap();
    });
    let fused = time(|| {
        let loss = model.loss(&model.forward(&batch, None).unwrap(), &tokens, &ones).unwrap();
        loss.backward().unwrap();
    });
    let naive = time(|| {
        let logits = naive::logits(&config, &weights, &tokens, &segments).unwrap();
        let loss = candle_nn::loss::cross_entropy(&logits, &targets).unwrap();
        loss.backward().unwrap();
    });
    let speed = |seconds: f64| 2048.0 / seconds;
    println!(
        "training: fused {:.0} tokens/s (forward {:.0} ms of {:.0}), naive {:.0}, ratio {:.2}",
        speed(fused),
        forward * 1e3,
        fused * 1e3,
        speed(naive),
        naive / fused
    );
}

#[test]
#[ignore = "a measurement"]
fn decoding_step() {
    ops::flush_denormals();
    let config = starter();
    let weights: HashMap<_, _> =
        trained(&config).into_iter().map(|(name, x)| (name, x.detach())).collect();
    let model = decoder(&config, &weights);
    let frozen = |seed| {
        let adapter = LoraAdapter::init(&config, LoraConfig::default(), seed, &Device::Cpu);
        Arc::new(adapter.unwrap().to_frozen(&Device::Cpu, DType::F32).unwrap())
    };
    let adapters: Vec<_> = (0..6).map(frozen).collect();
    for (what, rows, adapted) in
        [("1 row", 1, false), ("6 rows", 6, false), ("6 adapters", 6, true)]
    {
        let mut caches: Vec<_> = (0..rows).map(|_| model.new_cache()).collect();
        let mut step = |len: usize| {
            let tokens = vec![7; rows * len];
            let segments = caches.iter().enumerate().map(|(row, cache)| Segment {
                len,
                position: cache.len(),
                adapter: adapted.then_some(row),
            });
            let segments: Vec<_> = segments.collect();
            let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters: &adapters };
            let mut caches: Vec<_> = caches.iter_mut().collect();
            let hidden = model.forward(&batch, Some(&mut caches)).unwrap();
            model.logits(&hidden).unwrap();
        };
        step(150);
        let seconds = time(|| (0..20).for_each(|_| step(1)));
        println!("decoding, {what}: {:.0} tokens/s", 20.0 * rows as f64 / seconds);
    }
}
