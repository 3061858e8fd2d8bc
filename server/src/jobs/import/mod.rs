//! Surveys from files: read, checked row by row, and stored whole or not at all.
//!
//! - [`draft`]: what all formats fill; [`rules`]: what every row must keep; [`rejections`]: rows that
//!   don't;
//! - [`lines`]: JSON with the line of every part; [`known`]: countries by code and name;
//! - [`records`] and [`table`]: our own template as JSONL and as CSV;
//! - [`opinions`]: CSV as GlobalOpinionQA has it; [`super::culturespa`]: the paper's release;
//! - [`fetch`]: a file from the web.
//!
//! **Invariant:** a row is either part of the survey or reported with its file, line and reason.

pub mod draft;
pub mod fetch;
pub mod known;
pub mod lines;
pub mod opinions;
pub mod records;
pub mod rejections;
pub mod rules;
pub mod table;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use app::api::import::{ImportOutcome, ImportReport, RecordedRun};
use domain::survey::Survey;

use self::draft::Draft;
use self::rejections::Rejections;
use super::recorded::{self, Recording};
use super::{JobError, culturespa};
use crate::store::Store;

/// The template as JSON lines, ready to be filled.
pub const EXAMPLE_JSONL: &str = include_str!("../../../assets/import/example.jsonl");

/// The template as CSV, ready to be filled.
pub const EXAMPLE_CSV: &str = include_str!("../../../assets/import/example.csv");

/// How a file or folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The folder of the paper's release.
    Culturespa,
    /// Our template, one JSON object a line.
    Jsonl,
    /// Our template as CSV.
    Csv,
    /// CSV with the columns `question`, `selections`, `options` and `source`.
    GlobalOpinionQa,
}

impl Format {
    const ALL: [Self; 4] = [Self::Culturespa, Self::Jsonl, Self::Csv, Self::GlobalOpinionQa];

    /// Name in commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Culturespa => "culturespa",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::GlobalOpinionQa => "globalopinionqa",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::as_str).join("`, `");
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is not a format\nUse `{known}`."))
    }
}

/// What a person says about an import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The format; `None` finds out by names and columns.
    pub format: Option<Format>,
    /// Identifier of the survey; `None` takes the file's own, or its name.
    pub id: Option<String>,
    /// Name of the model whose recorded answers come with the survey; `None` takes their folder's, or
    /// one that is derived from the answers.
    pub name: Option<String>,
    /// Whether rows that are rejected are left out; otherwise one of them stops the import.
    pub skip_rejected: bool,
    /// A file for all rejected rows, one JSON object a line; a report lists only the first.
    pub rejected: Option<PathBuf>,
}

/// Reads the survey in `path` with the answers that were recorded to it, and stores both unless a row is
/// rejected.
///
/// # Errors
/// [`JobError::BadFile`] where no survey can be read at all; a failure of the store. Then, as with
/// rejected rows, nothing is stored.
pub async fn import(
    store: &Store,
    path: PathBuf,
    options: ImportOptions,
) -> Result<ImportReport, JobError> {
    let skip = options.skip_rejected;
    let (survey, rejections, recordings) = blocking(move || read_all(&path, &options)).await?;
    let mut runs = Vec::new();
    let outcome = if rejections.total == 0 || (skip && !rejections.all) {
        let (told, finished): (Vec<RecordedRun>, Vec<_>) =
            recordings.into_iter().map(|recording| recording.finished(&survey)).unzip();
        let imported = store.import_survey(&survey, &finished).await?;
        let new = imported.survey || imported.runs.contains(&true);
        runs = told
            .into_iter()
            .zip(imported.runs)
            .map(|(run, new)| RecordedRun { unchanged: !new, ..run })
            .collect();
        if new { ImportOutcome::Stored } else { ImportOutcome::Unchanged }
    } else {
        ImportOutcome::Refused
    };
    Ok(ImportReport {
        survey: survey.id,
        title: survey.title,
        questions: survey.questions.len(),
        cultures: survey.cultures.len(),
        answers: survey.reference.values().map(|answers| answers.len()).sum(),
        outcome,
        rejected: rejections.listed,
        rejected_total: rejections.total,
        recorded: runs,
    })
}

