//! A run of the method: its steps, its settings with their presets and rules, and the command that
//! does the same.
//!
//! Plain data. What the steps do is the server's work; what they ask is in [`crate::prompt`] and
//! [`crate::generation`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::culture::CultureCode;
use crate::filter::FilterRules;
use crate::instance::CollectionRule;
use crate::prompt::{PromptStyle, PromptTemplates};
use crate::training_set::{Selection, Source};

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

/// Whose instances an adapter is tuned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AdapterTarget {
    /// All cultures'.
    Joint,
    /// One culture's.
    Specific(CultureCode),
}

impl AdapterTarget {
    /// The adapter's name within its run: `joint`, `specific-THA`.
    pub fn name(self) -> String {
        match self {
            Self::Joint => "joint".to_owned(),
            Self::Specific(code) => format!("specific-{code}"),
        }
    }

    /// The culture, for a specific one.
    pub fn culture(self) -> Option<CultureCode> {
        match self {
            Self::Joint => None,
            Self::Specific(code) => Some(code),
        }
    }
}

impl fmt::Display for AdapterTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joint => f.pad("joint"),
            Self::Specific(code) => f.pad(code.as_str()),
        }
    }
}

impl FromStr for AdapterTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "joint" => Ok(Self::Joint),
            code => code.parse().map(Self::Specific).map_err(|_| {
                format!(
                    "`{code}` names no adapter\nUse `joint`, or a culture's code such as `THA`."
                )
            }),
        }
    }
}

impl TryFrom<String> for AdapterTarget {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AdapterTarget> for String {
    fn from(target: AdapterTarget) -> Self {
        target.to_string()
    }
}

/// How answers of step 2 are read from the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "samples")]
pub enum Elicitation {
    /// The probability of every option; nothing is drawn.
    #[default]
    Probabilities,
    /// So many replies drawn at temperature 0.6 and top-p 0.9, each read by its first integer. The
    /// paper draws one (section 3.2).
    Samples(usize),
}

/// What a run of the method does; all its steps share them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodSettings {
    /// The survey that gives seeds and held-out questions.
    pub survey: String,
    /// What answers belong to: the SHA-256 of the model's weights and the form of its matrices.
    pub base_hash: String,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Questions to generate per topic.
    pub per_topic: usize,
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
    /// General conversations that are learnt beside them, per instance.
    #[serde(default)]
    pub general: f64,
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
            cultures: Some(self.cultures.clone()),
            adapters: Some(self.adapters().into_iter().map(|(_, target)| target).collect()),
            learning_rate: Some(self.learning_rate),
            epochs: Some(self.epochs),
            accumulation: Some(self.accumulation),
            filter: Some(self.filter.clone()),
            templates: Some(self.templates.clone()),
            style: Some(self.style),
            samples: match self.elicitation {
                Elicitation::Probabilities => None,
                Elicitation::Samples(count) => Some(count),
            },
            rule: Some(self.rule),
            source: Some(self.selection.source),
            share: Some(self.selection.share),
            general: Some(self.general),
        }
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

/// What is wanted of a run; `None` takes the run's own value, or the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MethodRequest {
    /// Name of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// See [`MethodSettings::survey`]; `starter` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub survey: Option<String>,
    /// See [`MethodSettings::seed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// See [`MethodSettings::per_topic`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_topic: Option<usize>,
    /// See [`MethodSettings::cultures`]; all of the survey by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cultures: Option<Vec<CultureCode>>,
    /// See [`MethodSettings::adapters`]; the joint one and one per culture by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapters: Option<Vec<AdapterTarget>>,
    /// See [`MethodSettings::learning_rate`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// See [`MethodSettings::epochs`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// See [`MethodSettings::accumulation`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulation: Option<usize>,
    /// See [`MethodSettings::filter`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterRules>,
    /// See [`MethodSettings::templates`]; the built-in ones by default. Chosen by name, never sent.
    #[serde(skip)]
    pub templates: Option<PromptTemplates>,
    /// See [`MethodSettings::style`]; aware by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<PromptStyle>,
    /// Replies drawn per question; probabilities are read by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// See [`MethodSettings::rule`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<CollectionRule>,
    /// What kind of pairs is learnt; the instances by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Which share of them, above 0 and at most 1; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// See [`MethodSettings::general`]; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub general: Option<f64>,
}

