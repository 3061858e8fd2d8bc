//! People of the cultures judge instances together.
//!
//! Whatever anybody does in a project is an immutable [`Event`]; where the project stands is a fold of
//! its events that gives the same in any order and however often an event arrives. So the server, a
//! browser that was cut off and another server agree once they have the same events.
//!
//! - [`project`]: what a project asks for: [`label`]s, guidelines, how many people per item;
//! - [`item`]: an instance as it is judged; [`member`]: who takes part, and what they may do;
//! - [`change`]: what an owner may change of a project at work;
//! - [`event`]: what happened; [`state`]: where that leaves every item;
//! - [`lease`], [`assignment`]: who judges what next, as functions of the state and a given time;
//! - [`visibility`]: what a blind project keeps from annotators until an item is done;
//! - [`verdict`]: what an item's judgements come to, and the queue of disagreements;
//! - [`ratings`]: judgements as tables for [`crate::agreement`]; [`report`]: what each annotator has done;
//! - [`error`]: what is refused.
//!
//! **Invariant:** no clock; whoever needs the time is given it, in milliseconds since 1970 (UTC).

pub mod error;

pub mod label;
pub mod project;

pub mod item;
pub mod member;

pub mod event;
pub mod state;

pub mod change;

pub mod assignment;
pub mod lease;
pub mod visibility;

pub mod ratings;
pub mod report;
pub mod verdict;

pub use assignment::next_items;
pub use change::check_change;
pub use error::AnnotationError;
pub use event::{Act, Event, Judgement, SkipReason, SubmissionId};
pub use item::{Item, ItemId, ItemInfo};
pub use label::{Label, LabelId};
pub use lease::{Attention, LEASE_MILLISECONDS, Lease, LeaseChange, Leases};
pub use member::{Member, MemberId, MemberRole};
pub use project::ProjectSettings;
pub use ratings::Ratings;
pub use report::{AnnotatorReport, annotator_reports};
pub use state::{Record, State};
pub use verdict::{Basis, Verdict, accepted, disagreements, is_accepted, verdict};

#[cfg(test)]
mod tests;
