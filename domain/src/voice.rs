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

    /// The base model asked in `style` as `culture`; the unaware style ignores the culture.
    pub fn styled(culture: CultureCode, style: PromptStyle) -> Self {
        let culture = style.has_culture().then_some(culture);
        Self { culture, style, adapter: None }
    }

    /// Whether people's answers are part of its prompt, so that comparing it with people is no fair
    /// test of the model.
    pub fn uses_reference(&self) -> bool {
        self.style.uses_reference()
    }

    /// Short label for people: `Base · unaware`, `THA · aware`, `THA · joint`, `THA · joint ·
    /// cross-culture`.
    pub fn label(&self) -> String {
        let who = self.culture.map_or_else(|| "Base".to_owned(), |code| code.to_string());
        match &self.adapter {
            Some(adapter) if self.is_plain() => format!("{who} · {adapter}"),
            Some(adapter) => format!("{who} · {adapter} · {}", self.style),
            None => format!("{who} · {}", self.style),
        }
    }

    /// Unaware, or aware of its culture in the plain way.
    fn is_plain(&self) -> bool {
        matches!(self.style, PromptStyle::Unaware | PromptStyle::Aware)
    }

    /// One word for addresses: `unaware`, `THA`, `THA:cross-culture`, `THA+joint`.
    /// [`Voice::from_slug`] reads it back.
    pub fn slug(&self) -> String {
        let who = match (self.style, self.culture) {
            (PromptStyle::Aware, Some(code)) => code.to_string(),
            (style, Some(code)) if style.has_culture() => format!("{code}:{style}"),
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
        let voice = match who.split_once(':') {
            _ if who == "unaware" => Self::unaware(),
            None => Self::aware(who.parse().ok()?),
            Some((code, style)) => {
                let style: PromptStyle = style.parse().ok()?;
                // One voice has one slug.
                if matches!(style, PromptStyle::Unaware | PromptStyle::Aware) {
                    return None;
                }
                Self::styled(code.parse().ok()?, style)
            }
        };
        Some(Self { adapter, ..voice })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_what_sets_a_voice_apart() {
        let thai: CultureCode = "THA".parse().unwrap();
        for (voice, label) in [
            (Voice::unaware(), "Base · unaware"),
            (Voice::adapted(thai, "joint"), "THA · joint"),
            (Voice::styled(thai, PromptStyle::SelfAlignment), "THA · self-alignment"),
            (
                Voice { style: PromptStyle::CrossCulture, ..Voice::adapted(thai, "joint") },
                "THA · joint · cross-culture",
            ),
        ] {
            assert_eq!(voice.label(), label);
        }
    }

    #[test]
    fn slugs_round_trip() {
        let thai: CultureCode = "THA".parse().unwrap();
        for (voice, slug) in [
            (Voice::unaware(), "unaware"),
            (Voice::aware(thai), "THA"),
            (Voice::adapted(thai, "joint"), "THA+joint"),
            (Voice::styled(thai, PromptStyle::CrossCulture), "THA:cross-culture"),
            (Voice::styled(thai, PromptStyle::Unaware), "unaware"),
            (Voice::aware("USA-rural".parse().unwrap()), "USA-rural"),
            (
                Voice {
                    style: PromptStyle::AwareSelfAlignment,
                    ..Voice::adapted(thai, "specific-THA")
                },
                "THA:aware-self-alignment+specific-THA",
            ),
        ] {
            assert_eq!(voice.slug(), slug);
            assert_eq!(Voice::from_slug(slug), Some(voice));
        }
        for bad in ["", "tha", "THA+", "unaware2", "THA:", "THA:aware", "THA:P2", ":unaware"] {
            assert_eq!(Voice::from_slug(bad), None, "{bad}");
        }
    }
}
