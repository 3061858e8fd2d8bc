//! Caches of what was read before, so that the start of a prompt that is known isn't read again: a
//! conversation's earlier turns, a persona, the questions of a survey.
//!
//! An entry serves every text that begins like its own, as far as they agree: a cache can be cut at
//! any token, since layers with a sliding window keep all of their keys. Entries belong to one
//! generation of an adapter and leave with it. A result is the same with and without an entry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::adapters::NamedAdapter;
use super::decoder::{DecoderError, KvCache};

/// Shorter common starts cost more to copy than to read.
pub const SHORTEST: usize = 8;
/// Most entries, however small: each is compared with every new prompt.
const MOST: usize = 1024;

/// What was read before.
#[derive(Debug)]
pub struct Prefixes {
    byte_limit: usize,
    state: Mutex<State>,
    /// Whether keeping panics, as a test wants it.
    #[cfg(test)]
    broken: std::sync::atomic::AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// By the adapter's generation; `None` is the base model.
    entries: HashMap<Option<u64>, Vec<Entry>>,
    /// Counts what is looked for and kept.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    tokens: Vec<u32>,
    cache: Arc<KvCache>,
    bytes: usize,
    /// When it was of use last, by the clock.
    used: u64,
}

/// The first tokens of a cache that others begin with.
#[derive(Debug, Clone)]
pub struct Start {
    cache: Arc<KvCache>,
    len: usize,
}

impl Start {
    /// The first `len` tokens of `cache`, or all if there are fewer.
    pub fn new(cache: Arc<KvCache>, len: usize) -> Self {
        Self { len: len.min(cache.len()), cache }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A sequence of its own that goes on from here.
    ///
    /// # Errors
    /// If the device has no memory left.
    pub fn fork(&self) -> Result<KvCache, DecoderError> {
        self.cache.fork_start(self.len)
    }
}

impl Prefixes {
    /// None yet; all together take at most `byte_limit` bytes.
    pub fn new(byte_limit: usize) -> Arc<Self> {
        Arc::new(Self {
            byte_limit,
            state: Mutex::default(),
            #[cfg(test)]
            broken: false.into(),
        })
    }

    /// The longest known start of `tokens` under that adapter. At least one token is left to read,
    /// since only reading tells what follows.
    pub fn find(&self, adapter: Option<&Arc<NamedAdapter>>, tokens: &[u32]) -> Option<Start> {
        let mut state = self.lock();
        state.clock += 1;
        let now = state.clock;
        let entries = state.entries.get_mut(&adapter.map(|named| named.generation))?;
        let common = |entry: &Entry| common_start(&entry.tokens, tokens);
        let best = entries.iter_mut().max_by_key(|entry| common(entry))?;
        let len = common(best).min(tokens.len().saturating_sub(1));
        if len < SHORTEST {
            return None;
        }
        best.used = now;
        Some(Start { cache: Arc::clone(&best.cache), len })
    }

    /// Keeps the cache of `tokens`, read under that adapter. Entries that it makes superfluous leave,
    /// then those that were of no use for the longest, until there is room.
    pub fn keep(&self, adapter: Option<&Arc<NamedAdapter>>, tokens: Vec<u32>, cache: Arc<KvCache>) {
        #[cfg(test)]
        assert!(!self.broken.load(std::sync::atomic::Ordering::Relaxed), "keeping is broken");
        let bytes = cache.bytes() + tokens.len() * size_of::<u32>();
        if tokens.len() < SHORTEST || tokens.len() != cache.len() || !self.has_room_for(bytes) {
            return;
        }
        let mut state = self.lock();
        // Asked while the lock is held: whoever retires an adapter forgets its entries afterwards.
        if adapter.is_some_and(|named| named.is_retired()) {
            return;
        }
        state.clock += 1;
        let used = state.clock;
        let entries = state.entries.entry(adapter.map(|named| named.generation)).or_default();
        if let Some(longer) = entries.iter_mut().find(|entry| entry.tokens.starts_with(&tokens)) {
            longer.used = used;
            return;
        }
        entries.retain(|entry| !tokens.starts_with(&entry.tokens));
        entries.push(Entry { tokens, cache, bytes, used });
        while state.bytes() > self.byte_limit || state.count() > MOST {
            state.drop_oldest();
        }
    }

    /// Whether a cache and its tokens, so many bytes together, would be kept at all.
    pub fn has_room_for(&self, bytes: usize) -> bool {
        bytes <= self.byte_limit
    }

    /// Drops the entries of one generation of an adapter, or of the base model.
    pub fn forget(&self, generation: Option<u64>) {
        self.lock().entries.remove(&generation);
    }

    /// Drops every entry, as after a failure that may have left one of them wrong.
    pub fn clear(&self) {
        self.lock().entries.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().flatten()
    }

    fn bytes(&self) -> usize {
        self.all().map(|entry| entry.bytes).sum()
    }

