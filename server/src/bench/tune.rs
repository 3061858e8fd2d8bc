//! Tuning an adapter beside transformers with peft: the same data from the same first adapter.

use std::fmt;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor, Var};
use domain::random::SplitMix64;
use serde::{Deserialize, Serialize};

use super::BenchError;
use super::checkpoint::{self, Files};
use super::engine::Options;
use super::goal::Goal;
use super::ours::{note, peak_megabytes};
use super::product::Int16Product;
use super::watch::watch;
use crate::pages;
use engine::decoder::LoraAdapter;
use engine::device::used_megabytes;
use engine::tuning::gradient::{Learner, Workers};
use engine::tuning::optimizer::{AdamW, AdamWConfig};
use engine::tuning::packing::{Sequence, micro_batches};
use engine::tuning::peft;
use engine::{DeviceChoice, LoadedModel, WeightFormat, ops};

/// Settings of the optimiser: the paper's rate, and the rest as tuning has it.
const ADAMW: AdamWConfig =
    AdamWConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, max_norm: 1.0 };
const LEARNING_RATE: f64 = 1e-4;
/// Batches that take turns, so that the loss falls.
const BATCHES: usize = 4;
/// Steps of the peer's run in bf16 on a processor, of which only the speed is wanted.
const SPEED_STEPS: usize = 5;
/// Sequences of a batch, and their tokens.
const BATCH: (usize, usize) = (8, 128);

/// What is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Work {
    steps: usize,
    /// Whether both keep the layers' inputs only, and compute the layers twice.
    checkpointing: bool,
    batches: Vec<Vec<Row>>,
    learning_rate: f64,
    adamw: AdamWConfig,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    tokens: Vec<u32>,
    /// What follows the last token.
    answer: u32,
}

/// What one side's process prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// Input tokens per second; the median step's.
    pub tokens_per_second: f64,
    /// Largest resident memory in megabytes.
    pub peak_mb: Option<f64>,
    /// Loss of every step, in nats.
    pub losses: Vec<f64>,
    /// How it was run.
    pub note: String,
    /// How frozen weights are multiplied; null where that is in the weights' data type.
    #[serde(default)]
    pub product: Option<Int16Product>,
}

/// Both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TuneBench {
    /// Ours.
    pub ours: Tuned,
    /// transformers with peft; null where it couldn't be measured.
    pub transformers: Option<Tuned>,
    /// Our tokens per second by the peer's.
    pub speed_ratio: Option<f64>,
    /// What that ratio should be.
    pub speed_goal: Goal,
    /// Our peak memory by the peer's.
    pub memory_ratio: Option<f64>,
    /// Largest difference of the losses of a step, in shares of the peer's.
    pub largest_loss_difference: Option<f64>,
    /// What that difference should be.
    pub loss_goal: Goal,
    /// Why the peer wasn't measured.
    pub reason: Option<String>,
    /// Threads of both.
    pub threads: usize,
}

impl TuneBench {
    /// Tunes for some updates with both, with or without gradient checkpointing; `progress` hears
    /// what comes next.
    ///
    /// # Errors
    /// Only ours: a peer that fails is left out, with its reason.
    pub fn run(
        options: &Options,
        (steps, checkpointing): (usize, bool),
        mut progress: impl FnMut(&str),
    ) -> Result<Self, BenchError> {
        let files = checkpoint::make(&options.folder, options.shape, &mut progress)?;
        let work = Work::new(steps, checkpointing, files.vocabulary());
        let text = serde_json::to_vec(&work).map_err(BenchError::model)?;
        std::fs::write(files.tuning(), text).map_err(BenchError::file(&files.tuning()))?;
        progress("tuning: ours");
        let mut command = options.part("tune").map_err(BenchError::model)?;
        let ours = take(&mut command, None).map_err(|reason| BenchError::Process {
            measure: "tune".to_owned(),
            whose: "ours".to_owned(),
            reason,
        })?;
        progress("tuning: transformers");
        let peer = peer(options, &files, steps);
        let reason = peer.as_ref().err().cloned();
        let speed_goal = match options.device {
            DeviceChoice::Cuda(_) => 1.0,
            DeviceChoice::Auto | DeviceChoice::Cpu => 2.0,
        };
        Ok(Self::compare(ours, peer.ok(), reason, (options.threads, speed_goal)))
    }

