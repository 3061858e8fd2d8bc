//! Settings that belong together, under a name.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AdapterTarget, Elicitation, MethodRequest, Tuning};
use crate::culture::CultureCode;
use crate::filter::FilterRules;
use crate::instance::CollectionRule;
use crate::prompt::PromptStyle;
use crate::training_set::Source;

/// Settings that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// A few minutes with the built-in model: enough to see every step at work.
    Quick,
    /// The paper's values (sections 3 and 4.1).
    Paper,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Quick, Self::Paper];

    /// Name in commands and on the page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Paper => "paper",
        }
    }

    /// Its settings, for a survey with these cultures.
    pub fn request(self, cultures: &[CultureCode]) -> MethodRequest {
        let (per_topic, learning_rate, epochs, accumulation) = match self {
            Self::Quick => (16, 1e-3, 4, 4),
            Self::Paper => (1000, 1e-4, 1, 32),
        };
        let specific = match self {
            Self::Quick => far_apart(cultures),
            Self::Paper => cultures.to_vec(),
        };
        let (filter, samples) = match self {
            Self::Quick => (FilterRules::CAREFUL, Elicitation::Probabilities),
            Self::Paper => (FilterRules::PAPER, Elicitation::Samples(1)),
        };
        let adapters = specific.into_iter().map(AdapterTarget::Specific);
        MethodRequest {
            run: None,
            survey: None,
            seed: Some(7),
            per_topic: Some(per_topic),
            seeds_per_topic: None,
            cultures: Some(cultures.to_vec()),
            adapters: Some(std::iter::once(AdapterTarget::Joint).chain(adapters).collect()),
            learning_rate: Some(learning_rate),
            epochs: Some(epochs),
            accumulation: Some(accumulation),
            filter: Some(filter),
            // Those that are built in, or of the user's choice.
            prompts: None,
            templates: None,
            style: Some(PromptStyle::Aware),
            samples: Some(samples),
            rule: Some(CollectionRule::Different),
            source: Some(Source::Inconsistent),
            share: Some(1.0),
            accepted: None,
            general: Some(0.0),
            general_from: None,
            tuning: Some(Tuning::default()),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Three cultures that answer very differently, in the order of `cultures`; the first three where
/// these aren't among them.
pub fn far_apart(cultures: &[CultureCode]) -> Vec<CultureCode> {
    let wanted = |code: &CultureCode| ["DEU", "NGA", "THA"].contains(&code.as_str());
    let found: Vec<CultureCode> = cultures.iter().copied().filter(wanted).collect();
    if found.is_empty() { cultures.iter().copied().take(3).collect() } else { found }
}