/// A setting that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}\n{hint}")]
pub struct BadSetting {
    /// Which setting, the rule and the given value.
    pub rule: String,
    /// A way out.
    pub hint: String,
}

/// Most questions per topic: ten times the paper's.
pub const MOST_PER_TOPIC: usize = 10_000;

/// Most replies drawn per question.
pub const MOST_SAMPLES: usize = 64;

/// Most passes over the instances, and most micro-batches per update.
pub const MOST_PASSES: usize = 1_000;

impl MethodRequest {
    /// These settings, and `other`'s where this has none.
    pub fn or(self, other: Self) -> Self {
        Self {
            run: self.run.or(other.run),
            survey: self.survey.or(other.survey),
            seed: self.seed.or(other.seed),
            per_topic: self.per_topic.or(other.per_topic),
            cultures: self.cultures.or(other.cultures),
            adapters: self.adapters.or(other.adapters),
            learning_rate: self.learning_rate.or(other.learning_rate),
            epochs: self.epochs.or(other.epochs),
            accumulation: self.accumulation.or(other.accumulation),
            filter: self.filter.or(other.filter),
            templates: self.templates.or(other.templates),
            style: self.style.or(other.style),
            samples: self.samples.or(other.samples),
            rule: self.rule.or(other.rule),
            source: self.source.or(other.source),
            share: self.share.or(other.share),
            general: self.general.or(other.general),
        }
    }

    /// Only what differs from `other`.
    pub fn beyond(&self, other: &Self) -> Self {
        fn own<T: Clone + PartialEq>(own: &Option<T>, other: &Option<T>) -> Option<T> {
            own.clone().filter(|_| own != other)
        }
        Self {
            run: own(&self.run, &other.run),
            survey: own(&self.survey, &other.survey),
            seed: own(&self.seed, &other.seed),
            per_topic: own(&self.per_topic, &other.per_topic),
            cultures: own(&self.cultures, &other.cultures),
            adapters: own(&self.adapters, &other.adapters),
            learning_rate: own(&self.learning_rate, &other.learning_rate),
            epochs: own(&self.epochs, &other.epochs),
            accumulation: own(&self.accumulation, &other.accumulation),
            filter: own(&self.filter, &other.filter),
            templates: own(&self.templates, &other.templates),
            style: own(&self.style, &other.style),
            samples: own(&self.samples, &other.samples),
            rule: own(&self.rule, &other.rule),
            source: own(&self.source, &other.source),
            share: own(&self.share, &other.share),
            general: own(&self.general, &other.general),
        }
    }

    /// Whether every value is in its range and nothing is named twice. Whether a survey has these
    /// cultures is for the survey to say.
    ///
    /// # Errors
    /// The first setting that breaks its rule.
    pub fn check(&self) -> Result<(), BadSetting> {
        if let Some(name) = self.run.as_deref().filter(|name| !names_a_folder(name)) {
            return bad(
                format!("`{name}` can't name a run: it becomes a folder's name"),
                "Use 1 to 64 letters, digits, `-`, `_` and `.`, not beginning with `.`.",
            );
        }
        in_range("per_topic", self.per_topic, MOST_PER_TOPIC)?;
        in_range("epochs", self.epochs, MOST_PASSES)?;
        in_range("accumulation", self.accumulation, MOST_PASSES)?;
        in_range("samples", self.samples, MOST_SAMPLES)?;
        if self.style == Some(PromptStyle::Unaware) {
            return bad(
                "`style` must name a culture, not `unaware`: both sides would be the same"
                    .to_owned(),
                "Use `aware` or `cross-culture`.",
            );
        }
        if let Some(share) = self.share.filter(|share| !(*share > 0.0 && *share <= 1.0)) {
            let rule = format!("`share` must be above 0 and at most 1, not {share}");
            return bad(rule, "Use 0.5 for half of the pairs.");
        }
        if let Some(general) = self.general.filter(|general| !(0.0..=10.0).contains(general)) {
            let rule = format!("`general` must be 0 to 10, not {general}");
            return bad(rule, "Use 0.25 for one general conversation to four instances.");
        }
        if let Some(rate) = self.learning_rate.filter(|rate| !(*rate > 0.0 && *rate <= 1.0)) {
            let rule = format!("`learning_rate` must be above 0 and at most 1, not {rate}");
            return bad(rule, "Use a value such as 1e-4.");
        }
        some_and_once("cultures", self.cultures.as_deref())?;
        some_and_once("adapters", self.adapters.as_deref())?;
        let Some(cultures) = &self.cultures else { return Ok(()) };
        let named = self.adapters.iter().flatten().filter_map(|target| target.culture());
        match named.into_iter().find(|code| !cultures.contains(code)) {
            Some(code) => bad(
                format!("`adapters` names `{code}`, which `cultures` doesn't"),
                "Add the culture, or leave its adapter out.",
            ),
            None => Ok(()),
        }
    }

