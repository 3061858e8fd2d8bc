//! What is wanted of a run, the rules that it must keep, and the options of the command that wants the
//! same. The browser, the command line, preset files and the API share it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AdapterTarget, Elicitation, GeneralFile, Tuning, elicitation};
use crate::culture::CultureCode;
use crate::filter::FilterRules;
use crate::instance::CollectionRule;
use crate::prompt::{PromptStyle, PromptTemplates};
use crate::training_set::{Accepted, Source};

/// What is wanted of a run; `None` takes the run's own value, or the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MethodRequest {
    /// Name of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// See [`MethodSettings::survey`](super::MethodSettings::survey); [`USUAL_SURVEY`] by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub survey: Option<String>,
    /// See [`MethodSettings::seed`](super::MethodSettings::seed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// See [`MethodSettings::per_topic`](super::MethodSettings::per_topic).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_topic: Option<usize>,
    /// See [`MethodSettings::seeds_per_topic`](super::MethodSettings::seeds_per_topic); all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds_per_topic: Option<usize>,
    /// See [`MethodSettings::cultures`](super::MethodSettings::cultures); all of the survey by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cultures: Option<Vec<CultureCode>>,
    /// See [`MethodSettings::adapters`](super::MethodSettings::adapters); the joint one and one per culture by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapters: Option<Vec<AdapterTarget>>,
    /// See [`MethodSettings::learning_rate`](super::MethodSettings::learning_rate).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// See [`MethodSettings::epochs`](super::MethodSettings::epochs).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// See [`MethodSettings::accumulation`](super::MethodSettings::accumulation).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulation: Option<usize>,
    /// See [`super::MethodSettings::filter`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterRules>,
    /// The set of prompt templates by name, as `id` or `id@version`; the built-in one by default. Who
    /// has the sets puts the one that is meant into [`Self::templates`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<String>,
    /// See [`super::MethodSettings::templates`]. Chosen by name, never sent.
    #[serde(skip)]
    pub templates: Option<PromptTemplates>,
    /// See [`super::MethodSettings::style`]; aware by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<PromptStyle>,
    /// Replies drawn per question, or `off` where probabilities are read, as by default.
    #[serde(with = "elicitation::as_requested", skip_serializing_if = "Option::is_none")]
    pub samples: Option<Elicitation>,
    /// See [`super::MethodSettings::rule`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<CollectionRule>,
    /// What kind of pairs is learnt; the instances by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Which share of them, above 0 and at most 1; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Whether every culture learns only as many pairs as every source can give; not by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<bool>,
    /// See [`super::MethodSettings::accepted`]. Read from the project, never sent.
    #[serde(skip)]
    pub accepted: Option<Accepted>,
    /// See [`super::MethodSettings::general`]; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub general: Option<f64>,
    /// See [`super::MethodSettings::general_from`]. Read on the server's machine, never sent.
    #[serde(skip)]
    pub general_from: Option<GeneralFile>,
    /// See [`super::MethodSettings::tuning`]; the paper's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Tuning>,
}

/// A setting that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}\n{hint}")]
pub struct BadSetting {
    /// Which setting, by its name in a request.
    pub setting: &'static str,
    /// The setting, the rule and the given value.
    pub rule: String,
    /// A way out.
    pub hint: String,
}

/// The survey of a request that names none.
pub const USUAL_SURVEY: &str = "starter";

