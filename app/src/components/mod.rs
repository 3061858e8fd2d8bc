//! The parts that pages are made of.
//!
//! - [`talk`], [`survey`]: parts of one page, with its state;
//! - the rest is shared.

pub mod survey;
pub mod talk;

mod error;
mod icon;
mod voice_tag;

pub use error::{ErrorNote, marked};
pub use icon::{Glyph, Icon};
pub use voice_tag::VoiceTag;
