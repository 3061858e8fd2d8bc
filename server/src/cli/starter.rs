//! `polylogue starter ...`: tokenizer, training and export of the built-in model.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Subcommand};

use super::corpus::{CorpusArgs, MixArgs};
use super::report::ReportArgs;
use crate::starter::corpus::{self, Mix, Part};
use crate::starter::tokenizer;
use crate::starter::train::{
    DecayFrom, HeldOutLoss, Report, TrainOptions, export, feed::Documents, train,
};
use engine::device::DeviceChoice;
use engine::tuning::TuningError;

/// What to do with the starter.
#[derive(Debug, Subcommand)]
pub enum StarterCommand {
    /// Writes the text that the model learns from.
    Corpus(CorpusArgs),
    /// Trains the tokenizer on the corpus.
    Tokenizer(TokenizerArgs),
    /// Trains the model from scratch, or goes on from the run's newest checkpoint.
    Train(TrainArgs),
    /// Writes the newest checkpoint of a run as a model folder.
    Export(ExportArgs),
    /// Measures what the model has learned and lets it speak.
    Report(ReportArgs),
}

/// Arguments of `starter tokenizer`.
#[derive(Debug, Args)]
pub struct TokenizerArgs {
    /// Where tokenizer.json and tokenizer_config.json go.
    #[arg(long)]
    out: PathBuf,
    /// Largest number of tokens.
    #[arg(long, default_value_t = 3072)]
    vocabulary: usize,
    /// Documents to learn from.
    #[arg(long, default_value_t = 20_000)]
    documents: usize,
    /// Seed of the documents.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Arguments of `starter train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Folder of the run; checkpoints go to `checkpoints/`, the model to `model/`.
    #[arg(long)]
    run: PathBuf,
    /// Folder with tokenizer.json and tokenizer_config.json.
    #[arg(long)]
    tokenizer: PathBuf,
    /// Begins with the weights of this model folder instead of random ones.
    #[arg(long, value_name = "MODEL_DIR")]
    from: Option<PathBuf>,
    /// Seed of weights and documents.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Tokens of the whole run. A later call may change it.
    #[arg(long)]
    tokens: Option<u64>,
    /// Tokens after which the learning rate falls to zero, or `now`; by default half of the run.
    #[arg(long, value_parser = parse_decay)]
    decay_from: Option<DecayFrom>,
    /// Peak learning rate.
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Tokens per update.
    #[arg(long, default_value_t = 2048)]
    step_tokens: usize,
    /// Updates between checkpoints.
    #[arg(long, default_value_t = 100)]
    checkpoint_every: u64,
    /// Updates between evaluations on held-out documents.
    #[arg(long, default_value_t = 250)]
    evaluate_every: u64,
    /// Threads that compute; 0 takes one per core.
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// `auto`, `cpu` or `cuda:N`.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    #[command(flatten)]
    mix: MixArgs,
}

/// Arguments of `starter export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Folder of the run.
    #[arg(long)]
    run: PathBuf,
    /// Folder with tokenizer.json and tokenizer_config.json.
    #[arg(long)]
    tokenizer: PathBuf,
    /// Where the model folder goes.
    #[arg(long)]
    out: PathBuf,
}

impl StarterCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever the step refuses or fails at.
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Corpus(args) => args.run()?,
            Self::Report(args) => args.run()?,
            Self::Tokenizer(args) => train_tokenizer(&args)?,
            Self::Train(args) => train_model(&args)?,
            Self::Export(args) => export(&args.run, &args.tokenizer, &args.out)?,
        }
        Ok(())
    }
}

fn documents(seed: u64, part: Part, mix: Mix) -> Documents {
    Box::new(corpus::documents(seed, part, mix))
}

fn train_tokenizer(args: &TokenizerArgs) -> Result<(), TuningError> {
    let texts = documents(args.seed, Part::Training, Mix::default())
        .take(args.documents)
        .flat_map(|document| document.messages)
        .map(|message| message.content);
    let trained = tokenizer::train(texts, args.vocabulary)?;
    tokenizer::save(
        &trained,
        &args.out,
        crate::starter::train::starter_shape().max_position_embeddings,
    )?;
    println!("{} tokens -> {}", trained.get_vocab_size(true), args.out.display());
    Ok(())
}

fn train_model(args: &TrainArgs) -> Result<(), Box<dyn Error>> {
    let options = TrainOptions {
        from: args.from.clone(),
        seed: args.seed,
        tokens: args.tokens,
        decay_from: args.decay_from,
        learning_rate: args.learning_rate,
        step_tokens: args.step_tokens,
        checkpoint_every: args.checkpoint_every,
        evaluate_every: args.evaluate_every,
        workers: args.workers,
        device: args.device.open()?,
        ..TrainOptions::new(args.run.clone(), args.tokenizer.clone())
    };
    let stop = stop_on_signal()?;
    let mix = args.mix.into();
    train(&options, &|seed, part| documents(seed, part, mix), &mut |report| {
        print_report(report);
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    let model = args.run.join("model");
    export(&args.run, &args.tokenizer, &model)?;
    println!("model -> {}", model.display());
    Ok(())
}

fn print_report(report: &Report) {
    if report.step.is_multiple_of(10) || report.held_out.is_some() || report.saved {
        println!(
            "step {:>6}  {:>5.2} of {:.2} M tokens  loss {:.4}  rate {:.2e}  norm {:.2}  {:.0} tokens/s  {:.0} min left{}",
            report.step,
            report.tokens.0 as f64 / 1e6,
            report.tokens.1 as f64 / 1e6,
            report.loss,
            report.learning_rate,
            report.norm,
            report.tokens_per_second,
            report.remaining_seconds / 60.0,
            if report.saved { "  saved" } else { "" },
        );
    }
    if let Some(kinds) = &report.held_out {
        let kinds = kinds.iter().map(|(kind, HeldOutLoss { loss, least })| {
            let least = if *least > 0.0 { format!(" (least {least:.4})") } else { String::new() };
            format!("{} {loss:.4}{least}", kind.as_str())
        });
        println!("  held out: {}", kinds.collect::<Vec<_>>().join("  "));
    }
}

/// A flag that an interrupt or a termination sets; the loop then saves and ends.
fn stop_on_signal() -> Result<Arc<AtomicBool>, std::io::Error> {
    let flag = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let set = Arc::clone(&flag);
    std::thread::spawn(move || {
        runtime.block_on(wait_for_signal());
        eprintln!("saving a checkpoint and stopping");
        set.store(true, Ordering::Relaxed);
    });
    Ok(flag)
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    let _ = tokio::signal::ctrl_c().await;
}

fn parse_decay(text: &str) -> Result<DecayFrom, String> {
    match text {
        "now" => Ok(DecayFrom::Now),
        _ => text
            .parse()
            .map(DecayFrom::Tokens)
            .map_err(|_| format!("`{text}` must be a number of tokens or `now`")),
    }
}
