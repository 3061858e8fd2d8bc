//! Items as counts per category. Who gave which rating is gone here; [`super::pair`] keeps it.

use std::collections::BTreeMap;

/// Counts per category of many items. Items with the same counts are kept as one pattern, of which
/// there are few however many items there are; so a resample costs one step per item and one
/// evaluation per pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tallies {
    categories: usize,
    patterns: Vec<Vec<u32>>,
    of_item: Vec<usize>,
}

impl Tallies {
    /// Tallies items, each given by its ratings as 0-based categories in any order. `None` where a
    /// rating names a category beyond `categories`. Items without a rating are left out.
    pub fn new<I>(categories: usize, items: I) -> Option<Self>
    where
        I: IntoIterator,
        I::Item: IntoIterator<Item = usize>,
    {
        let mut tallies = Self::none(categories);
        let mut known = BTreeMap::new();
        for ratings in items {
            let mut counts = vec![0; categories];
            for category in ratings {
                *counts.get_mut(category)? += 1;
            }
            tallies.add(counts, &mut known);
        }
        Some(tallies)
    }

    /// No items.
    pub fn none(categories: usize) -> Self {
        Self { categories, patterns: Vec::new(), of_item: Vec::new() }
    }

    /// The same items with two categories: `category` (0) and everything else (1).
    pub fn one_against_rest(&self, category: usize) -> Self {
        let mut tallies = Self::none(2);
        let mut known = BTreeMap::new();
        for &pattern in &self.of_item {
            let counts = &self.patterns[pattern];
            let chosen = counts.get(category).copied().unwrap_or(0);
            tallies.add(vec![chosen, counts.iter().sum::<u32>() - chosen], &mut known);
        }
        tallies
    }

    fn add(&mut self, counts: Vec<u32>, known: &mut BTreeMap<Vec<u32>, usize>) {
        if counts.iter().all(|count| *count == 0) {
            return;
        }
        let next = self.patterns.len();
        let pattern = *known.entry(counts.clone()).or_insert(next);
        if pattern == next {
            self.patterns.push(counts);
        }
        self.of_item.push(pattern);
    }

    /// Number of categories.
    pub fn categories(&self) -> usize {
        self.categories
    }

    /// Items with at least one rating.
    pub fn items(&self) -> usize {
        self.of_item.len()
    }

    /// Items with at least two ratings, which alone tell about agreement.
    pub fn shared_items(&self) -> usize {
        let shared = |pattern: &&usize| self.patterns[**pattern].iter().sum::<u32>() > 1;
        self.of_item.iter().filter(shared).count()
    }

    /// All ratings.
    pub fn ratings(&self) -> usize {
        self.of_item.iter().flat_map(|&pattern| &self.patterns[pattern]).sum::<u32>() as usize
    }

    /// How often a category was chosen.
    pub fn times(&self, category: usize) -> usize {
        let counts = self.of_item.iter().filter_map(|&item| self.patterns[item].get(category));
        counts.sum::<u32>() as usize
    }

    /// The different counts that occur.
    pub(super) fn patterns(&self) -> &[Vec<u32>] {
        &self.patterns
    }

    /// The pattern of every item.
    pub(super) fn of_item(&self) -> &[usize] {
        &self.of_item
    }

    /// How many items have each pattern.
    pub(super) fn weights(&self) -> Vec<u32> {
        let mut weights = vec![0; self.patterns.len()];
        self.of_item.iter().for_each(|&pattern| weights[pattern] += 1);
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_counts_are_one_pattern() {
        let tallies = Tallies::new(3, [vec![0, 1], vec![1, 0], vec![], vec![2], vec![2]]).unwrap();
        assert_eq!(tallies.patterns(), [vec![1, 1, 0], vec![0, 0, 1]]);
        assert_eq!(tallies.weights(), [2, 2]);
        assert_eq!((tallies.items(), tallies.shared_items(), tallies.ratings()), (4, 2, 6));
        assert_eq!([0, 1, 2, 3].map(|category| tallies.times(category)), [2, 2, 2, 0]);
    }

    #[test]
    fn an_unknown_category_is_refused() {
        assert_eq!(Tallies::new(2, [vec![0, 2]]), None);
    }

    #[test]
    fn one_category_stands_against_the_rest() {
        let tallies = Tallies::new(3, [vec![0, 1, 2], vec![1, 1]]).unwrap().one_against_rest(1);
        assert_eq!(tallies.patterns(), [vec![1, 2], vec![2, 0]]);
    }
}
