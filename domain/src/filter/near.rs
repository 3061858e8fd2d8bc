//! Questions that say nearly the same: the Jaccard similarity of their sets of words.
//!
//! Similarity is the number of shared words over the number of words in either; case, punctuation,
//! order and repetition don't count. Every pair at or above the threshold is found: two sets can
//! only be that similar if they share a word among the first few of a fixed order (prefix filter,
//! Chaudhuri, Ganti, Kaushik 2006), so only those few are looked up, and the candidates are
//! compared exactly. No hashing that could miss a pair.

use std::collections::HashMap;

/// Texts that new ones are compared with.
#[derive(Debug, Clone)]
pub struct NearDuplicates {
    threshold: f64,
    sets: Vec<Vec<u32>>,
    /// Sets by the words of their beginnings.
    by_word: Vec<Vec<u32>>,
    numbers: HashMap<String, u32>,
}

/// The words of a text as numbers.
#[derive(Debug, Clone)]
pub struct Words {
    /// Those that a similar set must share one of.
    beginning: Vec<u32>,
    /// All of them in ascending order.
    set: Vec<u32>,
}

impl NearDuplicates {
    /// Holds no text yet; `threshold` is the similarity, above 0 and at most 1, from which on two
    /// texts are nearly the same.
    pub fn new(threshold: f64) -> Self {
        Self { threshold, sets: Vec::new(), by_word: Vec::new(), numbers: HashMap::new() }
    }

    /// Adds a text, given by its [`Self::words`].
    pub fn insert(&mut self, words: Words) {
        let place = self.sets.len() as u32;
        for word in words.beginning {
            self.by_word[word as usize].push(place);
        }
        self.sets.push(words.set);
    }

    /// Whether an inserted text is nearly the same.
    pub fn contains(&self, words: &Words) -> bool {
        let set = &words.set;
        // Sets of too different sizes can't be similar enough.
        let least = (self.threshold * set.len() as f64).ceil() as usize;
        let most = (set.len() as f64 / self.threshold).floor() as usize;
        let candidates = words.beginning.iter().flat_map(|word| &self.by_word[*word as usize]);
        candidates.map(|place| &self.sets[*place as usize]).any(|other| {
            (least..=most).contains(&other.len()) && jaccard(other, set) >= self.threshold
        })
    }

    /// The words of a text, ready to be looked up and added.
    pub fn words(&mut self, text: &str) -> Words {
        let lower = text.to_lowercase();
        let mut ordered: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        // Long words are rare words: looking them up first leaves few candidates.
        ordered.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        ordered.dedup();
        let mut set: Vec<u32> = ordered.into_iter().map(|word| self.number(word)).collect();
        let must_share = (self.threshold * set.len() as f64).ceil() as usize;
        let beginning = (set.len() + 1).saturating_sub(must_share.max(1)).min(set.len());
        let beginning = set[..beginning].to_vec();
        set.sort_unstable();
        Words { beginning, set }
    }

    fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(word.to_owned(), number);
        self.by_word.push(Vec::new());
        number
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
        let words = near.words(long);
        near.insert(words);
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
            let words = near.words(text);
            assert_eq!(near.contains(&words), expect, "{text}");
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
                let words = near.words(text);
                let expect = inserted.iter().any(|other| jaccard(other, &words.set) >= threshold);
                prop_assert_eq!(near.contains(&words), expect);
                inserted.push(words.set.clone());
                near.insert(words);
            }
        }
    }
}
