//! Supervised tuning of a LoRA adapter on a frozen model (step 4 of the method).
//!
//! What makes a run resumable: the adapter's start, the order of the examples and the cut into
//! micro-batches depend on the settings alone, and a checkpoint holds the optimiser to the bit.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device, Var};
use domain::method::Schedule;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::TuningError;
use super::checkpoint::Checkpoints;
use super::examples::{Example, encode, order};
use super::gradient::{Learner, Workers};
use super::optimizer::{AdamW, AdamWConfig};
use super::packing::{Packed, Sequence, micro_batches};
use super::schedule::WarmedUp;
use crate::decoder::{Decoder, Dropout, LoraAdapter, LoraConfig};
use crate::tokenizer::ModelTokenizer;

/// Settings of [`tune`]. The default is the paper's (section 4.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TuneConfig {
    /// Rank of the adapter.
    pub r: usize,
    /// The adapter's change is scaled by `alpha / r`.
    pub alpha: f64,
    /// Names of the tuned linear layers, such as `q_proj`.
    pub target_modules: Vec<String>,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of the updates that warm up.
    pub warmup: f64,
    /// How the learning rate goes after that.
    pub schedule: Schedule,
    /// How often every example is learnt.
    pub epochs: u64,
    /// Examples per batch.
    pub batch: usize,
    /// Batches per update; their examples are packed together, with the same effect.
    pub accumulation: usize,
    /// Longest example in tokens; the model's context if that is shorter.
    pub cutoff: usize,
    /// Gradients whose global norm is larger are scaled down to it.
    pub max_norm: f64,
    /// Decoupled weight decay, on matrices only. The paper's tools default to none, and a small change is
    /// the point.
    pub weight_decay: f64,
    /// Decays of AdamW's first and second moments.
    pub betas: (f64, f64),
    /// Share of its inputs that the adapter doesn't see, from 0 to below 1, drawn anew in every update.
    pub dropout: f64,
    /// Keeps AdamW's division finite.
    pub epsilon: f64,
    /// Seed of the adapter's start, of the examples' order and of the dropout.
    pub seed: u64,
    /// Updates between checkpoints.
    pub checkpoint_every: u64,
    /// Input tokens per micro-batch, about: bounds memory, not results.
    pub micro_tokens: usize,
    /// Computes every layer twice instead of keeping all that lies inside it: less memory, about a
    /// third more time, the same adapter.
    pub gradient_checkpointing: bool,
    /// Threads that compute; 0 takes one per core.
    pub workers: usize,
}

impl Default for TuneConfig {
    fn default() -> Self {
        let lora = LoraConfig::default();
        Self {
            r: lora.r,
            alpha: lora.alpha,
            target_modules: lora.target_modules,
            learning_rate: 1e-4,
            warmup: 0.1,
            schedule: Schedule::Cosine,
            epochs: 1,
            batch: 4,
            accumulation: 32,
            cutoff: 4096,
            max_norm: 1.0,
            weight_decay: 0.0,
            betas: (0.9, 0.999),
            dropout: 0.0,
            epsilon: 1e-8,
            seed: 7,
            checkpoint_every: 10,
            micro_tokens: 1024,
            gradient_checkpointing: false,
            workers: 0,
        }
    }
}

/// Progress after one update.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneProgress {
    /// Updates made, from 1.
    pub step: u64,
    /// Updates of the whole run.
    pub total: u64,
    /// Mean loss of this update's answer tokens, in nats.
    pub loss: f64,
    /// Learning rate of this update.
    pub learning_rate: f64,
    /// Input tokens per second since the start of this call.
    pub tokens_per_second: f64,
    /// Seconds that the rest will take.
    pub remaining_seconds: f64,
}

/// Tunes an adapter for `base`, going on from the newest checkpoint in `checkpoint_dir` if there is
/// one. The same settings and examples give the same adapter, bit for bit, killed or not. A break
/// from `progress` saves a checkpoint and ends with [`TuningError::Cancelled`].
///
/// # Errors
/// A setting or an example that breaks a rule, a checkpoint of another run, a loss that is not a
/// number, or a file that cannot be written.
pub fn tune(
    base: &Decoder,
    tokenizer: &ModelTokenizer,
    examples: &[Example],
    config: &TuneConfig,
    checkpoint_dir: &Path,
    progress: &mut dyn FnMut(TuneProgress) -> ControlFlow<()>,
) -> Result<LoraAdapter, TuningError> {
    let limit = config.cutoff.min(base.config().max_position_embeddings);
    let encoded = examples.iter().enumerate();
    let sequences = encoded
        .map(|(index, example)| encode(tokenizer, example, index, limit))
        .collect::<Result<Vec<_>, _>>()?;
    tune_sequences(base, &sequences, config, checkpoint_dir, progress)
}

