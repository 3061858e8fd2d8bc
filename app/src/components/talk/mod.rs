//! The parts of the Talk page.
//!
//! - [`conversation`]: what is said, by whom, and how it arrives; [`choice`]: which voices there are;
//! - [`VoiceBar`], [`Composer`], [`TurnView`], [`ComparisonPanel`]: what is seen of it.

pub mod choice;
pub mod conversation;

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
