//! Sets of prompt templates: versioned texts in one language, ours or a user's own.
//!
//! A set is a TOML file; `domain/prompts/english.toml` is the built-in one and explains every
//! template. Reading a folder of such files is the server's business.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fields::{self, BadField};
use super::style::PromptStyle;
use super::{Example, Kin};
use crate::culture::Culture;
use crate::question::Question;

const ENGLISH: &str = include_str!("../../prompts/english.toml");

/// A checked set of templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Texts", into = "Texts")]
pub struct PromptTemplates {
    texts: Texts,
    hash: String,
}

/// A set as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Texts {
    id: String,
    version: u32,
    language: String,
    unaware: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unaware_again: Option<String>,
    aware: String,
    cross_culture: String,
    question: String,
    example: String,
    self_alignment: String,
    generate: String,
}

/// Why a set can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplates {
    /// Not TOML, or a template is missing or has an unknown name.
    #[error("the templates can't be read: {0}\nSee `domain/prompts/english.toml` for every name.")]
    Unreadable(String),
    /// The identifier doesn't fit into addresses and commands.
    #[error("`id` must be letters, digits, `-` and `_`, not `{0}`\nUse a name such as `thai`.")]
    Id(String),
    /// A template uses a field that it hasn't, or lacks one that it needs.
    #[error("the template `{template}` {fault}")]
    Field {
        /// Which template.
        template: &'static str,
        /// What is wrong with which field.
        fault: BadField,
    },
}

impl PromptTemplates {
    /// The set that is used where no other is named.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<PromptTemplates> = LazyLock::new(|| {
            // The file is part of the program and every build tests it.
            PromptTemplates::parse(ENGLISH).unwrap_or_else(|error| panic!("{error}"))
        });
        &BUILTIN
    }

    /// Reads and checks a set.
    ///
    /// # Errors
    /// See [`BadTemplates`]: an unknown field is named with the fields that there are.
    pub fn parse(toml: &str) -> Result<Self, BadTemplates> {
        let texts: Texts = toml::from_str(toml)
            .map_err(|error| BadTemplates::Unreadable(error.message().to_owned()))?;
        texts.try_into()
    }

    /// Names the set in commands and addresses.
    pub fn id(&self) -> &str {
        &self.texts.id
    }

    /// Counts up when the wording changes.
    pub fn version(&self) -> u32 {
        self.texts.version
    }

    /// ISO 639-3 code of the language.
    pub fn language(&self) -> &str {
        &self.texts.language
    }

    /// SHA-256 of the set: another wording is another hash, whatever it is called.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The system prompt. `culture` and `kin` are those of the voice; a style that needs one which
    /// is missing falls back to the next simpler persona, so callers check before.
    pub fn persona(
        &self,
        style: PromptStyle,
        culture: Option<&Culture>,
        kin: Option<&Kin>,
    ) -> String {
        let Texts { unaware, aware, cross_culture, .. } = &self.texts;
        let (template, culture, kin) = match (style.persona(), culture, kin) {
            (PromptStyle::Unaware, ..) | (_, None, _) => return unaware.trim().to_owned(),
            (PromptStyle::CrossCulture, Some(culture), Some(kin)) => {
                (cross_culture, culture, kin.clone())
            }
            (_, Some(culture), _) => (aware, culture, Kin::default()),
        };
        fields::fill(
            template,
            &[
                ("article", fields::indefinite_article(&culture.demonym)),
                ("demonym", &culture.demonym),
                ("culture", &culture.name),
                ("similar", &kin.similar.join(", ")),
                ("different", &kin.different.join(", ")),
            ],
        )
    }

    /// The persona without a culture in other words, if the set has any: what changes between the two
    /// is noise.
    pub fn unaware_again(&self) -> Option<&str> {
        self.texts.unaware_again.as_deref().map(str::trim)
    }

    /// The user prompt that asks `question` and wants the number of one option back.
    pub fn question(&self, question: &Question) -> String {
        let fields = [("question", question.text.as_str()), ("options", &numbered(question))];
        fields::fill(&self.texts.question, &fields)
    }

    /// The same with answered neighbours before it (P3); without any it is the question alone.
    pub fn question_after(&self, examples: &[Example], question: &Question) -> String {
        let asked = self.question(question);
        if examples.is_empty() {
            return asked;
        }
        let shown: Vec<String> = examples
            .iter()
            .map(|Example { question, answer }| {
                let text = question.index_of(*answer).and_then(|index| question.options.get(index));
                fields::fill(
                    &self.texts.example,
                    &[
                        ("question", &question.text),
                        ("options", &numbered(question)),
                        ("answer", &answer.to_string()),
                        ("answer_text", text.map_or("", String::as_str)),
                    ],
                )
            })
            .collect();
        let fields = [("examples", shown.join("\n\n")), ("question", asked)];
        fields::fill(&self.texts.self_alignment, &fields.each_ref().map(|(n, v)| (*n, v.as_str())))
    }

    /// The user prompt that asks for a new question about the topic named `topic`; `examples` are
    /// JSON objects, one a line.
    pub fn generation(&self, topic: &str, examples: &str) -> String {
        fields::fill(&self.texts.generate, &[("topic", topic), ("examples", examples)])
    }
}

impl Default for PromptTemplates {
    fn default() -> Self {
        Self::builtin().clone()
    }
}

impl TryFrom<Texts> for PromptTemplates {
    type Error = BadTemplates;

    fn try_from(texts: Texts) -> Result<Self, BadTemplates> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if texts.id.is_empty() || texts.id.len() > 64 || !texts.id.chars().all(fits) {
            return Err(BadTemplates::Id(texts.id));
        }
        let persona = ["article", "demonym", "culture"];
        let kin = ["article", "demonym", "culture", "similar", "different"];
        let asked = ["question", "options"];
        let answered = ["question", "options", "answer", "answer_text"];
        let shown = ["examples", "question"];
        let wanted = ["topic", "examples"];
        let unaware_again = texts.unaware_again.clone().unwrap_or_default();
        for (template, text, known, needed) in [
            ("unaware", &texts.unaware, &[][..], &[][..]),
            ("unaware-again", &unaware_again, &[], &[]),
            ("aware", &texts.aware, &persona, &[]),
            ("cross-culture", &texts.cross_culture, &kin, &["similar", "different"]),
            ("question", &texts.question, &asked, &asked),
            ("example", &texts.example, &answered, &["question"]),
            ("self-alignment", &texts.self_alignment, &shown, &shown),
            ("generate", &texts.generate, &wanted, &wanted),
        ] {
            fields::check(text, known, needed)
                .map_err(|fault| BadTemplates::Field { template, fault })?;
        }
        // A struct of texts and a number always serialises, and always in the same order.
        let json = serde_json::to_vec(&texts).unwrap_or_default();
        Ok(Self { hash: format!("{:x}", Sha256::digest(json)), texts })
    }
}

impl From<PromptTemplates> for Texts {
    fn from(templates: PromptTemplates) -> Self {
        templates.texts
    }
}

fn numbered(question: &Question) -> String {
    let line =
        |(index, option): (usize, &String)| format!("{}. {option}", question.number_of(index));
    question.options.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}
