//! Several coefficients of the same items, with 95 % bootstrap intervals over items.
//!
//! All coefficients of a resample see the same draw, by the generator that intervals of scores use
//! too: a browser and the server show the same numbers.

use serde::{Deserialize, Serialize};

use super::coefficient::Coefficient;
use super::tally::Tallies;
use crate::random::SplitMix64;
use crate::score::bootstrap::percentile_interval;
use crate::score::{Interval, RESAMPLES, SEED};

/// One coefficient of some items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Which.
    pub coefficient: Coefficient,
    /// Its value; `None` where it is not defined.
    pub value: Option<f64>,
    /// 95 % interval; `None` for fewer than two items.
    pub interval: Option<Interval>,
}

/// How far annotators agree on some items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Items with at least one rating.
    pub items: usize,
    /// Items with at least two ratings.
    pub shared_items: usize,
    /// All ratings.
    pub ratings: usize,
    /// The coefficients asked for, in that order.
    pub estimates: Vec<Estimate>,
}

impl Agreement {
    /// The estimate of `coefficient`, if it was asked for.
    pub fn estimate(&self, coefficient: Coefficient) -> Option<&Estimate> {
        self.estimates.iter().find(|estimate| estimate.coefficient == coefficient)
    }
}

/// The `coefficients` of `tallies`, each with its interval.
pub fn agreement(tallies: &Tallies, coefficients: &[Coefficient]) -> Agreement {
    let values = |weights: &[u32]| {
        coefficients.iter().map(|c| c.weighted(tallies, weights)).collect::<Vec<_>>()
    };
    let (patterns, count) = (tallies.patterns().len(), coefficients.len());
    let intervals = resampled(tallies.of_item(), patterns, count, values);
    let estimates = coefficients
        .iter()
        .zip(values(&tallies.weights()))
        .zip(intervals)
        .map(|((&coefficient, value), interval)| Estimate { coefficient, value, interval })
        .collect();
    Agreement {
        items: tallies.items(),
        shared_items: tallies.shared_items(),
        ratings: tallies.ratings(),
        estimates,
    }
}

/// Intervals of `count` statistics of items of which only the kind matters: `kinds` holds every
/// item's, in `0..kind_count`, and `statistics` maps the number of items per kind to the values. A
/// resample in which a value isn't defined is left out for that value.
pub(super) fn resampled(
    kinds: &[usize],
    kind_count: usize,
    count: usize,
    statistics: impl Fn(&[u32]) -> Vec<Option<f64>>,
) -> Vec<Option<Interval>> {
    if kinds.len() < 2 {
        return vec![None; count];
    }
    let mut random = SplitMix64::new(SEED);
    let mut draws = vec![Vec::with_capacity(RESAMPLES); count];
    let mut drawn = vec![0; kind_count];
    for _ in 0..RESAMPLES {
        drawn.fill(0);
        for _ in kinds {
            drawn[kinds[random.below(kinds.len())]] += 1;
        }
        for (draws, value) in draws.iter_mut().zip(statistics(&drawn)) {
            draws.extend(value);
        }
    }
    draws.into_iter().map(percentile_interval).collect()
}
