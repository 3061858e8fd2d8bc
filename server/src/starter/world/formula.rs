//! From indices to answers: the formula of the simulated people and of the starter's own default.
//!
//! `docs/STARTER.md` explains it in words. Ordered scales: a logistic position, spread over the
//! options by a discretised bell curve. Kinds of options: a softmax over their attractions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::indices::{Dimension, Position};

/// How strongly a trait pulls on an answer, per dimension; a dimension left out pulls nothing.
pub type Loadings = BTreeMap<Dimension, f64>;

/// All loadings are multiplied by this before use, so that cultures differ visibly on most questions.
const GAIN: f64 = 2.0;

/// Softmax sharpness of kinds of options, per unit of attraction.
const SHARPNESS: f64 = 1.8;

/// A linear trait: what people feel about a thing, depending on where their culture stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    /// Strength where every index is average; 0 is the middle of a scale.
    #[serde(default)]
    pub bias: f64,
    /// Change per half standard deviation of each index.
    #[serde(default)]
    pub loadings: Loadings,
}

impl Pull {
    /// Bias plus weighted indices at `position`.
    pub fn at(&self, position: &Position) -> f64 {
        let weighted: f64 = self.loadings.iter().map(|(d, w)| w * position[*d as usize]).sum();
        self.bias + GAIN * weighted
    }
}

/// What decides how a question is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Traits {
    /// Options in order.
    Ordered {
        /// Number of options.
        options: usize,
        /// What moves the answer.
        pull: Pull,
        /// Whether the first option is the strongest instead of the weakest.
        reversed: bool,
        /// Width of the bell curve in options.
        dispersion: f64,
    },
    /// Options that are kinds, each with its own attraction.
    Nominal {
        /// One pull per option.
        options: Vec<Pull>,
    },
}

impl Traits {
    /// Number of options.
    pub fn options(&self) -> usize {
        match self {
            Self::Ordered { options, .. } => *options,
            Self::Nominal { options } => options.len(),
        }
    }

    /// Share per option of people whose culture stands at `position`; sums to 1.
    pub fn shares(&self, position: &Position) -> Vec<f64> {
        match self {
            Self::Ordered { options, pull, reversed, dispersion } => {
                let place = 1.0 / (1.0 + (-pull.at(position)).exp());
                let mut shares = bell(*options, place, *dispersion);
                if *reversed {
                    shares.reverse();
                }
                shares
            }
            Self::Nominal { options } => {
                softmax(&options.iter().map(|o| SHARPNESS * o.at(position)).collect::<Vec<_>>())
            }
        }
    }
}

/// A bell curve around `place` (0..1 from the first to the last option), `width` options wide.
fn bell(options: usize, place: f64, width: f64) -> Vec<f64> {
    let centre = place * options as f64 - 0.5;
    let weights = (0..options).map(|k| -((k as f64 - centre) / width).powi(2) / 2.0);
    softmax(&weights.collect::<Vec<_>>())
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|x| (x - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Width of the bell curve for a scale of `options` options.
pub fn usual_dispersion(options: usize) -> f64 {
    0.5 + 0.03 * options as f64
}

/// Mean of two distributions: `(1 - share) * a + share * b`.
pub fn mixture(a: &[f64], b: &[f64], share: f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| (1.0 - share) * a + share * b).collect()
}

/// Index of the largest share; the first of equals.
pub fn mode(shares: &[f64]) -> usize {
    let better = |best: usize, k: usize| if shares[k] > shares[best] { k } else { best };
    (0..shares.len()).fold(0, better)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ordered(options: usize, bias: f64, reversed: bool) -> Traits {
        let pull = Pull { bias, loadings: Loadings::from([(Dimension::Wealth, 1.0)]) };
        Traits::Ordered { options, pull, reversed, dispersion: usual_dispersion(options) }
    }

    #[test]
    fn the_mode_follows_the_pull() {
        let middle = Position::default();
        for (bias, expect) in [(-4.0, 0), (0.0, 2), (4.0, 4)] {
            assert_eq!(mode(&ordered(5, bias, false).shares(&middle)), expect, "{bias}");
            assert_eq!(mode(&ordered(5, bias, true).shares(&middle)), 4 - expect, "{bias}");
        }
        let mut rich = Position::default();
        rich[Dimension::Wealth as usize] = 1.0;
        assert!(mode(&ordered(10, 0.0, false).shares(&rich)) > 6);
    }

    #[test]
    fn the_most_attractive_kind_wins() {
        let pull = |bias| Pull { bias, ..Pull::default() };
        let traits = Traits::Nominal { options: vec![pull(0.1), pull(1.0), pull(-1.0)] };
        assert_eq!(mode(&traits.shares(&Position::default())), 1);
    }

    proptest! {
        #[test]
        fn shares_sum_to_one(options in 2usize..=10, bias in -9.0..9.0f64, wealth in -3.0..3.0f64) {
            let mut position = Position::default();
            position[Dimension::Wealth as usize] = wealth;
            let shares = ordered(options, bias, false).shares(&position);
            prop_assert_eq!(shares.len(), options);
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        }
    }
}
