//! The paper's comparisons as runs that differ from one another in a single setting.
//!
//! Every arm of a comparison is an ordinary run of the method: the studio shows it, `reproduce`
//! repeats it, and a killed one goes on. Arms share the questions of one base run, and its answers
//! where they ask the same. Every comparison holds all cultures' answers to the same held-out questions
//! against each other, with paired intervals over questions.
//!
//! - [`arm`]: a run that differs from the base run;
//! - [`plan`]: which comparisons there are; [`section`]: one of them, measured;
//! - [`report`], [`chart`]: the page with all of them.

pub mod arm;
pub mod chart;
pub mod plan;
pub mod report;
pub mod section;

pub use plan::{check_base, run};
pub use report::Report;
pub use section::{Entry, Section, Verdict};

#[cfg(test)]
mod tests;
