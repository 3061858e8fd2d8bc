//! `polylogue import` and `polylogue score`: a user's own copy of released data.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::number;
use crate::config::StoreArgs;
use crate::jobs::culturespa::{read_survey, score_results};

/// What to import.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// The survey released with CultureSPA, from a copy of its repository.
    Culturespa {
        /// Folder that holds `data/` and `result/`.
        dir: PathBuf,
        /// The data folder.
        #[command(flatten)]
        store: StoreArgs,
    },
}

impl ImportCommand {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self::Culturespa { dir, store } = self;
        let survey = read_survey(&dir)?;
        let changed = store.open().await?.put_survey(&survey).await?;
        let answers: usize = survey.reference.values().map(|answers| answers.len()).sum();
        println!(
            "survey `{}`: {} questions, {} cultures, {answers} reference answers{}",
            survey.id,
            survey.questions.len(),
            survey.cultures.len(),
            if changed { "" } else { "; it was there already" },
        );
        Ok(())
    }
}

/// Arguments of `polylogue score`.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Folder that holds `data/` and `result/`.
    dir: PathBuf,
    /// One JSON object per line instead of a table.
    #[arg(long)]
    json: bool,
}

impl ScoreArgs {
    pub(super) fn run(self) -> Result<(), Box<dyn Error>> {
        let rows = score_results(&self.dir)?;
        if self.json {
            for row in rows {
                println!("{}", serde_json::to_string(&row)?);
            }
            return Ok(());
        }
        println!("| culture | style | score | answered | unreadable | file |");
        println!("|---|---|---:|---:|---:|---|");
        for row in rows {
            let file = row.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            println!(
                "| {} | {} | {} | {} | {} | {file} |",
                row.culture,
                row.style,
                number(row.score),
                row.answered,
                row.unreadable,
            );
        }
        Ok(())
    }
}
