//! `polylogue import` and `polylogue score`: surveys and recorded answers from files.

use std::error::Error;
use std::path::{Path, PathBuf};

use app::api::import::{ImportOutcome, ImportReport};
use clap::{Args, ValueEnum};

use super::output::number;
use crate::config::StoreArgs;
use crate::jobs::culturespa::{ScoreRow, score_results};
use crate::jobs::evaluate::Baselines;
use crate::jobs::import::{self, EXAMPLE_CSV, EXAMPLE_JSONL, Format, ImportOptions, fetch};

/// Arguments of `polylogue import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A file, a folder, or the address of a file; its format may stand before it.
    #[arg(value_name = "PATH|URL", required_unless_present = "example", num_args = 1..=2)]
    source: Vec<String>,
    /// `culturespa`, `jsonl`, `csv` or `globalopinionqa`; by default the names of files and columns
    /// tell.
    #[arg(long)]
    format: Option<Format>,
    /// Identifier of the survey; by default the file's own, or its name.
    #[arg(long)]
    id: Option<String>,
    /// Name of the model whose recorded answers are in the folder; by default that of their folder, or
    /// one that is made from the answers.
    #[arg(long)]
    name: Option<String>,
    /// Leaves out rows that break a rule instead of stopping at them.
    #[arg(long)]
    skip_rejected: bool,
    /// Writes all rejected rows into a file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// Prints the template with an example in it and imports nothing.
    #[arg(long, value_name = "FORMAT", conflicts_with = "source")]
    example: Option<Example>,
    /// The data folder.
    #[command(flatten)]
    store: StoreArgs,
}

/// Kinds of templates.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Example {
    Jsonl,
    Csv,
}

impl ImportArgs {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        match self.example {
            Some(Example::Jsonl) => print!("{EXAMPLE_JSONL}"),
            Some(Example::Csv) => print!("{EXAMPLE_CSV}"),
            None => return self.import().await,
        }
        Ok(())
    }

    async fn import(self) -> Result<(), Box<dyn Error>> {
        let (format, source) = match self.source.as_slice() {
            [format, source] => (Some(format.parse()?), source.clone()),
            sources => (self.format, sources.concat()),
        };
        if let (Some(named), Some(given)) = (format, self.format)
            && named != given
        {
            let rule =
                format!("the format is `{named}` before the source and `{given}` in `--format`");
            return Err(format!("{rule}\nName it once.").into());
        }
        // Fetching blocks; nothing else runs in this process.
        let fetched = match fetch::is_address(&source) {
            true => Some(tokio::task::block_in_place(|| fetch::fetch(&source))?),
            false => None,
        };
        let path =
            fetched.as_ref().map_or_else(|| PathBuf::from(&source), |(_, path)| path.clone());
        let store = self.store.open().await?;
        let options = ImportOptions {
            format,
            id: self.id,
            name: self.name,
            skip_rejected: self.skip_rejected,
            rejected: self.rejected.clone(),
        };
        tell(&import::import(&store, path, options).await?, self.rejected.as_deref())
    }
}

fn tell(report: &ImportReport, rejected: Option<&Path>) -> Result<(), Box<dyn Error>> {
    for row in &report.rejected {
        eprintln!("{}:{}: {}", row.file, row.line, row.reason);
    }
    let unlisted = report.rejected_total - report.rejected.len();
    match rejected {
        _ if report.rejected_total == 0 => {}
        Some(file) => eprintln!("all {} rejected rows: {}", report.rejected_total, file.display()),
        None if unlisted > 0 => {
            eprintln!("and {unlisted} more rejected rows; `--rejected FILE` writes all of them");
        }
        None => {}
    }
    if report.outcome == ImportOutcome::Refused {
        return Err(format!(
            "nothing was imported: {} rows of the survey `{}` were rejected\nCorrect them, or leave \
             them out with `--skip-rejected`.",
            report.rejected_total, report.survey
        )
        .into());
    }
    println!(
        "survey `{}`: {} questions, {} cultures, {} reference answers{}",
        report.survey,
        report.questions,
        report.cultures,
        report.answers,
        match report.outcome {
            ImportOutcome::Unchanged => "; it was there already",
            _ => "",
        },
    );
    for run in &report.recorded {
        println!(
            "recorded answers of `{}`: {} voices, {} answers, {} unreadable; they open as run `{}`{}",
            run.model,
            run.voices,
            run.answers,
            run.unreadable,
            run.run,
            if run.unchanged { ", which was there already" } else { "" },
        );
    }
    Ok(())
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
        println!("{}", table(&rows));
        Ok(())
    }
}

/// What was scored, beside what answering the same questions without looking reaches.
fn table(rows: &[ScoreRow]) -> String {
    let head = "| culture | style | score | random | middle | like USA | answered | unreadable | file |\n\
                |---|---|---:|---:|---:|---:|---:|---:|---|";
    let line = |row: &ScoreRow| {
        let Baselines { random, middle, like_usa } = row.baselines;
        let scores = [row.score, random, middle, like_usa].map(number).join(" | ");
        let file = row.file.file_name().unwrap_or_default().to_string_lossy();
        let ScoreRow { culture, style, answered, unreadable, .. } = row;
        format!("| {culture} | {style} | {scores} | {answered} | {unreadable} | {file} |")
    };
    std::iter::once(head.to_owned()).chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use domain::prompt::PromptStyle;

    use super::*;

    #[test]
    fn scores_stand_beside_their_baselines() {
        let row = |culture: &str, like_usa| ScoreRow {
            culture: culture.parse().unwrap(),
            style: PromptStyle::Unaware,
            score: Some(71.125),
            answered: 250,
            unreadable: 9,
            baselines: Baselines { random: Some(46.34), middle: Some(57.95), like_usa },
            file: "result/wvs_result_culture_unaware_0.json".into(),
        };
        let text = table(&[row("USA", None), row("THA", Some(63.44))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].contains("| score | random | middle | like USA |"), "{text}");
        assert!(lines[2].contains("| 46.34 | 57.95 | – | 250 | 9 | wvs_result"), "{text}");
        assert!(lines[3].contains("| 46.34 | 57.95 | 63.44 |"), "{text}");
    }
}
