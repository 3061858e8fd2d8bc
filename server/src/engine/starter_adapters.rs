//! Loads the adapters that come inside of the binary with the starter model.

use std::fs;
use std::io;

use super::adapters::{self, Adapters};
use super::error::EngineError;
use super::loading::LoadedModel;
use super::starter_files;

/// Loads every embedded adapter that was made for exactly these weights; others are left out with
/// a warning, since the base model alone is still of use.
///
/// # Errors
/// [`EngineError::Adapter`] if the temporary folder to unpack into can't be written.
pub fn load(model: &LoadedModel, adapters: &Adapters) -> Result<(), EngineError> {
    for (name, files) in starter_files::adapters() {
        let folder = unpack(&files).map_err(|error| EngineError::Adapter {
            name: name.to_owned(),
            reason: format!("no temporary folder for it ({error})\nFree some disk space."),
        })?;
        match adapters::read(model, name, folder.path()) {
            Ok((adapter, hash)) => {
                adapters.insert(name, &hash, adapter);
            }
            Err(error) => tracing::warn!("the built-in adapter is left out: {error}"),
        }
    }
    Ok(())
}

/// Reading works on folders only; these few files are written out for a moment.
fn unpack(files: &[(&str, &[u8])]) -> io::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for (file, bytes) in files {
        fs::write(folder.path().join(file), bytes)?;
    }
    Ok(folder)
}
