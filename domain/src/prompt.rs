//! What a model is told: personas (system prompts) and survey questions (user prompts).
//!
//! The wording lives in `domain/prompts/*.txt`; fields stand in double braces. The same persona
//! speaks in chats and in surveys, so that what tuning changes in one shows in the other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::culture::Culture;
use crate::question::Question;

/// How a persona speaks of culture (styles `unaware` and P1 of the paper, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptStyle {
    /// A persona with values of its own; no culture is named.
    Unaware,
    /// P1: the persona has a named cultural background.
    Aware,
}

impl PromptStyle {
    /// Name in files, addresses and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unaware => "unaware",
            Self::Aware => "aware",
        }
    }
}

impl fmt::Display for PromptStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PromptStyle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "unaware" => Ok(Self::Unaware),
            "aware" => Ok(Self::Aware),
            other => Err(format!("`{other}` is not a prompt style\nUse `unaware` or `aware`.")),
        }
    }
}

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

const UNAWARE: &str = include_str!("../prompts/unaware.txt");
const AWARE: &str = include_str!("../prompts/aware.txt");
const QUESTION: &str = include_str!("../prompts/question.txt");

/// The system prompt of a persona without a named culture.
pub fn unaware_persona() -> String {
    UNAWARE.trim().to_owned()
}

/// The system prompt of a persona of `culture` (P1).
pub fn aware_persona(culture: &Culture) -> String {
    fill(AWARE, &[("article", indefinite_article(&culture.demonym)), ("demonym", &culture.demonym)])
}

/// The system prompt for `style`; `culture` is ignored by [`PromptStyle::Unaware`], and a missing
/// one makes every style unaware.
pub fn persona(style: PromptStyle, culture: Option<&Culture>) -> String {
    match (style, culture) {
        (PromptStyle::Aware, Some(culture)) => aware_persona(culture),
        _ => unaware_persona(),
    }
}

/// The user prompt that asks `question` and wants the number of one option back.
pub fn survey_prompt(question: &Question) -> String {
    let options: Vec<String> = question
        .options
        .iter()
        .enumerate()
        .map(|(index, option)| format!("{}. {option}", question.number_of(index)))
        .collect();
    fill(QUESTION, &[("question", &question.text), ("options", &options.join("\n"))])
}

/// Replaces every `{{name}}` in one pass, so that a value may itself hold braces.
pub fn fill(template: &str, fields: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template.trim();
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start..].find("}}") else { break };
        let name = &rest[start + 2..start + length];
        out.push_str(&rest[..start]);
        match fields.iter().find(|(field, _)| *field == name) {
            Some((_, value)) => out.push_str(value),
            None => out.push_str(&rest[start..start + length + 2]),
        }
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}

fn indefinite_article(word: &str) -> &'static str {
    // By sound, as far as demonyms need it: "a Ukrainian", "an Ethiopian".
    let lower = word.to_lowercase();
    let vowel = lower.starts_with(['a', 'e', 'i', 'o', 'u']);
    if vowel && !["uk", "uni", "eu", "us"].iter().any(|start| lower.starts_with(start)) {
        "an"
    } else {
        "a"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Scale;

    fn culture(demonym: &str) -> Culture {
        let code = "THA".parse().unwrap();
        Culture { code, name: String::new(), demonym: demonym.to_owned() }
    }

    #[test]
    fn articles_follow_the_sound() {
        for (demonym, article) in [
            ("Thai", "a"),
            ("Ethiopian", "an"),
            ("Ukrainian", "a"),
            ("Indian", "an"),
            ("US American", "a"),
        ] {
            let persona = aware_persona(&culture(demonym));
            assert!(persona.contains(&format!("{article} {demonym} ")), "{persona}");
        }
    }

    #[test]
    fn options_keep_their_numbers() {
        let question = Question {
            id: "Q1".into(),
            topic: "t".into(),
            text: "How {{options}} are you?".to_owned(),
            options: vec!["Not at all".to_owned(), "Very".to_owned()],
            first_number: 0,
            scale: Scale::Ordered,
            held_out: false,
        };
        let prompt = survey_prompt(&question);
        assert!(prompt.contains("How {{options}} are you?"), "values are not templates: {prompt}");
        assert!(prompt.contains("0. Not at all\n1. Very"), "{prompt}");
    }

    #[test]
    fn an_unknown_field_stays_visible() {
        assert_eq!(fill("a {{b}} {{c}}", &[("b", "1")]), "a 1 {{c}}");
        assert_eq!(fill("open {{b", &[("b", "1")]), "open {{b");
    }
}
