//! The training loop: one update after the other, until the tokens are used up or someone stops it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, Var};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::feed::{self, Documents, FeedOptions};
use super::{DecayFrom, TrainOptions};
use crate::starter::corpus::{Kind, Part};
use crate::starter::tokenizer;
use engine::decoder::{Decoder, DecoderConfig, init_parameters};
use engine::tuning::TuningError;
use engine::tuning::checkpoint::Checkpoints;
use engine::tuning::gradient::{Learner, Workers};
use engine::tuning::optimizer::{AdamW, AdamWConfig};
use engine::tuning::packing::Packed;
use engine::tuning::schedule::WarmupStableDecay;
use engine::weights::Weights;

/// Optimiser settings for training from scratch.
const ADAMW: AdamWConfig =
    AdamWConfig { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, max_norm: 1.0 };

/// What a checkpoint says about its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Seed of weights and documents.
    pub seed: u64,
    /// Tokens per update.
    pub step_tokens: usize,
    /// SHA-256 of tokenizer.json.
    pub tokenizer: String,
    /// The model's configuration.
    pub config: DecoderConfig,
    /// Documents learnt.
    pub documents: u64,
    /// Input tokens learnt.
    pub tokens: u64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// How the rate changes.
    pub schedule: WarmupStableDecay,
}

/// Progress after one update.
#[derive(Debug, Clone)]
pub struct Report {
    /// Updates made.
    pub step: u64,
    /// Input tokens learnt, and how many the run wants.
    pub tokens: (u64, u64),
    /// Mean loss of this update, in nats per token.
    pub loss: f64,
    /// Learning rate of this update.
    pub learning_rate: f64,
    /// Global norm of the gradient before clipping.
    pub norm: f64,
    /// Input tokens per second since the start of this call.
    pub tokens_per_second: f64,
    /// Seconds that the rest will take.
    pub remaining_seconds: f64,
    /// Loss on held-out documents by kind, where this step measured it.
    pub held_out: Option<Vec<(Kind, HeldOutLoss)>>,
    /// Whether a checkpoint was saved.
    pub saved: bool,
}

/// Loss on held-out documents of one kind, in nats per unit of weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldOutLoss {
    /// The model's.
    pub loss: f64,
    /// The least that any model can have: survey answers have shares, not one right option.
    pub least: f64,
}

/// Trains, from the newest checkpoint in the run's folder if there is one. `documents` gives the
/// endless documents of a part for a seed. A break from `progress` saves a checkpoint and ends with
/// [`TuningError::Cancelled`].
pub fn train(
    options: &TrainOptions,
    documents: &dyn Fn(u64, Part) -> Documents,
    progress: &mut dyn FnMut(&Report) -> ControlFlow<()>,
) -> Result<(), TuningError> {
    let mut run = Run::open(options)?;
    let tokenizer = tokenizer::load(&options.tokenizer)?;
    let feed_options = FeedOptions {
        step_tokens: options.step_tokens,
        micro_tokens: options.micro_tokens,
        context: run.state.config.max_position_embeddings,
        skip: run.state.documents,
    };
    let held_out = feed::held_out(
        // Another seed than the training's: the bits of "held-out" do not matter, only that they differ.
        documents(!options.seed, Part::HeldOut),
        &tokenizer,
        options.evaluate_tokens,
        feed_options,
    )?;
    let steps = feed::start(documents(options.seed, Part::Training), tokenizer, feed_options);
    while run.state.tokens < run.state.schedule.tokens {
        let Ok(step) = steps.recv() else { break };
        let mut report = run.update(step?)?;
        let last = run.state.tokens >= run.state.schedule.tokens;
        if last || report.step.is_multiple_of(options.evaluate_every.max(1)) {
            report.held_out = Some(run.evaluate(&held_out)?);
        }
        if last || report.step.is_multiple_of(options.checkpoint_every.max(1)) {
            report.saved = run.save()?;
        }
        if progress(&report).is_break() {
            if !report.saved {
                run.save()?;
            }
            return Err(TuningError::Cancelled { step: report.step });
        }
    }
    Ok(())
}

/// A run in memory.
struct Run {
    state: RunState,
    decoder: Decoder,
    optimizer: AdamW,
    checkpoints: Checkpoints,
    workers: Workers,
    started: Instant,
    tokens_before: u64,
}

