//! The clock of a room: the database's, which all servers share, as it was last read, and what has passed
//! since. A server's own clock may be a day off, and is asked for nothing here.

use std::time::Instant;

/// A time of the database, and when it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    at: i64,
    read: Instant,
}

impl Clock {
    /// The database said `at` just now, in milliseconds since 1970 (UTC).
    pub fn read(at: i64) -> Self {
        Self { at, read: Instant::now() }
    }

    /// Now, by the database's clock.
    pub fn now(self) -> i64 {
        let passed = i64::try_from(self.read.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.at.saturating_add(passed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_goes_on_from_what_the_database_said() {
        for at in [0, 86_400_000, 4_000_000_000_000] {
            let read = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
            let now = Clock { at, read }.now();
            assert!((at + 2_000..at + 60_000).contains(&now), "{at}: {now}");
        }
    }
}
