//! A run of the method: its steps, its settings with their presets and rules, and the command that
//! does the same.
//!
//! Plain data. What the steps do is the server's work; what they ask is in [`crate::prompt`] and
//! [`crate::generation`].
//! - here: the steps, and the settings that a run has;
//! - `elicitation`: how answers are read; `target`: which adapters are tuned; `request`: what is wanted of a run, with its rules; `preset`:
//!   settings that belong together.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::culture::CultureCode;
use crate::filter::FilterRules;
use crate::instance::CollectionRule;
use crate::prompt::{PromptStyle, PromptTemplates};
use crate::training_set::{Accepted, Selection};

mod elicitation;
mod preset;
mod request;
mod target;
mod tuning;

pub use elicitation::Elicitation;
pub use preset::{Preset, far_apart};
pub use request::{
    BadSetting, LONGEST_NAME, MOST_PASSES, MOST_PER_TOPIC, MOST_SAMPLES, MethodRequest,
    USUAL_SURVEY,
};
pub use target::AdapterTarget;
pub use tuning::{MODULES, Schedule, Tuning};

/// A step of the method, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The model writes new questions.
    Generate,
    /// Every question is asked unaware and as every culture.
    Elicit,
    /// The pairs whose answers differ are kept.
    Collect,
    /// Adapters are tuned on them.
    Tune,
    /// All voices are compared with people.
    Evaluate,
}

impl Step {
    /// All steps in order.
    pub const ALL: [Self; 5] =
        [Self::Generate, Self::Elicit, Self::Collect, Self::Tune, Self::Evaluate];

    /// Name in the store, in commands and in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Elicit => "elicit",
            Self::Collect => "collect",
            Self::Tune => "tune",
            Self::Evaluate => "evaluate",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a run of the method does; all its steps share them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodSettings {
    /// The survey that gives seeds and evaluated questions.
    pub survey: String,
    /// What answers belong to: the SHA-256 of the model's weights and the form of its matrices.
    pub base_hash: String,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Questions to generate per topic.
    pub per_topic: usize,
    /// How many of a topic's questions, drawn by the seed, are the examples that new ones are written
    /// after; `None`: all. The paper compares all with one (section 4.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds_per_topic: Option<usize>,
    /// Cultures, in the survey's order.
    pub cultures: Vec<CultureCode>,
    /// Adapters to tune; `None` in runs of older versions: the joint one and one per culture.
    #[serde(default)]
    pub adapters: Option<Vec<AdapterTarget>>,
    /// Peak learning rate of tuning.
    pub learning_rate: f64,
    /// Passes over the instances.
    pub epochs: usize,
    /// Micro-batches per update.
    pub accumulation: usize,
    /// Which generated questions are kept.
    #[serde(default)]
    pub filter: FilterRules,
    /// The wording of all prompts, whole: the run can go on without the file it came from.
    #[serde(default)]
    pub templates: PromptTemplates,
    /// How the aware side of step 2 is told of its culture.
    #[serde(default = "aware")]
    pub style: PromptStyle,
    /// How answers of step 2 are read.
    #[serde(default)]
    pub elicitation: Elicitation,
    /// When a pair of answers becomes an instance.
    #[serde(default)]
    pub rule: CollectionRule,
    /// Which pairs are learnt.
    #[serde(default)]
    pub selection: Selection,
    /// What people accepted: only that counts as an instance. `None` where nobody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// General conversations that are learnt beside them, per instance.
    #[serde(default)]
    pub general: f64,
    /// The file that general conversations come from, for learning and for the guard of general ability;
    /// `None`: the starter's own talk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub general_from: Option<GeneralFile>,
    /// How adapters are tuned beyond the learning rate, epochs and accumulation.
    #[serde(default)]
    pub tuning: Tuning,
    /// What it began with; `None` in runs of older versions.
    #[serde(default)]
    pub inputs: Option<Inputs>,
}

fn aware() -> PromptStyle {
    PromptStyle::Aware
}

impl MethodSettings {
    /// Adapters to tune, each with its place among all that these cultures could have: the joint
    /// one is 0. The place goes into the adapter's seed, so leaving one out changes no other.
    pub fn adapters(&self) -> Vec<(usize, AdapterTarget)> {
        let specific = self.cultures.iter().map(|code| AdapterTarget::Specific(*code));
        let all = std::iter::once(AdapterTarget::Joint).chain(specific).enumerate();
        let wanted = |target: &AdapterTarget| {
            self.adapters.as_ref().is_none_or(|chosen| chosen.contains(target))
        };
        all.filter(|(_, target)| wanted(target)).collect()
    }

    /// The request that gives these settings to a new run.
    pub fn request(&self) -> MethodRequest {
        MethodRequest {
            run: None,
            survey: Some(self.survey.clone()),
            seed: Some(self.seed),
            per_topic: Some(self.per_topic),
            seeds_per_topic: self.seeds_per_topic,
            cultures: Some(self.cultures.clone()),
            adapters: Some(self.adapters().into_iter().map(|(_, target)| target).collect()),
            learning_rate: Some(self.learning_rate),
            epochs: Some(self.epochs),
            accumulation: Some(self.accumulation),
            filter: Some(self.filter.clone()),
            prompts: None,
            templates: Some(self.templates.clone()),
            style: Some(self.style),
            samples: Some(self.elicitation),
            rule: Some(self.rule),
            source: Some(self.selection.source),
            share: Some(self.selection.share),
            matched: self.selection.matched.then_some(true),
            accepted: self.accepted.clone(),
            general: Some(self.general),
            general_from: self.general_from.clone(),
            tuning: Some(self.tuning.clone()),
        }
    }
}

/// A file of general conversations. Its content belongs to the run: it goes on only where the hash is the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneralFile {
    /// Where it lies.
    pub path: String,
    /// SHA-256 of its bytes.
    pub hash: String,
}

impl GeneralFile {
    /// The first digits of its hash.
    pub fn short_hash(&self) -> &str {
        self.hash.get(..12).unwrap_or(&self.hash)
    }
}

/// What a run began with besides its settings. It goes on only where the hashes are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The version of Polylogue.
    pub version: String,
    /// The model's name.
    pub model: String,
    /// SHA-256 of the survey as JSON.
    pub survey_hash: String,
    /// SHA-256 of all prompt templates.
    pub prompts_hash: String,
}

#[cfg(test)]
mod tests;
