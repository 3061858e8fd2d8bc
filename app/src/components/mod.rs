//! The parts that pages are made of.
//!
//! - [`talk`], [`survey`], [`studio`], [`annotation`]: parts of one page, with its state;
//! - the rest is shared; [`words`]: numbers and states as text; [`run_page`]: a page of runs;
//!   [`following`]: a run while it is at work.

pub mod annotation;
pub mod studio;
pub mod survey;
pub mod talk;

pub mod following;
pub mod run_page;
pub mod words;

mod error;
mod icon;
mod once_alive;
mod voice_tag;

pub use error::{ErrorNote, marked};
pub use icon::{Glyph, Icon};
pub use once_alive::OnceAlive;
pub use voice_tag::VoiceTag;
