//! Which way answers move when a voice is told a culture: toward its people, or away from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answer::SurveyAnswer;
use crate::culture::CultureCode;
use crate::question::QuestionId;
use crate::survey::Survey;

/// What became of the answers that two voices give differently. Distances are those of option
/// numbers from the number that people chose most often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// Questions that both answered and people too.
    pub questions: usize,
    /// Different answers that are nearer to people's than before.
    pub toward: usize,
    /// Different answers that are farther.
    pub away: usize,
    /// Different answers at the same distance, on the other side.
    pub level: usize,
}

impl Movement {
    /// Answers that differ.
    pub fn changed(&self) -> usize {
        self.toward + self.away + self.level
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            questions: self.questions + other.questions,
            toward: self.toward + other.toward,
            away: self.away + other.away,
            level: self.level + other.level,
        }
    }
}

/// How the most probable answers move from `before` to `after`, seen from the people of `culture`.
pub fn movement(
    survey: &Survey,
    culture: CultureCode,
    before: &[SurveyAnswer],
    after: &[SurveyAnswer],
) -> Movement {
    let after: BTreeMap<&QuestionId, &SurveyAnswer> =
        after.iter().map(|answer| (&answer.question, answer)).collect();
    let mut movement = Movement::default();
    for first in before {
        let distances = || {
            let second = after.get(&first.question)?;
            let question = survey.question(&first.question)?;
            let people = survey.people(culture, &first.question)?.mode;
            let number = |answer: &SurveyAnswer| Some(question.number_of(answer.most_probable()?));
            let (before, after) = (number(first)?, number(second)?);
            Some((before == after, before.abs_diff(people), after.abs_diff(people)))
        };
        let Some((same, before, after)) = distances() else { continue };
        movement.questions += 1;
        match after.cmp(&before) {
            _ if same => {}
            std::cmp::Ordering::Less => movement.toward += 1,
            std::cmp::Ordering::Greater => movement.away += 1,
            std::cmp::Ordering::Equal => movement.level += 1,
        }
    }
    movement
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::{Question, Scale};
    use crate::survey::{Distribution, Provenance};

    #[test]
    fn every_change_is_counted_once() {
        // Option index before, after, and that of people.
        let table = [(0, 0, 3), (0, 2, 3), (2, 0, 3), (0, 2, 1), (3, 3, 3)];
        let culture: CultureCode = "THA".parse().unwrap();
        let question = |number: usize| Question {
            id: QuestionId(format!("Q{number}")),
            topic: "t".into(),
            text: String::new(),
            options: vec![String::new(); 4],
            first_number: 0,
            scale: Scale::Ordered,
            held_out: false,
            dont_know: Vec::new(),
        };
        let people = |(number, (_, _, mode)): (usize, &(usize, usize, u32))| {
            (QuestionId(format!("Q{number}")), Distribution { shares: vec![0.25; 4], mode: *mode })
        };
        let reference = table.iter().enumerate().map(people).collect();
        let survey = Survey {
            id: String::new(),
            title: String::new(),
            language: String::new(),
            provenance: Provenance::Simulated(String::new()),
            cultures: vec![],
            topics: vec![],
            // The last one has people's answers, and no question of the survey.
            questions: (0..4).map(question).collect(),
            reference: BTreeMap::from([(culture, reference)]),
            similarity: Default::default(),
            neighbours: Default::default(),
            unasked: vec![],
        };
        let answers = |of: fn(&(usize, usize, u32)) -> usize| -> Vec<SurveyAnswer> {
            let answer = |(number, row): (usize, &(usize, usize, u32))| {
                let mut probabilities = vec![0.1; 4];
                probabilities[of(row)] = 0.7;
                SurveyAnswer { question: QuestionId(format!("Q{number}")), probabilities }
            };
            table.iter().enumerate().map(answer).collect()
        };
        let found = movement(&survey, culture, &answers(|row| row.0), &answers(|row| row.1));
        assert_eq!(found, Movement { questions: 4, toward: 1, away: 1, level: 1 });
        assert_eq!(found.plus(found).changed(), 6);
    }
}