/// [`tune`] on sequences that say what is to be learnt of them.
pub fn tune_sequences(
    base: &Decoder,
    sequences: &[Sequence],
    config: &TuneConfig,
    checkpoint_dir: &Path,
    progress: &mut dyn FnMut(TuneProgress) -> ControlFlow<()>,
) -> Result<LoraAdapter, TuningError> {
    config.validate(sequences)?;
    let mut run = Run::open(base, sequences, config, checkpoint_dir)?;
    while run.optimizer.steps() < run.total {
        let report = run.update()?;
        let last = report.step == report.total;
        let save = last || report.step.is_multiple_of(config.checkpoint_every.max(1));
        if save {
            run.save()?;
        }
        if progress(report).is_break() && !last {
            if !save {
                run.save()?;
            }
            return Err(TuningError::Cancelled { step: run.optimizer.steps() });
        }
    }
    Ok(run.adapter.to_frozen(base.device(), DType::F32)?)
}

/// What a checkpoint says about its run: a hash of all that decides the result.
#[derive(Debug, Serialize, Deserialize)]
struct TuneState {
    settings: String,
    examples: String,
    base: String,
}

impl TuneConfig {
    fn validate(&self, sequences: &[Sequence]) -> Result<(), TuningError> {
        let wrong = |name, problem: String, hint| Err(TuningError::Setting { name, problem, hint });
        if sequences.is_empty() {
            let problem = "must not be empty".to_owned();
            return wrong("examples", problem, "Collect instances first.");
        }
        for (name, value) in
            [("batch", self.batch), ("accumulation", self.accumulation), ("r", self.r)]
        {
            if value == 0 {
                let problem = "must be above zero, got `0`".to_owned();
                return wrong(name, problem, "Use at least 1; leave it out for the usual value.");
            }
        }
        if !(0.0..=1.0).contains(&self.warmup) {
            let problem = format!("must be within 0 and 1, got `{}`", self.warmup);
            return wrong("warmup", problem, "Use a share of all updates, such as 0.1.");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("must be 0 or more and below 1, got `{}`", self.dropout);
            return wrong("dropout", problem, "Use a share such as 0.05, or 0 for none.");
        }
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            let problem = format!("must be a number above zero, got `{}`", self.epsilon);
            return wrong("epsilon", problem, "Use a small number such as 1e-8.");
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            let problem = format!("must be a number above zero, got `{}`", self.learning_rate);
            return wrong("learning_rate", problem, "Use a small number such as 1e-4.");
        }
        Ok(())
    }

    pub(super) fn lora(&self) -> LoraConfig {
        let target_modules = self.target_modules.clone();
        LoraConfig {
            r: self.r,
            alpha: self.alpha,
            target_modules,
            dropout: self.dropout,
            ..LoraConfig::default()
        }
    }

    /// The settings that decide the result; how often to save, on how many threads and in how much
    /// memory do not.
    fn deciding(&self) -> String {
        let neutral =
            Self { checkpoint_every: 0, workers: 0, gradient_checkpointing: false, ..self.clone() };
        let (text, usual) = (format!("{neutral:?}"), Self::default());
        if (self.dropout, self.epsilon) != (usual.dropout, usual.epsilon) {
            return text;
        }
        // Checkpoints of versions that knew no other values don't name them; they are gone on from.
        text.replace(&format!(" dropout: {:?}, epsilon: {:?},", usual.dropout, usual.epsilon), "")
    }
}

/// A run in memory.
struct Run<'a> {
    base: &'a Decoder,
    sequences: &'a [Sequence],
    config: &'a TuneConfig,
    adapter: Arc<LoraAdapter>,
    optimizer: AdamW,
    schedule: WarmedUp,
    total: u64,
    state: TuneState,
    checkpoints: Checkpoints,
    workers: Workers,
    started: Instant,
    steps_before: u64,
    tokens: u64,
}

impl<'a> Run<'a> {
    fn open(
        base: &'a Decoder,
        sequences: &'a [Sequence],
        config: &'a TuneConfig,
        folder: &Path,
    ) -> Result<Self, TuningError> {
        let device = base.device();
        let adapter = LoraAdapter::init(base.config(), config.lora(), config.seed, device)?;
        let variables = adapter
            .parameters()
            .into_iter()
            .map(|(name, tensor)| Ok((name, Var::from_tensor(&tensor)?)))
            .collect::<candle_core::Result<_>>()?;
        let adamw = AdamWConfig {
            beta1: config.betas.0,
            beta2: config.betas.1,
            epsilon: config.epsilon,
            weight_decay: config.weight_decay,
            max_norm: config.max_norm,
        };
        let total = updates(sequences.len(), config);
        let mut run = Self {
            base,
            sequences,
            config,
            adapter: Arc::new(adapter),
            optimizer: AdamW::new(variables, adamw)?,
            schedule: WarmedUp { schedule: config.schedule, steps: total, warmup: config.warmup },
            total,
            state: state_of(base, sequences, config)?,
            checkpoints: Checkpoints::new(folder, 2),
            workers: Workers::new(config.workers, device)?,
            started: Instant::now(),
            steps_before: 0,
            tokens: 0,
        };
        run.resume()?;
        Ok(run)
    }

