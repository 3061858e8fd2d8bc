//! Step 1 of the method: asking a model for a new survey question, reading its reply, and dropping
//! what cannot be used.
//!
//! Here: the prompt, the JSON of a question, the named faults of a reply, and the first filter. Whom
//! to ask and how often is a job of the server.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::prompt::fill;
use crate::question::{Question, QuestionId, Scale, TopicId};

const GENERATE: &str = include_str!("../prompts/generate.txt");

/// Fewest options a question may have.
pub const FEWEST_OPTIONS: usize = 2;

/// Most options a question may have.
pub const MOST_OPTIONS: usize = 10;

/// A question as a model writes it: a text and option texts. Options are numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GeneratedQuestion {
    /// The text that is asked.
    pub question: String,
    /// Option texts in order.
    pub options: Vec<String>,
}

/// Why a reply holds no usable question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGeneration {
    /// No `{` anywhere.
    #[error("the reply holds no JSON object")]
    NoJson,
    /// The object is not closed before the reply ends.
    #[error("the JSON object is cut off\nAllow more new tokens.")]
    Truncated,
    /// Not JSON for another reason.
    #[error("the JSON cannot be read: {0}")]
    Malformed(String),
    /// The object lacks `question` or `options`.
    #[error("the JSON object lacks `{0}`")]
    Missing(&'static str),
    /// `question` is not a text.
    #[error("`question` must be a text, not {0}")]
    QuestionNotText(&'static str),
    /// `question` is blank.
    #[error("`question` is empty")]
    EmptyQuestion,
    /// `options` is one text, a number or an object instead of a list.
    #[error("`options` must be a list of texts, not {0}")]
    OptionsNotList(&'static str),
    /// An option is a number, a nested object or the like.
    #[error("option {number} must be a text, not {found}")]
    OptionNotText {
        /// Place in the list, from 1.
        number: usize,
        /// What stands there.
        found: &'static str,
    },
    /// An option is blank.
    #[error("option {0} is empty")]
    EmptyOption(usize),
    /// The same option stands twice.
    #[error("option {0} repeats an earlier one")]
    RepeatedOption(usize),
    /// Fewer than [`FEWEST_OPTIONS`].
    #[error("`options` must hold at least 2 options, not {0}")]
    TooFewOptions(usize),
    /// More than [`MOST_OPTIONS`].
    #[error("`options` must hold at most 10 options, not {0}")]
    TooManyOptions(usize),
}

impl BadGeneration {
    /// Stable word for counting: `too-few-options`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoJson => "no-json",
            Self::Truncated => "truncated",
            Self::Malformed(_) => "malformed",
            Self::Missing(_) => "missing-field",
            Self::QuestionNotText(_) => "question-not-text",
            Self::EmptyQuestion => "empty-question",
            Self::OptionsNotList(_) => "options-not-list",
            Self::OptionNotText { .. } => "option-not-text",
            Self::EmptyOption(_) => "empty-option",
            Self::RepeatedOption(_) => "repeated-option",
            Self::TooFewOptions(_) => "too-few-options",
            Self::TooManyOptions(_) => "too-many-options",
        }
    }
}

impl From<&Question> for GeneratedQuestion {
    /// The question as an in-context example; the number of its first option is lost.
    fn from(question: &Question) -> Self {
        Self { question: question.text.clone(), options: question.options.clone() }
    }
}

