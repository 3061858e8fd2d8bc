//! Values: against candle-transformers' Llama, ragged against alone, cached against whole.

use candle_transformers::models::llama as oracle;

use super::*;

fn oracle_logits(config: &DecoderConfig, weights: &HashMap<String, Tensor>, row: &[u32]) -> Tensor {
    let settings = oracle::Config {
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        vocab_size: config.vocab_size,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        num_key_value_heads: config.kv_heads(),
        use_flash_attn: false,
        rms_norm_eps: config.rms_norm_eps,
        rope_theta: config.rotations().unwrap()[0].theta as f32,
        bos_token_id: None,
        eos_token_id: None,
        rope_scaling: None,
        max_position_embeddings: config.max_position_embeddings,
        tie_word_embeddings: config.tied(),
    };
    let vb = VarBuilder::from_tensors(weights.clone(), DType::F32, &Device::Cpu);
    let model = oracle::Llama::load(vb, &settings).unwrap();
    let mut cache = oracle::Cache::new(true, DType::F32, &settings, &Device::Cpu).unwrap();
    let row = Tensor::new(row, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    model.forward(&row, 0, &mut cache).unwrap()
}

/// Logits of every token of a batch without caches.
fn whole(
    model: &Decoder,
    tokens: &[u32],
    segments: &[Segment],
    adapters: &[Arc<LoraAdapter>],
) -> Tensor {
    let batch = PackedBatch { tokens, segments, adapters };
    model.logits(&model.forward(&batch, None).unwrap()).unwrap()
}

#[test]
fn agrees_with_another_implementation() {
    for tied in [true, false] {
        let config = DecoderConfig { tie_word_embeddings: Some(tied), ..tiny() };
        let weights = weights(&config, 3);
        let tokens = tokens(17, 4);
        let ours = whole(&decoder(&config, &weights), &tokens, &segments(&[(17, None)]), &[]);
        close(&ours.narrow(0, 16, 1).unwrap(), &oracle_logits(&config, &weights, &tokens), 1e-4);
    }
}

#[test]
fn a_ragged_batch_equals_each_row_alone() {
    let config = tiny();
    let model = decoder(&config, &weights(&config, 5));
    let adapters =
        [adapter(&config, &["q_proj", "v_proj", "down_proj"], 6), adapter(&config, &ALL, 8)];
    let adapters = adapters.map(Arc::new);
    let frozen = adapters.clone().map(|a| Arc::new(a.to_frozen(&Device::Cpu, DType::F32).unwrap()));
    let rows = [(5, None), (1, Some(0)), (9, Some(1)), (3, Some(1)), (2, None), (4, Some(0))];
    let tokens = tokens(24, 7);
    for adapters in [&adapters, &frozen] {
        let together = whole(&model, &tokens, &segments(&rows), adapters);
        let mut start = 0;
        for row in rows {
            let alone = whole(&model, &tokens[start..start + row.0], &segments(&[row]), adapters);
            // Not only close: a reply must not depend on the company that it was computed in.
            assert_eq!(
                values(&alone),
                values(&together.narrow(0, start, row.0).unwrap()),
                "{row:?}"
            );
            start += row.0;
        }
    }
    let plain = whole(&model, &tokens[6..15], &segments(&[(9, None)]), &[]);
    let adapted = whole(&model, &tokens[6..15], &segments(&[(9, Some(1))]), &adapters);
    assert!(values(&plain) != values(&adapted), "the adapter changed nothing");
}

const ALL: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

#[test]
fn cached_decoding_equals_one_whole_pass() {
    let config = tiny();
    let model = decoder(&config, &weights(&config, 9));
    let adapters = [Arc::new(adapter(&config, &ALL, 10))];
    let rows: Vec<Vec<u32>> = vec![tokens(11, 11), tokens(7, 12)];
    let adapted = [None, Some(0)];
    let mut caches = [model.new_cache(), model.new_cache()];
    let mut got = [Vec::new(), Vec::new()];
    // Prompts of 4 and 1, then the rest in steps of uneven widths in the same batches.
    for widths in [[4, 1], [1, 1], [1, 3], [5, 2]] {
        let mut packed = Vec::new();
        let mut segments = Vec::new();
        for (row, &len) in widths.iter().enumerate() {
            let position = caches[row].len();
            packed.extend_from_slice(&rows[row][position..position + len]);
            segments.push(Segment { len, position, adapter: adapted[row] });
        }
        let batch = PackedBatch { tokens: &packed, segments: &segments, adapters: &adapters };
        let mut lent: Vec<&mut KvCache> = caches.iter_mut().collect();
        let logits = model.logits(&model.forward(&batch, Some(&mut lent)).unwrap()).unwrap();
        got[0].push(logits.narrow(0, 0, widths[0]).unwrap());
        got[1].push(logits.narrow(0, widths[0], widths[1]).unwrap());
    }
    for (row, got) in got.iter().enumerate() {
        let len = rows[row].len();
        let whole = whole(&model, &rows[row], &segments(&[(len, adapted[row])]), &adapters);
        close(&Tensor::cat(got, 0).unwrap(), &whole, 1e-4);
    }
}

#[test]
fn forked_and_truncated_caches_continue_from_their_past() {
    let config = tiny();
    let model = decoder(&config, &weights(&config, 13));
    let feed = |cache: &mut KvCache, tokens: &[u32]| {
        let segments = [Segment { len: tokens.len(), position: cache.len(), adapter: None }];
        let batch = PackedBatch { tokens, segments: &segments, adapters: &[] };
        values(&model.forward(&batch, Some(&mut [cache])).unwrap())
    };
    let mut first = model.new_cache();
    feed(&mut first, &[1, 2, 3]);
    let mut second = first.fork().unwrap();
    let expected = feed(&mut first, &[4]);
    feed(&mut second, &[5, 6, 7]);
    second.truncate(3);
    assert_eq!(second.len(), 3);
    assert_eq!(feed(&mut second, &[4]), expected);
}

#[test]
fn other_data_types_take_the_composed_path() {
    let config = tiny();
    let weights = weights(&config, 14);
    let model = decoder(&config, &weights);
    let vb = VarBuilder::from_tensors(weights, DType::F64, &Device::Cpu);
    let wide = Decoder::new(config.clone(), vb).unwrap();
    let tokens = tokens(6, 15);
    let expected = whole(&model, &tokens, &segments(&[(6, None)]), &[]);
    close(&whole(&wide, &tokens, &segments(&[(6, None)]), &[]), &expected, 1e-4);
    let mut cache = wide.new_cache();
    let mut last = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        let segments = [Segment { len: 1, position, adapter: None }];
        let batch = PackedBatch { tokens: &[*token], segments: &segments, adapters: &[] };
        cache = cache.fork().unwrap();
        let hidden = wide.forward(&batch, Some(&mut [&mut cache])).unwrap();
        last.push(wide.logits(&hidden).unwrap());
    }
    close(&Tensor::cat(&last, 0).unwrap(), &expected, 1e-4);
}

