//! The adapters that are known, by name, and those of them that are in memory.
//!
//! An adapter that isn't in memory comes back from its files when it is asked for. Every load is a
//! generation of its own: replacing an adapter doesn't touch rows in flight, which hold the one
//! they started with. One is read or blended at a time, so that two who ask for the same one share
//! it. Reading files is [`super::adapter_source`]'s work, what stays in memory is
//! decided in [`super::residents`]; the rules of blends are in [`super::blends`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::adapter::{AdapterInfo, BlendPart};
use domain::culture::CultureCode;

use super::adapter_memory::MemoryPart;
use super::adapter_source::AdapterSource;
use super::blends;
use super::decoder::LoraAdapter;
use super::error::EngineError;
use super::loading::LoadedModel;
use super::prefixes::Prefixes;
use super::request::AdapterChoice;
use super::residents::{Key, Residents};

/// An adapter in memory.
#[derive(Debug)]
pub struct NamedAdapter {
    /// What people see of it.
    pub info: AdapterInfo,
    /// Its matrices.
    pub adapter: Arc<LoraAdapter>,
    /// Unlike that of any other adapter that this process has loaded.
    pub generation: u64,
    /// Bytes of its matrices.
    pub bytes: usize,
    /// Its part of the memory for adapters, for as long as anybody holds it.
    _memory: Option<MemoryPart>,
    retired: AtomicBool,
}

impl NamedAdapter {
    /// An adapter with its name that counts in no memory; `hash` is that of its weights.
    pub fn new(name: &str, hash: &str, adapter: LoraAdapter, generation: u64) -> Self {
        let info = AdapterInfo {
            name: name.to_owned(),
            hash: hash.chars().take(12).collect(),
            culture: culture_of(name),
        };
        let bytes = adapter.bytes();
        let retired = AtomicBool::new(false);
        Self { info, adapter: Arc::new(adapter), generation, bytes, _memory: None, retired }
    }

    /// The same adapter, holding that part of the memory until it is dropped.
    pub(super) fn with_memory(self, memory: MemoryPart) -> Self {
        Self { _memory: Some(memory), ..self }
    }

    /// Whether no new row will get it.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Says that no new row will get it.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }
}

/// Every known adapter.
#[derive(Debug)]
pub struct Adapters {
    state: Mutex<State>,
    /// Held by whoever reads or blends; always taken before the state.
    reading: Mutex<()>,
}

#[derive(Debug)]
struct State {
    known: BTreeMap<String, Known>,
    residents: Residents,
    generations: u64,
}

/// What is remembered of an adapter that may have left memory.
#[derive(Debug)]
struct Known {
    info: AdapterInfo,
    source: AdapterSource,
}

impl Adapters {
    /// None yet; in memory at most `limit` of them with `byte_limit` bytes together, blends
    /// included. What `prefixes` keeps of one leaves with it.
    pub fn new(limit: usize, byte_limit: usize, prefixes: Arc<Prefixes>) -> Self {
        let residents = Residents::new(limit, byte_limit, prefixes);
        let state = State { known: BTreeMap::new(), residents, generations: 0 };
        Self { state: Mutex::new(state), reading: Mutex::new(()) }
    }

    /// Reads an adapter and puts it under `name`, instead of one of the same name.
    ///
    /// # Errors
    /// [`EngineError::Adapter`] if it can't be read, or has no room, and
    /// [`EngineError::Overloaded`] if rows hold the memory; the one it was to replace stays known.
    pub fn load(
        &self,
        model: &LoadedModel,
        name: &str,
        source: AdapterSource,
    ) -> Result<AdapterInfo, EngineError> {
        let _reading = self.read_alone();
        let named = self.read(model, name, &source)?;
        Ok(self.lock().take_in(named, source).info.clone())
    }

