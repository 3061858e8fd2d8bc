//! Questions that say nearly the same: the Jaccard similarity of their sets of words.
//!
//! Similarity is the number of shared words over the number of words in either; case, punctuation,
//! order and repetition don't count. Every pair at or above the threshold is found: two sets can
//! only be that similar if they share a word among the first few of a fixed order (prefix filter,
//! Chaudhuri, Ganti, Kaushik 2006), so only those few are looked up, and the candidates are
//! compared exactly. No hashing that could miss a pair.

use std::collections::{BTreeSet, HashMap};

/// Texts that new ones are compared with.
#[derive(Debug, Clone)]
pub struct NearDuplicates {
    threshold: f64,
    sets: Vec<Vec<u32>>,
    /// Sets by the words of their beginnings.
    by_word: HashMap<u32, Vec<usize>>,
    numbers: HashMap<String, u32>,
}

impl NearDuplicates {
    /// Holds no text yet; `threshold` is the similarity, above 0 and at most 1, from which on two
    /// texts are nearly the same.
    pub fn new(threshold: f64) -> Self {
        Self { threshold, sets: Vec::new(), by_word: HashMap::new(), numbers: HashMap::new() }
    }

    /// Adds a text.
    pub fn insert(&mut self, text: &str) {
        let (beginning, set) = self.words(text);
        let place = self.sets.len();
        for word in beginning {
            self.by_word.entry(word).or_default().push(place);
        }
        self.sets.push(set);
    }

    /// Whether an inserted text is nearly the same as `text`.
    pub fn contains(&mut self, text: &str) -> bool {
        let (beginning, set) = self.words(text);
        let candidates: BTreeSet<usize> =
            beginning.iter().filter_map(|word| self.by_word.get(word)).flatten().copied().collect();
        candidates.into_iter().any(|place| jaccard(&self.sets[place], &set) >= self.threshold)
    }

    /// The words that a similar set must share one of, and all words in ascending order.
    fn words(&mut self, text: &str) -> (Vec<u32>, Vec<u32>) {
        let distinct: BTreeSet<String> =
            super::normalised(text).split(' ').map(str::to_owned).collect();
        let mut ordered: Vec<String> = distinct.into_iter().collect();
        // Long words are rare words: looking them up first leaves few candidates.
        ordered.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let next = |numbers: &HashMap<String, u32>| numbers.len() as u32;
        let mut set: Vec<u32> = ordered
            .into_iter()
            .map(|word| {
                let fresh = next(&self.numbers);
                *self.numbers.entry(word).or_insert(fresh)
            })
            .collect();
        let must_share = (self.threshold * set.len() as f64).ceil() as usize;
        let beginning = set[..set.len() - must_share.min(set.len()) + 1.min(set.len())].to_vec();
        set.sort_unstable();
        (beginning, set)
    }
}

/// Shared over all elements of two ascending sets; 1 for two empty ones.
fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, shared) = (i + 1, j + 1, shared + 1),
        }
    }
    let all = a.len() + b.len() - shared;
    if all == 0 { 1.0 } else { shared as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_changes_of_long_questions_are_near() {
        let long =
            "How often do you take time to appreciate and reflect on the small joys in life?";
        let mut near = NearDuplicates::new(0.9);
        near.insert(long);
        for (text, expect) in [
            (long, true),
            (
                "how often do YOU take time to reflect on and appreciate the small joys in life",
                true,
            ),
            (
                "How often do you take time to appreciate and reflect on the small joys in daily life?",
                true,
            ),
            ("How often do you take time to appreciate and regret the great joys in life?", false),
            ("How often do you sing?", false),
        ] {
            assert_eq!(near.contains(text), expect, "{text}");
        }
    }

    proptest! {
        /// The look-up finds exactly what comparing with everything finds.
        #[test]
        fn no_pair_is_missed(
            texts in prop::collection::vec("[a-f]{1,2}( [a-f]{1,2}){0,9}", 1..20),
            threshold in 0.3f64..=1.0,
        ) {
            let mut near = NearDuplicates::new(threshold);
            let mut inserted: Vec<Vec<u32>> = Vec::new();
            for text in &texts {
                let (_, set) = near.words(text);
                let expect = inserted.iter().any(|other| jaccard(other, &set) >= threshold);
                prop_assert_eq!(near.contains(text), expect);
                near.insert(text);
                inserted.push(set);
            }
        }
    }
}