#[test]
fn wrong_batches_and_checkpoints_are_refused() {
    let config = tiny();
    let good = weights(&config, 16);
    let model = decoder(&config, &good);
    let refused = |tokens: &[u32], segments: &[Segment]| {
        let batch = PackedBatch { tokens, segments, adapters: &[] };
        model.forward(&batch, None).unwrap_err().to_string()
    };
    let at = |len, position, adapter| vec![Segment { len, position, adapter }];
    assert!(refused(&[1, 2], &at(3, 0, None)).contains("`tokens`"));
    assert!(refused(&[], &[]).contains("`tokens`"));
    assert!(refused(&[1], &at(1, 2, None)).contains("`segment position`"));
    assert!(refused(&[1], &at(1, 0, Some(0))).contains("`adapter index`"));
    assert!(refused(&[50], &at(1, 0, None)).contains("token 50"));
    assert!(refused(&[1; 65], &at(65, 0, None)).contains("`max_position_embeddings` of 64"));

    let load = |weights: &HashMap<String, Tensor>| {
        let vb = VarBuilder::from_tensors(weights.clone(), DType::F32, &Device::Cpu);
        Decoder::new(config.clone(), vb).map(|_| ()).unwrap_err()
    };
    let name = "model.layers.1.mlp.up_proj.weight";
    let mut missing = good.clone();
    missing.remove(name);
    assert!(matches!(load(&missing), DecoderError::MissingTensor { name: n } if n == name));
    let mut wrong = good;
    wrong.insert(name.to_owned(), Tensor::zeros((40, 23), DType::F32, &Device::Cpu).unwrap());
    let message = load(&wrong).to_string();
    assert!(
        message.contains(
            "`model.layers.1.mlp.up_proj.weight` must have the shape [40, 24], got [40, 23]"
        ),
        "{message}"
    );
}
