//! What step 2 has stored, read once: answers, pairs of them, and how far the unaware voice shifts by
//! itself.

use std::collections::BTreeMap;

use app::api::method_run::Replies;
use domain::answer::most_probable;
use domain::culture::CultureCode;
use domain::instance::{AnswerPair, Shift};
use domain::question::Question;
use domain::voice::Voice;
use serde::{Deserialize, Serialize};

use super::{STEP, again, key, twice};
use crate::jobs::{JobError, Method};
use crate::store::UnitKey;

/// What a voice answered to a question, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answered {
    /// Probability per option, in the question's order.
    Probabilities(Vec<f64>),
    /// The number that each drawn reply named.
    Numbers {
        /// `None` where a reply holds no number up to [`LARGEST_COLLECTED`].
        numbers: Vec<Option<u32>>,
    },
}

impl Answered {
    /// The option number that counts as the answer: the most probable one, or the one named most
    /// often; the first of equals. `None` where no reply was readable.
    pub fn chosen(&self, question: &Question) -> Option<u32> {
        let numbers = match self {
            Self::Probabilities(probabilities) => {
                return most_probable(probabilities).map(|index| question.number_of(index));
            }
            Self::Numbers { numbers } => numbers,
        };
        let mut best: Option<(u32, usize)> = None;
        for number in numbers.iter().flatten() {
            let times = numbers.iter().filter(|other| **other == Some(*number)).count();
            if best.is_none_or(|(_, most)| times > most) {
                best = Some((*number, times));
            }
        }
        best.map(|(number, _)| number)
    }

    /// Probability of the option with this number, or its share of the drawn replies.
    pub fn share(&self, question: &Question, number: u32) -> f64 {
        match self {
            Self::Probabilities(probabilities) => {
                let index = question.index_of(number);
                index.and_then(|index| probabilities.get(index)).copied().unwrap_or_default()
            }
            Self::Numbers { numbers } => {
                let named = numbers.iter().filter(|other| **other == Some(number)).count();
                named as f64 / numbers.len().max(1) as f64
            }
        }
    }

    /// This unaware answer and the `aware` one of a culture to the same question; `twice` is the unaware one
    /// drawn again.
    fn paired(
        &self,
        aware: &Self,
        twice: Option<&Self>,
        question: &Question,
        culture: CultureCode,
    ) -> AnswerPair {
        let again = twice.and_then(|twice| twice.chosen(question));
        AnswerPair {
            question: question.id.clone(),
            topic: question.topic.clone(),
            culture,
            unaware: self.chosen(question),
            aware: aware.chosen(question),
            shift: self.shift(aware),
            redrawn: self.chosen(question).zip(again).map(|(first, second)| first != second),
        }
    }

    /// How far another answer to the same question is from this one.
    fn shift(&self, other: &Self) -> Option<Shift> {
        match (self, other) {
            (Self::Probabilities(first), Self::Probabilities(second)) => Shift::new(first, second),
            (Self::Numbers { numbers: first }, Self::Numbers { numbers: second }) => {
                Shift::of_samples(first, second)
            }
            _ => None,
        }
    }
}

/// The questions of a run with everything that was answered to them.
pub(in crate::jobs) struct Elicited<'a> {
    method: &'a Method,
    /// What was asked.
    pub questions: Vec<Question>,
    units: BTreeMap<UnitKey, Answered>,
}

impl Method {
    /// Reads what step 2 has stored so far.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] before questions were generated.
    pub(in crate::jobs) async fn elicited(&self) -> Result<Elicited<'_>, JobError> {
        let questions = self.questions().await?;
        let units = self.store.units(&self.run, STEP).await?;
        Ok(Elicited { method: self, questions, units })
    }
}

