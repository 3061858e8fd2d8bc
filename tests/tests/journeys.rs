//! Journeys through the running product: one module per story, one browser and server per test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// All stories; the name of this module keeps them apart from tests that need no browser.
mod journey {
    #[path = "../journeys/keyboard.rs"]
    mod keyboard;
    #[path = "../journeys/narrow.rs"]
    mod narrow;
    #[path = "../journeys/survey.rs"]
    mod survey;
    #[path = "../journeys/talk.rs"]
    mod talk;
    #[path = "../journeys/whole.rs"]
    mod whole;
}
