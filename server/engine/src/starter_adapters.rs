//! Loads the adapters that come inside of the binary with the starter model.

use super::adapter_source::AdapterSource;
use super::adapters::Adapters;
use super::loading::LoadedModel;
use super::starter_files;
use crate::tuning::peft;

/// Loads every embedded adapter that was made for exactly these weights; others are left out with
/// a warning, since the base model alone is still of use.
pub fn load(model: &LoadedModel, adapters: &Adapters) {
    for (name, files) in starter_files::adapters() {
        let file = |wanted: &str| {
            let found = files.iter().find(|(file, _)| *file == wanted);
            found.map(|(_, bytes)| *bytes).unwrap_or_default()
        };
        let (settings, tensors) = (file(peft::CONFIG_FILE), file(peft::MODEL_FILE));
        let source = AdapterSource::BuiltIn(name, settings, tensors);
        if let Err(error) = adapters.load(model, name, source) {
            tracing::warn!("the built-in adapter is left out: {error}");
        }
    }
}
