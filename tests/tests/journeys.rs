//! Journeys through the running product: one module per story, one browser and server per test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// All stories; the name of this module keeps them apart from tests that need no browser.
mod journey {
    mod annotate;
    mod annotate_phone;
    mod import;
    mod keyboard;
    mod narrow;
    mod studio;
    mod survey;
    mod talk;
    mod whole;
}
