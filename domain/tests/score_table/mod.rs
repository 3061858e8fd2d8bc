//! The rows of the score table, and what `domain` makes of each.
//!
//! `table.json` is the one source: the native test and the WebAssembly example both run it. Its
//! expected numbers were computed from the published definitions by a separate program, not by
//! this crate. No harness lives here; see `score_table.rs` beside this folder.

use domain::answer::{LARGEST_SCORED, first_integer};
use domain::comparison::{distinctive_words, similarity};
use domain::question::{Question, Scale};
use domain::score::distance::{earth_mover, jensen_shannon, total_variation};
use domain::score::{Metric, Part, Scored, alignment, interval};
use domain::survey::Distribution;
use serde::Deserialize;

/// How far a number may lie from the expected one: the two worlds' logarithms differ in the last
/// bits.
const TOLERANCE: f64 = 1e-12;

/// A row: what is computed, of what, and the numbers that must come out (none for `None`).
#[derive(Debug, Deserialize)]
pub struct Row {
    /// What the row is about.
    pub name: String,
    #[serde(flatten)]
    computation: Computation,
    expect: Vec<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
enum Computation {
    Alignment { items: Vec<(f64, f64, usize)> },
    Distance { distance: String, p: Vec<f64>, q: Vec<f64> },
    Metric { metric: Metric, questions: Vec<Asked> },
    Interval { metric: Metric, questions: Vec<Asked> },
    Similarity { texts: Vec<String> },
    Distinctive { texts: Vec<String> },
    Reading { reply: String },
}

/// One question with a voice's probabilities and people's shares.
#[derive(Debug, Deserialize)]
struct Asked {
    first_number: u32,
    scale: Scale,
    probabilities: Vec<f64>,
    shares: Vec<f64>,
    mode: u32,
}

impl Asked {
    fn part(&self, metric: Metric) -> Option<Part> {
        let question = Question {
            id: "Q".into(),
            topic: "T".into(),
            text: String::new(),
            options: vec![String::new(); self.shares.len()],
            first_number: self.first_number,
            scale: self.scale,
            dont_know: vec![],
            held_out: false,
        };
        let people = Distribution { shares: self.shares.clone(), mode: self.mode };
        metric.part(&question, &self.probabilities, &people)
    }
}

/// All rows.
#[allow(clippy::expect_used, reason = "a table that cannot be read must fail whatever runs it")]
pub fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("table.json")).expect("the score table is valid JSON")
}

impl Row {
    /// Computes the row; an error says what came out instead.
    pub fn check(&self) -> Result<(), String> {
        let found = self.computation.run();
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * b.abs().max(1.0);
        let same = found.len() == self.expect.len() && found.iter().zip(&self.expect).all(close);
        let told = || format!("{}: {found:?}, expected {:?}", self.name, self.expect);
        if same { Ok(()) } else { Err(told()) }
    }
}

impl Computation {
    fn run(&self) -> Vec<f64> {
        match self {
            Self::Alignment { items } => {
                let scored = |&(answer, reference, options)| Scored { answer, reference, options };
                alignment(&items.iter().map(scored).collect::<Vec<_>>()).into_iter().collect()
            }
            Self::Distance { distance, p, q } => {
                let of = match distance.as_str() {
                    "jensen-shannon" => jensen_shannon,
                    "earth-mover" => earth_mover,
                    "total-variation" => total_variation,
                    other => panic!("no distance `{other}`"),
                };
                of(p, q).into_iter().collect()
            }
            Self::Metric { metric, questions } => {
                metric.score(&parts(*metric, questions)).into_iter().collect()
            }
            Self::Interval { metric, questions } => {
                let found = interval(*metric, &parts(*metric, questions));
                found.map_or(Vec::new(), |interval| vec![interval.low, interval.high])
            }
            Self::Similarity { texts } => vec![similarity(texts)[0][1]],
            Self::Distinctive { texts } => {
                distinctive_words(texts, 1)[0].iter().map(|word| word.z).collect()
            }
            Self::Reading { reply } => {
                first_integer(reply, LARGEST_SCORED).map(f64::from).into_iter().collect()
            }
        }
    }
}

fn parts(metric: Metric, questions: &[Asked]) -> Vec<Part> {
    questions.iter().filter_map(|asked| asked.part(metric)).collect()
}
