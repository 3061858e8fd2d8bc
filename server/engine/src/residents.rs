//! The adapters that are in memory: so many, and so many bytes. Where there is no room for another,
//! the one that hasn't been asked for the longest leaves; rows in flight keep it alive until they
//! end. Who is known at all, and how an adapter comes back, is in [`super::adapters`].

use std::collections::HashMap;
use std::sync::Arc;

use super::adapters::NamedAdapter;
use super::error::EngineError;
use super::prefixes::Prefixes;

/// What an adapter in memory is found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// One that has files, by its name.
    Named(String),
    /// A blend, by its parts: their generations and the bits of their weights.
    Blend(Vec<(u64, u64)>),
}

/// Adapters in memory.
#[derive(Debug)]
pub struct Residents {
    limit: usize,
    byte_limit: usize,
    entries: HashMap<Key, Resident>,
    /// What was read under them, which leaves with them.
    prefixes: Arc<Prefixes>,
    /// Counts what is asked for.
    clock: u64,
}

#[derive(Debug)]
struct Resident {
    adapter: Arc<NamedAdapter>,
    /// When it was asked for last, by the clock.
    used: u64,
}

impl Residents {
    /// None yet; at most `limit` adapters and `byte_limit` bytes.
    pub fn new(limit: usize, byte_limit: usize, prefixes: Arc<Prefixes>) -> Self {
        Self { limit: limit.max(1), byte_limit, entries: HashMap::new(), prefixes, clock: 0 }
    }

    /// Refuses an adapter that has no room even when it is alone.
    ///
    /// # Errors
    /// [`EngineError::Adapter`].
    pub fn check(&self, name: &str, bytes: usize) -> Result<(), EngineError> {
        if bytes <= self.byte_limit {
            return Ok(());
        }
        let (needed, budget) = (megabytes(bytes), megabytes(self.byte_limit));
        let reason = format!(
            "it needs {needed} MB of memory, and all adapters together may take {budget} MB\nUse one \
             of a lower rank or for fewer layers, or a blend of fewer adapters."
        );
        Err(EngineError::Adapter { name: name.to_owned(), reason })
    }

    /// The adapter of that key, which is the newest used one from here on.
    pub fn find(&mut self, key: &Key) -> Option<Arc<NamedAdapter>> {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        entry.used = self.clock;
        Some(Arc::clone(&entry.adapter))
    }

    /// Takes an adapter in, instead of one with the same key; others leave until there is room.
    ///
    /// # Errors
    /// As [`Self::check`]; nothing has changed then.
    pub fn insert(&mut self, key: Key, adapter: Arc<NamedAdapter>) -> Result<(), EngineError> {
        let bytes = adapter.bytes;
        self.check(&adapter.info.name, bytes)?;
        self.remove(&key);
        while self.entries.len() >= self.limit || self.bytes() + bytes > self.byte_limit {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            self.remove(&oldest);
        }
        self.clock += 1;
        self.entries.insert(key, Resident { adapter, used: self.clock });
        Ok(())
    }

    /// Lets an adapter go, and the blends made of it: nobody will ask for its generation again.
    pub fn remove(&mut self, key: &Key) {
        let Some(Resident { adapter, .. }) = self.entries.remove(key) else { return };
        self.retire(&adapter);
        let gone = adapter.generation;
        let made_of = |parts: &[(u64, u64)]| parts.iter().any(|part| part.0 == gone);
        let blends = self.entries.extract_if(|key, _| matches!(key, Key::Blend(p) if made_of(p)));
        for (_, blend) in blends.collect::<Vec<_>>() {
            self.retire(&blend.adapter);
        }
    }

    fn retire(&self, adapter: &NamedAdapter) {
        adapter.retire();
        self.prefixes.forget(adapter.generation);
    }

    /// Bytes of all adapters in memory.
    pub fn bytes(&self) -> usize {
        self.entries.values().map(|entry| entry.adapter.bytes).sum()
    }
}

#[cfg(test)]
impl Residents {
    /// Where what is read under them is kept.
    pub fn prefixes(&self) -> Arc<Prefixes> {
        Arc::clone(&self.prefixes)
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.entries.values().map(|entry| entry.adapter.info.name.clone()).collect();
        names.sort();
        names
    }
}

fn megabytes(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{tiny_adapter, tiny_config};

    fn adapter(name: &str, generation: u64) -> Arc<NamedAdapter> {
        let matrices = tiny_adapter(&tiny_config(), generation);
        Arc::new(NamedAdapter::new(name, "00", matrices, generation))
    }

    fn room_for(limit: usize, byte_limit: usize) -> Residents {
        Residents::new(limit, byte_limit, Prefixes::new(0))
    }

    fn named(name: &str) -> Key {
        Key::Named(name.to_owned())
    }

    #[test]
    fn the_one_that_was_not_asked_for_the_longest_leaves() {
        let mut residents = room_for(3, usize::MAX);
        for (generation, name) in ["a", "b", "c"].into_iter().enumerate() {
            residents.insert(named(name), adapter(name, generation as u64)).unwrap();
        }
        let oldest = residents.find(&named("a")).unwrap();
        residents.insert(named("d"), adapter("d", 3)).unwrap();
        assert!(residents.find(&named("b")).is_none(), "asked for the longest ago");
        assert!(residents.find(&named("a")).is_some() && !oldest.is_retired());
        assert_eq!(residents.names(), ["a", "c", "d"]);
    }

    #[test]
    fn bytes_count_as_well_as_the_number() {
        let size = adapter("a", 0).bytes;
        assert!(size > 1000, "{size}");
        let mut residents = room_for(64, 2 * size + 1);
        for (generation, name) in ["a", "b", "c"].into_iter().enumerate() {
            residents.insert(named(name), adapter(name, generation as u64)).unwrap();
            assert!(residents.bytes() <= 2 * size + 1);
        }
        assert!(residents.find(&named("a")).is_none() && residents.find(&named("c")).is_some());
    }

    #[test]
    fn what_never_fits_is_refused_and_nothing_leaves() {
        let size = adapter("a", 0).bytes;
        let mut residents = room_for(64, size - 1);
        let error = residents.insert(named("a"), adapter("a", 0)).unwrap_err().to_string();
        assert!(error.contains("`a`") && error.contains("MB") && error.contains('\n'), "{error}");
        let mut residents = room_for(64, size);
        residents.insert(named("a"), adapter("a", 0)).unwrap();
        let mut big = NamedAdapter::new("a", "0", tiny_adapter(&tiny_config(), 1), 1);
        big.bytes = size + 1;
        assert!(residents.insert(named("a"), Arc::new(big)).is_err());
        assert_eq!(residents.find(&named("a")).unwrap().generation, 0);
    }

    #[test]
    fn blends_leave_with_what_they_are_made_of() {
        let mut residents = room_for(64, usize::MAX);
        residents.insert(named("a"), adapter("a", 1)).unwrap();
        residents.insert(named("b"), adapter("b", 2)).unwrap();
        let blend = |parts: &[u64]| Key::Blend(parts.iter().map(|part| (*part, 0)).collect());
        residents.insert(blend(&[1, 2]), adapter("a + b", 3)).unwrap();
        residents.insert(blend(&[2, 9]), adapter("b + c", 4)).unwrap();
        let held = residents.find(&blend(&[1, 2])).unwrap();
        residents.insert(named("a"), adapter("a", 5)).unwrap();
        assert!(residents.find(&blend(&[1, 2])).is_none() && held.is_retired());
        assert!(residents.find(&blend(&[2, 9])).is_some_and(|other| !other.is_retired()));
    }
}
