//! The commands. Each has a file of its own that reads arguments and prints; the work is done
//! elsewhere.

pub mod starter;

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
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever the command refuses or fails at, as text for people.
    pub fn run(self) -> Result<(), Box<dyn std::error::Error>> {
        match self.command {
            Command::Starter(command) => command.run(),
        }
    }
}
