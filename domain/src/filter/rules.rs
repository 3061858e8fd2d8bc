//! Which rules a filter applies. Every rule can be switched on its own; two sets have names.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::DropReason;

/// The rules, in the order in which they are applied.
///
/// As text: the name of a set, then rules that differ from it, as in `paper` or
/// `careful,near-duplicates=0.8,most-options=off`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FilterRules {
    /// Drops what asks a held-out question.
    pub held_out: bool,
    /// Drops the text of a survey question or of an earlier one (method, step 1, rule a).
    pub duplicates: bool,
    /// Drops what shares this part of its words with a survey question or a kept one, see
    /// [`super::near`]; above 0 and at most 1.
    pub near_duplicates: Option<f64>,
    /// Drops unexplained lists of numbers (rule b).
    pub numbers_only: bool,
    /// Takes numbers from the beginning of options (rule c).
    pub numbered_options: bool,
    /// Moves the labels of a scale's ends into the text, and drops other mixtures (rule d).
    pub mixed_labels: bool,
    /// Drops lists in which a text stands twice.
    pub repeated_options: bool,
    /// Fewest options.
    pub fewest_options: Option<usize>,
    /// Most options.
    pub most_options: Option<usize>,
    /// Drops what is certainly in another language than the survey.
    pub other_language: bool,
}

impl FilterRules {
    /// Every rule: what the paper's filter does, and what its released questions lacked.
    pub const CAREFUL: Self = Self {
        held_out: true,
        duplicates: true,
        near_duplicates: Some(0.9),
        numbers_only: true,
        numbered_options: true,
        mixed_labels: true,
        repeated_options: true,
        fewest_options: Some(2),
        most_options: Some(10),
        other_language: true,
    };

    /// The paper's own rules (a) to (d) and nothing else: they keep 12,847 of its 13,000 questions.
    pub const PAPER: Self = Self {
        held_out: false,
        near_duplicates: None,
        repeated_options: false,
        fewest_options: None,
        most_options: None,
        other_language: false,
        ..Self::CAREFUL
    };

    const SETS: [(&str, Self); 2] = [("careful", Self::CAREFUL), ("paper", Self::PAPER)];

    /// Whether a list of options keeps the rules about its length and about repetition.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_options(&self, options: &[String]) -> Result<(), DropReason> {
        let distinct: BTreeSet<&str> = options.iter().map(|option| option.trim()).collect();
        if self.repeated_options && distinct.len() < options.len() {
            return Err(DropReason::RepeatedOption);
        }
        if self.fewest_options.is_some_and(|fewest| options.len() < fewest) {
            return Err(DropReason::TooFewOptions);
        }
        if self.most_options.is_some_and(|most| options.len() > most) {
            return Err(DropReason::TooManyOptions);
        }
        Ok(())
    }

    /// Every rule by name, with its value as text.
    pub fn values(&self) -> [(&'static str, String); 10] {
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        fn limit<T: fmt::Display>(value: Option<T>) -> String {
            value.map_or_else(|| "off".to_owned(), |value| value.to_string())
        }
        [
            ("held-out", switch(self.held_out)),
            ("duplicates", switch(self.duplicates)),
            ("near-duplicates", limit(self.near_duplicates)),
            ("numbers-only", switch(self.numbers_only)),
            ("numbered-options", switch(self.numbered_options)),
            ("mixed-labels", switch(self.mixed_labels)),
            ("repeated-options", switch(self.repeated_options)),
            ("fewest-options", limit(self.fewest_options)),
            ("most-options", limit(self.most_options)),
            ("other-language", switch(self.other_language)),
        ]
    }

    fn set(&mut self, rule: &str, value: &str) -> Result<(), UnreadableRules> {
        let bad = |must: &'static str| UnreadableRules::Value {
            rule: rule.to_owned(),
            must,
            value: value.to_owned(),
        };
        let switch = || match value {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(bad("`on` or `off`")),
        };
        let count = || match (value, value.parse()) {
            ("off", _) => Ok(None),
            (_, Ok(count)) => Ok(Some(count)),
            _ => Err(bad("a number of options or `off`")),
        };
        let share = || match (value, value.parse::<f64>()) {
            ("off", _) => Ok(None),
            (_, Ok(share)) if share > 0.0 && share <= 1.0 => Ok(Some(share)),
            _ => Err(bad("above 0 and at most 1, or `off`")),
        };
        match rule {
            "held-out" => self.held_out = switch()?,
            "duplicates" => self.duplicates = switch()?,
            "near-duplicates" => self.near_duplicates = share()?,
            "numbers-only" => self.numbers_only = switch()?,
            "numbered-options" => self.numbered_options = switch()?,
            "mixed-labels" => self.mixed_labels = switch()?,
            "repeated-options" => self.repeated_options = switch()?,
            "fewest-options" => self.fewest_options = count()?,
            "most-options" => self.most_options = count()?,
            "other-language" => self.other_language = switch()?,
            _ => {
                let known = self.values().map(|(name, _)| name).join(", ");
                return Err(UnreadableRules::Rule { rule: rule.to_owned(), known });
            }
        }
        Ok(())
    }
}

