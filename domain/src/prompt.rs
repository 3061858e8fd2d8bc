//! What a model is told: personas (system prompts) and survey questions (user prompts).
//!
//! The wording lies in sets of templates; the built-in one is `domain/prompts/english.toml`. The same
//! persona speaks in chats and in surveys, so that what tuning changes in one shows in the other.
//! - [`style`]: how a voice is told of its culture;
//! - [`templates`]: sets of templates, checked; [`fields`]: what they fill in.
//!
//! Which cultures and questions are near each other is in [`crate::survey`].

pub mod fields;
pub mod style;
pub mod templates;

use serde::{Deserialize, Serialize};

use crate::culture::Culture;
use crate::question::Question;

pub use self::style::{PromptStyle, UnknownStyle};
pub use self::templates::{BadTemplates, PromptTemplates};

/// Who says a chat message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sets the persona.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One chat message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of the given role.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// Names of the cultures most and least like one's own (P2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kin {
    /// The most similar ones, nearest first.
    pub similar: Vec<String>,
    /// The least similar ones, farthest first.
    pub different: Vec<String>,
}

/// A neighbouring question with what most people answered (P3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The question.
    pub question: Question,
    /// Number of the most frequent answer.
    pub answer: u32,
}

/// The built-in system prompt of a persona without a named culture.
pub fn unaware_persona() -> String {
    PromptTemplates::builtin().persona(PromptStyle::Unaware, None, None)
}

/// The built-in system prompt of a persona of `culture` (P1).
pub fn aware_persona(culture: &Culture) -> String {
    PromptTemplates::builtin().persona(PromptStyle::Aware, Some(culture), None)
}

/// The built-in user prompt that asks `question` and wants the number of one option back.
pub fn survey_prompt(question: &Question) -> String {
    PromptTemplates::builtin().question(question)
}

#[cfg(test)]
mod tests;
