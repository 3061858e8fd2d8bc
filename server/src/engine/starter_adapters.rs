//! Loads the adapters that come inside of the binary with the starter model.

use std::path::Path;

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
        let loaded = peft::from_bytes(
            Path::new(name),
            file(peft::CONFIG_FILE),
            file(peft::MODEL_FILE),
            model.decoder.config(),
            &model.hash,
            &model.device,
        );
        match loaded {
            Ok((adapter, hash)) => drop(adapters.insert(name, &hash, adapter)),
            Err(error) => tracing::warn!("the built-in adapter is left out: {error}"),
        }
    }
}
