//! The adapters that are loaded, by name.
//!
//! Replacing one doesn't touch rows in flight: they hold the one they started with. Reading the
//! files is [`crate::tuning::peft`]'s work.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use app::api::AdapterInfo;
use domain::culture::CultureCode;

use super::decoder::LoraAdapter;
use super::error::EngineError;
use super::loading::LoadedModel;
use crate::tuning::peft;

/// A loaded adapter.
#[derive(Debug)]
pub struct NamedAdapter {
    /// What people see of it.
    pub info: AdapterInfo,
    /// Its matrices.
    pub adapter: Arc<LoraAdapter>,
}

/// Every loaded adapter.
#[derive(Debug, Default)]
pub struct Adapters(RwLock<BTreeMap<String, Arc<NamedAdapter>>>);

impl Adapters {
    /// Puts `adapter` under `name`, instead of one of the same name. `hash` is that of its weights.
    pub fn insert(&self, name: &str, hash: &str, adapter: LoraAdapter) -> AdapterInfo {
        let info = AdapterInfo {
            name: name.to_owned(),
            hash: hash.chars().take(12).collect(),
            culture: culture_of(name),
        };
        let named = NamedAdapter { info: info.clone(), adapter: Arc::new(adapter) };
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        map.insert(name.to_owned(), Arc::new(named));
        info
    }

    /// The adapter of that name; `None` asks for the base model.
    ///
    /// # Errors
    /// [`EngineError::UnknownAdapter`]: never silently the base model.
    pub fn find(&self, name: Option<&str>) -> Result<Option<Arc<NamedAdapter>>, EngineError> {
        let Some(name) = name else { return Ok(None) };
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match map.get(name) {
            Some(adapter) => Ok(Some(Arc::clone(adapter))),
            None => Err(EngineError::UnknownAdapter {
                name: name.to_owned(),
                known: map.keys().cloned().collect(),
            }),
        }
    }

    /// All of them: joint ones first, then by name.
    pub fn list(&self) -> Vec<AdapterInfo> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<AdapterInfo> = map.values().map(|named| named.info.clone()).collect();
        list.sort_by_key(|info| info.culture.is_some());
        list
    }
}

/// Reads the adapter in `dir`; its matrices and the SHA-256 of its weights.
///
/// # Errors
/// [`EngineError::Adapter`] if the files are missing, broken, of another shape or made for another
/// base model.
pub fn read(
    model: &LoadedModel,
    name: &str,
    dir: &Path,
) -> Result<(LoraAdapter, String), EngineError> {
    peft::load(dir, model.decoder.config(), &model.hash, &model.device)
        .map_err(|error| EngineError::Adapter { name: name.to_owned(), reason: error.to_string() })
}

/// Refuses names that couldn't be a folder's on every system, or an address's part.
pub fn check_name(name: &str) -> Result<(), EngineError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(fits) {
        let rule = format!(
            "an adapter's name must be 1 to 64 letters, digits, `-`, `_` or `.`, not `{}`",
            name.chars().take(80).collect::<String>().escape_debug()
        );
        return Err(EngineError::invalid(rule, "Use a name such as `joint` or `specific-THA`."));
    }
    Ok(())
}

/// The culture in `specific-THA`.
fn culture_of(name: &str) -> Option<CultureCode> {
    name.strip_prefix("specific-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{tiny_adapter, tiny_config};

    #[test]
    fn lists_joint_adapters_first_and_knows_cultures() {
        let adapters = Adapters::default();
        for name in ["specific-THA", "specific-BOL", "joint"] {
            adapters.insert(name, &"ab".repeat(32), tiny_adapter(&tiny_config(), 1));
        }
        let list = adapters.list();
        let names: Vec<&str> = list.iter().map(|info| info.name.as_str()).collect();
        assert_eq!(names, ["joint", "specific-BOL", "specific-THA"]);
        assert_eq!(list[0].culture, None);
        assert_eq!(list[2].culture, "THA".parse().ok());
        assert_eq!(list[0].hash, "abababababab");
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let adapters = Adapters::default();
        adapters.insert("joint", "00", tiny_adapter(&tiny_config(), 1));
        assert!(adapters.find(None).unwrap().is_none());
        let error = adapters.find(Some("specific-XXX")).unwrap_err().to_string();
        assert!(error.contains("`specific-XXX`") && error.contains("`joint`"), "{error}");
    }

    #[test]
    fn odd_names_are_refused() {
        for name in ["", "a/b", "..", ".hidden", "a b", "\n", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("specific-THA_2.1").is_ok());
    }
}
