//! The mean score and the mean gain over cultures, with an interval.
//!
//! Cultures answer the same questions, so their scores and gains hang together: one resample draws questions
//! and scores every culture on the same draw (a cluster bootstrap with the question as cluster).

use std::collections::BTreeSet;

use super::RESAMPLES;
use super::bootstrap::{Columns, Interval, resample};
use super::evaluation::Parts;
use super::metric::{Metric, Part};

/// The 95 % interval of the mean over cultures of one voice's scores, from every culture's parts. `None` for
/// no culture, or fewer than two questions.
pub fn mean_interval(metric: Metric, cultures: &[&Parts]) -> Option<Interval> {
    let questions: BTreeSet<_> = cultures.iter().flat_map(|parts| parts.keys()).collect();
    let column = |parts: &&Parts| Columns::new(questions.iter().map(|id| parts.get(*id).copied()));
    let columns: Vec<Columns> = cultures.iter().map(column).collect();
    if columns.is_empty() {
        return None;
    }
    resample(questions.len(), RESAMPLES, |counts| {
        let scores: Vec<f64> = columns.iter().filter_map(|c| c.score(metric, counts)).collect();
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    })
}

/// The 95 % interval of the mean over cultures of `first - second`. Each pair holds one culture's
/// parts under both voices; questions that only one of them has are left out. `None` for no pair,
/// or fewer than two questions.
pub fn mean_paired_interval(metric: Metric, pairs: &[(&Parts, &Parts)]) -> Option<Interval> {
    mean_paired_interval_of(metric, pairs, RESAMPLES)
}

/// [`mean_paired_interval`] from so many resamples.
pub fn mean_paired_interval_of(
    metric: Metric,
    pairs: &[(&Parts, &Parts)],
    resamples: usize,
) -> Option<Interval> {
    let questions: BTreeSet<_> = pairs.iter().flat_map(|(first, _)| first.keys()).collect();
    // Looked up once: the parts of all questions under both voices, per culture.
    let cultures: Vec<(Columns, Columns)> = pairs
        .iter()
        .map(|(first, second)| {
            let both = |id| Some((*first.get(id)?, *second.get(id)?));
            let column = |of: fn((Part, Part)) -> Part| {
                Columns::new(questions.iter().map(|id| both(*id).map(of)))
            };
            (column(|(first, _)| first), column(|(_, second)| second))
        })
        .collect();
    if cultures.is_empty() {
        return None;
    }
    resample(questions.len(), resamples, |counts| {
        let gain = |(first, second): &(Columns, Columns)| {
            Some(first.score(metric, counts)? - second.score(metric, counts)?)
        };
        let gains: Vec<f64> = cultures.iter().filter_map(gain).collect();
        (!gains.is_empty()).then(|| gains.iter().sum::<f64>() / gains.len() as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::super::interval;
    use super::*;

    fn parts(values: &[f64]) -> Parts {
        let numbered = values.iter().enumerate();
        numbered.map(|(i, v)| (format!("Q{i}").as_str().into(), Part::closeness(*v))).collect()
    }

    #[test]
    fn a_constant_gain_has_no_width() {
        let (low, high) = (parts(&[0.1, 0.5, 0.3]), parts(&[0.3, 0.7, 0.5]));
        let interval =
            mean_paired_interval(Metric::ExactMode, &[(&high, &low), (&high, &low)]).unwrap();
        assert!((interval.low - 0.2).abs() < 1e-12 && (interval.high - 0.2).abs() < 1e-12);
    }

    #[test]
    fn opposite_gains_cancel_only_on_the_same_draw() {
        // One culture gains where the other loses, question by question: every shared draw has
        // mean gain 0, which draws made apart would not have.
        let (flat, mixed, other) =
            (parts(&[0.5; 4]), parts(&[0.1, 0.9, 0.2, 0.6]), parts(&[0.9, 0.1, 0.8, 0.4]));
        let interval =
            mean_paired_interval(Metric::ExactMode, &[(&mixed, &flat), (&other, &flat)]).unwrap();
        assert!(interval.low.abs() < 1e-12 && interval.high.abs() < 1e-12, "{interval:?}");
    }

    #[test]
    fn the_mean_of_one_culture_has_that_culture_s_interval() {
        let one = parts(&[0.1, 0.9, 0.2, 0.6, 0.7]);
        let alone = interval(Metric::ExactMode, &one.values().copied().collect::<Vec<_>>());
        assert_eq!(mean_interval(Metric::ExactMode, &[&one]), alone);
        // Where one culture is high the other is low: drawn together, their mean hardly moves.
        let other = parts(&[0.9, 0.1, 0.8, 0.4, 0.3]);
        let mean = mean_interval(Metric::ExactMode, &[&one, &other]).unwrap();
        assert!((mean.low - 0.5).abs() < 1e-12 && (mean.high - 0.5).abs() < 1e-12, "{mean:?}");
        assert_eq!(mean_interval(Metric::ExactMode, &[]), None);
    }

    #[test]
    fn too_little_is_none() {
        let one = parts(&[1.0]);
        assert_eq!(mean_paired_interval(Metric::ExactMode, &[(&one, &one)]), None);
        assert_eq!(mean_paired_interval(Metric::ExactMode, &[]), None);
    }
}
