//! How busy the engine is, shared between the thread that computes and those that ask.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::cache_memory::CacheMemory;

/// Longest wait that a refusal suggests.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Measures that a refusal needs.
#[derive(Debug)]
pub struct Load {
    /// Memory for the caches of replies.
    pub caches: CacheMemory,
    /// How long a reply takes, in milliseconds: a mean that forgets.
    row_millis: AtomicU64,
}

impl Load {
    /// Before the first reply.
    pub fn new(caches: CacheMemory) -> Self {
        Self { caches, row_millis: AtomicU64::new(1000) }
    }

    /// Notes how long a reply took.
    pub fn row_took(&self, time: Duration) {
        let before = self.row_millis.load(Ordering::Relaxed);
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 8);
        // One thread writes, so that nothing is lost in between.
        self.row_millis.store((before * 7 + time) / 8, Ordering::Relaxed);
    }

    /// When a place is likely to be free: after about one reply's time.
    pub fn retry_after(&self) -> Duration {
        let mean = Duration::from_millis(self.row_millis.load(Ordering::Relaxed));
        mean.clamp(Duration::from_secs(1), LONGEST_WAIT)
    }
}
