//! How far annotators agree on the same items, beyond what chance would give.
//!
//! Missing ratings are the rule here, not the exception: an item is judged by some annotators only.
//! Every coefficient is therefore the form for any number of raters per item (Gwet, "Handbook of
//! Inter-Rater Reliability", 4th edition, 2014, chapters 2 to 5; Krippendorff, "Computing
//! Krippendorff's Alpha-Reliability", 2011), and equals the textbook form where all is rated.
//!
//! - [`tally`]: items as counts per category, which is all that coefficients of many raters need;
//! - [`coefficient`]: percent agreement, Fleiss' kappa, Krippendorff's alpha, Gwet's AC1 and AC2;
//! - [`pair`]: two annotators with each other, and Cohen's kappa;
//! - [`summary`]: several coefficients at once, with bootstrap intervals over items.
//!
//! What a judgement is, and which of them count, is in [`crate::annotation`].

pub mod coefficient;
pub mod pair;
pub mod summary;
pub mod tally;

pub use coefficient::Coefficient;
pub use pair::{Pair, PairAgreement};
pub use summary::{Agreement, Estimate, agreement};
pub use tally::Tallies;