/// Most letters of a run's name.
pub const LONGEST_NAME: usize = 64;

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
            seeds_per_topic: self.seeds_per_topic.or(other.seeds_per_topic),
            cultures: self.cultures.or(other.cultures),
            adapters: self.adapters.or(other.adapters),
            learning_rate: self.learning_rate.or(other.learning_rate),
            epochs: self.epochs.or(other.epochs),
            accumulation: self.accumulation.or(other.accumulation),
            filter: self.filter.or(other.filter),
            prompts: self.prompts.or(other.prompts),
            templates: self.templates.or(other.templates),
            style: self.style.or(other.style),
            samples: self.samples.or(other.samples),
            rule: self.rule.or(other.rule),
            source: self.source.or(other.source),
            share: self.share.or(other.share),
            matched: self.matched.or(other.matched),
            accepted: self.accepted.or(other.accepted),
            general: self.general.or(other.general),
            general_from: self.general_from.or(other.general_from),
            tuning: self.tuning.or(other.tuning),
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
            seeds_per_topic: own(&self.seeds_per_topic, &other.seeds_per_topic),
            cultures: own(&self.cultures, &other.cultures),
            adapters: own(&self.adapters, &other.adapters),
            learning_rate: own(&self.learning_rate, &other.learning_rate),
            epochs: own(&self.epochs, &other.epochs),
            accumulation: own(&self.accumulation, &other.accumulation),
            filter: own(&self.filter, &other.filter),
            prompts: own(&self.prompts, &other.prompts),
            templates: own(&self.templates, &other.templates),
            style: own(&self.style, &other.style),
            samples: own(&self.samples, &other.samples),
            rule: own(&self.rule, &other.rule),
            source: own(&self.source, &other.source),
            share: own(&self.share, &other.share),
            matched: own(&self.matched, &other.matched),
            accepted: own(&self.accepted, &other.accepted),
            general: own(&self.general, &other.general),
            general_from: own(&self.general_from, &other.general_from),
            tuning: own(&self.tuning, &other.tuning),
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
                "run",
                format!("`{name}` can't name a run: it becomes a folder's name"),
                "Use 1 to 64 letters, digits, `-`, `_` and `.`, not beginning with `.`.",
            );
        }
        in_range("per_topic", self.per_topic, MOST_PER_TOPIC)?;
        in_range("seeds_per_topic", self.seeds_per_topic, MOST_PER_TOPIC)?;
        in_range("epochs", self.epochs, MOST_PASSES)?;
        in_range("accumulation", self.accumulation, MOST_PASSES)?;
        self.check_pairs()?;
        self.tuning.as_ref().map_or(Ok(()), Tuning::check)?;
        if let Some(rate) = self.learning_rate.filter(|rate| !(*rate > 0.0 && *rate <= 1.0)) {
            let rule = format!("`learning_rate` must be above 0 and at most 1, not {rate}");
            return bad("learning_rate", rule, "Use a value such as 1e-4.");
        }
        some_and_once("cultures", self.cultures.as_deref())?;
        some_and_once("adapters", self.adapters.as_deref())?;
        let Some(cultures) = &self.cultures else { return Ok(()) };
        let named = self.adapters.iter().flatten().filter_map(|target| target.culture());
        match named.into_iter().find(|code| !cultures.contains(code)) {
            Some(code) => bad(
                "adapters",
                format!("`adapters` names `{code}`, which `cultures` doesn't"),
                "Add the culture, or leave its adapter out.",
            ),
            None => Ok(()),
        }
    }

    /// The rules of what is asked and of which pairs are learnt.
    fn check_pairs(&self) -> Result<(), BadSetting> {
        if let Some(Elicitation::Samples(count)) = self.samples {
            in_range("samples", Some(count), MOST_SAMPLES)?;
        }
        // How far two answers lie apart isn't known from one reply each, so nothing would be kept.
        if self.rule == Some(CollectionRule::Shift) && self.samples == Some(Elicitation::Samples(1))
        {
            return bad(
                "samples",
                "`samples` must be 2 or more, or `off`, for the rule `shift`, not 1: one reply says \
                 nothing of probabilities"
                    .to_owned(),
                "Draw more replies, read probabilities (`off`), or use the rule `different`.",
            );
        }
        if self.style == Some(PromptStyle::Unaware) {
            return bad(
                "style",
                "`style` must name a culture, not `unaware`: both sides would be the same"
                    .to_owned(),
                "Use `aware` or `cross-culture`.",
            );
        }
        if let Some(share) = self.share.filter(|share| !(*share > 0.0 && *share <= 1.0)) {
            let rule = format!("`share` must be above 0 and at most 1, not {share}");
            return bad("share", rule, "Use 0.5 for half of the pairs.");
        }
        match self.general.filter(|general| !(0.0..=10.0).contains(general)) {
            Some(general) => bad(
                "general",
                format!("`general` must be 0 to 10, not {general}"),
                "Use 0.25 for one general conversation to four instances.",
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
            ("seeds-per-topic", self.seeds_per_topic.map(|value| value.to_string())),
            ("cultures", self.cultures.as_deref().map(list)),
            ("adapters", self.adapters.as_deref().map(list)),
            ("learning-rate", self.learning_rate.map(|value| format!("{value:e}"))),
            ("epochs", self.epochs.map(|value| value.to_string())),
            ("accumulation", self.accumulation.map(|value| value.to_string())),
            ("filter", self.filter.as_ref().map(ToString::to_string)),
            ("prompts", self.prompts.clone().or_else(|| self.templates.as_ref().map(named))),
            ("style", self.style.map(|value| value.to_string())),
            ("samples", self.samples.map(|value| value.to_string())),
            ("rule", self.rule.map(|value| value.to_string())),
            ("source", self.source.map(|value| value.to_string())),
            ("share", self.share.map(|value| value.to_string())),
            ("matched", self.matched.map(|value| value.to_string())),
            ("accepted", self.accepted.as_ref().map(|accepted| accepted.project.clone())),
            ("general", self.general.map(|value| value.to_string())),
            ("general-from", self.general_from.as_ref().map(|file| file.path.clone())),
            ("tuning", self.tuning.as_ref().map(ToString::to_string)),
        ];
        let given = options.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.map(|(name, value)| format!("--{name} {value}")).collect::<Vec<_>>().join(" ")
    }
}

fn bad(setting: &'static str, rule: String, hint: &str) -> Result<(), BadSetting> {
    Err(BadSetting { setting, rule, hint: hint.to_owned() })
}

/// The name by which a set is asked for.
fn named(set: &PromptTemplates) -> String {
    format!("{}@{}", set.id(), set.version())
}

fn names_a_folder(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty()
        && !name.starts_with('.')
        && name.len() <= LONGEST_NAME
        && name.chars().all(allowed)
}

fn in_range(name: &'static str, value: Option<usize>, most: usize) -> Result<(), BadSetting> {
    match value {
        Some(value) if value == 0 || value > most => {
            let hint = if value == 0 { "Raise it." } else { "Lower it." };
            bad(name, format!("`{name}` must be 1 to {most}, not {value}"), hint)
        }
        _ => Ok(()),
    }
}

fn some_and_once<T: PartialEq + fmt::Display>(
    name: &'static str,
    items: Option<&[T]>,
) -> Result<(), BadSetting> {
    let Some(items) = items else { return Ok(()) };
    if items.is_empty() {
        return bad(name, format!("`{name}` must name at least 1, not 0"), "Add one.");
    }
    let twice = items.iter().enumerate().find(|(place, item)| items[..*place].contains(item));
    match twice {
        Some((_, item)) => bad(name, format!("`{name}` names `{item}` twice"), "Name it once."),
        None => Ok(()),
    }
}
