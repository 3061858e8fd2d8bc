//! Comparing with people: every score, gain and interval of an evaluation.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Instant;

use domain::answer::SurveyAnswer;
use domain::culture::CultureCode;
use domain::question::{Question, QuestionId};
use domain::random::SplitMix64;
use domain::score::{Metric, Part, Parts, mean_paired_interval_of, paired_interval_of, parts};
use domain::survey::Survey;
use engine::ops::peak::multiply_and_add;
use serde::Serialize;

use crate::starter::world::world;

/// Resamples behind every interval.
const RESAMPLES: usize = 10_000;

/// Questions that the paper evaluates.
const QUESTIONS: usize = 259;

/// Voices of a culture: unaware, aware, with the joint adapter and with its own.
const VOICES: usize = 4;

/// Which voice is held against which: the three gains of an evaluation.
const GAINS: [(usize, usize); 3] = [(1, 0), (2, 1), (3, 1)];

/// Comparing with people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluating {
    /// Cultures.
    pub cultures: usize,
    /// Questions.
    pub questions: usize,
    /// Resamples behind every interval.
    pub resamples: usize,
    /// Intervals: three gains of every culture, and of their mean.
    pub intervals: usize,
    /// Seconds from the answers to all of them.
    pub seconds: f64,
    /// Additions and multiplications a second, in billions.
    pub gflop_s: f64,
    /// What one core reaches in the same arithmetic without waiting for memory.
    pub peak_gflop_s: f64,
    /// The share of it.
    pub share_of_peak: f64,
}

/// Measures on a survey of the paper's size with answers that are drawn.
pub fn evaluating() -> Evaluating {
    let survey = survey();
    let codes: Vec<CultureCode> = survey.cultures.iter().map(|culture| culture.code).collect();
    let mut random = SplitMix64::new(2);
    let mut voice = || -> Vec<SurveyAnswer> {
        let mut answer = |question: &Question| {
            let drawn: Vec<f64> = question.options.iter().map(|_| random.unit()).collect();
            let sum: f64 = drawn.iter().sum();
            let probabilities = drawn.iter().map(|value| value / sum).collect();
            SurveyAnswer { question: question.id.clone(), probabilities }
        };
        survey.questions.iter().map(&mut answer).collect()
    };
    let answers: Vec<[Vec<SurveyAnswer>; VOICES]> =
        codes.iter().map(|_| std::array::from_fn(|_| voice())).collect();
    let started = Instant::now();
    let intervals = compared(&survey, &codes, &answers);
    let seconds = started.elapsed().as_secs_f64();
    // Amounts and scales of both voices, a product and a sum each: once for every culture's interval,
    // and once more for the interval of the mean.
    let per_gain = RESAMPLES * codes.len() * QUESTIONS * 2 * 2 * 2;
    let operations = (2 * GAINS.len() * per_gain) as f64;
    let (gflop_s, peak_gflop_s) = (operations / seconds / 1e9, peak());
    Evaluating {
        cultures: codes.len(),
        questions: QUESTIONS,
        resamples: RESAMPLES,
        intervals,
        seconds,
        gflop_s,
        peak_gflop_s,
        share_of_peak: gflop_s / peak_gflop_s,
    }
}

/// The built-in survey's questions, so often that there are as many as the paper evaluates, with its people.
fn survey() -> Survey {
    let world = world().survey();
    let mut survey = Survey { questions: Vec::new(), ..world.clone() };
    survey.reference.values_mut().for_each(|answers| answers.clear());
    for number in 0..QUESTIONS {
        let question = &world.questions[number % world.questions.len()];
        let id = QuestionId(format!("Q{number}"));
        for (code, answers) in &mut survey.reference {
            let people = world.people(*code, &question.id);
            answers.extend(people.map(|people| (id.clone(), people.clone())));
        }
        survey.questions.push(Question { id, ..question.clone() });
    }
    survey
}

/// Computes everything that an evaluation's table has, and returns the number of intervals.
fn compared(
    survey: &Survey,
    codes: &[CultureCode],
    answers: &[[Vec<SurveyAnswer>; VOICES]],
) -> usize {
    let metric = Metric::Alignment;
    let all = BTreeSet::new();
    let of = |(code, voices): (&CultureCode, &[Vec<SurveyAnswer>; VOICES])| -> [Parts; VOICES] {
        std::array::from_fn(|voice| parts(survey, *code, &voices[voice], metric, &all))
    };
    let voices: Vec<[Parts; VOICES]> = codes.iter().zip(answers).map(of).collect();
    let mut intervals = 0;
    for (first, second) in GAINS {
        for voices in &voices {
            let (first, second): (Vec<Part>, Vec<Part>) = voices[first]
                .iter()
                .filter_map(|(id, part)| Some((*part, *voices[second].get(id)?)))
                .unzip();
            let interval = paired_interval_of(metric, &first, &second, RESAMPLES);
            intervals += usize::from(black_box(interval).is_some());
        }
        let pairs: Vec<(&Parts, &Parts)> =
            voices.iter().map(|voices| (&voices[first], &voices[second])).collect();
        let interval = mean_paired_interval_of(metric, &pairs, RESAMPLES);
        intervals += usize::from(black_box(interval).is_some());
    }
    intervals
}

/// Billions of `f64` additions and multiplications a second of one core: the best of some attempts.
fn peak() -> f64 {
    const ROUNDS: usize = 2_000_000;
    let attempt = |_| {
        let started = Instant::now();
        multiply_and_add(black_box(ROUNDS)) as f64 / started.elapsed().as_secs_f64() / 1e9
    };
    (0..7).map(attempt).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interval_is_computed_and_the_peak_is_not_passed() {
        let evaluated = evaluating();
        assert_eq!((evaluated.cultures, evaluated.intervals), (18, 3 * 18 + 3), "{evaluated:?}");
        // The peak is measured with instructions that do at least as much at once as any that the
        // comparison can be compiled to.
        let share = evaluated.share_of_peak;
        assert!(share > 0.0 && share < 1.0, "{evaluated:?}");
    }
}
