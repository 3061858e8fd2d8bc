//! Blends: the mathematical sum, whatever the adapters' ranks, layers and company.

use super::*;
use crate::decoder::{LoraPair, Module};

/// Two adapters of other ranks, scales and layers, and one of all layers; frozen.
fn parts(config: &DecoderConfig) -> Vec<LoraAdapter> {
    let every: Vec<&str> = Module::ALL.iter().map(|module| module.name()).collect();
    let wide = adapter(config, &["q_proj", "v_proj", "down_proj"], 6);
    let settings = LoraConfig {
        r: 5,
        alpha: 3.0,
        rslora: true,
        target_modules: vec!["q_proj".to_owned(), "up_proj".to_owned()],
        rank_pattern: vec![("layers.1.self_attn.q_proj".to_owned(), 2)],
        ..LoraConfig::default()
    };
    let narrow = LoraAdapter::init(config, settings, 9, &Device::Cpu).unwrap();
    let mut random = SplitMix64::new(10);
    for (_, tensor) in narrow.parameters() {
        let values: Vec<f32> =
            (0..tensor.elem_count()).map(|_| 0.4 * random.unit() as f32 - 0.2).collect();
        let fresh = Tensor::from_vec(values, tensor.shape(), &Device::Cpu).unwrap();
        Var::from_tensor(&tensor).unwrap().set(&fresh).unwrap();
    }
    let all = [wide, narrow, adapter(config, &every, 8)];
    all.iter().map(|part| part.to_frozen(&Device::Cpu, DType::F32).unwrap()).collect()
}

/// The model's weights with the changes added to them: `W + Σ w s B A`.
fn merged(
    config: &DecoderConfig,
    weights: &HashMap<String, Tensor>,
    parts: &[(&LoraAdapter, f64)],
) -> Decoder {
    let mut merged = weights.clone();
    for (part, weight) in parts {
        for layer in 0..config.num_hidden_layers {
            for module in Module::ALL {
                let Some(LoraPair { a, b, scale }) = part.pair(layer, module) else { continue };
                let name = format!("model.layers.{layer}.{}.weight", module.path());
                let change = (b.matmul(a).unwrap() * (scale * weight)).unwrap();
                let sum = (&merged[&name] + &change).unwrap();
                merged.insert(name, sum);
            }
        }
    }
    decoder(config, &merged)
}

fn logits(
    model: &Decoder,
    adapters: &[Arc<LoraAdapter>],
    rows: &[(usize, Option<usize>)],
) -> Tensor {
    let tokens = tokens(rows.iter().map(|row| row.0).sum(), 7);
    let segments = segments(rows);
    let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters };
    model.logits(&model.forward(&batch, None).unwrap()).unwrap()
}

#[test]
fn a_blend_is_the_sum_of_its_parts() {
    let config = tiny();
    let weights = weights(&config, 5);
    let model = decoder(&config, &weights);
    let parts = parts(&config);
    for shares in [&[0.5, 0.5, 0.0][..], &[1.0, -0.7, 0.3], &[2.0], &[0.25, 1.5]] {
        let shares: Vec<(&LoraAdapter, f64)> = parts.iter().zip(shares.iter().copied()).collect();
        let blend = Arc::new(LoraAdapter::blend(&shares).unwrap());
        let found = logits(&model, &[blend], &[(12, Some(0))]);
        let expected = logits(&merged(&config, &weights, &shares), &[], &[(12, None)]);
        close(&found, &expected, 1e-5);
        let plain = logits(&model, &[], &[(12, None)]);
        assert!(values(&plain) != values(&found), "the blend changed nothing");
    }
}

#[test]
fn a_blend_of_one_with_weight_one_is_that_adapter() {
    let config = tiny();
    let model = decoder(&config, &weights(&config, 5));
    for part in parts(&config) {
        let blend = LoraAdapter::blend(&[(&part, 1.0)]).unwrap();
        let adapters = [Arc::new(part), Arc::new(blend)];
        let [plain, blended] = [0, 1].map(|index| logits(&model, &adapters, &[(9, Some(index))]));
        close(&blended, &plain, 1e-6);
    }
}

#[test]
fn blends_and_plain_rows_in_one_batch_equal_each_alone() {
    let config = tiny();
    let model = decoder(&config, &weights(&config, 5));
    let parts = parts(&config);
    let blend = |shares: &[f64]| {
        let shares: Vec<_> = parts.iter().zip(shares.iter().copied()).collect();
        Arc::new(LoraAdapter::blend(&shares).unwrap())
    };
    let adapters = [blend(&[0.5, 0.5]), blend(&[-1.0, 0.2, 0.7]), Arc::new(parts[0].clone())];
    let rows = [(5, Some(0)), (1, None), (7, Some(1)), (3, Some(2)), (2, Some(0)), (4, None)];
    let together = logits(&model, &adapters, &rows);
    let tokens = tokens(22, 7);
    let mut start = 0;
    for row in rows {
        let segments = segments(&[row]);
        let batch = PackedBatch {
            tokens: &tokens[start..start + row.0],
            segments: &segments,
            adapters: &adapters,
        };
        let alone = model.logits(&model.forward(&batch, None).unwrap()).unwrap();
        let found = together.narrow(0, start, row.0).unwrap();
        assert_eq!(values(&alone), values(&found), "{row:?}");
        start += row.0;
    }
}

#[test]
fn adapters_of_other_sizes_do_not_blend() {
    let config = tiny();
    let other = DecoderConfig { hidden_size: 32, ..tiny() };
    let [one, two] = [&config, &other].map(|config| adapter(config, &["q_proj"], 1));
    assert!(LoraAdapter::blend(&[(&one, 0.5), (&two, 0.5)]).is_err());
}
