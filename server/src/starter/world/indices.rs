//! Published national indices of the 18 cultures, standardised.
//!
//! The raw values with source, year and notes live in `assets/starter/world/indices.json`; what is
//! computed from them lives in [`super::formula`].

use std::collections::BTreeMap;

use domain::culture::{Culture, CultureCode};
use serde::{Deserialize, Serialize};

/// One published national index. The JSON names source and year of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dimension {
    /// Hofstede's individualism; low is collectivism.
    Individualism,
    /// Hofstede's power distance: how far unequal power is accepted.
    PowerDistance,
    /// Hofstede's long-term orientation: thrift, persistence, the future.
    LongTerm,
    /// Hofstede's indulgence; low is restraint.
    Indulgence,
    /// Share of people to whom religion matters in daily life.
    Religiosity,
    /// Logarithm of GDP per person at purchasing power parity.
    Wealth,
    /// Freedom from corruption as perceived; high is clean.
    CleanGovernment,
    /// How democratic the country is.
    Democracy,
    /// Parity of women and men.
    GenderEquality,
    /// Share of people who live in towns.
    Urban,
    /// Share of people born abroad.
    Migrants,
    /// Peacefulness; high is peaceful.
    Peace,
    /// Equality of incomes; high is equal.
    IncomeEquality,
}

impl Dimension {
    /// Every dimension, in the order of the JSON.
    pub const ALL: [Self; 13] = [
        Self::Individualism,
        Self::PowerDistance,
        Self::LongTerm,
        Self::Indulgence,
        Self::Religiosity,
        Self::Wealth,
        Self::CleanGovernment,
        Self::Democracy,
        Self::GenderEquality,
        Self::Urban,
        Self::Migrants,
        Self::Peace,
        Self::IncomeEquality,
    ];
}

/// One index as published.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Which dimension it measures.
    pub id: Dimension,
    /// Name for people.
    pub name: String,
    /// Publisher and publication.
    pub source: String,
    /// Year that the values describe or were published in.
    pub year: u16,
    /// Unit and range of the raw values.
    pub unit: String,
    /// Whether the natural logarithm is standardised instead of the value.
    pub log: bool,
    /// Whether the sign is turned, so that high means what the name says.
    pub negate: bool,
    /// Raw value per culture.
    pub values: BTreeMap<CultureCode, f64>,
    /// Where a culture's value is not from `source`: what stands in.
    pub notes: BTreeMap<CultureCode, String>,
}

/// The cultures and all indices, raw and standardised.
#[derive(Debug, Clone, PartialEq)]
pub struct Indices {
    /// The 18 cultures, in the order of the paper.
    pub cultures: Vec<Culture>,
    /// The indices as published.
    pub published: Vec<Index>,
    standardised: BTreeMap<CultureCode, Position>,
}

/// Where a culture stands on every dimension, in the order of [`Dimension::ALL`]: half z-scores
/// over the 18 cultures, so mostly within -1..1.
pub type Position = [f64; Dimension::ALL.len()];

#[derive(Deserialize)]
struct File {
    cultures: Vec<Culture>,
    dimensions: Vec<Index>,
}

impl Indices {
    /// Reads `indices.json`. Every dimension must have a value for every culture.
    pub fn parse(json: &str) -> Result<Self, super::WorldError> {
        let File { cultures, dimensions: published } = serde_json::from_str(json)?;
        let mut standardised: BTreeMap<CultureCode, Position> =
            cultures.iter().map(|culture| (culture.code, Position::default())).collect();
        for dimension in Dimension::ALL {
            let index = published.iter().find(|index| index.id == dimension);
            let index = index.ok_or_else(|| super::WorldError::missing("index", dimension))?;
            let raw = cultures.iter().map(|culture| index.measured(culture.code));
            let raw = raw.collect::<Result<Vec<f64>, _>>()?;
            for (culture, value) in cultures.iter().zip(half_z_scores(&raw)) {
                if let Some(position) = standardised.get_mut(&culture.code) {
                    position[dimension as usize] = value;
                }
            }
        }
        Ok(Self { cultures, published, standardised })
    }

    /// Where `culture` stands; `None` for a culture that is not one of the 18.
    pub fn position(&self, culture: CultureCode) -> Option<&Position> {
        self.standardised.get(&culture)
    }
}

impl Index {
    fn measured(&self, culture: CultureCode) -> Result<f64, super::WorldError> {
        let value = self.values.get(&culture).copied();
        let value = value.ok_or_else(|| super::WorldError::missing(culture.as_str(), self.id))?;
        let value = if self.log { value.ln() } else { value };
        Ok(if self.negate { -value } else { value })
    }
}

fn half_z_scores(raw: &[f64]) -> Vec<f64> {
    let n = raw.len() as f64;
    let mean = raw.iter().sum::<f64>() / n;
    let deviation = (raw.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    raw.iter().map(|x| (x - mean) / deviation / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::world::world;

    #[test]
    fn every_value_is_published_somewhere() {
        let indices = &world().indices;
        assert_eq!(indices.cultures.len(), 18);
        for index in &indices.published {
            assert!(!index.source.is_empty() && index.year >= 2009, "{:?}", index.id);
            assert_eq!(index.values.len(), 18, "{:?}", index.id);
            assert!(index.notes.keys().all(|code| index.values.contains_key(code)));
        }
    }

    #[test]
    fn standardised_values_centre_on_zero_and_keep_the_sign() {
        let code = |text: &str| text.parse::<CultureCode>().unwrap();
        let at = |text, dimension| world().index(code(text), dimension);
        for dimension in Dimension::ALL {
            let sum: f64 =
                world().indices.cultures.iter().map(|c| world().index(c.code, dimension)).sum();
            assert!(sum.abs() < 1e-9, "{dimension:?}");
        }
        assert!(at("NZL", Dimension::Peace) > at("RUS", Dimension::Peace));
        assert!(at("NLD", Dimension::IncomeEquality) > at("BRA", Dimension::IncomeEquality));
        assert!(at("USA", Dimension::Wealth) > at("ETH", Dimension::Wealth));
    }

    #[test]
    fn a_missing_value_is_named() {
        let json = include_str!("../../../assets/starter/world/indices.json");
        let broken = json.replace("\"THA\": 20,", "");
        let error = Indices::parse(&broken).unwrap_err().to_string();
        assert!(error.contains("THA"), "{error}");
    }
}
