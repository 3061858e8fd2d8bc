//! What an evaluation comes to: a line per culture, and their mean.

use std::collections::BTreeMap;

use domain::culture::CultureCode;
use domain::question::{Question, Topic, TopicId};
use domain::score::{
    Ability, Baseline, CrossScores, Interval, Metric, Movement, Parts, Refusals, baseline_score,
    mean_interval, mean_paired_interval,
};
use domain::survey::Survey;
use serde::Serialize;

use super::VoiceParts;
use super::variants::Robustness;

/// The scores of one culture's voices, x 100; `None` where there is no such voice or reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Scores {
    /// Base model, no culture named.
    pub unaware: Option<f64>,
    /// Base model, the culture named.
    pub aware: Option<f64>,
    /// Joint adapter, the culture named.
    pub joint: Option<f64>,
    /// The culture's own adapter, the culture named.
    pub specific: Option<f64>,
}

/// How much better one voice is than another on the same questions, x 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gain {
    /// Difference of the scores.
    pub gain: f64,
    /// 95 % paired bootstrap interval over questions.
    pub interval: Option<Interval>,
}

/// The gains that the method is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Gains {
    /// What naming the culture brings.
    pub aware_over_unaware: Option<Gain>,
    /// What the joint adapter brings on top.
    pub joint_over_aware: Option<Gain>,
    /// What the culture's own adapter brings on top.
    pub specific_over_aware: Option<Gain>,
}

/// What answering without looking reaches, x 100.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Baselines {
    /// A random option.
    pub random: Option<f64>,
    /// Always the middle of the scale.
    pub middle: Option<f64>,
    /// Everybody answers like people in the USA; `None` for the USA itself.
    pub like_usa: Option<f64>,
}

impl Baselines {
    /// For `culture` over `questions`; those without people's answers are left out.
    pub fn of(
        metric: Metric,
        survey: &Survey,
        culture: CultureCode,
        questions: &[&Question],
    ) -> Self {
        let score = |kind| {
            baseline_score(kind, metric, survey, culture, questions).map(|score| 100.0 * score)
        };
        let usa = "USA".parse().ok().filter(|usa| survey.culture(*usa).is_some());
        Self {
            random: score(Baseline::Random),
            middle: score(Baseline::Middle),
            like_usa: usa.and_then(|usa| score(Baseline::Like(usa))),
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The culture; `None` in the mean over all.
    pub culture: Option<CultureCode>,
    /// Questions with a reference.
    pub questions: usize,
    /// Its voices.
    pub scores: Scores,
    /// Differences between them.
    pub gains: Gains,
    /// Its baselines.
    pub baselines: Baselines,
}

/// 95 % bootstrap intervals of [`Scores`] over questions, x 100, all cultures on the same draw.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ScoreIntervals {
    /// Of the unaware voice.
    pub unaware: Option<Interval>,
    /// Of the aware voices.
    pub aware: Option<Interval>,
    /// Of those with the joint adapter.
    pub joint: Option<Interval>,
    /// Of those with their culture's own adapter.
    pub specific: Option<Interval>,
}

/// The mean over cultures on one topic's questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicRow {
    /// The topic.
    pub topic: TopicId,
    /// Its name.
    pub name: String,
    /// Questions with a reference, of the culture that has the most.
    pub questions: usize,
    /// Its voices.
    pub scores: Scores,
    /// How sure these are.
    pub intervals: ScoreIntervals,
    /// Differences between them.
    pub gains: Gains,
    /// Its baselines.
    pub baselines: Baselines,
}

