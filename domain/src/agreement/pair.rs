//! Two annotators with each other.

use serde::{Deserialize, Serialize};

use super::coefficient::beyond_chance;
use super::summary::resampled;
use crate::score::Interval;

/// What two raters said about the items that both have rated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    categories: usize,
    /// Per item: the first rater's category times the number of categories, plus the second's.
    cells: Vec<usize>,
}

/// How far two raters agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairAgreement {
    /// Items that both have rated.
    pub items: usize,
    /// Share of items on which they agree.
    pub percent: Option<f64>,
    /// Cohen's kappa (Cohen 1960); `None` where chance alone would agree perfectly.
    pub kappa: Option<f64>,
    /// 95 % bootstrap interval of kappa over items; `None` for fewer than two items, or where it wasn't
    /// asked for.
    pub kappa_interval: Option<Interval>,
}

impl Pair {
    /// Items as both raters' 0-based categories; `None` where one is beyond `categories`.
    pub fn new(categories: usize, items: impl IntoIterator<Item = (usize, usize)>) -> Option<Self> {
        let cell = |(first, second): (usize, usize)| {
            (first < categories && second < categories).then_some(first * categories + second)
        };
        Some(Self { categories, cells: items.into_iter().map(cell).collect::<Option<_>>()? })
    }

    /// The share of agreement and Cohen's kappa, with an interval.
    pub fn agreement(&self) -> PairAgreement {
        PairAgreement { kappa_interval: self.kappa_interval(), ..self.values() }
    }

    /// The same without the interval, which costs thousands of times as much: for tables of many pairs.
    pub fn values(&self) -> PairAgreement {
        let counts = self.counts();
        PairAgreement {
            items: self.cells.len(),
            percent: self.percent(&counts),
            kappa: self.kappa(&counts),
            kappa_interval: None,
        }
    }

    /// The interval of Cohen's kappa.
    pub fn kappa_interval(&self) -> Option<Interval> {
        let kappa = |counts: &[u32]| vec![self.kappa(counts)];
        let kinds = self.categories * self.categories;
        resampled(&self.cells, kinds, 1, kappa).pop().flatten()
    }

    fn counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.categories * self.categories];
        self.cells.iter().for_each(|&cell| counts[cell] += 1);
        counts
    }

    fn percent(&self, counts: &[u32]) -> Option<f64> {
        let total: u32 = counts.iter().sum();
        let equal: u32 = counts.iter().step_by(self.categories + 1).sum();
        (total > 0).then(|| f64::from(equal) / f64::from(total))
    }

    fn kappa(&self, counts: &[u32]) -> Option<f64> {
        let observed = self.percent(counts)?;
        let total = f64::from(counts.iter().sum::<u32>());
        let first = |category: usize| {
            counts[category * self.categories..][..self.categories].iter().sum::<u32>()
        };
        let second =
            |category: usize| counts.iter().skip(category).step_by(self.categories).sum::<u32>();
        let chance: f64 = (0..self.categories)
            .map(|category| f64::from(first(category)) * f64::from(second(category)))
            .sum();
        beyond_chance(observed, chance / (total * total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_and_one_label_have_no_kappa() {
        let nobody = Pair::new(2, []).unwrap().agreement();
        assert_eq!((nobody.items, nobody.percent, nobody.kappa), (0, None, None));
        let same = Pair::new(2, [(1, 1), (1, 1)]).unwrap().agreement();
        assert_eq!((same.percent, same.kappa), (Some(1.0), None));
        assert_eq!(Pair::new(2, [(0, 2)]), None);
    }

    #[test]
    fn the_interval_holds_the_value() {
        let items = (0..60).map(|i| (i % 3, if i % 4 == 0 { (i + 1) % 3 } else { i % 3 }));
        let found = Pair::new(3, items).unwrap().agreement();
        let (kappa, interval) = (found.kappa.unwrap(), found.kappa_interval.unwrap());
        assert!(interval.low < kappa && kappa < interval.high, "{found:?}");
    }

    #[test]
    fn without_the_interval_all_else_is_the_same() {
        let pair = Pair::new(2, (0..9).map(|i| (i % 2, i % 3 % 2))).unwrap();
        let (whole, values) = (pair.agreement(), pair.values());
        assert_eq!(values, PairAgreement { kappa_interval: None, ..whole });
        assert!(whole.kappa_interval.is_some());
    }
}
