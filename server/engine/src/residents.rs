//! The adapters that are in memory: so many, and so many bytes. Where there is no room for another,
//! those leave that no row holds and that haven't been asked for the longest; where rows hold all of
//! them, one of those. What rows hold counts until they end, also when it has left. Who is known at all, and how an adapter comes back, is in
//! [`super::adapters`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::adapter_memory::{AdapterMemory, MemoryPart};
use super::adapters::NamedAdapter;
use super::error::EngineError;
use super::prefixes::Prefixes;

/// When whoever finds the memory held by rows may try again: a short reply has ended by then.
const RETRY_AFTER: Duration = Duration::from_secs(5);

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
    memory: Arc<AdapterMemory>,
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
        let memory = AdapterMemory::new(byte_limit);
        Self { limit: limit.max(1), memory, entries: HashMap::new(), prefixes, clock: 0 }
    }

    /// Takes memory for an adapter before it is there. `beside` are the bytes of the parts that a
    /// blend is made of, which must be in memory with it. Others leave until there is room.
    ///
    /// # Errors
    /// [`EngineError::Adapter`] if it has no room even when it is alone, and
    /// [`EngineError::Overloaded`] if what rows hold leaves none; nothing has left then.
    pub fn reserve(
        &mut self,
        name: &str,
        bytes: usize,
        beside: usize,
    ) -> Result<MemoryPart, EngineError> {
        self.check(name, bytes.saturating_add(beside))?;
        if bytes <= self.memory.free().saturating_add(self.idle_bytes()) {
            while self.memory.free() < bytes && self.drop_oldest(Resident::is_idle) {}
        }
        let limit = self.memory.limit().div_ceil(1_000_000);
        let (retry_after, unit) = (RETRY_AFTER, "MB of adapters");
        self.memory.take(bytes).ok_or(EngineError::Overloaded { retry_after, limit, unit })
    }

    fn check(&self, name: &str, bytes: usize) -> Result<(), EngineError> {
        if bytes <= self.memory.limit() {
            return Ok(());
        }
        let (needed, budget) = (megabytes(bytes), megabytes(self.memory.limit()));
        let reason = format!(
            "it needs {needed} MB of memory, and all adapters together may take {budget} MB\nUse one \
             of a lower rank or for fewer layers, or a blend of fewer adapters; or \
             give them more (`--adapter-memory`)."
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

    /// Takes an adapter in, instead of one with the same key. Others leave if there are too many, a
    /// blend's own parts perhaps; then nobody could ask for the blend, and it isn't taken in.
    pub fn insert(&mut self, key: Key, adapter: Arc<NamedAdapter>, parts: &[Arc<NamedAdapter>]) {
        self.remove(&key);
        while self.entries.len() >= self.limit
            && (self.drop_oldest(Resident::is_idle) || self.drop_oldest(|_| true))
        {}
        if parts.iter().any(|part| part.is_retired()) {
            adapter.retire();
            return;
        }
        self.clock += 1;
        self.entries.insert(key, Resident { adapter, used: self.clock });
    }

    /// Lets go of the one that wasn't asked for the longest among those that `may` leave; whether
    /// there was one.
    fn drop_oldest(&mut self, may: impl Fn(&Resident) -> bool) -> bool {
        let able = self.entries.iter().filter(|(_, entry)| may(entry));
        let Some((key, _)) = able.min_by_key(|(_, entry)| entry.used) else { return false };
        let key = key.clone();
        self.remove(&key);
        true
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
        self.prefixes.forget(Some(adapter.generation));
    }

    /// Bytes of adapters that somebody holds, or that are being read.
    pub fn held(&self) -> usize {
        self.memory.used().saturating_sub(self.idle_bytes())
    }

    /// Bytes that are free as soon as they are needed.
    fn idle_bytes(&self) -> usize {
        let idle = self.entries.values().filter(|entry| entry.is_idle());
        idle.map(|entry| entry.adapter.bytes).sum()
    }
}

impl Resident {
    /// Whether nobody holds it. Who comes to hold it gets it from here, so this stays true meanwhile.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.adapter) == 1
    }
}

#[cfg(test)]
impl Residents {
    /// Where what is read under them is kept.
    pub fn prefixes(&self) -> Arc<Prefixes> {
        Arc::clone(&self.prefixes)
    }

