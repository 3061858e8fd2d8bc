//! What a voice didn't answer: replies that name no option, and options that say "don't know".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answer::SurveyAnswer;
use crate::question::{Question, QuestionId};

/// Questions that one voice was asked and gave no opinion on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// Questions that were put to it.
    pub asked: usize,
    /// Questions whose reply names none of the options. Reading option probabilities knows none.
    pub unreadable: usize,
    /// Questions whose most probable option is one that gives no answer.
    pub dont_know: usize,
}

impl Refusals {
    /// Of the questions that were asked, the ones that `answers` has no opinion on.
    pub fn of(asked: &[&Question], answers: &[SurveyAnswer]) -> Self {
        let answers: BTreeMap<&QuestionId, &SurveyAnswer> =
            answers.iter().map(|answer| (&answer.question, answer)).collect();
        let mut refusals = Self { asked: asked.len(), ..Self::default() };
        for question in asked {
            match answers.get(&question.id).and_then(|answer| answer.most_probable()) {
                None => refusals.unreadable += 1,
                Some(index) if question.is_dont_know(index) => refusals.dont_know += 1,
                Some(_) => {}
            }
        }
        refusals
    }

    /// Questions without an opinion, of either kind.
    pub fn total(self) -> usize {
        self.unreadable + self.dont_know
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            asked: self.asked + other.asked,
            unreadable: self.unreadable + other.unreadable,
            dont_know: self.dont_know + other.dont_know,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Scale;

    #[test]
    fn every_question_without_an_opinion_is_counted_once() {
        let question = |id: &str| Question {
            id: id.into(),
            topic: "t".into(),
            text: String::new(),
            options: ["Yes", "No", "Don't know"].map(str::to_owned).into(),
            first_number: 1,
            scale: Scale::Ordered,
            dont_know: vec![3],
            held_out: true,
        };
        let answer = |id: &str, probabilities: &[f64]| SurveyAnswer {
            question: id.into(),
            probabilities: probabilities.to_vec(),
        };
        let questions = ["A", "B", "C", "D"].map(question);
        let asked: Vec<&Question> = questions.iter().collect();
        let answers = [
            answer("A", &[0.5, 0.3, 0.2]),
            answer("B", &[0.1, 0.3, 0.6]),
            answer("C", &[]),
            answer("Z", &[0.0, 0.0, 1.0]),
        ];
        let refusals = Refusals::of(&asked, &answers);
        assert_eq!(refusals, Refusals { asked: 4, unreadable: 2, dont_know: 1 });
        assert_eq!((refusals.total(), refusals.plus(refusals).asked), (3, 8));
    }
}
