//! The steps of the method as resumable work.
//!
//! A job takes the store, the engine and its settings. Every unit's result is stored once, together
//! with the progress, so that the same call goes on where a killed one stopped.
//! - [`work`]: the loop that all jobs share: skip what is stored, do the rest in batches;
//! - [`ask`]: a question, put to a voice, as a prompt to score;
//! - [`method`]: a run of the method; its steps are [`generate`], [`elicit`], [`collect`],
//!   [`tune`] and [`evaluate`], all of them [`pipeline`];
//! - [`annotation`]: a run's instances as items to judge;
//! - [`survey_run`]: a survey asked from the survey page;
//! - [`culturespa`]: the released data of the paper, imported and scored;
//! - [`error`]: what can go wrong.
//!
//! **Invariant:** no SQL, no HTTP, no printing; progress goes to the caller.

pub mod error;

pub mod ask;
pub mod work;

pub mod method;

pub mod collect;
pub mod elicit;
pub mod evaluate;
pub mod generate;
pub mod pipeline;
pub mod tune;

pub mod annotation;
pub mod survey_run;

pub mod culturespa;

pub use error::JobError;
pub use method::{Method, MethodRequest, MethodSettings, Opening};
pub use survey_run::SurveyRuns;
pub use work::Progress;

pub mod testing;
#[cfg(test)]
mod tests;