    fn resume(&mut self) -> Result<(), TuningError> {
        let Some(checkpoint) = self.checkpoints.newest()? else { return Ok(()) };
        let (_, saved): (u64, TuneState) = checkpoint.state()?;
        for (field, same) in [
            ("settings", saved.settings == self.state.settings),
            ("examples", saved.examples == self.state.examples),
            ("base model", saved.base == self.state.base),
        ] {
            if !same {
                let (path, field) = (checkpoint.path().to_owned(), field.to_owned());
                return Err(TuningError::OtherRun { path, field });
            }
        }
        checkpoint.restore(&mut self.optimizer)?;
        self.steps_before = self.optimizer.steps();
        Ok(())
    }

    fn update(&mut self) -> Result<TuneProgress, TuningError> {
        let step = self.optimizer.steps();
        let rate = self.config.learning_rate * self.schedule.factor(step);
        let batches = self.batches(step);
        let learner = Learner {
            decoder: self.base,
            adapters: std::slice::from_ref(&self.adapter),
            checkpointing: self.config.gradient_checkpointing,
        };
        let learned = learner.learn(&batches, &self.optimizer, &self.workers)?;
        if !learned.loss.is_finite() {
            let (loss, learning_rate) = (learned.loss, rate);
            return Err(TuningError::Diverged { step: step + 1, loss, learning_rate });
        }
        self.optimizer.update(&learned.gradients, rate)?;
        self.tokens += batches.iter().map(|batch| batch.tokens.len() as u64).sum::<u64>();
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let (done, made) = (step + 1, step + 1 - self.steps_before);
        Ok(TuneProgress {
            step: done,
            total: self.total,
            loss: learned.loss,
            learning_rate: rate,
            tokens_per_second: self.tokens as f64 / seconds,
            remaining_seconds: (self.total - done) as f64 * seconds / made as f64,
        })
    }

    /// The examples of update `step`, packed.
    fn batches(&self, step: u64) -> Vec<Packed> {
        let per_epoch = steps_per_epoch(self.sequences.len(), self.config);
        let order = order(self.sequences.len(), self.config.seed, step / per_epoch);
        let size = self.config.batch * self.config.accumulation;
        let start = (step % per_epoch) as usize * size;
        let chosen: Vec<Sequence> =
            order.iter().skip(start).take(size).map(|i| self.sequences[*i].clone()).collect();
        let mut batches = micro_batches(&chosen, self.config.micro_tokens, Some(0));
        if self.config.dropout > 0.0 {
            let dropout = Dropout::new(self.config.dropout, self.config.seed, step);
            // A row is known by its place in the update, wherever the cut is.
            let mut row = 0;
            for batch in &mut batches {
                batch.dropout = Some(dropout.from_row(row));
                row += batch.tokens.len();
            }
        }
        batches
    }

    fn save(&self) -> Result<(), TuningError> {
        self.checkpoints.save(&self.optimizer, &self.state).map(drop)
    }
}

/// Updates that tuning on so many examples takes, all epochs together.
pub fn updates(examples: usize, config: &TuneConfig) -> u64 {
    steps_per_epoch(examples, config) * config.epochs
}

fn steps_per_epoch(examples: usize, config: &TuneConfig) -> u64 {
    examples.div_ceil(config.batch * config.accumulation) as u64
}

fn state_of(
    base: &Decoder,
    sequences: &[Sequence],
    config: &TuneConfig,
) -> Result<TuneState, TuningError> {
    let mut hash = Sha256::new();
    for sequence in sequences {
        hash.update((sequence.tokens.len() as u64).to_le_bytes());
        for token in &sequence.tokens {
            hash.update(token.to_le_bytes());
        }
        hash.update((sequence.targets.len() as u64).to_le_bytes());
        for target in &sequence.targets {
            hash.update((target.position as u64).to_le_bytes());
            hash.update(target.token.to_le_bytes());
            hash.update(target.weight.to_le_bytes());
        }
    }
    Ok(TuneState {
        settings: config.deciding(),
        examples: format!("{:x}", hash.finalize()),
        base: fingerprint(base)?,
    })
}

/// Tells base models apart by what they compute for one short text, which costs next to nothing
/// and needs no access to files.
fn fingerprint(base: &Decoder) -> Result<String, TuningError> {
    let tokens: Vec<u32> = (0..8u32).map(|t| t % base.config().vocab_size as u32).collect();
    let segments = [crate::decoder::Segment { len: tokens.len(), position: 0, adapter: None }];
    let batch = crate::decoder::PackedBatch { tokens: &tokens, segments: &segments, adapters: &[] };
    let hidden = base.forward(&batch, None)?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
    let values: Vec<f32> = hidden.flatten_all()?.to_vec1()?;
    // Rounded, so that another number of threads in a product changes nothing.
    let rounded: Vec<i64> = values.iter().map(|v| (f64::from(*v) * 1e3).round() as i64).collect();
    Ok(format!("{:x}", Sha256::digest(format!("{rounded:?}"))))
}

#[cfg(test)]
#[path = "trainer_tests.rs"]
mod tests;
