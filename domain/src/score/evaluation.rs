//! One voice's answers against one culture's people.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::bootstrap::{Interval, interval};
use super::metric::{Metric, Part};
use crate::answer::SurveyAnswer;
use crate::culture::CultureCode;
use crate::question::{QuestionId, TopicId};
use crate::survey::Survey;

/// The parts of the questions that could be scored, keyed so that two voices can be paired.
pub type Parts = BTreeMap<QuestionId, Part>;

/// How close a voice is to a culture's people.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The score, about 0..=1; 1 is best.
    pub score: f64,
    /// 95 % bootstrap interval over questions; `None` for fewer than two questions.
    pub interval: Option<Interval>,
    /// Questions scored.
    pub questions: usize,
}

/// The parts of `answers` against the people of `culture`. Only questions of `topics` count;
/// an empty set means all topics. Questions without a reference are left out.
pub fn parts(
    survey: &Survey,
    culture: CultureCode,
    answers: &[SurveyAnswer],
    metric: Metric,
    topics: &BTreeSet<TopicId>,
) -> Parts {
    let questions: BTreeMap<_, _> = survey.questions.iter().map(|q| (&q.id, q)).collect();
    answers
        .iter()
        .filter_map(|answer| {
            let question = *questions.get(&answer.question)?;
            if !topics.is_empty() && !topics.contains(&question.topic) {
                return None;
            }
            let people = survey.people(culture, &question.id)?;
            let part = metric.part(question, &answer.probabilities, people)?;
            Some((question.id.clone(), part))
        })
        .collect()
}

/// Scores `answers` against the people of `culture`, with an interval; `None` where no question
/// could be scored. `topics` as in [`parts`].
pub fn evaluate(
    survey: &Survey,
    culture: CultureCode,
    answers: &[SurveyAnswer],
    metric: Metric,
    topics: &BTreeSet<TopicId>,
) -> Option<Evaluation> {
    let parts: Vec<Part> = parts(survey, culture, answers, metric, topics).into_values().collect();
    Some(Evaluation {
        score: metric.score(&parts)?,
        interval: interval(metric, &parts),
        questions: parts.len(),
    })
}

/// The score per topic, without intervals: a row of the heat map.
pub fn evaluate_by_topic(
    survey: &Survey,
    culture: CultureCode,
    answers: &[SurveyAnswer],
    metric: Metric,
) -> BTreeMap<TopicId, f64> {
    let all = parts(survey, culture, answers, metric, &BTreeSet::new());
    let mut by_topic: BTreeMap<TopicId, Vec<Part>> = BTreeMap::new();
    for question in &survey.questions {
        if let Some(part) = all.get(&question.id) {
            by_topic.entry(question.topic.clone()).or_default().push(*part);
        }
    }
    by_topic.into_iter().filter_map(|(topic, parts)| Some((topic, metric.score(&parts)?))).collect()
}
