//! Every family against Hugging Face's transformers and peft: logits, greedy replies alone and in
//! company, with and without adapters. `families/make.py` made the checkpoints and their answers,
//! `families/halves.py` those in bf16.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use super::*;
use crate::WeightFormat;
use crate::tuning::peft;
use crate::weights::Weights;

#[derive(Deserialize)]
struct Expected {
    /// Token ids of the prompts.
    rows: Vec<Vec<u32>>,
    base: Answers,
    patterns: Answers,
    rslora: Answers,
}

/// Logits after each row, where everything is computed in bf16.
#[derive(Deserialize)]
struct Halves {
    base: Vec<Vec<f32>>,
    patterns: Vec<Vec<f32>>,
    rslora: Vec<Vec<f32>>,
}

impl Halves {
    fn of(&self, voice: Option<usize>) -> &[Vec<f32>] {
        match voice {
            None => &self.base,
            Some(0) => &self.patterns,
            Some(_) => &self.rslora,
        }
    }
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
    /// With tensors of a type, in which everything is computed.
    fn load(name: &'static str, dtype: DType) -> Self {
        Self::with(name, dtype, Decoder::new)
    }

    /// With matrices of 16 bits and activations of 32, as `--weights bf16` has them on a processor.
    fn load_bf16_matrices(name: &'static str) -> Self {
        let weights = Weights::find(&Self::folder(name)).unwrap();
        let matrices = WeightFormat::BF16.matrices(&weights, &Device::Cpu).unwrap().unwrap();
        Self::with(name, DType::F32, |config, vb| Decoder::with_matrices(config, vb, &matrices))
    }

