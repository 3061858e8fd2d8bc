//! `polylogue starter report`: what the built-in model, or another in a folder, has learned.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;

use crate::engine::device::DeviceChoice;
use crate::engine::handle::{Engine, EngineConfig, ModelSource};
use crate::starter::report::{ReportOptions, report};

/// Arguments of `starter report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folder of a model; the built-in one by default.
    #[arg(long)]
    model: Option<PathBuf>,
    /// `auto`, `cpu` or `cuda:N`.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
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
        let source = self.model.map_or(ModelSource::Starter, ModelSource::Folder);
        let options = ReportOptions {
            seed: self.seed,
            questions: self.questions,
            generations: self.generations,
            held_out_tokens: self.held_out_tokens,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let report = runtime.block_on(async {
            let engine = Engine::start(EngineConfig { source, device: self.device })?;
            report(&engine, &options, |part| eprintln!("{part} ...")).await
        })?;
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&report)?),
            false => print!("{report}"),
        }
        Ok(())
    }
}
