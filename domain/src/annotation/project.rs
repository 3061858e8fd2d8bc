//! What a project asks of its annotators.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::AnnotationError;
use super::label::{Label, LabelId, default_labels};
use crate::question::Scale;

/// Most labels of a project; the keys 1 to 9 choose them.
pub const MOST_LABELS: usize = 9;

/// Largest overlap.
pub const MOST_OVERLAP: usize = 50;

/// Longest title, in characters.
pub const LONGEST_TITLE: usize = 200;

/// Longest guidelines, in characters.
pub const LONGEST_GUIDELINES: usize = 64 * 1024;

/// Longest name or explanation of a label, or name of a member, in characters.
pub const LONGEST_NAME: usize = 200;

/// The length of a text in UTF-16 code units: as a browser counts what somebody types, so that a field
/// that takes a text and the server that keeps it know the same limit.
pub fn characters(text: &str) -> usize {
    text.encode_utf16().count()
}

/// What a project asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProjectSettings {
    /// Name for people.
    pub title: String,
    /// How to judge, in Markdown.
    #[serde(default)]
    pub guidelines: String,
    /// What can be chosen, in order; the keys 1 to 9 follow it.
    #[serde(default = "default_labels")]
    pub labels: Vec<Label>,
    /// Whether the order of the labels means something, for ordinal coefficients.
    #[serde(default = "nominal")]
    pub scale: Scale,
    /// How many annotators judge each item.
    pub overlap: usize,
    /// How many items of each culture are to be judged; `None` for all.
    #[serde(default)]
    pub target: Option<usize>,
    /// Whether annotators see nobody else's judgement of an item until it is complete.
    #[serde(default)]
    pub blind: bool,
}

fn nominal() -> Scale {
    Scale::Nominal
}

impl ProjectSettings {
    /// A blind project of this title with the default labels, two people per item and no guidelines.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            guidelines: String::new(),
            labels: default_labels(),
            scale: Scale::Nominal,
            overlap: 2,
            target: None,
            blind: true,
        }
    }

    /// The label of this identifier.
    pub fn label(&self, id: &LabelId) -> Option<&Label> {
        self.labels.iter().find(|label| label.id == *id)
    }

    /// Its place among the labels.
    pub fn label_index(&self, id: &LabelId) -> Option<usize> {
        self.labels.iter().position(|label| label.id == *id)
    }

    /// Refuses settings by which nobody could work.
    ///
    /// # Errors
    /// [`AnnotationError::Setting`] with the first rule that is broken.
    pub fn check(&self) -> Result<(), AnnotationError> {
        let refuse = |setting, rule: String| Err(AnnotationError::Setting { setting, rule });
        if self.title.trim().is_empty() || characters(&self.title) > LONGEST_TITLE {
            let given = characters(&self.title);
            return refuse(
                "title",
                format!("must have 1 to {LONGEST_TITLE} characters, not {given}"),
            );
        }
        let given = characters(&self.guidelines);
        if given > LONGEST_GUIDELINES {
            return refuse(
                "guidelines",
                format!("must have at most {LONGEST_GUIDELINES} characters, not {given}"),
            );
        }
        if !(1..=MOST_OVERLAP).contains(&self.overlap) {
            return refuse("overlap", format!("must be 1 to {MOST_OVERLAP}, not {}", self.overlap));
        }
        if self.target == Some(0) {
            return refuse("target", "must be at least 1, or left out for all items".to_owned());
        }
        self.check_labels()
    }

    fn check_labels(&self) -> Result<(), AnnotationError> {
        let refuse = |rule: String| Err(AnnotationError::Setting { setting: "labels", rule });
        if !(2..=MOST_LABELS).contains(&self.labels.len()) {
            return refuse(format!("must be 2 to {MOST_LABELS}, not {}", self.labels.len()));
        }
        for label in &self.labels {
            let id = label.id.as_str();
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if id.is_empty() || id.len() > 40 || !id.chars().all(plain) {
                return refuse(format!(
                    "need identifiers of 1 to 40 small letters, digits and `-`, unlike `{id}`"
                ));
            }
            if label.name.trim().is_empty()
                || characters(&label.name) > LONGEST_NAME
                || characters(&label.explanation) > LONGEST_NAME
            {
                return refuse(format!(
                    "need a name, and at most {LONGEST_NAME} characters of it and of the explanation, \
                     unlike `{id}`"
                ));
            }
        }
        let different: BTreeSet<_> = self.labels.iter().map(|label| &label.id).collect();
        if different.len() < self.labels.len() {
            return refuse("need different identifiers".to_owned());
        }
        Ok(())
    }
}