    /// Bytes of all adapters that are alive.
    pub fn bytes(&self) -> usize {
        self.memory.used()
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

    fn adapter(name: &str, generation: u64, memory: MemoryPart) -> Arc<NamedAdapter> {
        let matrices = tiny_adapter(&tiny_config(), generation);
        Arc::new(NamedAdapter::new(name, "00", matrices, generation).with_memory(memory))
    }

    fn size() -> usize {
        tiny_adapter(&tiny_config(), 1).bytes()
    }

    fn room_for(limit: usize, byte_limit: usize) -> Residents {
        Residents::new(limit, byte_limit, Prefixes::new(0))
    }

    fn named(name: &str) -> Key {
        Key::Named(name.to_owned())
    }

    fn blend_of(parts: &[u64]) -> Key {
        Key::Blend(parts.iter().map(|part| (*part, 0)).collect())
    }

    /// Takes memory for an adapter and puts it there.
    fn take_in(residents: &mut Residents, key: Key, name: &str, generation: u64) {
        let memory = residents.reserve(name, size(), 0).unwrap();
        residents.insert(key, adapter(name, generation, memory), &[]);
    }

    fn take_in_named(residents: &mut Residents, name: &str, generation: u64) {
        take_in(residents, named(name), name, generation);
    }

    #[test]
    fn the_one_that_was_not_asked_for_the_longest_leaves() {
        let mut residents = room_for(3, usize::MAX);
        for (generation, name) in ["a", "b", "c"].into_iter().enumerate() {
            take_in_named(&mut residents, name, generation as u64);
        }
        let oldest = residents.find(&named("a")).unwrap();
        take_in_named(&mut residents, "d", 3);
        assert!(residents.find(&named("b")).is_none(), "asked for the longest ago");
        assert!(residents.find(&named("a")).is_some() && !oldest.is_retired());
        assert_eq!(residents.names(), ["a", "c", "d"]);
    }

    #[test]
    fn bytes_count_as_well_as_the_number() {
        assert!(size() > 1000, "{}", size());
        let mut residents = room_for(64, 2 * size() + 1);
        for (generation, name) in ["a", "b", "c"].into_iter().enumerate() {
            take_in_named(&mut residents, name, generation as u64);
            assert!(residents.bytes() <= 2 * size() + 1);
        }
        assert!(residents.find(&named("a")).is_none() && residents.find(&named("c")).is_some());
    }

    #[test]
    fn others_leave_before_anything_is_read() {
        let mut residents = room_for(64, 2 * size());
        take_in_named(&mut residents, "a", 0);
        take_in_named(&mut residents, "b", 1);
        let memory = residents.reserve("c", size(), 0).unwrap();
        assert_eq!((residents.names(), residents.bytes()), (vec!["b".to_owned()], 2 * size()));
        drop(memory);
        assert_eq!(residents.bytes(), size(), "what wasn't read takes nothing");
    }

    #[test]
    fn what_is_held_stays_and_counts() {
        let mut residents = room_for(64, 2 * size());
        take_in_named(&mut residents, "a", 0);
        take_in_named(&mut residents, "b", 1);
        let held = residents.find(&named("a")).unwrap();
        // `a` was asked for last, but even the oldest stays while somebody holds it.
        residents.find(&named("b")).unwrap();
        take_in_named(&mut residents, "c", 2);
        assert_eq!(residents.names(), ["a", "c"]);
        let other = residents.find(&named("c")).unwrap();
        let error = residents.reserve("d", size(), 0).unwrap_err();
        assert!(error.retry_after().is_some() && error.code() == "overloaded", "{error}");
        assert_eq!(residents.names(), ["a", "c"], "nothing has left for nothing");
        assert_eq!((residents.held(), residents.bytes()), (2 * size(), 2 * size()));
        // One that left still counts while it is held.
        residents.remove(&named("a"));
        assert_eq!(residents.bytes(), 2 * size());
        assert!(residents.reserve("d", size(), 0).is_err());
        drop(held);
        assert_eq!(residents.bytes(), size());
        assert!(residents.reserve("d", size(), 0).is_ok());
        drop(other);
        assert_eq!(residents.held(), 0);
    }

    #[test]
    fn where_there_are_too_many_those_that_nobody_holds_leave_first() {
        let mut residents = room_for(2, usize::MAX);
        take_in_named(&mut residents, "a", 0);
        take_in_named(&mut residents, "b", 1);
        let oldest = residents.find(&named("a")).unwrap();
        residents.find(&named("b")).unwrap();
        take_in_named(&mut residents, "c", 2);
        assert_eq!(residents.names(), ["a", "c"]);
        let newest = residents.find(&named("c")).unwrap();
        take_in_named(&mut residents, "d", 3);
        assert_eq!(residents.names(), ["c", "d"], "all are held, so the oldest leaves");
        assert!(oldest.is_retired() && !newest.is_retired());
    }

    #[test]
    fn what_never_fits_is_refused_and_nothing_leaves() {
        let mut residents = room_for(64, size());
        take_in_named(&mut residents, "a", 0);
        for (bytes, beside) in [(size() + 1, 0), (size() / 2 + 1, size() / 2), (1, usize::MAX)] {
            let error = residents.reserve("b", bytes, beside).unwrap_err();
            assert!(error.code() == "adapter" && error.retry_after().is_none(), "{error}");
            let error = error.to_string();
            assert!(
                error.contains("`b`") && error.contains("MB") && error.contains('\n'),
                "{error}"
            );
        }
        assert_eq!(residents.find(&named("a")).unwrap().generation, 0);
    }

    #[test]
    fn blends_leave_with_what_they_are_made_of() {
        let mut residents = room_for(64, usize::MAX);
        take_in_named(&mut residents, "a", 1);
        take_in_named(&mut residents, "b", 2);
        take_in(&mut residents, blend_of(&[1, 2]), "a + b", 3);
        take_in(&mut residents, blend_of(&[2, 9]), "b + c", 4);
        let held = residents.find(&blend_of(&[1, 2])).unwrap();
        take_in_named(&mut residents, "a", 5);
        assert!(residents.find(&blend_of(&[1, 2])).is_none() && held.is_retired());
        assert!(residents.find(&blend_of(&[2, 9])).is_some_and(|other| !other.is_retired()));
    }

    #[test]
    fn a_blend_that_drives_out_its_own_part_is_not_taken_in() {
        let mut residents = room_for(2, usize::MAX);
        take_in_named(&mut residents, "a", 1);
        take_in_named(&mut residents, "b", 2);
        let parts = ["a", "b"].map(|name| residents.find(&named(name)).unwrap());
        let memory = residents.reserve("a + b", 2 * size(), 2 * size()).unwrap();
        let blend = adapter("a + b", 3, memory);
        residents.insert(blend_of(&[1, 2]), Arc::clone(&blend), &parts);
        assert!(blend.is_retired() && residents.find(&blend_of(&[1, 2])).is_none());
        assert_eq!(residents.names(), ["b"]);
        drop((blend, parts));
        assert_eq!(residents.bytes(), size());
    }
}
