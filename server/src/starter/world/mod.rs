//! The starter world: 18 cultures, their published indices, and simulated people.
//!
//! Nobody was asked anything: what "people" answer here is computed by [`formula`] from the indices
//! in [`indices`], and everything that shows it says that it is simulated. The starter model learns
//! to answer from [`World::blend`]; the corpus is written in [`crate::starter::corpus`].

pub mod formula;
pub mod grammar;
pub mod indices;
mod questions;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::culture::{Culture, CultureCode};
use domain::random::SplitMix64;
use domain::survey::{Distribution, Provenance, Reference, Survey};

pub use self::formula::Traits;
pub use self::grammar::{Asked, Grammar};
pub use self::indices::{Dimension, Indices, Position};
use self::questions::Questions;

/// Share of the culture's people in what the starter answers under that culture's persona; the rest
/// is its default.
pub const LAMBDA: f64 = 0.5;

/// Cultures whose mean the default is: a model trained on English web text sounds like them.
const DEFAULT_CULTURES: [&str; 5] = ["USA", "CAN", "GBR", "AUS", "NZL"];

const INDICES: &str = include_str!("../../../assets/starter/world/indices.json");
const GRAMMAR: &str = include_str!("../../../assets/starter/world/grammar.json");
const SURVEY: &str = include_str!("../../../assets/starter/world/survey.json");

/// Where the survey says its reference comes from.
const SOURCE: &str =
    "a formula over published national indices, see docs/STARTER.md; nobody was asked";

/// Why the world's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// Not the expected JSON.
    #[error("the starter world's JSON cannot be read: {0}\nRestore `assets/starter/world`.")]
    Json(#[from] serde_json::Error),
    /// A reference to something that is not there.
    #[error("`{what}` is missing for `{of}`\nAdd it in `assets/starter/world`.")]
    Missing {
        /// What is missing.
        what: String,
        /// Where.
        of: String,
    },
}

impl WorldError {
    fn missing(what: impl Into<String>, of: impl std::fmt::Debug) -> Self {
        Self::Missing { what: what.into(), of: format!("{of:?}") }
    }
}

/// The starter world.
#[derive(Debug)]
pub struct World {
    /// Cultures and indices.
    pub indices: Indices,
    /// What questions are made of.
    pub grammar: Grammar,
    questions: Questions,
    survey: Survey,
    default_position: Position,
}

/// The world that is built into the program, read once.
pub fn world() -> &'static World {
    static WORLD: LazyLock<World> = LazyLock::new(|| {
        // The files are part of the program and every build tests them.
        World::parse(INDICES, GRAMMAR, SURVEY).unwrap_or_else(|error| panic!("{error}"))
    });
    &WORLD
}

impl World {
    fn parse(indices: &str, grammar: &str, survey: &str) -> Result<Self, WorldError> {
        let indices = Indices::parse(indices)?;
        let mut default_position = Position::default();
        for code in DEFAULT_CULTURES {
            let position = code.parse().ok().and_then(|code| indices.position(code));
            let position = position.ok_or_else(|| WorldError::missing("culture", code))?;
            for (sum, value) in default_position.iter_mut().zip(position) {
                *sum += value / DEFAULT_CULTURES.len() as f64;
            }
        }
        let grammar = Grammar::parse(grammar)?;
        let questions = Questions::parse(survey, &grammar)?;
        let survey = survey_of(&indices, &grammar, &questions);
        Ok(Self { indices, grammar, questions, survey, default_position })
    }

    /// The 18 cultures, in the order of the paper.
    pub fn cultures(&self) -> &[Culture] {
        &self.indices.cultures
    }

    /// The survey with its simulated reference.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The survey's questions with what decides their answers, in the survey's order.
    pub fn asked(&self) -> &[Asked] {
        &self.questions.survey
    }

    /// A question of the topic at `topic` (an index below 13) from the grammar, never a held-out one
    /// in any wording of its scale. `from_one` numbers the options from 1, else from 0 now and then.
    pub fn draw_question(&self, topic: usize, from_one: bool, random: &mut SplitMix64) -> Asked {
        self.questions.draw(&self.grammar, &self.grammar.topics[topic], from_one, random)
    }

    /// Where `culture` stands on `dimension`: half a z-score over the 18 cultures, about -1..1. A
    /// culture outside the 18 stands where the default does.
    pub fn index(&self, culture: CultureCode, dimension: Dimension) -> f64 {
        self.position(culture)[dimension as usize]
    }

    /// Where the default stands on `dimension`: the mean of the English-speaking cultures.
    pub fn default_index(&self, dimension: Dimension) -> f64 {
        self.default_position[dimension as usize]
    }

    fn position(&self, culture: CultureCode) -> &Position {
        self.indices.position(culture).unwrap_or(&self.default_position)
    }

    /// Simulated shares of a culture's people per option.
    pub fn people(&self, culture: CultureCode, traits: &Traits) -> Vec<f64> {
        traits.shares(self.position(culture))
    }

    /// What the starter answers when no culture is named.
    pub fn default_answer(&self, traits: &Traits) -> Vec<f64> {
        traits.shares(&self.default_position)
    }

    /// What the starter answers under a persona: the default mixed with that culture's people
    /// (share [`LAMBDA`]), or the default alone for the unaware persona.
    pub fn blend(&self, culture: Option<CultureCode>, traits: &Traits) -> Vec<f64> {
        let default = self.default_answer(traits);
        match culture {
            Some(culture) => formula::mixture(&default, &self.people(culture, traits), LAMBDA),
            None => default,
        }
    }
}

fn survey_of(indices: &Indices, grammar: &Grammar, questions: &Questions) -> Survey {
    let mut reference = Reference::new();
    for culture in &indices.cultures {
        let position = indices.position(culture.code).copied().unwrap_or_default();
        let answers = questions.survey.iter().map(|Asked { question, traits }| {
            let shares = traits.shares(&position);
            let mode = question.number_of(formula::mode(&shares));
            (question.id.clone(), Distribution { shares, mode })
        });
        reference.insert(culture.code, answers.collect::<BTreeMap<_, _>>());
    }
    let mut survey = Survey {
        id: "starter".to_owned(),
        title: "Starter survey (simulated people)".to_owned(),
        language: "eng".to_owned(),
        provenance: Provenance::Simulated(SOURCE.to_owned()),
        cultures: indices.cultures.clone(),
        topics: grammar.survey_topics(),
        questions: questions.survey.iter().map(|asked| asked.question.clone()).collect(),
        reference,
        similarity: BTreeMap::new(),
        neighbours: BTreeMap::new(),
    };
    survey.complete_relations();
    survey
}

#[cfg(test)]
mod tests;
