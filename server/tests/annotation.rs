//! Annotation from outside: people who judge together, what is refused and how, and what survives.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// All stories; the files lie in a folder of their own.
mod annotation {
    mod adapter;
    mod app;
    mod bad_input;
    mod clocks;
    mod exports;
    mod kill;
    mod live;
    mod servers;
    mod together;
}
