//! What answering without any knowledge of people reaches. A score means little without these.

use serde::{Deserialize, Serialize};

use super::distance;
use super::metric::{Metric, Part};
use crate::culture::CultureCode;
use crate::question::{Question, Scale};
use crate::random::SplitMix64;
use crate::survey::{Distribution, Survey};

/// Draws behind [`Baseline::Random`] where a metric looks at one chosen option.
const RANDOM_DRAWS: u64 = 400;

/// A way of answering without looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "culture")]
pub enum Baseline {
    /// Any option, all equally likely.
    Random,
    /// Always the middle of the scale, between two options where their number is even.
    Middle,
    /// Everybody answers as this culture's people do.
    Like(CultureCode),
}

impl Baseline {
    /// Name for people.
    pub fn title(self) -> String {
        match self {
            Self::Random => "random option".to_owned(),
            Self::Middle => "always the middle".to_owned(),
            Self::Like(culture) => format!("everybody like {culture}"),
        }
    }
}

/// The baseline's parts for `culture` over `questions`; questions it can't answer are left out.
///
/// [`Baseline::Random`] has parts only for metrics that compare distributions, where it is the
/// uniform one; for the others use [`baseline_score`], which averages over draws.
pub fn baseline_parts(
    baseline: Baseline,
    metric: Metric,
    survey: &Survey,
    culture: CultureCode,
    questions: &[&Question],
) -> Vec<Part> {
    questions
        .iter()
        .filter_map(|question| {
            let people = survey.people(culture, &question.id)?;
            match baseline {
                Baseline::Random => {
                    metric.part(question, &vec![1.0; question.options.len()], people)
                }
                Baseline::Middle => middle_part(metric, question, people),
                Baseline::Like(model) => {
                    like_part(metric, question, survey.people(model, &question.id)?, people)
                }
            }
        })
        .collect()
}

/// The baseline's score for `culture` over `questions`; `None` where nothing can be scored, and for
/// a culture compared with itself.
pub fn baseline_score(
    baseline: Baseline,
    metric: Metric,
    survey: &Survey,
    culture: CultureCode,
    questions: &[&Question],
) -> Option<f64> {
    match (baseline, metric) {
        (Baseline::Like(model), _) if model == culture => None,
        (
            Baseline::Random,
            Metric::Alignment | Metric::AlignmentPerQuestion | Metric::ExactMode,
        ) => random_score(metric, survey, culture, questions),
        _ => metric.score(&baseline_parts(baseline, metric, survey, culture, questions)),
    }
}

fn middle_part(metric: Metric, question: &Question, people: &Distribution) -> Option<Part> {
    let last = question.options.len().checked_sub(1)?;
    let middle = f64::from(question.first_number) + last as f64 / 2.0;
    let options = question.options.len();
    match metric {
        Metric::Alignment => return Some(Part::alignment(middle, people.mode, options)),
        Metric::AlignmentPerQuestion => return Some(Part::numbers(middle, people.mode, options)),
        _ => {}
    }
    let mut shares = vec![0.0; question.options.len()];
    shares[last / 2] += 0.5;
    shares[last.div_ceil(2)] += 0.5;
    if metric == Metric::ExactMode {
        let index = question.index_of(people.mode)?;
        return Some(Part::closeness(shares[index]));
    }
    metric.part(question, &shares, people)
}

/// Another people's answers in the model's place; their own tie-break counts, not ours.
fn like_part(
    metric: Metric,
    question: &Question,
    model: &Distribution,
    people: &Distribution,
) -> Option<Part> {
    match metric {
        Metric::Alignment => {
            Some(Part::alignment(f64::from(model.mode), people.mode, question.options.len()))
        }
        Metric::AlignmentPerQuestion => {
            Some(Part::numbers(f64::from(model.mode), people.mode, question.options.len()))
        }
        Metric::ExactMode => {
            Some(Part::closeness(if model.mode == people.mode { 1.0 } else { 0.0 }))
        }
        Metric::JensenShannon => {
            Some(Part::closeness(1.0 - distance::jensen_shannon(&model.shares, &people.shares)?))
        }
        Metric::EarthMover => {
            let distance = match question.scale {
                Scale::Ordered => distance::earth_mover(&model.shares, &people.shares)?,
                Scale::Nominal => distance::total_variation(&model.shares, &people.shares)?,
            };
            Some(Part::closeness(1.0 - distance))
        }
    }
}

fn random_score(
    metric: Metric,
    survey: &Survey,
    culture: CultureCode,
    questions: &[&Question],
) -> Option<f64> {
    let mut random = SplitMix64::new(super::SEED);
    let draw = |random: &mut SplitMix64| {
        let parts: Vec<Part> = questions
            .iter()
            .filter_map(|question| {
                let people = survey.people(culture, &question.id)?;
                let mut shares = vec![0.0; question.options.len()];
                *shares.get_mut(random.below(question.options.len().max(1)))? = 1.0;
                metric.part(question, &shares, people)
            })
            .collect();
        metric.score(&parts)
    };
    let total: Option<f64> = (0..RANDOM_DRAWS).map(|_| draw(&mut random)).sum();
    Some(total? / RANDOM_DRAWS as f64)
}
