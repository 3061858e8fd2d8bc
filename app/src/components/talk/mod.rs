//! The parts of the Talk page.
//!
//! - [`record`]: what is said; [`conversation`]: how it comes to be said; [`arrival`]: how replies come;
//! - [`choice`]: which voices there are;
//! - [`VoiceBar`], [`Composer`], [`TurnView`], [`ComparisonPanel`]: what is seen of it.

pub mod arrival;
pub mod choice;
pub mod conversation;
pub mod record;

mod comparison;
mod composer;
mod reply;
mod turn;
mod voices;
mod welcome;

pub use comparison::ComparisonPanel;
pub use composer::Composer;
pub use turn::TurnView;
pub use voices::VoiceBar;
pub use welcome::Welcome;
