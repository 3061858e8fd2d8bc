//! The metrics a voice can be scored by, each as parts that add up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::distance;
use crate::answer::most_probable;
use crate::question::{Question, Scale};
use crate::survey::Distribution;

/// How closeness to people is measured. Every metric lies in about 0..=1, and 1 is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The paper's score: numbers of the most probable and the most frequent option, Euclidean.
    Alignment,
    /// The same numbers with every question alike: 1 - |a - g| / (n - 1), mean over questions. In the
    /// paper's score long scales outweigh short ones.
    AlignmentPerQuestion,
    /// 1 - Jensen-Shannon distance between the distributions, mean over questions.
    JensenShannon,
    /// 1 - normalised earth mover's distance, mean over questions; nominal questions use total
    /// variation, because their options have no order to move along.
    EarthMover,
    /// Share of questions whose most probable option is people's most frequent one.
    ExactMode,
}

/// One question's contribution to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Adds up in the numerator: squared error for [`Metric::Alignment`], closeness otherwise.
    pub amount: f64,
    /// Adds up in the denominator: squared width of the scale, or 1.
    pub scale: f64,
}

impl Metric {
    /// All metrics in display order.
    pub const ALL: [Self; 5] = [
        Self::Alignment,
        Self::AlignmentPerQuestion,
        Self::JensenShannon,
        Self::EarthMover,
        Self::ExactMode,
    ];

    /// Name in addresses and commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alignment => "alignment",
            Self::AlignmentPerQuestion => "alignment-per-question",
            Self::JensenShannon => "jensen-shannon",
            Self::EarthMover => "earth-mover",
            Self::ExactMode => "exact-mode",
        }
    }

    /// Name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Alignment => "Alignment (paper)",
            Self::AlignmentPerQuestion => "Alignment, every question alike",
            Self::JensenShannon => "1 − Jensen–Shannon distance",
            Self::EarthMover => "1 − earth mover’s distance",
            Self::ExactMode => "Same most frequent answer",
        }
    }

    /// One sentence that says how the number comes about.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Alignment => {
                "1 − ‖a − g‖ / ‖n − 1‖ over questions: a is the number of the voice’s most \
                 probable option, g the number people chose most often, n the number of options."
            }
            Self::AlignmentPerQuestion => {
                "For each question 1 − |a − g| / (n − 1), with the paper’s numbers; then the mean. \
                 A question with ten options weighs as much as one with two."
            }
            Self::JensenShannon => {
                "For each question 1 minus the Jensen–Shannon distance (base 2) between the \
                 voice’s option probabilities and people’s shares; then the mean."
            }
            Self::EarthMover => {
                "For each question 1 minus the share of the scale’s width that probability has to \
                 travel to become people’s shares (total variation for unordered options); then \
                 the mean."
            }
            Self::ExactMode => {
                "Share of questions where the voice’s most probable option is the one people \
                 chose most often."
            }
        }
    }

    /// The part of `question`, answered with `probabilities` (one per option) where `people`
    /// answered so. `None` where the question can't be scored: shapes differ, or no mass.
    pub fn part(
        self,
        question: &Question,
        probabilities: &[f64],
        people: &Distribution,
    ) -> Option<Part> {
        let shapes_fit = probabilities.len() == question.options.len()
            && people.shares.len() == question.options.len();
        if !shapes_fit || question.options.len() < 2 {
            return None;
        }
        let chosen = question.number_of(most_probable(probabilities)?);
        match self {
            Self::Alignment => {
                Some(Part::alignment(f64::from(chosen), people.mode, question.options.len()))
            }
            Self::AlignmentPerQuestion => {
                Some(Part::numbers(f64::from(chosen), people.mode, question.options.len()))
            }
            Self::JensenShannon => Some(Part::closeness(
                1.0 - distance::jensen_shannon(probabilities, &people.shares)?,
            )),
            Self::EarthMover => {
                let distance = match question.scale {
                    Scale::Ordered => distance::earth_mover(probabilities, &people.shares)?,
                    Scale::Nominal => distance::total_variation(probabilities, &people.shares)?,
                };
                Some(Part::closeness(1.0 - distance))
            }
            Self::ExactMode => Some(Part::closeness(if chosen == people.mode { 1.0 } else { 0.0 })),
        }
    }

    /// The score of summed parts; `None` where nothing was scored.
    pub fn combine(self, amount: f64, scale: f64) -> Option<f64> {
        if scale <= 0.0 {
            return None;
        }
        Some(match self {
            Self::Alignment => 1.0 - (amount / scale).sqrt(),
            _ => amount / scale,
        })
    }

    /// The score of `parts`; `None` where nothing was scored.
    pub fn score<'a>(self, parts: impl IntoIterator<Item = &'a Part>) -> Option<f64> {
        let (amount, scale) = parts
            .into_iter()
            .fold((0.0, 0.0), |(amount, scale), part| (amount + part.amount, scale + part.scale));
        self.combine(amount, scale)
    }
}

impl Part {
    /// The part of [`Metric::Alignment`] for an answer number, which may lie between options.
    pub fn alignment(answer: f64, mode: u32, options: usize) -> Self {
        Self {
            amount: (answer - f64::from(mode)).powi(2),
            scale: (options.saturating_sub(1) as f64).powi(2),
        }
    }

    /// The part of [`Metric::AlignmentPerQuestion`] for an answer number, which may lie between options.
    pub fn numbers(answer: f64, mode: u32, options: usize) -> Self {
        let width = options.saturating_sub(1).max(1) as f64;
        Self::closeness(1.0 - (answer - f64::from(mode)).abs() / width)
    }

    /// The part of a metric that averages over questions.
    pub fn closeness(value: f64) -> Self {
        Self { amount: value, scale: 1.0 }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join("`, `");
            format!("`{text}` is not a metric\nUse one of `{known}`.")
        })
    }
}
