//! How close a voice's answers are to a culture's people.
//!
//! A [`Metric`] turns each question into a [`Part`] and the parts into one score; everything else
//! (bootstrap intervals, paired differences, baselines, topics) works on parts, so that it is the
//! same for every metric.
//!
//! - [`alignment`]: the paper's rule on plain numbers, also used for recorded answer files;
//! - [`distance`]: Jensen-Shannon and earth mover's distance between distributions;
//! - [`metric`]: the four metrics as parts;
//! - [`bootstrap`]: percentile intervals, paired where two voices are compared;
//! - [`mean`]: the same for the mean over cultures;
//! - [`baseline`]: what answering without any knowledge of people reaches;
//! - [`evaluation`]: one voice against one culture, over chosen topics;
//! - [`movement`]: which way answers move, toward people or away;
//! - [`refusal`]: what a voice gave no opinion on;
//! - [`relation`]: how alike cultures are, in a model's answers and in people's; [`cluster`]: the order
//!   in which they are shown;
//! - [`cross`]: every culture's own adapter asked as every culture.

pub mod ability;
pub mod alignment;
pub mod baseline;
pub mod bootstrap;
pub mod cluster;
pub mod cross;
pub mod distance;
pub mod evaluation;
pub mod mean;
pub mod metric;
pub mod movement;
pub mod refusal;
pub mod relation;

pub use ability::Ability;
pub use alignment::{Scored, alignment};
pub use baseline::{Baseline, baseline_parts, baseline_score};
pub use bootstrap::{Interval, RESAMPLES, SEED, interval, paired_interval, paired_mean_interval};
pub use cross::{CrossParts, CrossScores, OwnGain};
pub use evaluation::{Evaluation, Parts, evaluate, evaluate_by_topic, parts};
pub use mean::{mean_interval, mean_paired_interval, mean_paired_interval_of};
pub use metric::{Metric, Part};
pub use movement::{Movement, movement};
pub use refusal::Refusals;
pub use relation::{MatrixCorrelation, Relations};