/// Reads what [`import`] would, and stores nothing; every rejected row goes to the file that the options
/// name.
///
/// # Errors
/// As [`import`].
pub async fn check(path: PathBuf, options: ImportOptions) -> Result<(), JobError> {
    blocking(move || read_all(&path, &options).map(drop)).await
}

/// Reading 100 MB takes its time, and other people are served meanwhile.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, JobError> + Send + 'static,
) -> Result<T, JobError> {
    tokio::task::spawn_blocking(read).await.map_err(|error| {
        JobError::refused(format!("the import broke off: {error}"), "Import it again.")
    })?
}

/// Reads the survey in `path` with the answers that were recorded to it.
fn read_all(
    path: &Path,
    options: &ImportOptions,
) -> Result<(Survey, Rejections, Vec<Recording>), JobError> {
    let (survey, mut rejections) = read(path, options)?;
    let recordings = match path.is_dir() && !rejections.all {
        true => recorded::read(&survey, path, options.name.as_deref(), &mut rejections)?,
        false => Vec::new(),
    };
    rejections.close()?;
    if let Some(name) = options.name.as_ref().filter(|_| rejections.total == 0)
        && recordings.is_empty()
    {
        return Err(JobError::refused(
            format!("`{name}` names nothing: there are no recorded answers beside the survey"),
            "Leave the name out, or add files named like `wvs_result_culture_aware_THA_0.json`.",
        ));
    }
    Ok((survey, rejections, recordings))
}

/// Reads the survey in `path` without storing it.
///
/// # Errors
/// As [`import`].
pub fn read(path: &Path, options: &ImportOptions) -> Result<(Survey, Rejections), JobError> {
    let (format, path) = match options.format {
        Some(Format::Culturespa) => (Format::Culturespa, path.to_owned()),
        Some(format) => (format, the_file(path)?),
        None => recognised(path)?,
    };
    let log = options.rejected.as_deref();
    if let Some(log) = log.filter(|log| is_the_same(log, &path)) {
        return Err(JobError::BadFile {
            path: log.to_owned(),
            rule: "is the survey itself, and would be overwritten by its rejected rows".to_owned(),
            hint: "Name another file for them.".to_owned(),
        });
    }
    let mut draft = Draft::new(&path, Rejections::new(log)?);
    match format {
        Format::Culturespa => culturespa::fill(&path, &mut draft)?,
        Format::Jsonl => records::fill(&path, &mut draft)?,
        Format::Csv => table::fill(&path, &mut draft)?,
        Format::GlobalOpinionQa => opinions::fill(&path, &mut draft)?,
    }
    if let Some(id) = &options.id {
        draft.id.clone_from(id);
    }
    draft.finish()
}

fn is_the_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The format of a file or folder, and the file where a folder holds one only.
fn recognised(path: &Path) -> Result<(Format, PathBuf), JobError> {
    if path.is_dir() && culturespa::is_layout(path) {
        return Ok((Format::Culturespa, path.to_owned()));
    }
    let file = the_file(path)?;
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "jsonl" => Ok((Format::Jsonl, file)),
        "csv" if opinions::has_columns(&file)? => Ok((Format::GlobalOpinionQa, file)),
        "csv" => Ok((Format::Csv, file)),
        _ => Err(unknown_layout(&file, "is no survey: its name must end in `.jsonl` or `.csv`")),
    }
}

/// The file itself, or the only survey file of a folder.
fn the_file(path: &Path) -> Result<PathBuf, JobError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let entries = std::fs::read_dir(path)
        .map_err(|error| unknown_layout(path, &format!("can't be read: {error}")))?;
    let is_survey = |file: &PathBuf| {
        file.extension().is_some_and(|extension| extension == "jsonl" || extension == "csv")
    };
    let files: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_survey).collect();
    match files.as_slice() {
        [file] => Ok(file.clone()),
        [] => Err(unknown_layout(path, "holds no survey")),
        _ => Err(unknown_layout(path, "holds several surveys; name one of its files")),
    }
}

fn unknown_layout(path: &Path, rule: &str) -> JobError {
    JobError::BadFile {
        path: path.to_owned(),
        rule: rule.to_owned(),
        hint: "Give a `.jsonl` or `.csv` file as in the template, or a folder that holds \
               `data/wvs_questions.json` and `data/proportions_group_by_country.json`."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