    /// What a row is to be computed with; `None` is the base model.
    ///
    /// # Errors
    /// [`EngineError::UnknownAdapter`]: never silently the base model. [`EngineError::Adapter`] if
    /// one that has left memory can't come back, [`EngineError::Overloaded`] if what rows hold leaves
    /// no memory for it, and [`EngineError::InvalidRequest`] for a blend against the rules.
    pub fn find(
        &self,
        model: &LoadedModel,
        choice: &AdapterChoice,
    ) -> Result<Option<Arc<NamedAdapter>>, EngineError> {
        match choice {
            AdapterChoice::Base => Ok(None),
            AdapterChoice::Named(name) => self.named(model, name).map(Some),
            AdapterChoice::Blend(parts) => self.blend(model, parts),
        }
    }

    /// All that are known: joint ones first, then by name.
    pub fn list(&self) -> Vec<AdapterInfo> {
        let mut list: Vec<AdapterInfo> =
            self.lock().known.values().map(|known| known.info.clone()).collect();
        // Those that came with the model or were uploaded before those of runs.
        list.sort_by_key(|info| (info.culture.is_some(), info.name.contains('/')));
        list
    }

    /// Lets an adapter go that nobody is to ask for again; rows in flight finish with it.
    pub fn forget(&self, name: &str) {
        let mut state = self.lock();
        state.known.remove(name);
        state.residents.remove(&Key::Named(name.to_owned()));
    }

    /// Bytes of adapters that rows hold, or that are being read.
    pub fn held(&self) -> usize {
        self.lock().residents.held()
    }

    fn named(&self, model: &LoadedModel, name: &str) -> Result<Arc<NamedAdapter>, EngineError> {
        let key = Key::Named(name.to_owned());
        if let Some(found) = self.lock().residents.find(&key) {
            return Ok(found);
        }
        let _reading = self.read_alone();
        let source = {
            let mut state = self.lock();
            // Whoever was reading has perhaps read this one.
            if let Some(found) = state.residents.find(&key) {
                return Ok(found);
            }
            let Some(known) = state.known.get(name) else {
                let known = state.known.keys().cloned().collect();
                return Err(EngineError::UnknownAdapter { name: name.to_owned(), known });
            };
            known.source.clone()
        };
        let named = self.read(model, name, &source)?;
        Ok(self.lock().take_back(named, source))
    }

    fn blend(
        &self,
        model: &LoadedModel,
        parts: &[BlendPart],
    ) -> Result<Option<Arc<NamedAdapter>>, EngineError> {
        blends::check(parts)?;
        let mut parts: Vec<&BlendPart> = parts.iter().collect();
        // The same blend, however it is written.
        parts.sort_by(|a, b| a.adapter.cmp(&b.adapter));
        let mut found = Vec::with_capacity(parts.len());
        for part in parts {
            found.push((self.named(model, &part.adapter)?, part.weight));
        }
        found.retain(|(_, weight)| *weight != 0.0);
        match found.as_slice() {
            [] => return Ok(None),
            [(only, 1.0)] => return Ok(Some(Arc::clone(only))),
            _ => {}
        }
        let key = found.iter().map(|(part, weight)| (part.generation, weight.to_bits())).collect();
        let key = Key::Blend(key);
        if let Some(blend) = self.lock().residents.find(&key) {
            return Ok(Some(blend));
        }
        let _reading = self.read_alone();
        let name = blends::name(&found);
        let memory = {
            let mut state = self.lock();
            if let Some(blend) = state.residents.find(&key) {
                return Ok(Some(blend));
            }
            let bytes = found.iter().map(|(part, _)| part.bytes).sum();
            state.residents.reserve(&name, bytes, bytes)?
        };
        let factors: Vec<(&LoraAdapter, f64)> =
            found.iter().map(|(part, weight)| (part.adapter.as_ref(), *weight)).collect();
        let blended = LoraAdapter::blend(&factors).map_err(|error| EngineError::Adapter {
            name: name.clone(),
            reason: format!("{error}\nBlend adapters that were made for this model."),
        })?;
        let mut state = self.lock();
        let blended = state.named(&name, &blends::hash(&found), blended, memory)?;
        let blended = Arc::new(blended);
        // Where a part was replaced meanwhile, this row still gets it, later ones get the new one.
        let parts: Vec<Arc<NamedAdapter>> = found.into_iter().map(|(part, _)| part).collect();
        state.residents.insert(key, Arc::clone(&blended), &parts);
        Ok(Some(blended))
    }

