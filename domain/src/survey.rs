//! A survey: cultures, topics, questions, and the shares of real or simulated people per option.
//!
//! Here: the data and how to find things in it. Which cultures and questions are near each other is
//! in [`relation`].

pub mod relation;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::culture::{Culture, CultureCode};
use crate::question::{Question, QuestionId, Topic};

pub use self::relation::{Neighbours, Similarity};

/// Where a survey's reference answers come from. Shown wherever they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "source")]
pub enum Provenance {
    /// Computed by a documented formula, not asked of anybody.
    Simulated(String),
    /// Shares of real respondents, from the named source.
    Respondents(String),
}

impl Provenance {
    /// Whether nobody was asked.
    pub fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }
}

/// The answers of one culture's people to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Share per option, in the order of [`Question::options`]; missing answers are left out, so
    /// the sum lies in (0, 1].
    pub shares: Vec<f64>,
    /// Number of the most frequent answer; a tie is resolved by the source's own order.
    pub mode: u32,
}

/// Reference answers: culture, then question. A pair may be missing.
pub type Reference = BTreeMap<CultureCode, BTreeMap<QuestionId, Distribution>>;

/// A questionnaire with what people answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// Stable identifier: `starter`, `culturespa`.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// ISO 639-3 code of the language its questions are in.
    #[serde(default = "english")]
    pub language: String,
    /// Where the reference answers come from.
    pub provenance: Provenance,
    /// Cultures in display order.
    pub cultures: Vec<Culture>,
    /// Topics in display order.
    pub topics: Vec<Topic>,
    /// All questions, held-out ones included.
    pub questions: Vec<Question>,
    /// What people answered.
    pub reference: Reference,
    /// Which cultures are alike.
    #[serde(default)]
    pub similarity: Similarity,
    /// Which questions are near each other.
    #[serde(default)]
    pub neighbours: Neighbours,
    /// Texts of questions that the questionnaire holds and nobody is asked or compared by, such as
    /// demographic ones: a generated question must not repeat them either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unasked: Vec<String>,
}

fn english() -> String {
    "eng".to_owned()
}

impl Survey {
    /// The culture with this code.
    pub fn culture(&self, code: CultureCode) -> Option<&Culture> {
        self.cultures.iter().find(|culture| culture.code == code)
    }

    /// The question with this identifier.
    pub fn question(&self, id: &QuestionId) -> Option<&Question> {
        self.questions.iter().find(|question| question.id == *id)
    }

    /// What the people of `culture` answered to `question`, if known.
    pub fn people(&self, culture: CultureCode, question: &QuestionId) -> Option<&Distribution> {
        self.reference.get(&culture)?.get(question)
    }

    /// Questions that evaluation uses: the held-out ones, or all where none is marked.
    pub fn evaluated(&self) -> Vec<&Question> {
        evaluated(&self.questions)
    }

    /// See [`asked_hash`].
    pub fn asked_hash(&self) -> String {
        asked_hash(&self.questions)
    }

    /// Whether evaluation has questions that no training step sees.
    pub fn holds_out(&self) -> bool {
        self.questions.iter().any(|question| question.held_out)
    }

    /// Questions that training steps may see: those that aren't held out, or all where none is marked.
    pub fn seeds(&self) -> Vec<&Question> {
        self.questions.iter().filter(|q| !q.held_out).collect()
    }
}

/// So many evaluated questions in words: `67 held-out questions`, or, where the survey holds none out, that
/// they were seeds too. `held_out` is [`Survey::holds_out`], `None` where that isn't known.
pub fn evaluated_in_words(count: usize, held_out: Option<bool>) -> String {
    let plural = if count == 1 { "" } else { "s" };
    match held_out {
        Some(true) => format!("{count} held-out question{plural}"),
        Some(false) => {
            let were = if count == 1 { "was a seed" } else { "were seeds" };
            format!("{count} question{plural} (which {were} too, as in the paper)")
        }
        None => format!("{count} question{plural}"),
    }
}

fn evaluated(questions: &[Question]) -> Vec<&Question> {
    let held_out: Vec<_> = questions.iter().filter(|q| q.held_out).collect();
    if held_out.is_empty() { questions.iter().collect() } else { held_out }
}

/// SHA-256, in hexadecimal, of what an answer to a survey with these questions is an answer to: the
/// identifiers, texts and options of those that evaluation uses, in their order. Titles, topics and what
/// people answered don't count.
pub fn asked_hash(questions: &[Question]) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    for Question { id, text, options, first_number, .. } in evaluated(questions) {
        add(id.as_str());
        add(text);
        add(&first_number.to_string());
        add(&options.len().to_string());
        options.iter().for_each(|option| add(option));
    }
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::evaluated_in_words;

    #[test]
    fn only_what_is_held_out_is_called_so() {
        for (count, held_out, expect) in [
            (67, Some(true), "67 held-out questions"),
            (1, Some(true), "1 held-out question"),
            (259, Some(false), "259 questions (which were seeds too, as in the paper)"),
            (1, Some(false), "1 question (which was a seed too, as in the paper)"),
            (259, None, "259 questions"),
        ] {
            assert_eq!(evaluated_in_words(count, held_out), expect);
        }
    }
}
