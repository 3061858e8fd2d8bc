//! `polylogue starter corpus`: writes the starter's training or held-out text.

use std::path::PathBuf;

use clap::Args;

use crate::starter::corpus::{self, Mix, Part, WriteError, WriteOptions};

/// Arguments of `starter corpus`.
#[derive(Debug, Args)]
pub struct CorpusArgs {
    /// File to write, one JSON object per document.
    #[arg(long)]
    out: PathBuf,
    /// Number of documents.
    #[arg(long, default_value_t = 60_000)]
    documents: usize,
    /// Seed of the documents; the training's by default.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Writes held-out text: another seed's documents, with the phrasings that training never sees.
    #[arg(long)]
    held_out: bool,
    #[command(flatten)]
    mix: MixArgs,
}

/// Share of each kind of document, by length; they need not sum to 1.
#[derive(Debug, Clone, Copy, Args)]
pub struct MixArgs {
    /// Share of survey answers.
    #[arg(long, default_value_t = Mix::default().survey, value_parser = share)]
    survey: f64,
    /// Share of conversations.
    #[arg(long, default_value_t = Mix::default().talk, value_parser = share)]
    talk: f64,
    /// Share of written survey questions.
    #[arg(long, default_value_t = Mix::default().generation, value_parser = share)]
    generation: f64,
    /// Share of requests beyond the model's ground.
    #[arg(long, default_value_t = Mix::default().beyond, value_parser = share)]
    beyond: f64,
    /// Share of opinions in a few words.
    #[arg(long, default_value_t = Mix::default().opinion, value_parser = share)]
    opinion: f64,
    /// Share of facts about life where a persona comes from.
    #[arg(long, default_value_t = Mix::default().life, value_parser = share)]
    life: f64,
}

impl From<MixArgs> for Mix {
    fn from(shares: MixArgs) -> Self {
        let MixArgs { survey, talk, generation, beyond, opinion, life } = shares;
        Self { survey, talk, generation, beyond, opinion, life }
    }
}

impl CorpusArgs {
    /// Writes the file and prints what is in it.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn run(self) -> Result<(), WriteError> {
        let options = WriteOptions {
            // Training's seed with every bit turned, as in training's own held-out measure.
            seed: if self.held_out { !self.seed } else { self.seed },
            part: if self.held_out { Part::HeldOut } else { Part::Training },
            mix: self.mix.into(),
            documents: self.documents,
        };
        let statistics = corpus::write(&self.out, options, |written| {
            eprint!("\r{written} of {} documents", self.documents);
        })?;
        eprintln!();
        println!("{statistics}\n-> {}", self.out.display());
        Ok(())
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("`{text}` is not a share\nGive a number from 0 to 1.")),
    }
}
