//! Filtering: the paper's released questions, or as many that are made up here.

use std::path::Path;
use std::time::Instant;

use domain::filter::{Filter, FilterCounts, FilterRules};
use domain::generation::GeneratedQuestion;
use domain::random::SplitMix64;
use serde::Serialize;

use crate::bench::BenchError;
use crate::jobs::culturespa::generated::read_generated;
use crate::starter::world::world;

/// Questions of the paper's release.
const QUESTIONS: usize = 13_000;

/// Filtering.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Filtering {
    /// Questions seen.
    pub questions: usize,
    /// Released questions that the paper's rules keep; `null` without a copy of the release.
    pub kept: Option<usize>,
    /// What was filtered instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
    /// Seconds with the paper's rules, reading the files aside.
    pub seconds: f64,
    /// Seconds with every rule.
    pub careful_seconds: f64,
}

/// Filters the release, or where there is no copy of it a set of the same size.
pub fn filtering(release: Option<&Path>) -> Result<Filtering, BenchError> {
    let Some(release) = release else {
        let questions = made_up();
        let measured = timed(|rules| made_up_filtered(&questions, rules));
        let instead = "questions of random words: without `--release DIR` there are no released ones, \
                       so that it can't be said how many of them are kept";
        return Ok(Filtering { kept: None, instead: Some(instead.to_owned()), ..measured });
    };
    let files = read_generated(release).map_err(BenchError::method)?;
    let measured = timed(|rules| files.filtered(rules).1);
    // A question that can't be read is one of the release, too.
    Ok(Filtering { questions: files.questions.len(), ..measured })
}

fn timed(filter: impl Fn(FilterRules) -> FilterCounts) -> Filtering {
    let timed = |rules: FilterRules| {
        let started = Instant::now();
        (filter(rules), started.elapsed().as_secs_f64())
    };
    let (counts, seconds) = timed(FilterRules::PAPER);
    let (_, careful_seconds) = timed(FilterRules::CAREFUL);
    let (questions, kept) = (counts.seen, Some(counts.kept));
    Filtering { questions, kept, instead: None, seconds, careful_seconds }
}

fn made_up_filtered(questions: &[GeneratedQuestion], rules: FilterRules) -> FilterCounts {
    let mut filter = Filter::new(world().survey(), rules);
    for question in questions {
        // What becomes of each is in the counts.
        let _ = filter.admit(question);
    }
    filter.counts().clone()
}

/// Questions of the built-in survey's words, as long and with as many options as the released ones; every
/// fourth has numbered options, every hundredth repeats the one before.
fn made_up() -> Vec<GeneratedQuestion> {
    let words: Vec<&str> =
        world().survey().questions.iter().flat_map(|q| q.text.split_whitespace()).collect();
    let mut random = SplitMix64::new(3);
    let mut some = |fewest: usize, most: usize| {
        let count = fewest + random.below(most - fewest + 1);
        (0..count).map(|_| words[random.below(words.len())]).collect::<Vec<_>>().join(" ")
    };
    let mut questions: Vec<GeneratedQuestion> = Vec::with_capacity(QUESTIONS);
    for number in 0..QUESTIONS {
        match questions.last().filter(|_| number % 100 == 99).cloned() {
            Some(last) => questions.push(last),
            None => {
                let option = |place: usize| match number % 4 {
                    0 => format!("{}. option {place} of {number}", place + 1),
                    _ => format!("option {place} of {number}"),
                };
                questions.push(GeneratedQuestion {
                    question: format!("{}?", some(10, 24)),
                    options: (0..4 + number % 3).map(option).collect(),
                });
            }
        }
    }
    questions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_set_takes_every_path_of_the_filter() {
        let counts = made_up_filtered(&made_up(), FilterRules::PAPER);
        assert_eq!((counts.seen, counts.kept), (QUESTIONS, QUESTIONS - 130));
        assert!(counts.rewritten.values().sum::<usize>() > 3_000, "{counts:?}");
        let careful = made_up_filtered(&made_up(), FilterRules::CAREFUL);
        assert!(careful.kept > QUESTIONS / 2, "nearly all of them are compared: {careful:?}");
    }

    #[test]
    fn without_a_release_it_is_said_why_nothing_is_kept() {
        let json = serde_json::to_value(filtering(None).unwrap()).unwrap();
        assert_eq!((json["kept"].is_null(), json["questions"].as_u64()), (true, Some(13_000)));
        assert!(json["instead"].as_str().unwrap().contains("--release"), "{json}");
    }
}
