//! Parts of the Studio page: the form that starts a run, and a run with its five steps.
//!
//! - [`form`], [`fields`]: what is chosen for a new run, as plain data; [`start`], [`settings`]: its form;
//! - [`follow`]: how the shown run arrives; [`run`]: its head;
//! - [`card`]: the frame of a step; [`generate`], [`elicit`], [`collect`], [`tune`], [`evaluate`]: what they show.

mod fields;
pub mod form;
mod settings;
pub mod start;

pub mod follow;
mod run;

mod card;
mod collect;
mod elicit;
mod evaluate;
mod generate;
mod tune;

pub use card::StepCard;
pub use evaluate::Evaluated;
pub use run::ShownRun;
pub use start::StartRun;
pub use tune::Tuned;
