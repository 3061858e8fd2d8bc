//! The parts of the Survey page.
//!
//! - [`plan`]: which voices a run asks; [`speaker`]: voices with their answers, of one run or two;
//!   [`scores`], [`matrices`]: from these to what charts show;
//! - [`follow`]: how a run and its progress arrive;
//! - [`ImportSurvey`]: bringing a survey in;
//! - [`NewRun`], [`RunProgress`], [`BesideChoice`], [`Results`]: what is seen of a run.

pub mod follow;
pub mod matrices;
pub mod plan;
pub mod scores;
pub mod speaker;

mod beside;
mod cross;
mod filters;
mod group_choice;
mod heat;
mod import;
mod new_run;
mod progress;
mod question;
mod ranking;
mod relations;
mod results;

pub use beside::BesideChoice;
pub use import::{Import, ImportSurvey};
pub use new_run::NewRun;
pub use progress::RunProgress;
pub use results::Results;
