//! Coefficients of agreement between any number of raters, as functions of tallies.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::tally::Tallies;

/// A coefficient of agreement. 1 is perfect agreement; 0 is what chance would give, except for
/// [`Coefficient::Percent`], which does not correct for chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coefficient {
    /// Share of agreeing pairs of ratings of the same item, averaged over items.
    Percent,
    /// Fleiss' kappa (Fleiss 1971); with missing ratings in Gwet's form.
    Fleiss,
    /// Krippendorff's alpha, where categories differ or don't.
    AlphaNominal,
    /// Krippendorff's alpha, where categories are ordered.
    AlphaOrdinal,
    /// Gwet's AC1: chance is estimated so that one frequent category doesn't hide agreement.
    Ac1,
    /// Gwet's AC2 with ordinal weights: AC1 where categories are ordered.
    Ac2,
}

impl Coefficient {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Percent, Self::Fleiss, Self::AlphaNominal, Self::AlphaOrdinal, Self::Ac1, Self::Ac2];

    /// Name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Percent => "Percent agreement",
            Self::Fleiss => "Fleiss’ kappa",
            Self::AlphaNominal => "Krippendorff’s alpha",
            Self::AlphaOrdinal => "Krippendorff’s alpha, ordinal",
            Self::Ac1 => "Gwet’s AC1",
            Self::Ac2 => "Gwet’s AC2, ordinal",
        }
    }

    /// How it is computed, in a sentence or two.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Percent => {
                "Of all pairs of ratings of the same item, the share that agree, averaged over \
                 items with two ratings or more. Chance agreement is included."
            }
            Self::Fleiss => {
                "Percent agreement corrected for chance: (observed − expected) / (1 − expected), \
                 where chance draws from how often each label was used."
            }
            Self::AlphaNominal => {
                "1 − observed / expected disagreement, over all pairs of ratings of the same \
                 item against all pairs of ratings whatsoever."
            }
            Self::AlphaOrdinal => {
                "As Krippendorff’s alpha, but a disagreement counts more the more ratings lie \
                 between the two labels."
            }
            Self::Ac1 => {
                "Corrected for chance like kappa, but chance agreement is small where one label \
                 is used for almost everything, so frequent labels don’t push it down."
            }
            Self::Ac2 => {
                "As AC1, but neighbouring labels count as partial agreement (ordinal weights)."
            }
        }
    }

    /// Whether it makes sense only where the order of categories means something.
    pub fn needs_order(self) -> bool {
        matches!(self, Self::AlphaOrdinal | Self::Ac2)
    }

    /// The coefficient of all items; `None` where it is not defined: without an item that two
    /// raters have rated, or where chance alone would agree perfectly.
    pub fn value(self, tallies: &Tallies) -> Option<f64> {
        self.weighted(tallies, &tallies.weights())
    }

    /// The coefficient where each pattern of `tallies` occurs as often as `weights` says.
    pub(super) fn weighted(self, tallies: &Tallies, weights: &[u32]) -> Option<f64> {
        let closeness = |ordered: bool| {
            if ordered { ordinal_closeness } else { equality }
        };
        let observed = |ordered| Observed::new(tallies, weights, closeness(ordered));
        match self {
            Self::Percent => Some(observed(false)?.agreement),
            Self::Fleiss => {
                let observed = observed(false)?;
                beyond_chance(observed.agreement, observed.shares.iter().map(|s| s * s).sum())
            }
            Self::AlphaNominal => alpha(tallies, weights, |_, _, _| 1.0),
            Self::AlphaOrdinal => alpha(tallies, weights, ordinal_distance),
            Self::Ac1 | Self::Ac2 => {
                let ordered = self == Self::Ac2;
                let observed = observed(ordered)?;
                let chance = gwet_chance(&observed.shares, closeness(ordered))?;
                beyond_chance(observed.agreement, chance)
            }
        }
    }
}

impl fmt::Display for Coefficient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

/// `(observed - expected) / (1 - expected)`; `None` where nothing is left to explain.
pub(super) fn beyond_chance(observed: f64, expected: f64) -> Option<f64> {
    (expected < 1.0 - 1e-12).then(|| (observed - expected) / (1.0 - expected))
}

/// How close two of `categories` are, in 0..=1, where only equality counts.
fn equality(first: usize, second: usize, _categories: usize) -> f64 {
    if first == second { 1.0 } else { 0.0 }
}

