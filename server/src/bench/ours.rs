//! The measures with the engine, one per process.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::Device;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::BenchError;
use super::checkpoint::Files;
use super::error::Errors;
use super::workload::{Measure, VOICES, Workload};
use crate::pages;
use engine::adapter_source::AdapterSource;
use engine::adapters::{Adapters, NamedAdapter};
use engine::decoder::KvCache;
use engine::device::{self, used_megabytes};
use engine::option_plan::OptionPlan;
use engine::option_scorer::{Budget, EncodedPrompt, ScoreJob, ScoreQueue};
use engine::pass::{self, Part, Want};
use engine::places::Places;
use engine::prefixes::Prefixes;
use engine::{
    AdapterChoice, ClientId, DeviceChoice, EngineError, Limits, LoadedModel, WeightFormat, ops,
};

/// Runs of a measure; their median counts.
const RUNS: usize = 3;

/// What a measure's process prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// In the measure's unit; seconds since some moment for the first token.
    pub value: f64,
    /// Largest resident memory of the process so far, in megabytes, where the system tells; on a GPU what
    /// is in use there at the end, which is what both sides have kept.
    pub peak_mb: Option<f64>,
    /// What to know about it.
    #[serde(default)]
    pub note: String,
}

/// Does the work of one measure in this process and prints its [`Measured`] as JSON.
///
/// # Errors
/// A device or model that can't be loaded or run.
pub fn part(
    files: &Files,
    key: &str,
    weights: WeightFormat,
    device: DeviceChoice,
) -> Result<(), BenchError> {
    let device = device.open().map_err(BenchError::model)?;
    match key {
        "tune" => return super::tune::part(files, weights, &device),
        "error" => return print(&Errors::measure(files, weights, &device)?),
        _ => {}
    }
    let work = Workload::read(&files.workload())?;
    let found = Measure::ALL.into_iter().find(|measure| measure.key() == key);
    let Some(measure) = found else {
        let known = Measure::ALL.map(Measure::key).join(", ");
        return Err(BenchError::Model(format!("there is no measure `{key}`, only {known}")));
    };
    ops::flush_denormals();
    let source = files.source(weights);
    let load = || LoadedModel::load_as(&source, &device, weights);
    let bench = Bench { model: pages::while_loading(load).map_err(BenchError::model)?, work };
    let value = match measure {
        Measure::FirstToken => bench.first_token(),
        Measure::DecodeSingle | Measure::PeakMemory => bench.decode_single(),
        Measure::DecodeAdapters => bench.decode_adapters(files),
        Measure::Prefill => bench.prefill(),
        Measure::SurveySweep => bench.survey(),
    };
    let value = value.map_err(BenchError::model)?;
    let peak_mb = used_megabytes(&device).or_else(peak_megabytes);
    print(&Measured { value, peak_mb, note: note(weights, &device) })
}

/// How ours is run.
pub(super) fn note(weights: WeightFormat, device: &Device) -> String {
    let activations = if device.is_cpu() { "f32" } else { "bf16" };
    format!("{weights} weights, {activations} activations, {}", device::name(device))
}

fn print(result: &impl Serialize) -> Result<(), BenchError> {
    let text = serde_json::to_string(result).map_err(BenchError::model)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(BenchError::model)
}

/// Largest resident memory so far, as Linux tells it.
pub(super) fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}

struct Bench {
    model: LoadedModel,
    work: Workload,
}

/// Sequences that go on together.
struct Voices {
    caches: Vec<KvCache>,
    adapters: Vec<Option<Arc<NamedAdapter>>>,
    /// The newest token of each.
    tokens: Vec<u32>,
}

impl Bench {
    /// Reads the prompts and draws the most probable token of each.
    fn begin(
        &self,
        prompts: &[Vec<u32>],
        adapters: Vec<Option<Arc<NamedAdapter>>>,
    ) -> Result<Voices, EngineError> {
        let caches = prompts.iter().map(|_| self.model.decoder.new_cache()).collect();
        let mut voices = Voices { caches, adapters, tokens: Vec::new() };
        voices.tokens = self.step(&mut voices, prompts)?;
        Ok(voices)
    }

