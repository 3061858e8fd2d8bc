//! Prompt styles: how a voice is told of its culture.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a voice is told of its culture (unaware, and P1 to P3 of the paper, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptStyle {
    /// A persona with values of its own; no culture is named.
    Unaware,
    /// P1: the persona has a named cultural background.
    Aware,
    /// P2, cross-culture thinking: P1, and the persona thinks of the cultures most and least like
    /// its own.
    CrossCulture,
    /// P3, self-alignment: the unaware persona is shown what the culture's people answer to
    /// neighbouring questions.
    SelfAlignment,
    /// P1 + P3.
    AwareSelfAlignment,
    /// P2 + P3.
    CrossCultureSelfAlignment,
}

impl PromptStyle {
    /// All styles, in the order of the paper.
    pub const ALL: [Self; 6] = [
        Self::Unaware,
        Self::Aware,
        Self::CrossCulture,
        Self::SelfAlignment,
        Self::AwareSelfAlignment,
        Self::CrossCultureSelfAlignment,
    ];

    /// Name in files, addresses and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unaware => "unaware",
            Self::Aware => "aware",
            Self::CrossCulture => "cross-culture",
            Self::SelfAlignment => "self-alignment",
            Self::AwareSelfAlignment => "aware-self-alignment",
            Self::CrossCultureSelfAlignment => "cross-culture-self-alignment",
        }
    }

    /// The style of the persona alone: unaware, aware or cross-culture.
    pub fn persona(self) -> Self {
        match self {
            Self::Unaware | Self::SelfAlignment => Self::Unaware,
            Self::Aware | Self::AwareSelfAlignment => Self::Aware,
            Self::CrossCulture | Self::CrossCultureSelfAlignment => Self::CrossCulture,
        }
    }

    /// Whether a voice of this style belongs to a culture; the unaware one belongs to none.
    pub fn has_culture(self) -> bool {
        self != Self::Unaware
    }

    /// Whether people's answers are part of the prompt (P3). Comparing such a voice with people is
    /// not a fair test of the model, and its results are marked so.
    pub fn uses_reference(self) -> bool {
        self != self.persona()
    }
}

impl fmt::Display for PromptStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The given text names no prompt style.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a prompt style\nStyles: {known}.", known = PromptStyle::ALL.map(PromptStyle::as_str).join(", "))]
pub struct UnknownStyle(pub String);

impl FromStr for PromptStyle {
    type Err = UnknownStyle;

    fn from_str(text: &str) -> Result<Self, UnknownStyle> {
        let found = Self::ALL.into_iter().find(|style| style.as_str() == text);
        found.ok_or_else(|| UnknownStyle(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_travel_as_they_are() {
        for style in PromptStyle::ALL {
            assert_eq!(style.to_string().parse(), Ok(style));
            assert_eq!(serde_json::to_string(&style).unwrap(), format!("\"{style}\""));
            assert_eq!(style.persona().persona(), style.persona());
        }
        let error = "P4".parse::<PromptStyle>().unwrap_err().to_string();
        assert!(error.starts_with("`P4` is not") && error.contains("self-alignment"), "{error}");
    }

    #[test]
    fn only_self_alignment_shows_answers_of_people() {
        let marked: Vec<_> = PromptStyle::ALL.into_iter().filter(|s| s.uses_reference()).collect();
        assert_eq!(marked.len(), 3);
        assert!(marked.iter().all(|style| style.has_culture()));
    }
}