impl GeneratedQuestion {
    /// One line of compact JSON, as examples and replies have it. [`parse`] reads it back.
    pub fn to_json(&self) -> String {
        // Two texts always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The question under an identifier, taken for ordered and numbered from 1.
    pub fn into_question(self, id: QuestionId, topic: TopicId) -> Question {
        Question {
            id,
            topic,
            text: self.question,
            options: self.options,
            first_number: 1,
            scale: Scale::Ordered,
            held_out: false,
        }
    }
}

/// The user prompt that asks for a new question about the topic named `topic`, like `examples`.
pub fn generation_prompt(topic: &str, examples: &[GeneratedQuestion]) -> String {
    let lines: Vec<String> = examples.iter().map(GeneratedQuestion::to_json).collect();
    fill(GENERATE, &[("topic", topic), ("examples", &lines.join("\n"))])
}

/// Reads the first JSON object of a reply. Texts are trimmed; words around the object and other
/// fields in it are ignored.
pub fn parse(reply: &str) -> Result<GeneratedQuestion, BadGeneration> {
    let start = reply.find('{').ok_or(BadGeneration::NoJson)?;
    let mut values = serde_json::Deserializer::from_str(&reply[start..]).into_iter::<Value>();
    let value = match values.next() {
        Some(Ok(value)) => value,
        Some(Err(error)) if error.is_eof() => return Err(BadGeneration::Truncated),
        Some(Err(error)) => return Err(BadGeneration::Malformed(error.to_string())),
        None => return Err(BadGeneration::NoJson),
    };
    let question = value.get("question").ok_or(BadGeneration::Missing("question"))?;
    let question = question.as_str().ok_or(BadGeneration::QuestionNotText(kind(question)))?.trim();
    if question.is_empty() {
        return Err(BadGeneration::EmptyQuestion);
    }
    let options = value.get("options").ok_or(BadGeneration::Missing("options"))?;
    let options = options.as_array().ok_or(BadGeneration::OptionsNotList(kind(options)))?;
    Ok(GeneratedQuestion { question: question.to_owned(), options: valid_options(options)? })
}

fn valid_options(values: &[Value]) -> Result<Vec<String>, BadGeneration> {
    let mut options: Vec<String> = Vec::with_capacity(values.len());
    for (number, value) in (1..).zip(values) {
        let option = value.as_str();
        let option = option.ok_or(BadGeneration::OptionNotText { number, found: kind(value) })?;
        let option = option.trim();
        if option.is_empty() {
            return Err(BadGeneration::EmptyOption(number));
        }
        if options.iter().any(|earlier| earlier == option) {
            return Err(BadGeneration::RepeatedOption(number));
        }
        options.push(option.to_owned());
    }
    match options.len() {
        n if n < FEWEST_OPTIONS => Err(BadGeneration::TooFewOptions(n)),
        n if n > MOST_OPTIONS => Err(BadGeneration::TooManyOptions(n)),
        _ => Ok(options),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Why the filter drops a well-formed question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// Asks a held-out question, whatever stands around it and in whatever order of words.
    HeldOut,
    /// Same text as a survey question.
    InSurvey,
    /// Same text as a question kept earlier.
    Duplicate,
    /// Every option is only digits, and the text explains no scale.
    NumbersOnly,
}

impl DropReason {
    /// Stable word for counting, as in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::HeldOut => "held-out",
            Self::InSurvey => "in-survey",
            Self::Duplicate => "duplicate",
            Self::NumbersOnly => "numbers-only",
        }
    }
}

/// Rules (a) and (b) of the method's filter, and a guard of held-out questions. Texts are compared
/// without case, punctuation and spacing.
#[derive(Debug, Clone)]
pub struct Filter {
    survey: BTreeSet<String>,
    kept: BTreeSet<String>,
    held_out: Vec<HeldOut>,
}

#[derive(Debug, Clone)]
struct HeldOut {
    text: String,
    sorted: Vec<String>,
}

impl Filter {
    /// A filter that knows the survey and has kept nothing yet.
    pub fn new(survey: &[Question]) -> Self {
        let held_out = survey.iter().filter(|question| question.held_out).map(|question| {
            let text = normalised(&question.text);
            HeldOut { sorted: sorted_words(&text), text }
        });
        Self {
            survey: survey.iter().map(|question| normalised(&question.text)).collect(),
            kept: BTreeSet::new(),
            held_out: held_out.collect(),
        }
    }

    /// Keeps a question, or says why not. A kept one makes later equal ones duplicates.
    pub fn admit(&mut self, question: &GeneratedQuestion) -> Result<(), DropReason> {
        let text = normalised(&question.question);
        if self.asks_held_out(&text) {
            return Err(DropReason::HeldOut);
        }
        if self.survey.contains(&text) {
            return Err(DropReason::InSurvey);
        }
        if self.kept.contains(&text) {
            return Err(DropReason::Duplicate);
        }
        if numbers_only(question) {
            return Err(DropReason::NumbersOnly);
        }
        self.kept.insert(text);
        Ok(())
    }

    fn asks_held_out(&self, text: &str) -> bool {
        let sorted = sorted_words(text);
        let padded = format!(" {text} ");
        self.held_out.iter().any(|held_out| {
            held_out.sorted == sorted || padded.contains(&format!(" {} ", held_out.text))
        })
    }
}

/// Lower-case words with single spaces between: two texts that differ only in case, punctuation
/// and spacing become equal.
pub fn normalised(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

fn sorted_words(normalised: &str) -> Vec<String> {
    let mut words: Vec<String> = normalised.split(' ').map(str::to_owned).collect();
    words.sort();
    words
}

/// Rule (b) of the method's filter, with the released code's phrases.
fn numbers_only(question: &GeneratedQuestion) -> bool {
    const EXPLAINED: [&str; 4] = ["on a scale", "with 1 being", "where 1 means", "which 1 means"];
    let text = question.question.to_lowercase();
    question.options.iter().all(|option| option.chars().all(|c| c.is_ascii_digit()))
        && !EXPLAINED.iter().any(|phrase| text.contains(phrase))
}

#[cfg(test)]
mod tests;
