//! What an import of a survey came to.

use serde::{Deserialize, Serialize};

/// What became of the survey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportOutcome {
    /// It is in the store now.
    Stored,
    /// It was there already, the same in everything.
    Unchanged,
    /// Rows were rejected, so that nothing was stored.
    Refused,
}

/// What an import found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Identifier of the survey.
    pub survey: String,
    /// Its name for people.
    pub title: String,
    /// Questions that keep the rules.
    pub questions: usize,
    /// Cultures.
    pub cultures: usize,
    /// Answers of people that keep the rules: pairs of culture and question.
    pub answers: usize,
    /// What became of it.
    pub outcome: ImportOutcome,
    /// The first rejected rows.
    pub rejected: Vec<RejectedRow>,
    /// Number of all rejected rows.
    pub rejected_total: usize,
    /// Answers of models that came with the survey, each a finished survey run now.
    #[serde(default)]
    pub recorded: Vec<RecordedRun>,
}

/// Answers that a model gave elsewhere, as a finished survey run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRun {
    /// The run's name.
    pub run: String,
    /// The model's name: as it was given, as its folder is called, or made from the answers.
    pub model: String,
    /// Voices.
    pub voices: usize,
    /// Answers that name an option.
    pub answers: usize,
    /// Answers that name none, refusals for instance: left out and counted.
    pub unreadable: usize,
    /// Whether it was there already, the same in everything.
    #[serde(default)]
    pub unchanged: bool,
}

/// A row that isn't part of the survey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// Name of the file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Which rule it breaks, with the given value.
    pub reason: String,
}
