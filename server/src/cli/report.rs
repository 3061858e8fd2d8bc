//! `polylogue starter report`: what the built-in model, or another in a folder, has learned.

use std::error::Error;

use clap::Args;

use crate::config::ModelArgs;
use crate::starter::report::{ReportOptions, report};

/// Arguments of `starter report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Seed of sampling.
    #[arg(long, default_value_t = ReportOptions::default().seed)]
    seed: u64,
    /// Held-out survey questions asked of every voice.
    #[arg(long, default_value_t = ReportOptions::default().questions)]
    questions: usize,
    /// Questions to generate.
    #[arg(long, default_value_t = ReportOptions::default().generations)]
    generations: usize,
    /// Held-out text, in tokens.
    #[arg(long, default_value_t = ReportOptions::default().held_out_tokens)]
    held_out_tokens: usize,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl ReportArgs {
    /// Measures and prints.
    ///
    /// # Errors
    /// A model that cannot be loaded, or whatever the engine fails at.
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let options = ReportOptions {
            seed: self.seed,
            questions: self.questions,
            generations: self.generations,
            held_out_tokens: self.held_out_tokens,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let report = runtime.block_on(async {
            let engine = self.model.start().await?;
            report(&engine, &options, |part| eprintln!("{part} ...")).await
        })?;
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&report)?),
            false => print!("{report}"),
        }
        Ok(())
    }
}
