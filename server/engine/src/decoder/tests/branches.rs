//! Sequences that go on from one within the same pass, and starts of sequences that others go on
//! from: the same values as each sequence by itself.

use super::*;

/// Two layers, the first of which sees the last 5 tokens only.
fn windowed() -> DecoderConfig {
    DecoderConfig {
        architectures: Some(vec!["MistralForCausalLM".to_owned()]),
        model_type: Some("mistral".to_owned()),
        layer_types: Some(["sliding_attention", "full_attention"].map(str::to_owned).into()),
        sliding_window: Some(Some(5)),
        ..tiny()
    }
}

/// In f32 by the fused kernels, and in f64 by the composition.
fn models(config: &DecoderConfig) -> [Decoder; 2] {
    let weights = weights(config, 31);
    [DType::F32, DType::F64].map(|dtype| {
        let vb = VarBuilder::from_tensors(weights.clone(), dtype, &Device::Cpu);
        Decoder::new(config.clone(), vb).unwrap()
    })
}

/// Logits of the last `count` tokens of a sequence by itself, without any cache.
fn alone(model: &Decoder, tokens: &[u32], count: usize) -> Tensor {
    let segments = segments(&[(tokens.len(), None)]);
    let batch = PackedBatch { tokens, segments: &segments, adapters: &[] };
    let hidden = model.forward(&batch, None).unwrap();
    model.logits(&hidden.narrow(0, tokens.len() - count, count).unwrap()).unwrap()
}

fn feed(model: &Decoder, cache: &mut KvCache, tokens: &[u32]) -> Tensor {
    let segments = [Segment { len: tokens.len(), position: cache.len(), adapter: None }];
    let batch = PackedBatch { tokens, segments: &segments, adapters: &[] };
    let hidden = model.forward(&batch, Some(&mut [cache])).unwrap();
    model.logits(&hidden).unwrap()
}

#[test]
fn branches_equal_sequences_of_their_own_and_leave_nothing_behind() {
    for model in [tiny(), windowed()].iter().flat_map(models) {
        // Two sequences with a past, two and three branches, and one without any between them.
        let texts = [tokens(9, 1), tokens(4, 2), tokens(7, 3)];
        let pasts = [5, 0, 3];
        let paths = [
            vec![tokens(2, 4), tokens(1, 5)],
            vec![],
            vec![tokens(1, 6), tokens(3, 7), tokens(1, 8)],
        ];
        let mut trunks: Vec<KvCache> = (0..3).map(|_| model.new_cache()).collect();
        for row in [0, 2] {
            feed(&model, &mut trunks[row], &texts[row][..pasts[row]]);
        }
        let mut packed = Vec::new();
        let mut segments = Vec::new();
        let mut branches: Vec<Vec<KvCache>> = Vec::new();
        for row in 0..3 {
            let rest = &texts[row][pasts[row]..];
            let trunk = segments.len();
            segments.push(Segment { len: rest.len(), position: pasts[row], adapter: None });
            packed.extend_from_slice(rest);
            let branch = |path: &Vec<u32>| {
                packed.extend_from_slice(path);
                segments.push(Segment {
                    len: path.len(),
                    position: texts[row].len(),
                    adapter: None,
                });
                trunks[row].branch(trunk, rest.len())
            };
            branches.push(paths[row].iter().map(branch).collect());
        }
        let mut lent: Vec<&mut KvCache> = Vec::new();
        for (trunk, branches) in trunks.iter_mut().zip(&mut branches) {
            lent.push(trunk);
            lent.extend(branches);
        }
        let batch = PackedBatch { tokens: &packed, segments: &segments, adapters: &[] };
        let found = model.logits(&model.forward(&batch, Some(&mut lent)).unwrap()).unwrap();
        let mut start = 0;
        for row in 0..3 {
            let rest = texts[row].len() - pasts[row];
            let expected = alone(&model, &texts[row], rest);
            close(&found.narrow(0, start, rest).unwrap(), &expected, 1e-5);
            start += rest;
            for path in &paths[row] {
                let whole = [texts[row].clone(), path.clone()].concat();
                let expected = alone(&model, &whole, path.len());
                close(&found.narrow(0, start, path.len()).unwrap(), &expected, 1e-5);
                start += path.len();
            }
            // What goes on afterwards has seen no branch.
            let next = feed(&model, &mut trunks[row], &[11]);
            let whole = [texts[row].clone(), vec![11]].concat();
            close(&next, &alone(&model, &whole, 1), 1e-5);
        }
    }
}

#[test]
fn the_start_of_a_cache_serves_as_if_it_had_been_read_anew() {
    for model in [tiny(), windowed()].iter().flat_map(models) {
        let text = tokens(20, 40);
        let mut long = model.new_cache();
        feed(&model, &mut long, &text[..13]);
        // Token by token, as a reply is.
        text[13..].iter().for_each(|token| drop(feed(&model, &mut long, &[*token])));
        for len in [0, 1, 6, 12, 17, 20] {
            let mut start = long.fork_start(len).unwrap();
            assert_eq!(start.len(), len);
            let other = [text[..len].to_vec(), tokens(6, 41)].concat();
            let found = feed(&model, &mut start, &other[len..]);
            let (found, expected) = (values(&found), values(&alone(&model, &other, 6)));
            // Rounding of f32, by the size of the largest: products of one row and of many add up in
            // another order.
            let scale = expected.iter().fold(1.0_f32, |scale, x| scale.max(x.abs()));
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() <= 1e-6 * scale, "{a} and {b} of {scale}");
            }
        }
        assert_eq!(long.fork_start(99).unwrap().len(), 20);
    }
}
