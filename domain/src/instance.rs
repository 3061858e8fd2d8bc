//! Step 3 of the method: (question, culture) pairs whose aware answer differs from the unaware one.

use serde::{Deserialize, Serialize};

use crate::culture::CultureCode;
use crate::question::QuestionId;

/// The answers of one model to one question, unaware and under one culture's persona.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerPair {
    /// The question.
    pub question: QuestionId,
    /// The culture the aware persona named.
    pub culture: CultureCode,
    /// Option number answered without a culture; `None` where unreadable.
    pub unaware: Option<u32>,
    /// Option number answered under the culture's persona; `None` where unreadable.
    pub aware: Option<u32>,
}

/// A training instance: the culture's persona and the question, labelled with the aware answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The question.
    pub question: QuestionId,
    /// The culture.
    pub culture: CultureCode,
    /// Option number answered without a culture.
    pub unaware: u32,
    /// Option number answered under the persona: the label.
    pub aware: u32,
}

/// What became of the candidate pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionCounts {
    /// All candidate pairs.
    pub pairs: usize,
    /// Pairs whose answers differ: the instances.
    pub inconsistent: usize,
    /// Pairs whose answers agree.
    pub consistent: usize,
    /// Pairs with an unreadable answer on either side.
    pub unreadable: usize,
}

/// Keeps a pair if and only if both answers are readable and differ (paper, section 3.3).
pub fn collect(pairs: &[AnswerPair]) -> (Vec<Instance>, CollectionCounts) {
    let mut counts = CollectionCounts { pairs: pairs.len(), ..Default::default() };
    let mut instances = Vec::new();
    for pair in pairs {
        match (pair.unaware, pair.aware) {
            (Some(unaware), Some(aware)) if unaware != aware => {
                counts.inconsistent += 1;
                let question = pair.question.clone();
                instances.push(Instance { question, culture: pair.culture, unaware, aware });
            }
            (Some(_), Some(_)) => counts.consistent += 1,
            _ => counts.unreadable += 1,
        }
    }
    (instances, counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_exactly_the_readable_differences() {
        let culture = "KEN".parse().unwrap();
        let pair = |unaware, aware| AnswerPair { question: "Q1".into(), culture, unaware, aware };
        let (instances, counts) = collect(&[
            pair(Some(1), Some(2)),
            pair(Some(2), Some(2)),
            pair(None, Some(1)),
            pair(Some(0), None),
        ]);
        assert_eq!(instances.len(), 1);
        assert_eq!((instances[0].unaware, instances[0].aware), (1, 2));
        assert_eq!(
            counts,
            CollectionCounts { pairs: 4, inconsistent: 1, consistent: 1, unreadable: 2 }
        );
    }
}
