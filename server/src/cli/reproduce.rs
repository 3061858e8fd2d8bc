//! `polylogue reproduce RUN`: a finished run once more, compared byte for byte.

use std::error::Error;

use clap::Args;

use super::progress::Reporter;
use crate::config::{ModelArgs, StoreArgs};
use crate::jobs::manifest::Comparison;
use crate::jobs::reproduce;
use crate::starter::world::world;

/// Arguments of `reproduce`.
#[derive(Debug, Args)]
pub struct ReproduceArgs {
    /// The run to repeat; it must be done.
    run: String,
    /// Name of the repetition; `RUN-again` by default. One that exists goes on.
    #[arg(long, value_name = "NAME")]
    again: Option<String>,
    /// The comparison as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// The model.
    #[command(flatten)]
    model: ModelArgs,
    /// The data folder.
    #[command(flatten)]
    store: StoreArgs,
}

impl ReproduceArgs {
    /// Repeats, compares and prints.
    ///
    /// # Errors
    /// Whatever a run fails at, and a difference.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        let store = self.store.open().await?;
        store.put_survey(world().survey()).await?;
        store.run(&self.run).await?;
        let engine = self.model.start().await?;
        let again = reproduce::open(&store, &engine, &self.run, self.again).await?;
        eprintln!("run `{}` repeats `{}`", again.run, self.run);
        let mut reporter = Reporter::start();
        let compared =
            reproduce::compare(&again, &self.run, &mut |progress| reporter.tell(progress)).await?;
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&compared)?),
            false => compared.iter().for_each(|comparison| println!("{}", line(comparison))),
        }
        match compared.iter().filter(|comparison| !comparison.is_same()).count() {
            0 => Ok(()),
            differ => Err(format!(
                "{differ} of {} differ between `{}` and `{}`\nOn the same machine and device all \
                 should be the same; other processors may round otherwise.",
                compared.len(),
                self.run,
                again.run
            )
            .into()),
        }
    }
}

/// `elicit: the same, 0123456789ab`.
fn line(comparison: &Comparison) -> String {
    let short = |value: &Option<String>| match value.as_deref() {
        None => "none".to_owned(),
        Some(hash) if is_hash(hash) => hash.chars().take(12).collect(),
        Some(other) => other.to_owned(),
    };
    let Comparison { what, first, second } = comparison;
    match comparison.is_same() {
        true => format!("{what}: the same, {}", short(first)),
        false => format!("{what}: DIFFERS, {} and {}", short(first), short(second)),
    }
}

/// Whether it begins with a SHA-256, as a model in another form of weights does too.
fn is_hash(text: &str) -> bool {
    text.get(..64).is_some_and(|start| start.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_differs() {
        let hash = "ab".repeat(32);
        for (first, second, expect) in [
            (Some(hash.clone()), Some(hash.clone()), "tune: the same, abababababab"),
            (Some(hash), None, "tune: DIFFERS, abababababab and none"),
            (Some("--seed 7".to_owned()), Some("--seed 7".to_owned()), "tune: the same, --seed 7"),
        ] {
            let comparison = Comparison { what: "tune".to_owned(), first, second };
            assert_eq!(line(&comparison), expect);
        }
    }
}
