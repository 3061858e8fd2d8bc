//! The parts of the Survey page.
//!
//! - [`plan`]: which voices a run asks; [`scores`]: from raw answers to rows of charts;
//! - [`follow`]: how a run and its progress arrive;
//! - [`ImportSurvey`]: bringing a survey in;
//! - [`NewRun`], [`RunList`], [`RunProgress`], [`Results`]: what is seen of it.

pub mod follow;
pub mod plan;
pub mod scores;

mod filters;
mod heat;
mod import;
mod new_run;
mod progress;
mod question;
mod ranking;
mod results;
mod run_list;

pub use import::ImportSurvey;
pub use new_run::NewRun;
pub use progress::RunProgress;
pub use results::Results;
pub use run_list::RunList;