    fn compare(
        ours: Tuned,
        peer: Option<Tuned>,
        reason: Option<String>,
        (threads, speed_goal): (usize, f64),
    ) -> Self {
        let ratio = |of: fn(&Tuned) -> Option<f64>| Some(of(&ours)? / of(peer.as_ref()?)?);
        let speed_ratio = ratio(|side| Some(side.tokens_per_second));
        let memory_ratio = ratio(|side| side.peak_mb);
        let difference = |peer: &Tuned| {
            let pairs = ours.losses.iter().zip(&peer.losses);
            pairs.map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max)
        };
        let largest_loss_difference = peer.as_ref().map(difference);
        Self {
            ours,
            transformers: peer,
            speed_ratio,
            speed_goal: Goal::at_least(speed_goal, speed_ratio),
            memory_ratio,
            largest_loss_difference,
            loss_goal: Goal::at_most(0.01, largest_loss_difference),
            reason,
            threads,
        }
    }
}

/// The peer's better of f32 and bf16; losses are those of f32, which is what ours computes in on the CPU,
/// so bf16 takes some steps only. On a GPU both compute in bf16.
fn peer(options: &Options, files: &Files, steps: usize) -> Result<Tuned, String> {
    const SCRIPT: &str = include_str!("peers/tune_peer.py");
    let python = options.python()?;
    let run = |dtype: &str, steps: usize, limit: Option<Duration>| {
        let mut command = python.command(SCRIPT);
        command.arg(files.model()).arg(files.tuning());
        command.args([&options.threads.to_string(), dtype]).arg(files.first_adapter());
        command.arg(&python.device).arg(steps.to_string());
        take(&mut command, limit)
    };
    if python.device != "cpu" {
        return run("bf16", steps, None);
    }
    let started = Instant::now();
    let single = run("f32", steps, None)?;
    // No quicker than f32 if it needs longer for no more steps.
    let half = run("bf16", steps.min(SPEED_STEPS), Some(started.elapsed().mul_f64(1.5)));
    Ok(match half {
        Ok(half) if half.tokens_per_second > single.tokens_per_second => {
            Tuned { losses: single.losses, ..half }
        }
        Ok(half) => {
            let note = format!("{}; bf16: {:.0} tokens/s", single.note, half.tokens_per_second);
            Tuned { note, ..single }
        }
        Err(reason) => Tuned { note: format!("{}; bf16: {reason}", single.note), ..single },
    })
}

fn take(command: &mut Command, limit: Option<Duration>) -> Result<Tuned, String> {
    let (result, _) = watch(command, limit).map_err(|error| error.to_string())?;
    result
}

impl Work {
    fn new(steps: usize, checkpointing: bool, vocabulary: usize) -> Self {
        let mut random = SplitMix64::new(11);
        let mut draw = || random.below(vocabulary) as u32;
        let mut row = || Row { tokens: (0..BATCH.1).map(|_| draw()).collect(), answer: draw() };
        let batches = (0..BATCHES).map(|_| (0..BATCH.0).map(|_| row()).collect()).collect();
        Self { steps, checkpointing, batches, learning_rate: LEARNING_RATE, adamw: ADAMW }
    }
}

/// Tunes in this process and prints [`Tuned`] as JSON.
///
/// # Errors
/// A model that can't be loaded or tuned.
pub fn part(files: &Files, weights: WeightFormat, device: &Device) -> Result<(), BenchError> {
    let text = std::fs::read(files.tuning()).map_err(BenchError::file(&files.tuning()))?;
    let work: Work = serde_json::from_slice(&text).map_err(BenchError::model)?;
    ops::flush_denormals();
    let load = || LoadedModel::load_as(&files.source(weights), device, weights);
    let model = pages::while_loading(load).map_err(BenchError::model)?;
    let tuned = tune(&model, files, &work).map_err(BenchError::model)?;
    println!("{}", serde_json::to_string(&tuned).map_err(BenchError::model)?);
    Ok(())
}

fn tune(
    model: &LoadedModel,
    files: &Files,
    work: &Work,
) -> Result<Tuned, Box<dyn std::error::Error>> {
    let config = model.decoder.config();
    let device = &model.device;
    let (first, _) = peft::load(&files.first_adapter(), config, &model.hash, device)?;
    let variables = first
        .parameters()
        .into_iter()
        .map(|(name, tensor)| Ok((name, Var::from_tensor(&tensor)?)))
        .collect::<candle_core::Result<Vec<_>>>()?;
    let tensors = variables.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone()));
    let tensors: std::collections::HashMap<String, Tensor> = tensors.collect();
    let adapter = LoraAdapter::from_tensors(config, first.config.clone(), &tensors)?;
    let adapters = [Arc::new(adapter)];
    let checkpointing = work.checkpointing;
    let learner = Learner { decoder: &model.decoder, adapters: &adapters, checkpointing };
    let mut optimizer = AdamW::new(variables, work.adamw)?;
    let threads = rayon::current_num_threads();
    let workers = Workers::new(threads, device)?;
    let tokens = BATCH.0 * BATCH.1;
    let (mut losses, mut seconds) = (Vec::new(), Vec::new());
    for step in 0..work.steps {
        let rows = &work.batches[step % work.batches.len()];
        let started = Instant::now();
        let sequences: Vec<Sequence> = rows.iter().map(sequence).collect();
        let batches = micro_batches(&sequences, tokens / threads.min(BATCH.0), Some(0));
        let learned = learner.learn(&batches, &optimizer, &workers)?;
        optimizer.update(&learned.gradients, work.learning_rate)?;
        seconds.push(started.elapsed().as_secs_f64());
        losses.push(learned.loss);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(Tuned {
        tokens_per_second: tokens as f64 / seconds[seconds.len() / 2],
        peak_mb: used_megabytes(device).or_else(peak_megabytes),
        losses,
        note: note(model.weights, device),
        product: Int16Product::measure(device)?,
    })
}