    /// The options of `polylogue run` that give these settings: `--per-topic 16 --seed 7`.
    pub fn options(&self) -> String {
        fn list<T: ToString>(items: &[T]) -> String {
            items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
        }
        let options = [
            ("run", self.run.clone()),
            ("survey", self.survey.clone()),
            ("seed", self.seed.map(|value| value.to_string())),
            ("per-topic", self.per_topic.map(|value| value.to_string())),
            ("cultures", self.cultures.as_deref().map(list)),
            ("adapters", self.adapters.as_deref().map(list)),
            ("learning-rate", self.learning_rate.map(|value| format!("{value:e}"))),
            ("epochs", self.epochs.map(|value| value.to_string())),
            ("accumulation", self.accumulation.map(|value| value.to_string())),
            ("filter", self.filter.as_ref().map(ToString::to_string)),
            (
                "prompts",
                self.templates.as_ref().map(|set| format!("{}@{}", set.id(), set.version())),
            ),
            ("style", self.style.map(|value| value.to_string())),
            ("samples", self.samples.map(|value| value.to_string())),
            ("rule", self.rule.map(|value| value.to_string())),
            ("source", self.source.map(|value| value.to_string())),
            ("share", self.share.map(|value| value.to_string())),
            ("general", self.general.map(|value| value.to_string())),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.map(|(name, value)| format!("--{name} {value}")).collect::<Vec<_>>().join(" ")
    }
}

fn bad(rule: String, hint: &str) -> Result<(), BadSetting> {
    Err(BadSetting { rule, hint: hint.to_owned() })
}

fn names_a_folder(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.len() <= 64 && name.chars().all(allowed)
}

fn in_range(name: &str, value: Option<usize>, most: usize) -> Result<(), BadSetting> {
    match value {
        Some(value) if value == 0 || value > most => {
            let hint = if value == 0 { "Raise it." } else { "Lower it." };
            bad(format!("`{name}` must be 1 to {most}, not {value}"), hint)
        }
        _ => Ok(()),
    }
}

fn some_and_once<T: PartialEq + fmt::Display>(
    name: &str,
    items: Option<&[T]>,
) -> Result<(), BadSetting> {
    let Some(items) = items else { return Ok(()) };
    if items.is_empty() {
        return bad(format!("`{name}` must name at least 1, not 0"), "Add one.");
    }
    let twice = items.iter().enumerate().find(|(place, item)| items[..*place].contains(item));
    match twice {
        Some((_, item)) => bad(format!("`{name}` names `{item}` twice"), "Name it once."),
        None => Ok(()),
    }
}

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
            Self::Quick => (FilterRules::CAREFUL, None),
            Self::Paper => (FilterRules::PAPER, Some(1)),
        };
        let adapters = specific.into_iter().map(AdapterTarget::Specific);
        MethodRequest {
            run: None,
            survey: None,
            seed: Some(7),
            per_topic: Some(per_topic),
            cultures: Some(cultures.to_vec()),
            adapters: Some(std::iter::once(AdapterTarget::Joint).chain(adapters).collect()),
            learning_rate: Some(learning_rate),
            epochs: Some(epochs),
            accumulation: Some(accumulation),
            filter: Some(filter),
            templates: None,
            style: Some(PromptStyle::Aware),
            samples,
            rule: Some(CollectionRule::Different),
            source: Some(Source::Inconsistent),
            share: Some(1.0),
            general: Some(0.0),
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

#[cfg(test)]
mod tests;