impl Elicited<'_> {
    /// The answers of both sides.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] where an answer is missing.
    pub fn pairs(&self) -> Result<Vec<AnswerPair>, JobError> {
        let settings = &self.method.settings;
        let mut pairs = Vec::new();
        for question in &self.questions {
            let unaware = self.answer(&Voice::unaware(), question)?;
            // Runs of older versions drew it once.
            let drawn_again = self.units.get(&twice(question));
            for &culture in &settings.cultures {
                let aware = self.answer(&Voice::styled(culture, settings.style), question)?;
                pairs.push(unaware.paired(aware, drawn_again, question, culture));
            }
        }
        Ok(pairs)
    }

    /// Both answers, unaware and aware, of every pair that has been asked so far.
    pub fn asked(
        &self,
    ) -> impl Iterator<Item = (CultureCode, &Question, &Answered, &Answered)> + '_ {
        let settings = &self.method.settings;
        let of = move |code: CultureCode, question: &Question| {
            let aware = Voice::styled(code, settings.style);
            let unaware = self.units.get(&key(&Voice::unaware(), question))?;
            Some((unaware, self.units.get(&key(&aware, question))?))
        };
        let cultures = settings.cultures.iter().copied();
        cultures.flat_map(move |code| {
            self.questions.iter().filter_map(move |question| {
                let (unaware, aware) = of(code, question)?;
                Some((code, question, unaware, aware))
            })
        })
    }

    /// How far the unaware voice's answers shift between two wordings of its persona, by question;
    /// empty where it was asked in one only.
    pub fn unaware_shifts(&self) -> Vec<f64> {
        let shift = |question: &Question| {
            let first = self.units.get(&key(&Voice::unaware(), question))?;
            Some(first.shift(self.units.get(&again(question))?)?.distance)
        };
        self.questions.iter().filter_map(shift).collect()
    }

    /// The drawn replies, over all voices; `None` where option probabilities were read instead.
    pub fn replies(&self) -> Option<Replies> {
        let mut replies = Replies::default();
        for answered in self.units.values() {
            if let Answered::Numbers { numbers } = answered {
                replies.drawn += numbers.len();
                replies.unreadable += numbers.iter().filter(|number| number.is_none()).count();
            }
        }
        (replies.drawn > 0).then_some(replies)
    }

    fn answer(&self, voice: &Voice, question: &Question) -> Result<&Answered, JobError> {
        self.units.get(&key(voice, question)).ok_or_else(|| JobError::StepMissing {
            run: self.method.run.clone(),
            what: "complete answers",
            step: "elicit",
        })
    }
}

#[cfg(test)]
mod tests {
    use domain::generation::GeneratedQuestion;

    use super::*;

    #[test]
    fn the_number_named_most_often_is_the_answer() {
        let question = GeneratedQuestion {
            question: "Well?".to_owned(),
            options: vec!["Yes".to_owned(), "No".to_owned()],
        };
        let question = question.into_question("G1".into(), "t".into());
        for (numbers, expect) in [
            (vec![Some(2)], Some(2)),
            (vec![Some(1), Some(2), Some(2)], Some(2)),
            (vec![None, Some(2), Some(1)], Some(2)),
            (vec![Some(12)], Some(12)),
            (vec![None], None),
            (vec![], None),
        ] {
            let answered = Answered::Numbers { numbers };
            assert_eq!(answered.chosen(&question), expect, "{answered:?}");
        }
        let answered = Answered::Probabilities(vec![0.2, 0.8]);
        assert_eq!((answered.chosen(&question), answered.share(&question, 2)), (Some(2), 0.8));
        let answered = Answered::Numbers { numbers: vec![Some(2), Some(7), None, Some(2)] };
        assert_eq!((answered.share(&question, 2), answered.share(&question, 7)), (0.5, 0.25));
    }

    #[test]
    fn a_second_draw_is_held_against_the_first() {
        let question = GeneratedQuestion {
            question: "Well?".to_owned(),
            options: vec!["Yes".to_owned(), "No".to_owned()],
        };
        let question = question.into_question("G1".into(), "t".into());
        let of = |number| Answered::Numbers { numbers: vec![number] };
        let (culture, aware) = ("THA".parse().unwrap(), of(Some(2)));
        for (first, second, expect) in [
            (Some(1), Some(of(Some(1))), Some(false)),
            (Some(1), Some(of(Some(2))), Some(true)),
            (Some(1), Some(of(None)), None),
            (None, Some(of(Some(1))), None),
            (Some(1), None, None),
        ] {
            let pair = of(first).paired(&aware, second.as_ref(), &question, culture);
            assert_eq!(pair.redrawn, expect, "{first:?} {second:?}");
        }
    }

    #[test]
    fn answers_are_stored_as_before() {
        for (json, answered) in [
            ("[0.25,0.75]", Answered::Probabilities(vec![0.25, 0.75])),
            (r#"{"numbers":[3,null]}"#, Answered::Numbers { numbers: vec![Some(3), None] }),
        ] {
            assert_eq!(serde_json::from_str::<Answered>(json).unwrap(), answered);
            assert_eq!(serde_json::to_string(&answered).unwrap(), json);
        }
    }
}