fn sequence(row: &Row) -> Sequence {
    let mut sequence = Sequence::default();
    sequence.extend(&row.tokens, false);
    sequence.extend(&[row.answer], true);
    sequence
}

impl fmt::Display for TuneBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = |side: &Tuned| side.peak_mb.map_or("–".to_owned(), |mb| format!("{mb:.0}"));
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.2}"));
        let peer = self.transformers.as_ref();
        writeln!(f, "| | ours | transformers + peft | ours / theirs | goal |")?;
        writeln!(f, "|---|---:|---:|---:|---|")?;
        writeln!(
            f,
            "| tokens/s | {:.0} | {} | {} | {} |",
            self.ours.tokens_per_second,
            peer.map_or("–".to_owned(), |peer| format!("{:.0}", peer.tokens_per_second)),
            number(self.speed_ratio),
            self.speed_goal
        )?;
        writeln!(
            f,
            "| peak memory, MB | {} | {} | {} | |",
            memory(&self.ours),
            peer.map_or("–".to_owned(), memory),
            number(self.memory_ratio)
        )?;
        let last =
            |side: &Tuned| side.losses.last().map_or("–".to_owned(), |l| format!("{l:.4}"));
        writeln!(
            f,
            "| loss of step {} | {} | {} | | |",
            self.ours.losses.len(),
            last(&self.ours),
            peer.map_or("–".to_owned(), last)
        )?;
        if let Some(difference) = self.largest_loss_difference {
            let percent = 100.0 * difference;
            let goal = self.loss_goal;
            write!(f, "\nThe losses of a step differ by {percent:.3} % at most (goal {goal}). ")?;
        }
        if let Some(product) = &self.ours.product {
            let Int16Product { int16_gop_s, f32_gop_s, error } = product;
            write!(
                f,
                "\nOurs multiplies frozen weights in whole numbers of 16 bits, {int16_gop_s:.0} billion \
                 operations/s against {f32_gop_s:.0} in f32, off by {error:.1e} of the product's length. "
            )?;
        }
        if let Some(reason) = &self.reason {
            write!(f, "\nThe peer wasn't measured: {reason}. ")?;
        }
        write!(f, "{} threads.", self.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuned(tokens_per_second: f64, losses: &[f64]) -> Tuned {
        let (peak_mb, note) = (Some(100.0), String::new());
        Tuned { tokens_per_second, peak_mb, losses: losses.to_vec(), note, product: None }
    }

    #[test]
    fn ratios_and_differences_are_ours_by_theirs() {
        let ours = tuned(300.0, &[2.0, 1.0]);
        let both =
            TuneBench::compare(ours.clone(), Some(tuned(100.0, &[2.0, 0.8])), None, (2, 2.0));
        assert_eq!((both.speed_ratio, both.memory_ratio), (Some(3.0), Some(1.0)));
        assert!((both.largest_loss_difference.unwrap() - 0.25).abs() < 1e-12);
        assert_eq!(both.speed_goal.missed_by, Some(0.0));
        assert_eq!(both.loss_goal.to_string(), "≤ 0.01, missed by 2400 %");
        let alone = TuneBench::compare(ours, None, Some("gone".to_owned()), (2, 2.0));
        assert_eq!((alone.speed_ratio, alone.largest_loss_difference), (None, None));
        assert!(alone.to_string().contains("gone"));
    }

    #[test]
    fn every_step_has_a_batch_and_every_row_an_answer() {
        let work = Work::new(9, false, 50);
        assert_eq!(work, Work::new(9, false, 50));
        assert_eq!((work.batches.len(), work.batches[0].len()), (BATCHES, BATCH.0));
        let sequence = sequence(&work.batches[1][2]);
        assert_eq!((sequence.inputs(), sequence.targets.len()), (BATCH.1, 1));
        assert_eq!(sequence.targets[0].token, work.batches[1][2].answer);
    }
}
