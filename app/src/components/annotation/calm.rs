//! Numbers about the whole project, kept up to date without standing in anybody's way.
//!
//! In a large project something happens all the time, and counting thousands of items anew each time would
//! keep the browser from showing the next one. So numbers are counted again a while after a change.

use std::time::Duration;

use domain::annotation::{ItemInfo, ProjectSettings, State};
use leptos::prelude::*;

use super::desk::Desk;
use crate::browser;

/// The shortest time between two counts.
const PAUSE: Duration = Duration::from_millis(700);

/// How many times as long as counting takes, nothing is counted: a tenth of the time is spent on it at most.
const REST: f64 = 9.0;

/// What `count` finds in the newest state: at once, and again a while after each change.
pub fn calm<T: Send + Sync + 'static>(
    desk: Desk,
    count: impl Fn(&ProjectSettings, &State, &[ItemInfo]) -> T + Copy + Send + Sync + 'static,
) -> RwSignal<T> {
    let pause = StoredValue::new(PAUSE);
    let compute = move || {
        let began = browser::milliseconds();
        let read = |state: &State| desk.with_items(|settings, items| count(settings, state, items));
        let found = untrack(|| desk.state.with(read));
        let _ = pause.try_set_value(pause_after(browser::milliseconds() - began));
        found
    };
    let found = RwSignal::new(compute());
    let waiting = StoredValue::new(false);
    Effect::new(move |before: Option<()>| {
        desk.state.track();
        if before.is_none() || waiting.get_value() {
            return;
        }
        waiting.set_value(true);
        set_timeout(
            move || {
                // The page may have been left meanwhile.
                if waiting.try_set_value(false).is_none() {
                    let _ = found.try_set(compute());
                }
            },
            pause.get_value(),
        );
    });
    found
}

/// How long to wait after a count that took so many milliseconds.
fn pause_after(milliseconds: f64) -> Duration {
    PAUSE.max(Duration::from_millis((milliseconds * REST).clamp(0.0, 60_000.0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_counted_less_often() {
        for (took, pause) in [(-1.0, 700), (3.0, 700), (200.0, 1_800), (1e9, 60_000)] {
            assert_eq!(pause_after(took), Duration::from_millis(pause), "{took}");
        }
    }
}
