//! How several replies to the same message differ, recomputed in the browser while text arrives.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// English words that carry grammar rather than content; they never set a voice apart.
const FUNCTION_WORDS: &str = "a about after all also always am an and any are as at be because been \
    before but by can could did do does doesn't don't each every for from get had has have he her \
    here him his how i i'm if in into is isn't it it's its just like many me more most much my no \
    not of often on one only or other our out over she should so some than that that's the their \
    them then there these they this those to too up us very was we were what when where which who \
    why will with would you your";

/// Total weight of the prior, in words. The prior follows the pooled counts, so that a word which
/// all voices use pulls each voice's estimate towards the common rate.
const PRIOR_WORDS: f64 = 20.0;

/// A word and how strongly it belongs to one voice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordScore {
    /// The word, lower-case.
    pub word: String,
    /// z-score of the log-odds ratio against the other voices; larger is more distinctive.
    pub z: f64,
    /// Times this voice used it.
    pub count: usize,
}

/// The words of `text`, lower-case: runs of letters and digits, with apostrophes inside a word.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’'))
        .map(|word| word.replace('’', "'").trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
}

/// For every text, the at most `top` words that set it apart from all the others together: log-odds
/// ratio with an informative Dirichlet prior (Monroe, Colaresi, Quinn 2008, "Fightin' Words",
/// equations 15, 16, 19 and 20). Only words with a positive score are listed, best first; ties are
/// in alphabetical order. With fewer than two non-empty texts nothing can be set apart.
pub fn distinctive_words(texts: &[String], top: usize) -> Vec<Vec<WordScore>> {
    let counts = content_counts(texts);
    if counts.iter().filter(|count| !count.is_empty()).count() < 2 {
        return vec![Vec::new(); texts.len()];
    }
    let mut pooled: BTreeMap<&str, f64> = BTreeMap::new();
    for (word, count) in counts.iter().flatten() {
        *pooled.entry(word).or_default() += *count as f64;
    }
    let total: f64 = pooled.values().sum();
    counts
        .iter()
        .map(|own| {
            let own_total: f64 = own.values().map(|count| *count as f64).sum();
            let mut scores: Vec<WordScore> = own
                .iter()
                .map(|(word, &count)| {
                    let all = pooled[word.as_str()];
                    let prior = PRIOR_WORDS * all / total;
                    let mine = (count as f64, own_total);
                    let z = log_odds_z(mine, (all - mine.0, total - mine.1), prior);
                    WordScore { word: word.clone(), z, count }
                })
                .filter(|score| score.z > 0.0)
                .collect();
            // The sort is stable and the words arrive in alphabetical order.
            scores.sort_by(|a, b| b.z.total_cmp(&a.z));
            scores.truncate(top);
            scores
        })
        .collect()
}

/// Pairwise similarity of texts, in 0..=1: cosine of the vectors `1 + ln(count)` over content words.
/// A text without content words is similar to none but itself; the diagonal is 1.
pub fn similarity(texts: &[String]) -> Vec<Vec<f64>> {
    let vectors: Vec<BTreeMap<String, f64>> = content_counts(texts)
        .into_iter()
        .map(|counts| counts.into_iter().map(|(word, n)| (word, 1.0 + (n as f64).ln())).collect())
        .collect();
    let norms: Vec<f64> =
        vectors.iter().map(|vector| vector.values().map(|x| x * x).sum::<f64>().sqrt()).collect();
    let cosine = |i: usize, j: usize| {
        if i == j {
            return 1.0;
        }
        let dot: f64 =
            vectors[i].iter().filter_map(|(word, x)| vectors[j].get(word).map(|y| x * y)).sum();
        if dot == 0.0 { 0.0 } else { (dot / (norms[i] * norms[j])).clamp(0.0, 1.0) }
    };
    (0..texts.len()).map(|i| (0..texts.len()).map(|j| cosine(i, j)).collect()).collect()
}

fn content_counts(texts: &[String]) -> Vec<BTreeMap<String, usize>> {
    let function_words: BTreeSet<&str> = FUNCTION_WORDS.split_whitespace().collect();
    texts
        .iter()
        .map(|text| {
            let mut counts = BTreeMap::new();
            for word in words(text).filter(|word| !function_words.contains(word.as_str())) {
                *counts.entry(word).or_insert(0) += 1;
            }
            counts
        })
        .collect()
}

/// z-score of the log-odds ratio; `mine` and `others` are (count of the word, all words).
fn log_odds_z(mine: (f64, f64), others: (f64, f64), prior: f64) -> f64 {
    let log_odds = |(count, all): (f64, f64)| {
        ((count + prior) / (all + PRIOR_WORDS - count - prior).max(f64::MIN_POSITIVE)).ln()
    };
    let variance = 1.0 / (mine.0 + prior) + 1.0 / (others.0 + prior);
    (log_odds(mine) - log_odds(others)) / variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn words_keep_inner_apostrophes() {
        let found: Vec<String> = words("It’s 'my' Café, isn't it?").collect();
        assert_eq!(found, ["it's", "my", "café", "isn't", "it"]);
    }

    #[test]
    fn finds_what_only_one_voice_says() {
        let found = distinctive_words(
            &texts(&[
                "Family comes first. We share rice and we share rice again.",
                "Family comes first. I share my time with friends.",
            ]),
            2,
        );
        let listed = |index: usize| -> Vec<&str> {
            found[index].iter().map(|score| score.word.as_str()).collect()
        };
        assert_eq!(listed(0), ["rice", "again"]);
        assert_eq!(listed(1), ["friends", "time"]);
        assert_eq!(found[0][0].count, 2);
    }

    #[test]
    fn one_voice_alone_is_not_distinctive() {
        assert_eq!(distinctive_words(&texts(&["rice"]), 5), [vec![]]);
        assert_eq!(distinctive_words(&texts(&["rice", ""]), 5), [vec![], vec![]]);
        assert!(distinctive_words(&[], 5).is_empty());
    }

    #[test]
    fn similarity_knows_its_ends() {
        let matrix = similarity(&texts(&["rice and tea", "Tea, rice!", "snow", "", ""]));
        assert!((matrix[0][1] - 1.0).abs() < 1e-12);
        assert_eq!(matrix[0][2], 0.0);
        assert_eq!(matrix[3][4], 0.0);
        assert_eq!(matrix[3][3], 1.0);
    }

    proptest! {
        #[test]
        fn similarity_is_symmetric_and_bounded(texts in prop::collection::vec("[a-e ]{0,20}", 0..5)) {
            let matrix = similarity(&texts);
            for (i, row) in matrix.iter().enumerate() {
                for (j, &value) in row.iter().enumerate() {
                    prop_assert!((0.0..=1.0).contains(&value));
                    prop_assert!((value - matrix[j][i]).abs() < 1e-12);
                }
            }
        }

        #[test]
        fn scores_are_finite_and_words_occur(texts in prop::collection::vec("[a-e ]{0,30}", 0..5)) {
            for (text, scores) in texts.iter().zip(distinctive_words(&texts, 10)) {
                for score in scores {
                    prop_assert!(score.z.is_finite() && score.z > 0.0);
                    prop_assert_eq!(words(text).filter(|w| *w == score.word).count(), score.count);
                }
            }
        }
    }
}
