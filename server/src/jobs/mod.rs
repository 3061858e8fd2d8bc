//! The steps of the method as resumable work.
//!
//! A job takes the store, the engine and its settings. Every unit's result is stored once, together
//! with the progress, so that the same call goes on where a killed one stopped.
//! - [`work`]: the loop that all jobs share: skip what is stored, do the rest in batches;
//! - [`templates`]: the sets of prompt templates; [`ask`]: a question, put to a voice;
//! - [`method`]: a run of the method; [`opening`]: which one a command goes on with; its steps are
//!   [`generate`], [`elicit`], [`collect`], [`tune`] and [`evaluate`], all of them [`pipeline`]; `ahead`:
//!   what is left of tuning;
//! - [`general`]: ordinary conversations, learnt beside the instances and measured;
//! - [`recorder`], [`sample`], [`summary`]: what a run has to show while it is at work;
//! - [`checkpoint`]: its adapters as they are now, to talk to;
//! - [`manifest`], [`reproduce`]: what went in and came out, by hashes, and once more;
//! - [`runner`]: runs in the background, watched and stopped; [`method_run`]: runs of the method
//!   from the studio; [`survey_run`]: a survey asked from the survey page; [`recorded`]: one that
//!   somebody else asked;
//! - [`annotation`]: a run's instances as items to judge; [`accepted`]: runs that learn what people
//!   accepted of them;
//! - [`import`]: surveys from files; [`culturespa`]: the released data of the paper;
//! - [`error`]: what can go wrong.
//!
//! **Invariant:** no SQL, no HTTP, no printing; progress goes to the caller.

pub mod error;

pub mod ability;
pub mod ask;
pub mod templates;
pub mod work;

pub mod method;
pub mod opening;

mod ahead;
pub mod collect;
pub mod elicit;
pub mod evaluate;
pub mod general;
pub mod generate;
pub mod pipeline;
pub mod tune;

pub mod checkpoint;
pub mod recorder;
pub mod sample;
pub mod summary;

pub mod manifest;
pub mod reproduce;

pub mod accepted;
pub mod annotation;
pub mod method_run;
pub mod recorded;
pub mod runner;
pub mod survey_run;

pub mod culturespa;
pub mod import;

pub use domain::method::{MethodRequest, MethodSettings};
pub use error::JobError;
pub use method::Method;
pub use method_run::MethodRuns;
pub use opening::Opening;
pub use survey_run::SurveyRuns;
pub use templates::TemplateSets;
pub use work::Progress;

pub mod testing;
#[cfg(test)]
mod tests;
