//! The starter world: 18 cultures, their published indices, and simulated people.
//!
//! Nobody was asked anything: what "people" answer here is computed by [`formula`] from the indices
//! in [`indices`], and everything that shows it says that it is simulated. The starter model learns
//! to answer from [`World::blend`]; the corpus is written in [`crate::starter::corpus`].

pub mod formula;
pub mod indices;

use std::sync::LazyLock;

use domain::culture::CultureCode;

pub use self::formula::Traits;
pub use self::indices::{Dimension, Indices, Position};

/// Share of the culture's people in what the starter answers under that culture's persona; the rest
/// is its default.
pub const LAMBDA: f64 = 0.5;

/// Cultures whose mean the default is: a model trained on English web text sounds like them.
const DEFAULT_CULTURES: [&str; 5] = ["USA", "CAN", "GBR", "AUS", "NZL"];

const INDICES: &str = include_str!("../../../assets/starter/world/indices.json");

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
    default_position: Position,
}

/// The world that is built into the program, read once.
pub fn world() -> &'static World {
    static WORLD: LazyLock<World> = LazyLock::new(|| {
        // The files are part of the program and every build tests them.
        World::parse(INDICES).unwrap_or_else(|error| panic!("{error}"))
    });
    &WORLD
}

impl World {
    fn parse(indices: &str) -> Result<Self, WorldError> {
        let indices = Indices::parse(indices)?;
        let mut default_position = Position::default();
        for code in DEFAULT_CULTURES {
            let position = code.parse().ok().and_then(|code| indices.position(code));
            let position = position.ok_or_else(|| WorldError::missing("culture", code))?;
            for (sum, value) in default_position.iter_mut().zip(position) {
                *sum += value / DEFAULT_CULTURES.len() as f64;
            }
        }
        Ok(Self { indices, default_position })
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
