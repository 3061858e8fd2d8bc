//! The mean gain over cultures, with an interval.
//!
//! Cultures answer the same questions, so their gains hang together: one resample draws questions
//! and scores every culture on the same draw (a cluster bootstrap with the question as cluster).

use std::collections::BTreeSet;

use super::bootstrap::{Interval, percentile_interval};
use super::evaluation::Parts;
use super::metric::Metric;
use super::{RESAMPLES, SEED};
use crate::random::SplitMix64;

/// The 95 % interval of the mean over cultures of `first - second`. Each pair holds one culture's
/// parts under both voices; questions that only one of them has are left out. `None` for no pair,
/// or fewer than two questions.
pub fn mean_paired_interval(metric: Metric, pairs: &[(&Parts, &Parts)]) -> Option<Interval> {
    let questions: BTreeSet<_> = pairs.iter().flat_map(|(first, _)| first.keys()).collect();
    let questions: Vec<_> = questions.into_iter().collect();
    // Looked up once: a question's parts under both voices, per culture.
    let table: Vec<Vec<_>> = pairs
        .iter()
        .map(|(first, second)| {
            questions.iter().map(|id| Some((*first.get(*id)?, *second.get(*id)?))).collect()
        })
        .collect();
    if table.is_empty() || questions.len() < 2 {
        return None;
    }
    let mut random = SplitMix64::new(SEED);
    let mut picks = vec![0; questions.len()];
    let draws = (0..RESAMPLES)
        .filter_map(|_| {
            picks.fill_with(|| random.below(questions.len()));
            let gains: Vec<f64> = table
                .iter()
                .filter_map(|row| {
                    let drawn = || picks.iter().filter_map(|&index| row[index].as_ref());
                    let first = metric.score(drawn().map(|(first, _)| first))?;
                    Some(first - metric.score(drawn().map(|(_, second)| second))?)
                })
                .collect();
            (!gains.is_empty()).then(|| gains.iter().sum::<f64>() / gains.len() as f64)
        })
        .collect();
    percentile_interval(draws)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::metric::Part;

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
    fn too_little_is_none() {
        let one = parts(&[1.0]);
        assert_eq!(mean_paired_interval(Metric::ExactMode, &[(&one, &one)]), None);
        assert_eq!(mean_paired_interval(Metric::ExactMode, &[]), None);
    }
}
