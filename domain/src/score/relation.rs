//! How alike cultures are: in the model's answers, in people's, and how well the two agree.
//!
//! A model that serves many cultures in one voice draws them together (homogenisation); beside the
//! matrix of people that shows as higher values and as a low correlation.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::RESAMPLES;
use super::bootstrap::{Columns, Interval, resample};
use super::metric::{Metric, Part};
use crate::answer::{SurveyAnswer, most_probable};
use crate::culture::CultureCode;
use crate::question::{Question, QuestionId};
use crate::random::SplitMix64;
use crate::survey::{Distribution, Survey};

/// Permutations behind [`MatrixCorrelation::p_value`].
const PERMUTATIONS: usize = 2000;

const SEED: u64 = 20_241_012;

/// Likeness of every two cultures' answers, by one metric: one culture's answers scored as if the
/// other's were people's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Relations {
    /// Rows and columns.
    pub cultures: Vec<CultureCode>,
    /// Row, then column; `None` where two cultures share no question. Symmetric, 1 on the diagonal.
    pub values: Vec<Vec<Option<f64>>>,
}

/// Pearson's correlation of two matrices over all pairs of different cultures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MatrixCorrelation {
    /// From -1 to 1.
    pub r: f64,
    /// Share of relabellings of one matrix that correlate at least as strongly, in absolute value
    /// (Mantel's test, 1967): pairs of cultures aren't independent, so the usual test doesn't hold.
    pub p_value: f64,
    /// Pairs of cultures.
    pub pairs: usize,
}

/// The answers of one culture as a distribution per question.
type Answers = BTreeMap<QuestionId, Distribution>;

impl Relations {
    /// Of people's reference answers to `asked`: compared with a model, people and model must have
    /// been asked the same.
    pub fn of_people(
        survey: &Survey,
        cultures: &[CultureCode],
        metric: Metric,
        asked: &BTreeSet<QuestionId>,
    ) -> Self {
        let of = |code: &CultureCode| -> (CultureCode, Answers) {
            let answers = survey.reference.get(code).into_iter().flatten();
            let answers = answers.filter(|(id, _)| asked.contains(*id));
            (*code, answers.map(|(id, people)| (id.clone(), people.clone())).collect())
        };
        let answers: Vec<(CultureCode, Answers)> = cultures.iter().map(of).collect();
        Self::new(survey, metric, answers.iter().map(|(code, answers)| (*code, answers)).collect())
    }

    /// Of one voice per culture; only its answers to `asked` count.
    pub fn of_answers(
        survey: &Survey,
        answers: &[(CultureCode, &[SurveyAnswer])],
        metric: Metric,
        asked: &BTreeSet<QuestionId>,
    ) -> Self {
        let answers: Vec<(CultureCode, Answers)> = answers
            .iter()
            .map(|(code, answers)| {
                let answers = answers.iter().filter(|answer| asked.contains(&answer.question));
                (*code, answers.filter_map(|answer| as_people(survey, answer)).collect())
            })
            .collect();
        Self::new(survey, metric, answers.iter().map(|(code, answers)| (*code, answers)).collect())
    }

    fn new(survey: &Survey, metric: Metric, answers: Vec<(CultureCode, &Answers)>) -> Self {
        let questions: BTreeMap<_, _> = survey.questions.iter().map(|q| (&q.id, q)).collect();
        let values = answers
            .iter()
            .map(|(_, row)| {
                answers
                    .iter()
                    .map(|(_, column)| likeness(metric, &questions, row, column))
                    .collect()
            })
            .collect();
        Self { cultures: answers.iter().map(|(code, _)| *code).collect(), values }
    }