impl Run {
    fn open(options: &TrainOptions) -> Result<Self, TuningError> {
        let state = fresh_state(options)?;
        let variables = init_parameters(&state.config, options.seed, &options.device)?;
        let checkpoints = Checkpoints::new(options.run.join("checkpoints"), 2);
        if let (Some(folder), true) = (&options.from, checkpoints.list()?.is_empty()) {
            take_over(&variables, folder, &options.device)?;
        }
        let tensors = variables.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone()));
        let builder = VarBuilder::from_tensors(tensors.collect(), DType::F32, &options.device);
        let decoder = Decoder::new(state.config.clone(), builder)?;
        let optimizer = AdamW::new(variables.into_iter().collect(), ADAMW)?;
        let workers = Workers::new(options.workers, &options.device)?;
        let started = Instant::now();
        let mut run =
            Self { state, decoder, optimizer, checkpoints, workers, started, tokens_before: 0 };
        run.resume(options)?;
        Ok(run)
    }

    /// Takes up the newest checkpoint, then what the options change about the schedule.
    fn resume(&mut self, options: &TrainOptions) -> Result<(), TuningError> {
        if let Some(checkpoint) = self.checkpoints.newest()? {
            let (_, saved): (u64, RunState) = checkpoint.state()?;
            let fresh = &self.state;
            for (field, same) in [
                ("seed", saved.seed == fresh.seed),
                ("step_tokens", saved.step_tokens == fresh.step_tokens),
                ("tokenizer.json", saved.tokenizer == fresh.tokenizer),
                ("shape of the model", saved.config == fresh.config),
            ] {
                if !same {
                    let (path, field) = (checkpoint.path().to_owned(), field.to_owned());
                    return Err(TuningError::OtherRun { path, field });
                }
            }
            checkpoint.restore(&mut self.optimizer)?;
            self.state = saved;
        }
        self.tokens_before = self.state.tokens;
        let state = &mut self.state;
        if let Some(tokens) = options.tokens {
            state.schedule.tokens = tokens;
            state.schedule.decay_from = tokens / 2;
        }
        match options.decay_from {
            Some(DecayFrom::Tokens(tokens)) => state.schedule.decay_from = tokens,
            Some(DecayFrom::Now) => state.schedule.decay_from = state.tokens,
            None => {}
        }
        state.learning_rate = options.learning_rate.unwrap_or(state.learning_rate);
        Ok(())
    }

    fn update(&mut self, step: feed::Step) -> Result<Report, TuningError> {
        let rate = self.state.learning_rate * self.state.schedule.factor(self.state.tokens);
        let learned = self.learner().learn(&step.batches, &self.optimizer, &self.workers)?;
        if !learned.loss.is_finite() {
            return Err(TuningError::Diverged {
                step: self.optimizer.steps() + 1,
                loss: learned.loss,
                learning_rate: rate,
            });
        }
        let norm = self.optimizer.update(&learned.gradients, rate)?;
        self.state.documents = step.documents;
        self.state.tokens += step.tokens;
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let speed = (self.state.tokens - self.tokens_before) as f64 / seconds;
        let wanted = self.state.schedule.tokens;
        Ok(Report {
            step: self.optimizer.steps(),
            tokens: (self.state.tokens, wanted),
            loss: learned.loss,
            learning_rate: rate,
            norm,
            tokens_per_second: speed,
            remaining_seconds: wanted.saturating_sub(self.state.tokens) as f64 / speed,
            held_out: None,
            saved: false,
        })
    }

    fn evaluate(
        &self,
        sets: &[(Kind, Vec<Packed>)],
    ) -> Result<Vec<(Kind, HeldOutLoss)>, TuningError> {
        let loss = |(kind, batches): &(Kind, Vec<Packed>)| {
            let weight: f64 = batches.iter().map(Packed::weight).sum();
            let least = batches.iter().map(Packed::entropy).sum::<f64>() / weight;
            let loss = self.learner().evaluate(batches, &self.workers)?;
            Ok((*kind, HeldOutLoss { loss, least }))
        };
        sets.iter().map(loss).collect()
    }

    fn save(&self) -> Result<bool, TuningError> {
        self.checkpoints.save(&self.optimizer, &self.state)?;
        Ok(true)
    }

    fn learner(&self) -> Learner<'_> {
        Learner { decoder: &self.decoder, adapters: &[], checkpointing: false }
    }
}

/// Puts the weights of the model in `folder` into fresh variables of the same names and shapes.
fn take_over(
    variables: &BTreeMap<String, Var>,
    folder: &Path,
    device: &Device,
) -> Result<(), TuningError> {
    let path = folder.join("model.safetensors");
    let fail = |problem: String| {
        TuningError::format(
            &path,
            problem,
            "Choose a folder that `polylogue starter export` wrote.",
        )
    };
    let weights = Weights::find(folder).and_then(|found| found.builder(DType::F32, device));
    let weights = weights.map_err(|error| fail(format!("cannot be read: {error}")))?;
    for (name, variable) in variables {
        let tensor = weights.get(variable.dims(), name).map_err(|_| {
            fail(format!("has no `{name}` of shape {:?}, as the starter does", variable.dims()))
        })?;
        variable.set(&tensor)?;
    }
    Ok(())
}

fn fresh_state(options: &TrainOptions) -> Result<RunState, TuningError> {
    let path = options.tokenizer.join("tokenizer.json");
    let bytes = std::fs::read(&path).map_err(TuningError::read(&path))?;
    let vocabulary = tokenizer::load(&options.tokenizer)?.get_vocab_size(true);
    let tokens = options.tokens.unwrap_or(25_000_000);
    Ok(RunState {
        seed: options.seed,
        step_tokens: options.step_tokens,
        tokenizer: format!("{:x}", Sha256::digest(&bytes)),
        config: DecoderConfig { vocab_size: vocabulary, ..options.shape.clone() },
        documents: 0,
        tokens: 0,
        learning_rate: options.learning_rate.unwrap_or(2e-3),
        schedule: WarmupStableDecay {
            warmup: (tokens / 50).min(200_000),
            decay_from: tokens / 2,
            tokens,
        },
    })
}