    /// Reads without holding the state's lock, once there is memory for it.
    fn read(
        &self,
        model: &LoadedModel,
        name: &str,
        source: &AdapterSource,
    ) -> Result<NamedAdapter, EngineError> {
        // Where the files don't say how much it is, reading them explains why.
        let bytes = source.bytes().unwrap_or_default();
        let memory = self.lock().residents.reserve(name, bytes, 0)?;
        let (adapter, hash) = source.read(model, name)?;
        self.lock().named(name, &hash, adapter, memory)
    }

    /// Waits until nobody else reads or blends.
    fn read_alone(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next generation, in the memory that was taken for it.
    fn named(
        &mut self,
        name: &str,
        hash: &str,
        adapter: LoraAdapter,
        memory: MemoryPart,
    ) -> Result<NamedAdapter, EngineError> {
        let bytes = adapter.bytes();
        let memory = match memory.bytes() == bytes {
            true => memory,
            // Its tensors turned out to be of another size than was thought.
            false => {
                drop(memory);
                self.residents.reserve(name, bytes, 0)?
            }
        };
        self.generations += 1;
        Ok(NamedAdapter::new(name, hash, adapter, self.generations).with_memory(memory))
    }

    /// Makes it the adapter of its name.
    fn take_in(&mut self, named: NamedAdapter, source: AdapterSource) -> Arc<NamedAdapter> {
        let named = Arc::new(named);
        let name = named.info.name.clone();
        self.residents.insert(Key::Named(name.clone()), Arc::clone(&named), &[]);
        self.known.insert(name, Known { info: named.info.clone(), source });
        named
    }

    /// The same for one that had left memory. If its name was given up while it was read, only the row
    /// that asked for it gets it.
    fn take_back(&mut self, named: NamedAdapter, source: AdapterSource) -> Arc<NamedAdapter> {
        if self.known.contains_key(&named.info.name) {
            return self.take_in(named, source);
        }
        named.retire();
        Arc::new(named)
    }
}

/// Refuses names that couldn't be an address's part. A run's adapter has the run's name in front, and
/// a checkpoint its number of updates behind: `method-3/joint@step-12`.
pub fn check_name(name: &str) -> Result<(), EngineError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    let part_fits = |part: &str| {
        !part.is_empty() && part.len() <= 64 && !part.starts_with('.') && part.chars().all(fits)
    };
    if name.split('/').count() > 2 || !name.split('/').all(part_fits) {
        let rule = format!(
            "an adapter's name must be 1 to 64 letters, digits, `-`, `_`, `.` or `@`, with another \
             such name and a `/` in front if it belongs to a run, not `{}`",
            name.chars().take(80).collect::<String>().escape_debug()
        );
        return Err(EngineError::invalid(rule, "Use a name such as `joint` or `specific-THA`."));
    }
    Ok(())
}

/// The culture in `specific-THA`, `method-3/specific-THA` and `method-3/specific-THA@step-12`.
fn culture_of(name: &str) -> Option<CultureCode> {
    let own = name.rsplit('/').next()?.split('@').next()?;
    own.strip_prefix("specific-")?.parse().ok()
}

#[cfg(test)]
impl Adapters {
    /// Puts an adapter that was made by a test under `name`.
    pub fn insert(&self, name: &str, adapter: LoraAdapter) {
        let mut state = self.lock();
        let memory = state.residents.reserve(name, adapter.bytes(), 0).unwrap();
        let named = state.named(name, "00", adapter.clone(), memory).unwrap();
        state.take_in(named, AdapterSource::Memory(adapter));
    }

    /// Where what is read under them is kept.
    pub fn prefixes(&self) -> Arc<Prefixes> {
        self.lock().residents.prefixes()
    }

    /// Bytes of all that are alive.
    pub fn bytes(&self) -> usize {
        self.lock().residents.bytes()
    }

    /// Names of those in memory, blends included.
    pub fn resident(&self) -> Vec<String> {
        self.lock().residents.names()
    }
}

#[cfg(test)]
#[path = "adapters_tests.rs"]
mod tests;