/// The same where categories are ordered: one minus the share of all pairs of neighbours or farther
/// that lie within the two (Gwet 2014, section 3.5, ordinal weights).
fn ordinal_closeness(first: usize, second: usize, categories: usize) -> f64 {
    let pairs_within = |steps: usize| (steps * (steps + 1)) as f64 / 2.0;
    if first == second {
        return 1.0;
    }
    1.0 - pairs_within(first.abs_diff(second)) / pairs_within(categories - 1)
}

/// What the ratings say before chance is considered.
struct Observed {
    /// Mean over shared items of the (weighted) share of agreeing pairs.
    agreement: f64,
    /// Mean over rated items of each category's share of the item's ratings.
    shares: Vec<f64>,
}

impl Observed {
    /// `None` without an item that two raters have rated.
    fn new(
        tallies: &Tallies,
        weights: &[u32],
        closeness: fn(usize, usize, usize) -> f64,
    ) -> Option<Self> {
        let categories = tallies.categories();
        let (mut agreement, mut shared, mut rated) = (0.0, 0.0, 0.0);
        let mut shares = vec![0.0; categories];
        for (counts, &weight) in tallies.patterns().iter().zip(weights) {
            let (weight, total) = (f64::from(weight), f64::from(counts.iter().sum::<u32>()));
            rated += weight;
            for (share, &count) in shares.iter_mut().zip(counts) {
                *share += weight * f64::from(count) / total;
            }
            if total > 1.0 {
                shared += weight;
                agreement += weight * agreeing_pairs(counts, closeness) / (total * (total - 1.0));
            }
        }
        shares.iter_mut().for_each(|share| *share /= rated);
        (shared > 0.0).then(|| Self { agreement: agreement / shared, shares })
    }
}

/// Ordered pairs of different ratings of one item, each as far as it agrees.
fn agreeing_pairs(counts: &[u32], closeness: fn(usize, usize, usize) -> f64) -> f64 {
    let categories = counts.len();
    let mut pairs = 0.0;
    for (first, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let near: f64 = (0..categories)
            .map(|second| closeness(first, second, categories) * f64::from(counts[second]))
            .sum();
        // A rating makes no pair with itself.
        pairs += f64::from(count) * (near - 1.0);
    }
    pairs
}

/// Chance agreement of Gwet's AC1 and AC2 (Gwet 2008, equation 12; 2014, equation 4.15); `None` for
/// fewer than two categories.
fn gwet_chance(shares: &[f64], closeness: fn(usize, usize, usize) -> f64) -> Option<f64> {
    let categories = shares.len();
    let pairs = (categories * categories.checked_sub(1)?) as f64;
    if pairs == 0.0 {
        return None;
    }
    let places = || 0..categories;
    let all: f64 = places().flat_map(|a| places().map(move |b| closeness(a, b, categories))).sum();
    Some(all / pairs * shares.iter().map(|share| share * (1.0 - share)).sum::<f64>())
}

/// Krippendorff's alpha: `1 - observed / expected disagreement` over pairable ratings. `distance`
/// gives the squared difference of two different categories, smaller one first, from the number of
/// pairable ratings per category. `None` where all pairable ratings are the same.
fn alpha(
    tallies: &Tallies,
    weights: &[u32],
    distance: fn(usize, usize, &[f64]) -> f64,
) -> Option<f64> {
    let categories = tallies.categories();
    let patterns = || {
        let paired = tallies.patterns().iter().zip(weights);
        paired.filter(|(counts, _)| counts.iter().sum::<u32>() > 1)
    };
    let mut totals = vec![0.0; categories];
    for (counts, &weight) in patterns() {
        for (total, &count) in totals.iter_mut().zip(counts) {
            *total += f64::from(weight) * f64::from(count);
        }
    }
    let (mut observed, mut expected) = (0.0, 0.0);
    for first in 0..categories {
        for second in first + 1..categories {
            let squared = distance(first, second, &totals);
            expected += totals[first] * totals[second] * squared;
            let together = patterns().map(|(counts, &weight)| {
                let others = f64::from(counts.iter().sum::<u32>() - 1);
                let pairs = f64::from(counts[first]) * f64::from(counts[second]);
                f64::from(weight) * pairs / others
            });
            observed += together.sum::<f64>() * squared;
        }
    }
    let ratings: f64 = totals.iter().sum();
    (expected > 0.0).then(|| 1.0 - (ratings - 1.0) * observed / expected)
}

/// Krippendorff's ordinal metric: the ratings between two categories, their own counted half,
/// squared (Krippendorff 2011, section D).
fn ordinal_distance(first: usize, second: usize, totals: &[f64]) -> f64 {
    let between: f64 = totals[first..=second].iter().sum();
    (between - (totals[first] + totals[second]) / 2.0).powi(2)
}