    fn step(&self, voices: &mut Voices, tokens: &[Vec<u32>]) -> Result<Vec<u32>, EngineError> {
        let rows = voices.caches.iter_mut().zip(&voices.adapters).zip(tokens);
        let mut parts: Vec<Part<'_>> = rows
            .map(|((cache, adapter), tokens)| Part {
                tokens,
                cache,
                adapter: adapter.as_ref(),
                want: Want::Last,
                paths: &[],
            })
            .collect();
        let logits = pass::run(&self.model.decoder, &mut parts)?;
        Ok((0..logits.rows()).map(|row| most_probable(logits.row(row))).collect())
    }

    /// Seconds for `count` more tokens of each voice.
    fn go_on(&self, voices: &mut Voices, count: usize) -> Result<f64, EngineError> {
        let started = Instant::now();
        for _ in 0..count {
            let fed: Vec<Vec<u32>> = voices.tokens.iter().map(|token| vec![*token]).collect();
            voices.tokens = self.step(voices, &fed)?;
        }
        Ok(started.elapsed().as_secs_f64())
    }

    fn first_token(&self) -> Result<f64, EngineError> {
        self.begin(&self.work.prompts[..1], vec![None])?;
        Ok(0.0)
    }

    fn decode_single(&self) -> Result<f64, EngineError> {
        let count = self.work.single_tokens - 1;
        let run = || {
            let mut voices = self.begin(&self.work.prompts[..1], vec![None])?;
            Ok(count as f64 / self.go_on(&mut voices, count)?)
        };
        run()?;
        median(run)
    }

    fn decode_adapters(&self, files: &Files) -> Result<f64, EngineError> {
        let prefixes = Prefixes::new(0);
        let known = Adapters::new(VOICES, usize::MAX, prefixes);
        let mut adapters = Vec::with_capacity(VOICES);
        for voice in 0..VOICES {
            let name = voice.to_string();
            known.load(&self.model, &name, AdapterSource::Folder(files.adapter(voice)))?;
            adapters.push(known.find(&self.model, &AdapterChoice::Named(name))?);
        }
        let count = self.work.voice_tokens - 1;
        let run = || {
            let mut voices = self.begin(&self.work.prompts, adapters.clone())?;
            Ok((VOICES * count) as f64 / self.go_on(&mut voices, count)?)
        };
        median(run)
    }

    fn prefill(&self) -> Result<f64, EngineError> {
        let prompt = std::slice::from_ref(&self.work.long_prompt);
        let run = || {
            let started = Instant::now();
            self.begin(prompt, vec![None])?;
            Ok(self.work.long_prompt.len() as f64 / started.elapsed().as_secs_f64())
        };
        run()?;
        median(run)
    }

    /// Whole option probabilities, the end token included, which the peers aren't asked for.
    fn survey(&self) -> Result<f64, EngineError> {
        let options: Vec<Vec<u32>> = self.work.options.iter().map(|token| vec![*token]).collect();
        let plan = Arc::new(OptionPlan::new(&options)?);
        let run = || {
            let asked = self.work.personas.iter().enumerate().flat_map(|(persona, start)| {
                self.work
                    .questions
                    .iter()
                    .map(move |question| (persona, [&start[..], question].concat()))
            });
            let prompts: Vec<EncodedPrompt> = asked
                .enumerate()
                .map(|(index, (persona, tokens))| EncodedPrompt {
                    index,
                    tokens,
                    plan: Arc::clone(&plan),
                    adapter: None,
                    persona: Some(persona.to_string()),
                })
                .collect();
            let count = prompts.len() as f64;
            let (reply, mut answer) = oneshot::channel();
            let places = Places::new(1, 1, "requests");
            let mut place = places.take(&ClientId::new("bench"), 1, Duration::ZERO)?;
            let Some(place) = place.pop() else { return Err(EngineError::Stopped) };
            // Settings as the engine's own, but a second run must not find what the first one read.
            let prefixes = Prefixes::new(Limits::default().prefix_bytes);
            let started = Instant::now();
            let mut queue = ScoreQueue::default();
            queue.push(ScoreJob::new(prompts, reply, place));
            while !queue.is_empty() {
                queue.step(&self.model, &prefixes, Budget::ALONE);
            }
            let seconds = started.elapsed().as_secs_f64();
            answer.try_recv().map_err(|_| EngineError::Stopped)??;
            Ok(count / seconds)
        };
        median(run)
    }
}

fn most_probable(scores: &[f32]) -> u32 {
    let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(token, _)| token as u32)
}

fn median(mut run: impl FnMut() -> Result<f64, EngineError>) -> Result<f64, EngineError> {
    let mut values = (0..RUNS).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    values.sort_by(f64::total_cmp);
    Ok(values[RUNS / 2])
}
