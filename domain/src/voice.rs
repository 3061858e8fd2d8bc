//! Voices: who answers in a chat or a survey.

use serde::{Deserialize, Serialize};

use crate::culture::CultureCode;
use crate::prompt::PromptStyle;

/// A voice is the loaded base model plus a culture (or none), a prompt style and an adapter (or none).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Voice {
    /// Culture the persona names; `None` for the unaware persona.
    pub culture: Option<CultureCode>,
    /// How the persona speaks of culture.
    pub style: PromptStyle,
    /// Name of a LoRA adapter; `None` for the base model. An unknown name is an error.
    pub adapter: Option<String>,
}

impl Voice {
    /// The base model under the unaware persona.
    pub fn unaware() -> Self {
        Self { culture: None, style: PromptStyle::Unaware, adapter: None }
    }

    /// The base model under the aware persona of `culture`.
    pub fn aware(culture: CultureCode) -> Self {
        Self { culture: Some(culture), style: PromptStyle::Aware, adapter: None }
    }

    /// The aware persona of `culture` with `adapter` applied.
    pub fn adapted(culture: CultureCode, adapter: impl Into<String>) -> Self {
        Self { adapter: Some(adapter.into()), ..Self::aware(culture) }
    }

    /// Short label for people: `Base · unaware`, `THA · aware`, `THA · joint`.
    pub fn label(&self) -> String {
        let who = self.culture.map_or_else(|| "Base".to_owned(), |code| code.to_string());
        match &self.adapter {
            Some(adapter) => format!("{who} · {adapter}"),
            None => format!("{who} · {}", self.style),
        }
    }

    /// One word for addresses: `unaware`, `THA`, `THA+joint`. [`Voice::from_slug`] reads it back.
    pub fn slug(&self) -> String {
        let who = match (self.style, self.culture) {
            (PromptStyle::Aware, Some(code)) => code.to_string(),
            _ => "unaware".to_owned(),
        };
        match &self.adapter {
            Some(adapter) => format!("{who}+{adapter}"),
            None => who,
        }
    }

    /// Reads what [`Voice::slug`] wrote; `None` where it is not a voice.
    pub fn from_slug(slug: &str) -> Option<Self> {
        let (who, adapter) = match slug.split_once('+') {
            Some((_, "")) => return None,
            Some((who, adapter)) => (who, Some(adapter.to_owned())),
            None => (slug, None),
        };
        let voice = if who == "unaware" { Self::unaware() } else { Self::aware(who.parse().ok()?) };
        Some(Self { adapter, ..voice })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_round_trip() {
        let thai: CultureCode = "THA".parse().unwrap();
        for (voice, slug) in [
            (Voice::unaware(), "unaware"),
            (Voice::aware(thai), "THA"),
            (Voice::adapted(thai, "joint"), "THA+joint"),
        ] {
            assert_eq!(voice.slug(), slug);
            assert_eq!(Voice::from_slug(slug), Some(voice));
        }
        for bad in ["", "tha", "THA+", "unaware2"] {
            assert_eq!(Voice::from_slug(bad), None, "{bad}");
        }
    }
}
