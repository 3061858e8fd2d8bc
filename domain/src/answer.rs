//! Reading a model's reply to a survey question.

use serde::{Deserialize, Serialize};

use crate::question::QuestionId;

/// One voice's answer to one question, as the model's probability of every option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurveyAnswer {
    /// The question.
    pub question: QuestionId,
    /// Probability per option, in the question's order; sums to 1.
    pub probabilities: Vec<f64>,
}

impl SurveyAnswer {
    /// 0-based index of the most probable option, the first of equals; `None` without options.
    pub fn most_probable(&self) -> Option<usize> {
        most_probable(&self.probabilities)
    }
}

/// 0-based index of the largest probability, the first of equals; `None` for an empty slice.
pub fn most_probable(probabilities: &[f64]) -> Option<usize> {
    let mut best = None;
    for (index, &probability) in probabilities.iter().enumerate() {
        if best.is_none_or(|(_, top)| probability > top) {
            best = Some((index, probability));
        }
    }
    best.map(|(index, _)| index)
}

/// Largest number that counts as an answer when scoring (method, "Score").
pub const LARGEST_SCORED: u32 = 10;

/// Largest number that counts as an answer when collecting instances (method, step 3).
pub const LARGEST_COLLECTED: u32 = 15;

/// The first integer in `reply`, if it is at most `largest`.
///
/// A run of digits is one integer, wherever it stands: `"I choose 3."` is 3, `"10"` is 10. A first
/// integer beyond `largest` makes the reply unreadable; later integers are never looked at.
pub fn first_integer(reply: &str, largest: u32) -> Option<u32> {
    let start = reply.find(|c: char| c.is_ascii_digit())?;
    let digits = &reply[start..];
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().filter(|number| *number <= largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_first_integer() {
        for (reply, expect) in [
            ("3", Some(3)),
            (" 10. Always justifiable", Some(10)),
            ("Option 2, not 3", Some(2)),
            ("0", Some(0)),
            ("-1", Some(1)),
            ("2025", None),
            ("99999999999999999999", None),
            ("I would rather not say.", None),
            ("", None),
        ] {
            assert_eq!(first_integer(reply, LARGEST_SCORED), expect, "{reply}");
        }
        assert_eq!(first_integer("15", LARGEST_COLLECTED), Some(15));
    }

    #[test]
    fn ties_go_to_the_first_option() {
        for (probabilities, expect) in [
            (vec![], None),
            (vec![0.5, 0.5], Some(0)),
            (vec![0.2, 0.4, 0.4], Some(1)),
            (vec![1.0], Some(0)),
        ] {
            assert_eq!(most_probable(&probabilities), expect, "{probabilities:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_never_exceeds(reply in ".*", largest in 0u32..20) {
            prop_assert!(first_integer(&reply, largest).is_none_or(|n| n <= largest));
        }
    }
}