impl Default for FilterRules {
    fn default() -> Self {
        Self::CAREFUL
    }
}

/// Why a text names no rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableRules {
    /// The first word names no set.
    #[error("`{0}` is not a set of filter rules\nBegin with `careful` or `paper`.")]
    Set(String),
    /// No rule of that name.
    #[error("`{rule}` is not a filter rule\nRules: {known}.")]
    Rule {
        /// The name.
        rule: String,
        /// All rules, joined by commas.
        known: String,
    },
    /// The rule takes other values.
    #[error(
        "the filter rule `{rule}` must be {must}, not `{value}`\nWrite `{rule}=off` to leave it out."
    )]
    Value {
        /// The rule.
        rule: String,
        /// What it takes.
        must: &'static str,
        /// What was given.
        value: String,
    },
}

impl FromStr for FilterRules {
    type Err = UnreadableRules;

    fn from_str(text: &str) -> Result<Self, UnreadableRules> {
        let mut parts = text.split(',').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let set = Self::SETS.into_iter().find(|(known, _)| *known == name);
        let (_, mut rules) = set.ok_or_else(|| UnreadableRules::Set(name.to_owned()))?;
        for part in parts {
            let (rule, value) = part.split_once('=').unwrap_or((part, "on"));
            rules.set(rule.trim(), value.trim())?;
        }
        Ok(rules)
    }
}

impl fmt::Display for FilterRules {
    /// The set that differs least, then the differences; [`FromStr`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let described = Self::SETS.map(|(name, set)| {
            let pairs = self.values().into_iter().zip(set.values());
            let changes = pairs.filter(|(own, usual)| own != usual);
            let changes: Vec<String> =
                changes.map(|((rule, value), _)| format!(",{rule}={value}")).collect();
            (changes.len(), format!("{name}{}", changes.concat()))
        });
        let shortest = described.into_iter().min().map(|(_, text)| text);
        f.pad(&shortest.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_written() {
        for text in ["careful", "paper", "careful,near-duplicates=0.8,most-options=off"] {
            assert_eq!(text.parse::<FilterRules>().unwrap().to_string(), text);
        }
        let rules: FilterRules = "paper, held-out, fewest-options=3".parse().unwrap();
        assert!(rules.held_out && rules.fewest_options == Some(3) && !rules.other_language);
        let json = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<FilterRules>(&json).unwrap(), rules);
        assert_eq!(serde_json::from_str::<FilterRules>("{}").unwrap(), FilterRules::CAREFUL);
    }

    #[test]
    fn bad_rules_are_named() {
        for (text, expect) in [
            ("strict", "`strict`"),
            ("paper,spelling=on", "`spelling` is not a filter rule"),
            ("paper,near-duplicates=2", "above 0 and at most 1, or `off`, not `2`"),
            ("paper,most-options=few", "not `few`"),
            ("paper,held-out=yes", "not `yes`"),
        ] {
            let error = text.parse::<FilterRules>().unwrap_err().to_string();
            assert!(error.contains(expect) && error.contains('\n'), "{error}");
        }
    }
}