/// What `polylogue evaluate` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// The run.
    pub run: String,
    /// The base model's name.
    pub model: String,
    /// First digits of its hash.
    pub model_hash: String,
    /// Adapters by name, with the first digits of their hash.
    pub adapters: BTreeMap<String, String>,
    /// The survey.
    pub survey: String,
    /// Whether its reference is simulated.
    pub simulated: bool,
    /// The metric.
    pub metric: Metric,
    /// Questions asked.
    pub questions: usize,
    /// Whether they are held out, so that no training step has seen one; where not, they were seeds too, as
    /// in the paper. `None` on another survey than the one that the run learnt from.
    pub held_out: Option<bool>,
    /// On such a survey: how many of its questions the run has seen in the same or nearly the same words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<usize>,
    /// Kinds of voices whose results rest on people's answers: adapters that learnt what was answered after
    /// seeing some (P3). Comparing them with people is no fair test.
    pub uses_reference: Vec<String>,
    /// One line per culture.
    pub rows: Vec<Row>,
    /// Plain mean over the cultures that have such a voice: where some have no adapter of their own,
    /// the means of specific voices are over the others, see [`EvaluationReport::with_specific`].
    pub mean: Row,
    /// The same mean topic by topic, in the survey's order.
    pub topics: Vec<TopicRow>,
    /// What each kind of voice gave no opinion on, over all cultures.
    pub refusals: BTreeMap<String, Refusals>,
    /// Which way each kind of voice's answers move from the unaware voice's, over all cultures.
    pub movement: BTreeMap<String, Movement>,
    /// What an adapter costs in general ability, with its name: the joint one, else the first; `None`
    /// where the run has tuned none.
    pub ability: Option<(String, Ability)>,
    /// Every culture's own adapter on every culture, x 100, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross: Option<CrossScores>,
    /// How much scores depend on how options are laid out, by kind of voice, where that was asked.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub robustness: BTreeMap<&'static str, Robustness>,
}

impl EvaluationReport {
    /// The cultures that have an adapter of their own.
    pub fn with_specific(&self) -> Vec<CultureCode> {
        let own = self.rows.iter().filter(|row| row.scores.specific.is_some());
        own.filter_map(|row| row.culture).collect()
    }
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The mean over the cultures that have such a voice.
pub(super) fn mean_row(metric: Metric, voices: &[(CultureCode, VoiceParts)], rows: &[Row]) -> Row {
    let of = |value: fn(&Row) -> Option<f64>| mean(rows.iter().map(value));
    let gain = |value: fn(&Row) -> Option<Gain>,
                pair: fn(&VoiceParts) -> Option<(&Parts, &Parts)>| {
        let gain = mean(rows.iter().map(|row| Some(value(row)?.gain)))?;
        let pairs: Vec<_> = voices.iter().filter_map(|(_, voices)| pair(voices)).collect();
        Some(Gain {
            gain,
            interval: mean_paired_interval(metric, &pairs).map(|interval| interval.times(100.0)),
        })
    };
    Row {
        culture: None,
        questions: rows.iter().map(|row| row.questions).max().unwrap_or(0),
        scores: Scores {
            unaware: of(|row| row.scores.unaware),
            aware: of(|row| row.scores.aware),
            joint: of(|row| row.scores.joint),
            specific: of(|row| row.scores.specific),
        },
        gains: Gains {
            aware_over_unaware: gain(
                |row| row.gains.aware_over_unaware,
                |voices| Some((voices.aware.as_ref()?, voices.unaware.as_ref()?)),
            ),
            joint_over_aware: gain(
                |row| row.gains.joint_over_aware,
                |voices| Some((voices.joint.as_ref()?, voices.aware.as_ref()?)),
            ),
            specific_over_aware: gain(
                |row| row.gains.specific_over_aware,
                |voices| Some((voices.specific.as_ref()?, voices.aware.as_ref()?)),
            ),
        },
        baselines: Baselines {
            random: of(|row| row.baselines.random),
            middle: of(|row| row.baselines.middle),
            like_usa: of(|row| row.baselines.like_usa),
        },
    }
}

/// A topic's mean from the cultures' voices and rows on its questions.
pub(super) fn topic_row(
    metric: Metric,
    topic: &Topic,
    voices: &[(CultureCode, VoiceParts)],
    rows: &[Row],
) -> TopicRow {
    let interval = |of: fn(&VoiceParts) -> Option<&Parts>| {
        let parts: Vec<&Parts> = voices.iter().filter_map(|(_, voices)| of(voices)).collect();
        mean_interval(metric, &parts).map(|interval| interval.times(100.0))
    };
    let Row { questions, scores, gains, baselines, .. } = mean_row(metric, voices, rows);
    TopicRow {
        topic: topic.id.clone(),
        name: topic.name.clone(),
        questions,
        scores,
        intervals: ScoreIntervals {
            unaware: interval(|voices| voices.unaware.as_ref()),
            aware: interval(|voices| voices.aware.as_ref()),
            joint: interval(|voices| voices.joint.as_ref()),
            specific: interval(|voices| voices.specific.as_ref()),
        },
        gains,
        baselines,
    }
}
