//! The commands. Each has a file of its own that reads arguments and prints; the work is done
//! elsewhere.
//!
//! Results go to standard output, progress and errors to standard error.

mod import;
pub mod starter;

use std::error::Error;

use clap::{Parser, Subcommand};

/// Cultures as voices, side by side.
#[derive(Debug, Parser)]
#[command(name = "polylogue", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The built-in model: its tokenizer, its training and its files.
    #[command(subcommand)]
    Starter(starter::StarterCommand),
    /// Reads somebody else's data into the store.
    #[command(subcommand)]
    Import(import::ImportCommand),
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
            Command::Import(command) => wait(command.run()),
        }
    }
}

/// Runs a command's asynchronous work to its end.
fn wait(work: impl Future<Output = Result<(), Box<dyn Error>>>) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Two decimals, or a dash for nothing.
fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}
