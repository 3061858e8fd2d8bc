//! Step 1 of the method, first half: asking a model for a new survey question and reading its reply.
//!
//! Here: the prompt, the JSON of a question, and the named faults of a reply; [`repair`] reads what
//! isn't quite JSON. Which questions are kept is in [`crate::filter`]; whom to ask and how often is a
//! job of the server.

pub mod repair;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::repair::Fault;
use crate::filter::options::first_number;
use crate::prompt::PromptTemplates;
use crate::question::{Question, QuestionId, Scale, TopicId};

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
    /// There is no option at all.
    #[error("`options` is an empty list")]
    NoOptions,
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
            Self::NoOptions => "no-options",
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

    /// The question under an identifier, taken for ordered. Options are numbered from 1, but from 0
    /// where they are the numbers from 0 on themselves.
    pub fn into_question(self, id: QuestionId, topic: TopicId) -> Question {
        let mut question = Question {
            id,
            topic,
            text: self.question,
            first_number: first_number(&self.options),
            options: self.options,
            scale: Scale::Ordered,
            dont_know: Vec::new(),
            held_out: false,
        };
        question.flag_dont_know();
        question
    }
}

/// The built-in user prompt that asks for a new question about the topic named `topic`, like `examples`.
pub fn generation_prompt(topic: &str, examples: &[GeneratedQuestion]) -> String {
    let lines: Vec<String> = examples.iter().map(GeneratedQuestion::to_json).collect();
    PromptTemplates::builtin().generation(topic, &lines.join("\n"))
}

/// Reads the first JSON object of a reply, repairing it where it isn't quite JSON. Texts are trimmed;
/// words around the object and other fields in it are ignored.
pub fn parse(reply: &str) -> Result<GeneratedQuestion, BadGeneration> {
    let start = reply.find('{').ok_or(BadGeneration::NoJson)?;
    let value = object(&reply[start..])?;
    let question = field(&value, "question")?;
    let question = question.as_str().ok_or(BadGeneration::QuestionNotText(kind(question)))?.trim();
    if question.is_empty() {
        return Err(BadGeneration::EmptyQuestion);
    }
    let options = field(&value, "options")?;
    let options = options.as_array().ok_or(BadGeneration::OptionsNotList(kind(options)))?;
    Ok(GeneratedQuestion { question: question.to_owned(), options: valid_options(options)? })
}

fn object(text: &str) -> Result<Value, BadGeneration> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let error = match values.next() {
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => error,
        None => return Err(BadGeneration::NoJson),
    };
    match repair::object(text) {
        // Closing what a reply left open is right only if nothing else is missing.
        Ok(value) if !error.is_eof() || field(&value, "options").is_ok() => Ok(value),
        Ok(_) | Err(Fault::Truncated) => Err(BadGeneration::Truncated),
        Err(Fault::Malformed) => Err(BadGeneration::Malformed(error.to_string())),
    }
}

/// The field of this name; models also write `Question` and `Options:`.
fn field<'a>(value: &'a Value, name: &'static str) -> Result<&'a Value, BadGeneration> {
    let is_meant = |key: &str| key.trim().trim_end_matches(':').eq_ignore_ascii_case(name);
    let mut members = value.as_object().into_iter().flatten();
    members
        .find(|(key, _)| is_meant(key))
        .map(|(_, value)| value)
        .ok_or(BadGeneration::Missing(name))
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
        options.push(option.to_owned());
    }
    if options.is_empty() { Err(BadGeneration::NoOptions) } else { Ok(options) }
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

#[cfg(test)]
mod tests;
