//! One module per page; a page loads and arranges, its parts live in [`crate::components`].

mod annotate;
mod not_found;
mod studio;
mod survey;
mod talk;

pub use annotate::{AnnotatePage, JoinPage, ProjectPage};
pub use not_found::NotFound;
pub use studio::StudioPage;
pub use survey::SurveyPage;
pub use talk::TalkPage;
