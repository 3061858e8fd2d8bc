//! The released data of CultureSPA, in the layout of its repository: the user's own copy.
//!
//! - [`layout`]: what the survey's numbers mean (topics, options from 0, unordered options);
//! - [`survey`]: questions and people's answers, as a survey of the store;
//! - [`generated`]: the questions that the paper's model wrote, through our filter;
//! - [`results`]: recorded model answers, scored by the paper's rule.
//!
//! **Invariant:** nothing of that data is part of Polylogue; everything is read and checked here.

pub mod generated;
pub mod layout;
pub mod results;
pub mod survey;

pub use generated::{GeneratedFiles, read_generated};
pub use results::{ScoreRow, result_folder, score_results};
pub use survey::{SURVEY_ID, fill, is_layout, read_survey};

use std::path::Path;

use serde::de::DeserializeOwned;

use super::JobError;

const LAYOUT_HINT: &str = "Give the folder that holds `data/wvs_questions.json`, \
                           `data/proportions_group_by_country.json` and `result/`.";

/// Reads a JSON file of the layout.
fn read<T: DeserializeOwned>(path: &Path) -> Result<T, JobError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad(path, format!("can't be read: {error}"), LAYOUT_HINT))?;
    serde_json::from_str(&text)
        .map_err(|error| bad(path, format!("doesn't have its shape: {error}"), CONTENT_HINT))
}

const CONTENT_HINT: &str = "Copy the file again from the release; nothing was stored.";

fn bad(path: &Path, rule: impl Into<String>, hint: &str) -> JobError {
    JobError::BadFile { path: path.to_owned(), rule: rule.into(), hint: hint.to_owned() }
}

/// A file whose content breaks a rule.
fn broken(path: &Path, rule: impl Into<String>) -> JobError {
    bad(path, rule, CONTENT_HINT)
}
