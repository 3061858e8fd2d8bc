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
/// A run of digits is one integer, wherever it stands: `"I choose 3."` is 3, `"10"` is 10, and so is
/// `"๑๐"`: digits of other scripts count as they do in the released code, whose pattern is Python's `\d`.
/// A first integer beyond `largest` makes the reply unreadable; later integers are never looked at.
pub fn first_integer(reply: &str, largest: u32) -> Option<u32> {
    let mut digits = reply.chars().map(digit).skip_while(Option::is_none).map_while(|digit| digit);
    let first = digits.next()?;
    let add = |number: u32, digit| number.checked_mul(10)?.checked_add(digit);
    digits.try_fold(first, add).filter(|number| *number <= largest)
}

/// Zeros of the scripts whose decimal digits stand one after the other (Unicode 16, category Nd, Basic
/// Multilingual Plane).
const ZEROS: [u32; 37] = [
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6,
    0x0D66, 0x0DE6, 0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80,
    0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0,
    0xFF10,
];

/// The value of a decimal digit of any script.
fn digit(c: char) -> Option<u32> {
    let after = ZEROS.partition_point(|zero| *zero <= u32::from(c));
    let zero = ZEROS[..after].last()?;
    Some(u32::from(c) - zero).filter(|value| *value < 10)
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
            ("ข้อ ๓", Some(3)),
            ("उत्तर: १०।", Some(10)),
            ("答案是\u{ff12}", Some(2)),
            ("٤", Some(4)),
            ("第三", None),
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
