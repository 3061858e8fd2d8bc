//! `polylogue experiments`: the paper's comparisons on one base run, as a page with charts.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use domain::method::Step;
use domain::score::Metric;

use super::method::MethodArgs;
use super::progress::Reporter;
use crate::experiments::{self, Report};
use crate::jobs::Opening;

/// Arguments of `experiments`; the settings are those of the base run.
#[derive(Debug, Args)]
pub struct ExperimentsArgs {
    /// Folder for `EXPERIMENTS.md` and its charts in `images`.
    #[arg(long, value_name = "DIR", default_value = "docs")]
    out: PathBuf,
    /// Prints everything as JSON and writes no files.
    #[arg(long)]
    json: bool,
    /// The base run.
    #[command(flatten)]
    method: MethodArgs,
}

impl ExperimentsArgs {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let base = self.method.open(Opening::Base).await?;
        experiments::check_base(&base.request())?;
        let mut reporter = Reporter::start();
        let mut tell = |progress: &_| reporter.tell(progress);
        base.set_state(None).await?;
        let done = base
            .run_steps(&Step::ALL, Metric::Alignment, &mut tell, &mut |_| {}, &mut |_| {})
            .await;
        base.set_state(Some(done.as_ref().map(|_| ()))).await?;
        done?;
        let mut reporter = Reporter::start();
        let mut tell = |progress: &_| reporter.tell(progress);
        let report = experiments::run(&base, &mut tell, &mut |title| eprintln!("{title}")).await?;
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&report)?),
            false => write(&report, &self.out)?,
        }
        Ok(())
    }
}

fn write(report: &Report, folder: &Path) -> Result<(), Box<dyn Error>> {
    let images = folder.join("images");
    let file = |path: &Path, text: &str| {
        fs::write(path, text).map_err(|error| {
            format!("`{}` can't be written: {error}\nName a folder with `--out`.", path.display())
        })
    };
    fs::create_dir_all(&images).map_err(|error| {
        format!("`{}` can't be made: {error}\nName a folder with `--out`.", images.display())
    })?;
    for (name, svg) in report.charts() {
        file(&images.join(name), &svg)?;
    }
    let page = folder.join("EXPERIMENTS.md");
    file(&page, &report.markdown("images"))?;
    println!("{}", page.display());
    Ok(())
}
