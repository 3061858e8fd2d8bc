//! The commands. Each has a file of its own that reads arguments and prints; the work is done
//! elsewhere.
//!
//! Results go to standard output, progress and errors to standard error.

mod bench;
mod corpus;
mod experiments;
mod import;
mod method;
mod output;
mod preset;
mod progress;
mod report;
mod reproduce;
mod serve;
pub mod starter;

use std::error::Error;

use clap::{Parser, Subcommand};

use crate::config::ServeArgs;

/// Cultures as voices, side by side.
#[derive(Debug, Parser)]
#[command(name = "polylogue", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the pages and the API.
    Serve(ServeArgs),
    /// Step 1: lets the model write new questions like the survey's.
    Generate(method::MethodArgs),
    /// Step 2: asks every question unaware and as every culture.
    Elicit(method::MethodArgs),
    /// Step 3: keeps the pairs whose answers differ.
    Collect(method::MethodArgs),
    /// Step 4: tunes a joint adapter, and one per culture.
    Tune(method::MethodArgs),
    /// Compares all voices with people on the evaluated questions.
    Evaluate(method::LookArgs),
    /// All steps in order, each from where it stopped.
    Pipeline(method::EvaluateArgs),
    /// All steps in order with the settings of a preset, each from where it stopped.
    Run(method::RunArgs),
    /// A finished run once more, and whether the same comes out, byte for byte.
    Reproduce(reproduce::ReproduceArgs),
    /// The paper's comparisons on top of one run, as a page with charts.
    Experiments(experiments::ExperimentsArgs),
    /// The built-in model: its tokenizer, its training and its files.
    #[command(subcommand)]
    Starter(starter::StarterCommand),
    /// Speed and memory beside the tools that people would use instead.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Reads a survey, and answers recorded to it, into the store.
    Import(import::ImportArgs),
    /// Scores recorded answers in the released layout of CultureSPA by the paper's rule.
    Score(import::ScoreArgs),
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever the command refuses or fails at: a message, and a way out on its second line.
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        crate::telemetry::start();
        match self.command {
            Command::Score(args) => args.run(),
            Command::Starter(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Serve(args) => wait(serve::run(args)),
            Command::Generate(args) => wait(method::generate(args)),
            Command::Elicit(args) => wait(method::elicit(args)),
            Command::Collect(args) => wait(method::collect(args)),
            Command::Tune(args) => wait(method::tune(args)),
            Command::Evaluate(args) => wait(method::evaluate(args)),
            Command::Pipeline(args) => wait(method::pipeline(args)),
            Command::Run(args) => wait(method::run(args)),
            Command::Reproduce(args) => wait(args.run()),
            Command::Experiments(args) => wait(args.run()),
            Command::Import(args) => wait(args.run()),
        }
    }
}

/// Runs a command's asynchronous work to its end.
fn wait(work: impl Future<Output = Result<(), Box<dyn Error>>>) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
