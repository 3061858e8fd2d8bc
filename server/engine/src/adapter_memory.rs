//! Bytes of adapters that are alive, whoever holds them: those in memory for the next row, those
//! that left and that rows still hold, and what is being read. Each counts until it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory for adapters.
#[derive(Debug)]
pub struct AdapterMemory {
    limit: usize,
    used: AtomicUsize,
}

/// A part of it, which is given back when this is dropped.
#[derive(Debug)]
pub struct MemoryPart {
    memory: Arc<AdapterMemory>,
    bytes: usize,
}

impl AdapterMemory {
    /// At most `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// Bytes that there are in all.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that are taken.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Bytes that are left.
    pub fn free(&self) -> usize {
        self.limit.saturating_sub(self.used())
    }

    /// Takes `bytes`, if there are so many.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Option<MemoryPart> {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(MemoryPart { memory: Arc::clone(self), bytes })
    }
}

impl MemoryPart {
    /// Bytes that it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for MemoryPart {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_counts_until_it_is_dropped() {
        let memory = AdapterMemory::new(10);
        let (one, two) = (memory.take(6).unwrap(), memory.take(4).unwrap());
        assert_eq!((memory.used(), memory.free(), one.bytes()), (10, 0, 6));
        assert!(memory.take(1).is_none() && memory.take(0).is_some());
        drop(two);
        assert!(memory.take(5).is_none() && memory.take(usize::MAX).is_none());
        assert_eq!(memory.used(), 6, "what is refused takes nothing");
        drop(one);
        assert_eq!(memory.used(), 0);
    }
}