    fn with(
        name: &'static str,
        dtype: DType,
        decoder: impl FnOnce(DecoderConfig, VarBuilder) -> Result<Decoder, DecoderError>,
    ) -> Self {
        let folder = Self::folder(name);
        let config: DecoderConfig = Self::json(name, "config.json");
        let tensors = fs::read(folder.join("model.safetensors")).unwrap();
        let vb = VarBuilder::from_buffered_safetensors(tensors, dtype, &Device::Cpu);
        let adapters = ["patterns", "rslora"].map(|adapter| {
            let loaded = peft::load(&folder.join(adapter), &config, "", &Device::Cpu);
            Arc::new(loaded.unwrap().0.to_frozen(&Device::Cpu, dtype).unwrap())
        });
        let model = decoder(config, vb.unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
        Self { name, model, adapters, expected: Self::json(name, "expected.json") }
    }

    fn folder(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/decoder/tests/families").join(name)
    }

    fn json<T: serde::de::DeserializeOwned>(name: &str, file: &str) -> T {
        serde_json::from_slice(&fs::read(Self::folder(name).join(file)).unwrap()).unwrap()
    }

    /// Every row for every voice: its number, its tokens and the voice.
    fn everybody(&self) -> Vec<(usize, &[u32], Option<usize>)> {
        let rows = self.expected.rows.iter().enumerate();
        rows.flat_map(|(row, tokens)| VOICES.map(|voice| (row, tokens.as_slice(), voice))).collect()
    }

    fn answers(&self, voice: Option<usize>) -> &Answers {
        match voice {
            None => &self.expected.base,
            Some(0) => &self.expected.patterns,
            Some(_) => &self.expected.rslora,
        }
    }

    /// Logits after each of `rows`, each for its voice, all in the same batches, with prompts that are read
    /// in portions of so many tokens.
    fn first_logits(&self, rows: &[(&[u32], Option<usize>)], portion: usize) -> Vec<Vec<f32>> {
        self.converse(rows, portion, 1).1
    }

    /// So many greedy tokens after each row, with [`Self::first_logits`].
    fn converse(
        &self,
        rows: &[(&[u32], Option<usize>)],
        portion: usize,
        steps: usize,
    ) -> (Vec<Vec<u32>>, Vec<Vec<f32>>) {
        let mut caches: Vec<KvCache> = rows.iter().map(|_| self.model.new_cache()).collect();
        while self.read_on(rows, &mut caches, portion) {}
        let rest = |((row, _), cache): (&(&[u32], _), &KvCache)| row[cache.len()..].to_vec();
        let mut next: Vec<Vec<u32>> = rows.iter().zip(&caches).map(rest).collect();
        let (mut replies, mut first) = (vec![vec![]; rows.len()], vec![]);
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
    assert!(ours.iter().all(|x| x.is_finite()), "{ours:?}");
    let largest = theirs.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    ours.iter().zip(theirs).fold(0.0f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

#[test]
fn logits_and_greedy_replies_are_those_of_transformers_and_peft() {
    for case in CASES.map(|name| Case::load(name, DType::F32)) {
        for voice in VOICES {
            for (row, tokens) in case.expected.rows.iter().enumerate() {
                let steps = case.answers(voice).greedy[row].len();
                let (replies, logits) = case.converse(&[(tokens, voice)], usize::MAX, steps);
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

/// Asserts that all voices together, their prompts read in portions, say what transformers says.
fn says_the_same(case: &Case, portion: usize) {
    let all = case.everybody();
    let asked: Vec<_> = all.iter().map(|(_, tokens, voice)| (*tokens, *voice)).collect();
    let steps = case.expected.base.greedy[0].len();
    let (replies, logits) = case.converse(&asked, portion, steps);
    for (((row, _, voice), reply), logits) in all.iter().zip(replies).zip(logits) {
        let (row, answers) = (*row, case.answers(*voice));
        let error = error(&logits, &answers.logits[row]);
        assert!(error < 1e-4, "{} {voice:?} row {row}: logits off by {error}", case.name);
        assert_eq!(reply, answers.greedy[row], "{} {voice:?} row {row}", case.name);
    }
}

#[test]
fn a_ragged_batch_of_all_voices_says_the_same() {
    for case in CASES.map(|name| Case::load(name, DType::F32)) {
        says_the_same(&case, usize::MAX);
    }
}

#[test]
fn prompts_read_in_portions_give_the_same_logits_and_replies() {
    for case in CASES.map(|name| Case::load(name, DType::F32)) {
        assert!(
            case.expected.rows.iter().any(|row| row.len() > 6),
            "some are read in three or more"
        );
        says_the_same(&case, 3);
    }
}

/// The checkpoints hold bf16, so matrices of that type are exact.
#[test]
fn matrices_in_bf16_say_the_same() {
    for case in CASES.map(Case::load_bf16_matrices) {
        says_the_same(&case, usize::MAX);
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

/// What is not asked for is left out of the last layer, but stays there for the tokens that follow.
#[test]
fn rows_that_are_asked_for_are_those_of_the_whole_pass() {
    let list = |x: Tensor| x.to_vec2::<f32>().unwrap();
    for case in CASES.map(|name| Case::load(name, DType::F32)) {
        let all = case.everybody();
        let segment = |&(_, row, adapter): &(usize, &[u32], Option<usize>)| Segment {
            len: row.len(),
            position: 0,
            adapter,
        };
        let segments: Vec<Segment> = all.iter().map(segment).collect();
        let tokens: Vec<u32> = all.iter().flat_map(|(_, row, _)| *row).copied().collect();
        let batch = PackedBatch { tokens: &tokens, segments: &segments, adapters: &case.adapters };
        let mut end = 0;
        let ends = segments.iter().map(|segment| {
            end += segment.len as u32;
            end - 1
        });
        let some =
            [vec![], vec![0], ends.collect(), vec![1, 1, 4], (2..tokens.len() as u32).collect()];
        let caches = || -> Vec<KvCache> { all.iter().map(|_| case.model.new_cache()).collect() };
        // One more token of every row.
        let go_on = |mut caches: Vec<KvCache>| {
            let next = |cache: &KvCache, segment: &Segment| Segment {
                len: 1,
                position: cache.len(),
                ..segment.clone()
            };
            let segments: Vec<Segment> =
                caches.iter().zip(&segments).map(|(cache, segment)| next(cache, segment)).collect();
            let tokens = vec![3; segments.len()];
            let batch =
                PackedBatch { tokens: &tokens, segments: &segments, adapters: &case.adapters };
            let mut lent: Vec<&mut KvCache> = caches.iter_mut().collect();
            list(case.model.forward(&batch, Some(&mut lent)).unwrap())
        };
        let mut whole_caches = caches();
        let mut lent: Vec<&mut KvCache> = whole_caches.iter_mut().collect();
        let cached = list(case.model.forward(&batch, Some(&mut lent)).unwrap());
        let plain = list(case.model.forward(&batch, None).unwrap());
        let expected_next = go_on(whole_caches);
        for wanted in some {
            let of = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
                wanted.iter().map(|&row| rows[row as usize].clone()).collect()
            };
            let given = case.model.forward_at(&batch, None, &wanted).unwrap();
            assert_eq!(list(given), of(&plain), "{} {wanted:?}", case.name);
            let mut caches = caches();
            let mut lent: Vec<&mut KvCache> = caches.iter_mut().collect();
            let given = case.model.forward_at(&batch, Some(&mut lent), &wanted).unwrap();
            assert_eq!(list(given), of(&cached), "{} {wanted:?}", case.name);
            assert_eq!(go_on(caches), expected_next, "{} {wanted:?}", case.name);
        }
        for wrong in [vec![2, 1], vec![tokens.len() as u32]] {
            let error = case.model.forward_at(&batch, None, &wrong).unwrap_err().to_string();
            assert!(error.contains("wanted rows"), "{error}");
        }
    }
}

#[test]
fn half_the_precision_is_close_alone_and_in_company() {
    for case in CASES.map(|name| Case::load(name, DType::BF16)) {
        let halves: Halves = Case::json(case.name, "bf16.json");
        let all = case.everybody();
        let asked: Vec<_> = all.iter().map(|(_, tokens, voice)| (*tokens, *voice)).collect();
        let alone =
            |row: &(&[u32], Option<usize>)| case.first_logits(&[*row], usize::MAX).remove(0);
        for (way, logits) in [
            ("alone", asked.iter().map(alone).collect()),
            ("in company", case.first_logits(&asked, usize::MAX)),
            ("in portions", case.first_logits(&asked, 3)),
        ] {
            for ((row, _, voice), logits) in all.iter().zip(logits) {
                let error = error(&logits, &halves.of(*voice)[*row]);
                let who = format!("{} {voice:?} row {row} {way}", case.name);
                assert!(error < 1e-2, "{who}: logits off by {error}");
            }
        }
    }
}
