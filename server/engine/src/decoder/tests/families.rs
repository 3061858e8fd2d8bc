//! Every family against Hugging Face's transformers and peft: logits, greedy replies alone and in
//! company, with and without adapters. `families/make.py` made the checkpoints and their answers.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use super::*;
use crate::tuning::peft;

#[derive(Deserialize)]
struct Expected {
    /// Token ids of the prompts.
    rows: Vec<Vec<u32>>,
    base: Answers,
    patterns: Answers,
    rslora: Answers,
    /// Logits after each row of the model without adapter, computed in bf16.
    bf16: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Answers {
    /// Logits after each row.
    logits: Vec<Vec<f32>>,
    /// What follows each row when the best token is always taken.
    greedy: Vec<Vec<u32>>,
}

/// A checkpoint with its adapters; `None` stands for the model without one.
struct Case {
    name: &'static str,
    model: Decoder,
    adapters: [Arc<LoraAdapter>; 2],
    expected: Expected,
}

const CASES: [&str; 10] = [
    "llama",
    "llama-biased",
    "llama-3",
    "mistral",
    "qwen2",
    "qwen2-window",
    "qwen3",
    "smollm3",
    "gemma2",
    "gemma3",
];

/// Which adapter of [`Case::adapters`] a reply is for.
const VOICES: [Option<usize>; 3] = [None, Some(0), Some(1)];

impl Case {
    fn load(name: &'static str, dtype: DType) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/decoder/tests/families").join(name);
        let read = |file: &str| fs::read(folder.join(file)).unwrap();
        let config: DecoderConfig = serde_json::from_slice(&read("config.json")).unwrap();
        let vb =
            VarBuilder::from_buffered_safetensors(read("model.safetensors"), dtype, &Device::Cpu);
        let adapters = ["patterns", "rslora"].map(|adapter| {
            let loaded = peft::load(&folder.join(adapter), &config, "", &Device::Cpu);
            Arc::new(loaded.unwrap().0.to_frozen(&Device::Cpu, dtype).unwrap())
        });
        let model = Decoder::new(config, vb.unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let expected = serde_json::from_slice(&read("expected.json")).unwrap();
        Self { name, model, adapters, expected }
    }

    fn answers(&self, voice: Option<usize>) -> &Answers {
        match voice {
            None => &self.expected.base,
            Some(0) => &self.expected.patterns,
            Some(_) => &self.expected.rslora,
        }
    }

    /// Greedy replies to `rows`, each for its voice, all in the same batches; and the logits after
    /// each prompt.
    fn converse(&self, rows: &[(&[u32], Option<usize>)]) -> (Vec<Vec<u32>>, Vec<Vec<f32>>) {
        self.converse_in(rows, usize::MAX)
    }

    /// The same with prompts that are read in portions of so many tokens.
    fn converse_in(
        &self,
        rows: &[(&[u32], Option<usize>)],
        portion: usize,
    ) -> (Vec<Vec<u32>>, Vec<Vec<f32>>) {
        let mut caches: Vec<KvCache> = rows.iter().map(|_| self.model.new_cache()).collect();
        while self.read_on(rows, &mut caches, portion) {}
        let rest = |((row, _), cache): (&(&[u32], _), &KvCache)| row[cache.len()..].to_vec();
        let mut next: Vec<Vec<u32>> = rows.iter().zip(&caches).map(rest).collect();
        let (mut replies, mut first) = (vec![vec![]; rows.len()], vec![]);
        let steps = self.expected.base.greedy[0].len();
        for step in 0..steps {
            let segments: Vec<Segment> = rows
                .iter()
                .zip(&caches)
                .zip(&next)
                .map(|(((_, adapter), cache), tokens)| Segment {
                    len: tokens.len(),
                    position: cache.len(),
                    adapter: *adapter,
                })
                .collect();
            let tokens = next.concat();
            let batch =
                PackedBatch { tokens: &tokens, segments: &segments, adapters: &self.adapters };
            let mut lent: Vec<&mut KvCache> = caches.iter_mut().collect();
            let hidden = self.model.forward(&batch, Some(&mut lent)).unwrap();
            let logits = self.model.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
            let mut end = 0;
            for (row, tokens) in next.iter_mut().enumerate() {
                end += tokens.len();
                let logits = &logits[end - 1];
                if step == 0 {
                    first.push(logits.clone());
                }
                let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
                *tokens = vec![best.unwrap() as u32];
                replies[row].push(tokens[0]);
            }
        }
        (replies, first)
    }

    /// Reads a portion of every prompt that has more than one left; whether there was any.
    fn read_on(
        &self,
        rows: &[(&[u32], Option<usize>)],
        caches: &mut [KvCache],
        portion: usize,
    ) -> bool {
        let (mut tokens, mut segments, mut lent) = (Vec::new(), Vec::new(), Vec::new());
        for ((row, adapter), cache) in rows.iter().zip(caches) {
            let position = cache.len();
            if row.len() - position > portion {
                tokens.extend_from_slice(&row[position..position + portion]);
                segments.push(Segment { len: portion, position, adapter: *adapter });
                lent.push(cache);
            }
        }
        if lent.is_empty() {
            return false;
        }
        let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters: &self.adapters };
        self.model.forward(&batch, Some(&mut lent)).unwrap();
        true
    }
}

/// Largest difference as a share of the largest value.
fn error(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let largest = theirs.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    ours.iter().zip(theirs).fold(0.0f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

#[test]
fn logits_and_greedy_replies_are_those_of_transformers_and_peft() {
    for case in CASES.map(|name| Case::load(name, DType::F32)) {
        for voice in VOICES {
            for (row, tokens) in case.expected.rows.iter().enumerate() {
                let (replies, logits) = case.converse(&[(tokens, voice)]);
                let error = error(&logits[0], &case.answers(voice).logits[row]);
                assert!(error < 1e-4, "{} {voice:?} row {row}: logits off by {error}", case.name);
                assert_eq!(
                    replies[0],
                    case.answers(voice).greedy[row],
                    "{} {voice:?} row {row}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn a_ragged_batch_of_all_voices_says_the_same() {
    for case in CASES.map(|name| Case::load(name, DType::F32)) {
        let rows = case.expected.rows.iter().enumerate();
        let all: Vec<(usize, &Vec<u32>, Option<usize>)> =
            rows.flat_map(|(row, tokens)| VOICES.map(|voice| (row, tokens, voice))).collect();
        let asked: Vec<(&[u32], Option<usize>)> =
            all.iter().map(|(_, tokens, voice)| (tokens.as_slice(), *voice)).collect();
        let (replies, _) = case.converse(&asked);
        for ((row, _, voice), reply) in all.iter().zip(replies) {
            assert_eq!(reply, case.answers(*voice).greedy[*row], "{} {voice:?}", case.name);
        }
    }
}

#[test]
fn prompts_read_in_portions_give_the_same_logits_and_replies() {
    for case in CASES.map(|name| Case::load(name, DType::F32)) {
        let rows = case.expected.rows.iter().enumerate();
        let all: Vec<(usize, &Vec<u32>, Option<usize>)> =
            rows.flat_map(|(row, tokens)| VOICES.map(|voice| (row, tokens, voice))).collect();
        let asked: Vec<(&[u32], Option<usize>)> =
            all.iter().map(|(_, tokens, voice)| (tokens.as_slice(), *voice)).collect();
        assert!(asked.iter().any(|(tokens, _)| tokens.len() > 6), "some are read in three or more");
        let (replies, logits) = case.converse_in(&asked, 3);
        for (((row, _, voice), reply), logits) in all.iter().zip(replies).zip(logits) {
            let (row, answers) = (*row, case.answers(*voice));
            let error = error(&logits, &answers.logits[row]);
            assert!(error < 1e-4, "{} {voice:?} row {row}: logits off by {error}", case.name);
            assert_eq!(reply, answers.greedy[row], "{} {voice:?} row {row}", case.name);
        }
    }
}

#[test]
fn one_pass_without_caches_gives_the_same_logits() {
    for case in CASES.map(|name| Case::load(name, DType::F32)) {
        for voice in VOICES {
            let rows = &case.expected.rows;
            let segment = |row: &Vec<u32>| Segment { len: row.len(), position: 0, adapter: voice };
            let segments: Vec<Segment> = rows.iter().map(segment).collect();
            let (tokens, adapters) = (rows.concat(), &case.adapters);
            let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters };
            let hidden = case.model.forward(&batch, None).unwrap();
            let logits = case.model.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
            let mut end = 0;
            for (row, tokens) in rows.iter().enumerate() {
                end += tokens.len();
                let error = error(&logits[end - 1], &case.answers(voice).logits[row]);
                assert!(error < 1e-4, "{} {voice:?} row {row}: off by {error}", case.name);
            }
        }
    }
}

#[test]
fn half_the_precision_is_close() {
    for case in CASES.map(|name| Case::load(name, DType::BF16)) {
        let mut ours = Vec::new();
        for tokens in &case.expected.rows {
            let segments = segments(&[(tokens.len(), None)]);
            let batch = PackedBatch { tokens, segments: &segments, adapters: &[] };
            let hidden = case.model.forward(&batch, None).unwrap();
            let logits = case.model.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
            ours.extend_from_slice(&logits[tokens.len() - 1]);
        }
        let error = error(&ours, &case.expected.bf16.concat());
        assert!(error < 1e-2, "{}: off by {error}", case.name);
    }
}