    fn count(&self) -> usize {
        self.entries.values().map(Vec::len).sum()
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.all().map(|entry| entry.used).min() else { return };
        self.entries.retain(|_, entries| {
            entries.retain(|entry| entry.used != oldest);
            !entries.is_empty()
        });
    }
}

/// Number of tokens that both begin with.
pub fn common_start(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
impl Prefixes {
    /// Lengths of all entries in tokens, in order.
    pub fn lengths(&self) -> Vec<usize> {
        let mut lengths: Vec<usize> = self.lock().all().map(|entry| entry.tokens.len()).collect();
        lengths.sort_unstable();
        lengths
    }

    /// Makes keeping panic from here on.
    pub fn break_keeping(&self) {
        self.broken.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Bytes of all entries.
    pub fn bytes(&self) -> usize {
        self.lock().bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{tiny_adapter, tiny_config};

    /// A cache that has seen so many tokens.
    fn cache(tokens: usize) -> Arc<KvCache> {
        Arc::new(KvCache::filled(&tiny_config(), tokens))
    }

    fn adapter(generation: u64) -> Arc<NamedAdapter> {
        let matrices = tiny_adapter(&tiny_config(), 1);
        Arc::new(NamedAdapter::new("joint", "00", matrices, generation))
    }

    fn keep(prefixes: &Prefixes, adapter: Option<&Arc<NamedAdapter>>, tokens: &[u32]) {
        prefixes.keep(adapter, tokens.to_vec(), cache(tokens.len()));
    }

    fn found(prefixes: &Prefixes, adapter: Option<&Arc<NamedAdapter>>, tokens: &[u32]) -> usize {
        prefixes.find(adapter, tokens).map_or(0, |start| start.fork().unwrap().len())
    }

    fn text(start: u32, len: u32) -> Vec<u32> {
        (start..start + len).collect()
    }

    #[test]
    fn a_start_is_shared_as_far_as_it_agrees_and_leaves_a_token_to_read() {
        let prefixes = Prefixes::new(usize::MAX);
        keep(&prefixes, None, &text(0, 30));
        assert_eq!(found(&prefixes, None, &text(0, 40)), 30);
        assert_eq!(found(&prefixes, None, &text(0, 30)), 29);
        let mut other = text(0, 20);
        other.extend(text(100, 20));
        assert_eq!(found(&prefixes, None, &other), 20);
        other[SHORTEST - 1] = 7000;
        assert_eq!(found(&prefixes, None, &other), 0, "too short to be worth it");
        assert_eq!(found(&prefixes, None, &[]), 0);
    }

    #[test]
    fn generations_do_not_meet_and_leave_at_once() {
        let prefixes = Prefixes::new(usize::MAX);
        let (old, new) = (adapter(1), adapter(2));
        keep(&prefixes, Some(&old), &text(0, 30));
        assert_eq!(found(&prefixes, None, &text(0, 30)), 0);
        assert_eq!(found(&prefixes, Some(&new), &text(0, 30)), 0);
        assert_eq!(found(&prefixes, Some(&old), &text(0, 30)), 29);
        old.retire();
        prefixes.forget(Some(1));
        assert_eq!(found(&prefixes, Some(&old), &text(0, 30)), 0);
        keep(&prefixes, Some(&old), &text(0, 30));
        assert!(prefixes.lengths().is_empty(), "a row in flight leaves nothing behind");
    }

    #[test]
    fn a_longer_text_replaces_its_own_start() {
        let prefixes = Prefixes::new(usize::MAX);
        keep(&prefixes, None, &text(0, 20));
        keep(&prefixes, None, &text(0, 30));
        keep(&prefixes, None, &text(0, 10));
        keep(&prefixes, None, &text(5, 20));
        assert_eq!(prefixes.lengths(), [20, 30]);
        prefixes.clear();
        assert!(prefixes.lengths().is_empty());
    }

    #[test]
    fn what_was_of_no_use_for_the_longest_leaves() {
        let size = cache(20).bytes() + 20 * 4;
        let prefixes = Prefixes::new(3 * size);
        for start in [0, 100, 200] {
            keep(&prefixes, None, &text(start, 20));
        }
        assert_eq!(found(&prefixes, None, &text(0, 21)), 20);
        keep(&prefixes, Some(&adapter(1)), &text(300, 20));
        assert_eq!(found(&prefixes, None, &text(100, 21)), 0);
        assert_eq!(found(&prefixes, None, &text(0, 21)), 20);
        keep(&prefixes, None, &text(0, 90));
        assert!(prefixes.lengths().iter().all(|len| *len == 20), "larger than the budget");
        Prefixes::new(0).keep(None, text(0, 20), cache(20));
    }

    #[test]
    fn a_cache_of_another_text_is_not_kept() {
        let prefixes = Prefixes::new(usize::MAX);
        prefixes.keep(None, text(0, 20), cache(19));
        assert!(prefixes.lengths().is_empty());
    }

    proptest! {
        #[test]
        fn the_longest_start_is_found_and_the_budget_holds(
            texts in prop::collection::vec(prop::collection::vec(0_u32..2, 8..24), 1..40),
            wanted in prop::collection::vec(0_u32..2, 1..24),
            room in 1_usize..30,
        ) {
            let all = Prefixes::new(usize::MAX);
            let few = Prefixes::new(room * 1000);
            for text in &texts {
                keep(&all, None, text);
                keep(&few, None, text);
                prop_assert!(few.bytes() <= room * 1000);
            }
            let longest = texts.iter().map(|text| common_start(text, &wanted)).max().unwrap_or(0);
            let longest = longest.min(wanted.len() - 1);
            let expected = if longest < SHORTEST { 0 } else { longest };
            prop_assert_eq!(found(&all, None, &wanted), expected);
            prop_assert!(found(&few, None, &wanted) <= expected);
        }
    }
}