    /// Mean over all pairs of different cultures; `None` where there is no pair.
    pub fn mean(&self) -> Option<f64> {
        let values: Vec<f64> = self.pairs().filter_map(|(a, b)| self.values[a][b]).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// Correlation with `other`, which must have the same cultures in the same order. `None` for
    /// fewer than three pairs that both have, or where one side doesn't vary.
    pub fn correlation(&self, other: &Self) -> Option<MatrixCorrelation> {
        if self.cultures != other.cultures {
            return None;
        }
        let mut labels: Vec<usize> = (0..self.cultures.len()).collect();
        let (r, pairs) = self.pearson(other, &labels)?;
        let mut random = SplitMix64::new(SEED);
        let at_least = (0..PERMUTATIONS)
            .filter(|_| {
                random.shuffle(&mut labels);
                let drawn = self.pearson(other, &labels);
                drawn.is_none_or(|(drawn, _)| drawn.abs() >= r.abs() - 1e-12)
            })
            .count();
        // The matrix as it is counts as one relabelling.
        let p_value = (at_least + 1) as f64 / (PERMUTATIONS + 1) as f64;
        Some(MatrixCorrelation { r, p_value, pairs })
    }

    fn pearson(&self, other: &Self, labels: &[usize]) -> Option<(f64, usize)> {
        let both: Vec<(f64, f64)> = self
            .pairs()
            .filter_map(|(a, b)| Some((self.values[a][b]?, other.values[labels[a]][labels[b]]?)))
            .collect();
        Some((pearson(&both)?, both.len()))
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let count = self.cultures.len();
        (0..count).flat_map(move |a| (a + 1..count).map(move |b| (a, b)))
    }
}

/// The 95 % bootstrap interval, over the questions, of the correlation between the matrix of `answers`
/// (one voice per culture) and that of the same cultures' people: [`MatrixCorrelation::r`] of
/// [`Relations::of_answers`] and [`Relations::of_people`]. Every resample draws the same questions for
/// all cultures and for both matrices. `None` for fewer than two questions, or where no draw has a
/// correlation.
///
/// It says how much the questions matter; that pairs of cultures aren't independent, the p-value takes
/// into account.
pub fn correlation_interval(
    survey: &Survey,
    answers: &[(CultureCode, &[SurveyAnswer])],
    metric: Metric,
    asked: &BTreeSet<QuestionId>,
) -> Option<Interval> {
    let nobody = Answers::new();
    let of_model = |(_, answers): &(CultureCode, &[SurveyAnswer])| -> Answers {
        answers.iter().filter_map(|answer| as_people(survey, answer)).collect()
    };
    let model: Vec<Answers> = answers.iter().map(of_model).collect();
    let people: Vec<&Answers> =
        answers.iter().map(|(code, _)| survey.reference.get(code).unwrap_or(&nobody)).collect();
    let questions: Vec<&Question> =
        survey.questions.iter().filter(|question| asked.contains(&question.id)).collect();
    let pairs: Vec<(usize, usize)> =
        (0..answers.len()).flat_map(|b| (0..b).map(move |a| (a, b))).collect();
    let likeness = |first: &Answers, second: &Answers| {
        Columns::new(questions.iter().map(|question| {
            let shares = &first.get(&question.id)?.shares;
            metric.part(question, shares, second.get(&question.id)?)
        }))
    };
    let columns: Vec<(Columns, Columns)> = pairs
        .iter()
        .map(|(a, b)| (likeness(&model[*a], &model[*b]), likeness(people[*a], people[*b])))
        .collect();
    resample(questions.len(), RESAMPLES, |counts| {
        let both = |(model, people): &(Columns, Columns)| {
            Some((model.score(metric, counts)?, people.score(metric, counts)?))
        };
        pearson(&columns.iter().filter_map(both).collect::<Vec<_>>())
    })
}

fn likeness(
    metric: Metric,
    questions: &BTreeMap<&QuestionId, &Question>,
    first: &Answers,
    second: &Answers,
) -> Option<f64> {
    let parts: Vec<Part> = first
        .iter()
        .filter_map(|(id, answer)| metric.part(questions.get(id)?, &answer.shares, second.get(id)?))
        .collect();
    metric.score(&parts)
}

/// Answers in the place of people's, so that one rule compares both.
fn as_people(survey: &Survey, answer: &SurveyAnswer) -> Option<(QuestionId, Distribution)> {
    let question = survey.question(&answer.question)?;
    let mode = question.number_of(most_probable(&answer.probabilities)?);
    Some((question.id.clone(), Distribution { shares: answer.probabilities.clone(), mode }))
}

/// Pearson's correlation; `None` for fewer than three pairs, or where a side doesn't vary.
pub fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < 3 {
        return None;
    }
    let count = pairs.len() as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0, y + pair.1));
    let (x, y) = (x / count, y / count);
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
    let (xx, yy) = (sum(&|p| (p.0 - x).powi(2)), sum(&|p| (p.1 - y).powi(2)));
    let varies = xx > 1e-18 && yy > 1e-18;
    varies.then(|| (sum(&|p| (p.0 - x) * (p.1 - y)) / (xx * yy).sqrt()).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::culture::Culture;
    use crate::question::{Scale, Topic};
    use crate::survey::{Provenance, Reference};

    const CODES: [&str; 5] = ["USA", "CAN", "THA", "KEN", "NGA"];

    fn codes() -> Vec<CultureCode> {
        CODES.iter().map(|code| code.parse().unwrap()).collect()
    }

    /// Twelve questions; culture i's people answer so that neighbours in the list are alike.
    fn survey() -> Survey {
        let question = |number: usize| Question {
            id: QuestionId(format!("Q{number:02}")),
            topic: "t".into(),
            text: String::new(),
            options: (0..5).map(|option| option.to_string()).collect(),
            first_number: 1,
            scale: Scale::Ordered,
            held_out: false,
            dont_know: Vec::new(),
        };
        let questions: Vec<Question> = (0..12).map(question).collect();
        let people = |place: usize| {
            let answer = |(number, question): (usize, &Question)| {
                let index = if number < 3 * place { 4 } else { 0 };
                let mut shares = vec![0.1; 5];
                shares[index] = 0.6;
                (question.id.clone(), Distribution { shares, mode: question.number_of(index) })
            };
            questions.iter().enumerate().map(answer).collect()
        };
        let reference: Reference =
            codes().into_iter().enumerate().map(|(place, code)| (code, people(place))).collect();
        Survey {
            id: "s".to_owned(),
            title: String::new(),
            language: String::new(),
            provenance: Provenance::Simulated(String::new()),
            cultures: codes()
                .into_iter()
                .map(|code| Culture { code, name: String::new(), demonym: String::new() })
                .collect(),
            topics: vec![Topic { id: "t".into(), name: String::new() }],
            questions,
            reference,
            similarity: Default::default(),
            neighbours: Default::default(),
            unasked: vec![],
        }
    }

    fn all(survey: &Survey) -> BTreeSet<QuestionId> {
        survey.questions.iter().map(|question| question.id.clone()).collect()
    }

    fn answers_of(survey: &Survey, code: CultureCode) -> Vec<SurveyAnswer> {
        let answer = |(question, people): (&QuestionId, &Distribution)| SurveyAnswer {
            question: question.clone(),
            probabilities: people.shares.clone(),
        };
        survey.reference[&code].iter().map(answer).collect()
    }

    #[test]
    fn a_model_that_answers_as_people_do_has_their_relations() {
        let survey = survey();
        for metric in Metric::ALL {
            let people = Relations::of_people(&survey, &codes(), metric, &all(&survey));
            for (place, row) in people.values.iter().enumerate() {
                assert!((row[place].unwrap() - 1.0).abs() < 1e-9, "{metric}");
                for (other, value) in row.iter().enumerate() {
                    let back = people.values[other][place].unwrap();
                    assert!((value.unwrap() - back).abs() < 1e-9, "{metric}");
                }
            }
            assert!(people.values[0][1] > people.values[0][4], "{metric}");
            let voices: Vec<_> =
                codes().into_iter().map(|code| (code, answers_of(&survey, code))).collect();
            let voices: Vec<_> = voices.iter().map(|(code, a)| (*code, a.as_slice())).collect();
            let model = Relations::of_answers(&survey, &voices, metric, &all(&survey));
            assert_eq!(model, people);
            let correlation = people.correlation(&model).unwrap();
            assert_eq!((correlation.pairs, correlation.r), (10, 1.0));
            assert!(correlation.p_value < 0.1, "{correlation:?}");
        }
    }

    #[test]
    fn the_interval_of_a_correlation_is_over_questions() {
        let survey = survey();
        let voices: Vec<_> =
            codes().into_iter().map(|code| (code, answers_of(&survey, code))).collect();
        let mut lent: Vec<_> = voices.iter().map(|(code, a)| (*code, a.as_slice())).collect();
        let same = correlation_interval(&survey, &lent, Metric::ExactMode, &all(&survey)).unwrap();
        assert!((same.low - 1.0).abs() < 1e-9 && (same.high - 1.0).abs() < 1e-9, "{same:?}");
        // Two cultures with each other's voices: less than 1, and it depends on the questions.
        (lent[0].1, lent[3].1) = (lent[3].1, lent[0].1);
        let mixed = correlation_interval(&survey, &lent, Metric::ExactMode, &all(&survey)).unwrap();
        let model = Relations::of_answers(&survey, &lent, Metric::ExactMode, &all(&survey));
        let people = Relations::of_people(&survey, &codes(), Metric::ExactMode, &all(&survey));
        let r = model.correlation(&people).unwrap().r;
        assert!(mixed.low < r && r < mixed.high && mixed.high < 1.0, "{mixed:?} {r}");
        let one = survey.questions.iter().take(1).map(|question| question.id.clone()).collect();
        assert_eq!(correlation_interval(&survey, &lent, Metric::ExactMode, &one), None);
    }

    #[test]
    fn one_voice_for_all_is_told() {
        let survey = survey();
        let same = answers_of(&survey, codes()[0]);
        let voices: Vec<_> = codes().into_iter().map(|code| (code, same.as_slice())).collect();
        let model = Relations::of_answers(&survey, &voices, Metric::ExactMode, &all(&survey));
        let people = Relations::of_people(&survey, &codes(), Metric::ExactMode, &all(&survey));
        assert_eq!(model.mean(), Some(1.0));
        assert!(people.mean().unwrap() < 0.7);
        assert_eq!(model.correlation(&people), None, "a matrix without variation");
    }

    #[test]
    fn only_what_was_asked_counts() {
        let survey = survey();
        // The first two answer the questions from the fourth on alike, and differ before.
        let late = survey.questions[3..].iter().map(|question| question.id.clone()).collect();
        let people = Relations::of_people(&survey, &codes(), Metric::ExactMode, &late);
        assert_eq!(people.values[0][1], Some(1.0));
        let voices: Vec<_> =
            codes().into_iter().map(|code| (code, answers_of(&survey, code))).collect();
        let voices: Vec<_> = voices.iter().map(|(code, a)| (*code, a.as_slice())).collect();
        assert_eq!(Relations::of_answers(&survey, &voices, Metric::ExactMode, &late), people);
        let all = Relations::of_people(&survey, &codes(), Metric::ExactMode, &all(&survey));
        assert!(all.values[0][1].unwrap() < 1.0);
        let none = Relations::of_people(&survey, &codes(), Metric::ExactMode, &BTreeSet::new());
        assert_eq!(none.values[0][1], None);
    }

    #[test]
    fn correlation_by_table() {
        for (pairs, expect) in [
            (vec![(1.0, 1.0), (2.0, 2.0)], None),
            (vec![(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)], Some(1.0)),
            (vec![(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], Some(-1.0)),
            (vec![(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)], None),
            // cov = 1, deviations sqrt(2) and sqrt(2): r = 0.5.
            (vec![(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)], Some(0.5)),
        ] {
            let found = pearson(&pairs);
            match (found, expect) {
                (Some(found), Some(expect)) => assert!((found - expect).abs() < 1e-12, "{pairs:?}"),
                _ => assert_eq!(found, expect, "{pairs:?}"),
            }
        }
    }
}
