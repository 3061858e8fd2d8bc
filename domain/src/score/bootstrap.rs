//! Percentile bootstrap over questions (Efron 1979), paired where two voices are compared.

use serde::{Deserialize, Serialize};

use super::metric::{Metric, Part};
use crate::random::SplitMix64;

/// Resamples behind an interval shown on a page or printed by a command.
pub const RESAMPLES: usize = 2000;

/// Seed of the resampling, so that the server and every browser show the same interval.
pub const SEED: u64 = 20_241_012;

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// 2.5th percentile.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

impl Interval {
    /// The interval of the same statistic times `factor`.
    pub fn times(self, factor: f64) -> Self {
        let (a, b) = (self.low * factor, self.high * factor);
        Self { low: a.min(b), high: a.max(b) }
    }

    /// Whether zero lies outside.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Parts of one voice, laid out so that a resample is two products with how often every question was
/// drawn.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    amounts: Vec<f64>,
    scales: Vec<f64>,
}

impl Columns {
    /// Parts in the order of the questions; one that is missing adds nothing.
    pub fn new(parts: impl Iterator<Item = Option<Part>>) -> Self {
        let missing = Part { amount: 0.0, scale: 0.0 };
        let (amounts, scales) =
            parts.map(|part| part.unwrap_or(missing)).map(|part| (part.amount, part.scale)).unzip();
        Self { amounts, scales }
    }

    /// The score of a resample that holds every question so often.
    pub fn score(&self, metric: Metric, counts: &[f64]) -> Option<f64> {
        metric.combine(product(&self.amounts, counts), product(&self.scales, counts))
    }
}

/// Eight sums side by side, which a compiler turns into one instruction.
fn product(values: &[f64], counts: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (values, rest) = values.as_chunks::<8>();
    let (counts, others) = counts.as_chunks::<8>();
    for (values, counts) in values.iter().zip(counts) {
        for (sum, (value, count)) in sums.iter_mut().zip(values.iter().zip(counts)) {
            *sum += value * count;
        }
    }
    let rest: f64 = rest.iter().zip(others).map(|(value, count)| value * count).sum();
    sums.iter().sum::<f64>() + rest
}

/// The interval of one voice's score; `None` for fewer than two questions.
pub fn interval(metric: Metric, parts: &[Part]) -> Option<Interval> {
    let columns = Columns::new(parts.iter().copied().map(Some));
    resample(parts.len(), RESAMPLES, |counts| columns.score(metric, counts))
}

/// The interval of `first - second`, both answered to the same questions in the same order: each
/// resample draws the same questions for both. `None` for fewer than two questions, or where the
/// lengths differ.
pub fn paired_interval(metric: Metric, first: &[Part], second: &[Part]) -> Option<Interval> {
    paired_interval_of(metric, first, second, RESAMPLES)
}

/// [`paired_interval`] from so many resamples.
pub fn paired_interval_of(
    metric: Metric,
    first: &[Part],
    second: &[Part],
    resamples: usize,
) -> Option<Interval> {
    if first.len() != second.len() {
        return None;
    }
    let [first_columns, second_columns] =
        [first, second].map(|parts| Columns::new(parts.iter().copied().map(Some)));
    resample(first.len(), resamples, |counts| {
        Some(first_columns.score(metric, counts)? - second_columns.score(metric, counts)?)
    })
}

/// The interval of the difference of two weighted means (amounts over scales) of the same items in
/// the same order; `None` as for [`paired_interval`].
pub fn paired_mean_interval(first: &[Part], second: &[Part]) -> Option<Interval> {
    // Of the metrics that average, any will do.
    paired_interval(Metric::ExactMode, first, second)
}

/// The middle 95 % of a statistic over `resamples` draws of as many questions as there are; it is told
/// how often every question was drawn. `None` for fewer than two questions.
pub(super) fn resample(
    questions: usize,
    resamples: usize,
    statistic: impl Fn(&[f64]) -> Option<f64>,
) -> Option<Interval> {
    if questions < 2 {
        return None;
    }
    let mut random = SplitMix64::new(SEED);
    let mut counts = vec![0.0; questions];
    let draws = (0..resamples)
        .filter_map(|_| {
            counts.fill(0.0);
            (0..questions).for_each(|_| counts[random.below(questions)] += 1.0);
            statistic(&counts)
        })
        .collect();
    percentile_interval(draws)
}

/// The middle 95 % of `draws`; `None` where there are none.
pub(crate) fn percentile_interval(mut draws: Vec<f64>) -> Option<Interval> {
    draws.sort_by(f64::total_cmp);
    Some(Interval { low: percentile(&draws, 0.025)?, high: percentile(&draws, 0.975)? })
}

/// Linear interpolation between order statistics (type 7 of Hyndman and Fan, 1996).
fn percentile(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = p * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closeness(values: &[f64]) -> Vec<Part> {
        values.iter().map(|&value| Part::closeness(value)).collect()
    }

    #[test]
    fn percentiles_interpolate() {
        let sorted = [0.0, 10.0, 20.0, 30.0];
        assert_eq!(percentile(&sorted, 0.5), Some(15.0));
        assert_eq!(percentile(&sorted, 0.0), Some(0.0));
        assert_eq!(percentile(&sorted, 1.0), Some(30.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn covers_the_mean_and_shrinks_with_more_questions() {
        let few: Vec<f64> = (0..20).map(|i| f64::from(i % 5) / 4.0).collect();
        let many: Vec<f64> = (0..500).map(|i| f64::from(i % 5) / 4.0).collect();
        let few = interval(Metric::ExactMode, &closeness(&few)).unwrap();
        let many = interval(Metric::ExactMode, &closeness(&many)).unwrap();
        assert!(few.low < 0.5 && 0.5 < few.high, "{few:?}");
        assert!(many.high - many.low < few.high - few.low, "{many:?} {few:?}");
        // The normal approximation: 0.5 +- 1.96 * sqrt(0.125 / 500).
        assert!((many.high - 0.531).abs() < 0.006, "{many:?}");
    }

    #[test]
    fn pairing_removes_what_the_voices_share() {
        let first: Vec<f64> = (0..50).map(|i| f64::from(i % 7) / 10.0 + 0.1).collect();
        let second: Vec<f64> = (0..50).map(|i| f64::from(i % 7) / 10.0).collect();
        let paired =
            paired_interval(Metric::EarthMover, &closeness(&first), &closeness(&second)).unwrap();
        assert!((paired.low - 0.1).abs() < 1e-9 && (paired.high - 0.1).abs() < 1e-9, "{paired:?}");
        assert!(paired.excludes_zero());
    }

    #[test]
    fn too_little_to_resample_is_none() {
        assert_eq!(interval(Metric::Alignment, &[]), None);
        assert_eq!(interval(Metric::Alignment, &closeness(&[1.0])), None);
        let (one, two) = (closeness(&[1.0, 1.0]), closeness(&[1.0, 1.0, 1.0]));
        assert_eq!(paired_interval(Metric::Alignment, &one, &two), None);
    }
}
