//! How much the engine takes on and how long a reply may take. Places are counted in
//! [`super::places`]; the memory of caches in [`super::cache_memory`].

use std::time::{Duration, Instant};

use super::error::EngineError;

/// What the engine takes on before it refuses or gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Replies that may be in the batch or wait for it.
    pub rows: usize,
    /// Of these, how many may be one client's.
    pub client_rows: usize,
    /// Requests to score that may be at work or wait.
    pub scores: usize,
    /// Of these, how many may be one client's.
    pub client_scores: usize,
    /// How long a reply may wait for its place in the batch.
    pub waiting: Duration,
    /// How long a reply may take from the request to its last token.
    pub reply: Duration,
    /// How long a request to score may take, from when it is made.
    pub score: Duration,
    /// Adapters in memory, blends included.
    pub adapters: usize,
    /// Bytes of all adapters together: those in memory for the next row, those that rows hold, and
    /// what is being read.
    pub adapter_bytes: usize,
    /// Bytes of the caches of replies in the batch together; `None` for what the device has room for.
    pub cache_bytes: Option<usize>,
    /// Bytes of caches that are kept of what was read before.
    pub prefix_bytes: usize,
}

impl Default for Limits {
    /// One client leaves a quarter of the places to others. The times are far beyond what a person
    /// waits for: they end what would never end by itself.
    fn default() -> Self {
        Self {
            rows: 256,
            client_rows: 192,
            scores: 32,
            client_scores: 24,
            waiting: Duration::from_secs(5 * 60),
            reply: Duration::from_secs(30 * 60),
            // A batch of a survey on a large model and few cores takes long without anything being wrong.
            score: Duration::from_secs(4 * 60 * 60),
            adapters: 64,
            adapter_bytes: 4_000_000_000,
            cache_bytes: None,
            prefix_bytes: 512 << 20,
        }
    }
}

/// When a reply gives up; without times it never does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deadlines {
    waiting: Option<Deadline>,
    reply: Option<Deadline>,
}

#[derive(Debug, Clone, Copy)]
struct Deadline {
    /// `None` where the clock doesn't reach so far.
    at: Option<Instant>,
    limit: Duration,
}

impl Deadline {
    fn after(start: Instant, limit: Duration) -> Self {
        Self { at: start.checked_add(limit), limit }
    }

    fn passed(self, now: Instant) -> Option<Duration> {
        self.at.filter(|at| *at <= now).map(|_| self.limit)
    }
}

impl Deadlines {
    /// Those of a reply that is asked for at `start`.
    pub fn new(limits: &Limits, start: Instant) -> Self {
        let after = |limit| Some(Deadline::after(start, limit));
        Self { waiting: after(limits.waiting), reply: after(limits.reply) }
    }

    /// Why a reply that has no place in the batch yet gives up at `now`, if it does.
    pub fn while_waiting(&self, now: Instant) -> Option<EngineError> {
        let limit = self.waiting.and_then(|deadline| deadline.passed(now));
        let waited = |limit| EngineError::TimedOut { limit, waiting: true };
        limit.map(waited).or_else(|| self.while_answering(now))
    }

    /// Why a reply in the batch gives up at `now`, if it does.
    pub fn while_answering(&self, now: Instant) -> Option<EngineError> {
        let limit = self.reply.and_then(|deadline| deadline.passed(now));
        limit.map(|limit| EngineError::TimedOut { limit, waiting: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_at_its_time_and_not_before() {
        let (waiting, reply) = (Duration::from_secs(10), Duration::from_secs(60));
        let start = Instant::now();
        let limits = Limits { waiting, reply, ..Limits::default() };
        let deadlines = Deadlines::new(&limits, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        for (seconds, waits, answers) in [
            (0, None, None),
            (9, None, None),
            (10, Some(true), None),
            (60, Some(true), Some(false)),
        ] {
            let phase = |error: Option<EngineError>| match error {
                Some(EngineError::TimedOut { waiting, .. }) => Some(waiting),
                _ => None,
            };
            assert_eq!(phase(deadlines.while_waiting(at(seconds))), waits, "{seconds} s");
            assert_eq!(phase(deadlines.while_answering(at(seconds))), answers, "{seconds} s");
        }
    }

    #[test]
    fn a_limit_beyond_the_clock_is_none() {
        let limits = Limits { waiting: Duration::MAX, reply: Duration::MAX, ..Limits::default() };
        let start = Instant::now();
        let later = start + Duration::from_secs(1 << 30);
        assert_eq!(Deadlines::new(&limits, start).while_waiting(later), None);
        assert_eq!(Deadlines::default().while_waiting(later), None);
    }
}
