//! Where an adapter's files are, so that one that had to leave memory can come back.

use std::path::{Path, PathBuf};

use super::decoder::LoraAdapter;
use super::error::EngineError;
use super::loading::LoadedModel;
use crate::tuning::peft;

/// Where an adapter is read from.
#[derive(Debug, Clone)]
pub enum AdapterSource {
    /// A folder in PEFT's layout.
    Folder(PathBuf),
    /// Inside of the binary, with the starter model: name, settings and tensors.
    BuiltIn(&'static str, &'static [u8], &'static [u8]),
    /// Made by a test.
    #[cfg(test)]
    Memory(LoraAdapter),
}

impl AdapterSource {
    /// Bytes that the adapter will take in memory; `None` where the files don't say, which reading
    /// them will explain. Reads no tensors.
    pub fn bytes(&self) -> Option<usize> {
        match self {
            Self::Folder(folder) => peft::bytes_in_memory(folder),
            Self::BuiltIn(_, _, model) => peft::bytes_of_tensors(model),
            #[cfg(test)]
            Self::Memory(adapter) => Some(adapter.bytes()),
        }
    }

    /// The adapter named `name`, and the SHA-256 of its tensors' file.
    ///
    /// # Errors
    /// [`EngineError::Adapter`] if the files are missing, broken, of another shape or made for
    /// another base model.
    pub fn read(
        &self,
        model: &LoadedModel,
        name: &str,
    ) -> Result<(LoraAdapter, String), EngineError> {
        let (config, device) = (model.decoder.config(), &model.device);
        let read = match self {
            Self::Folder(folder) => peft::load(folder, config, &model.hash, device),
            Self::BuiltIn(folder, settings, tensors) => {
                let folder = Path::new(folder);
                peft::from_bytes(folder, settings, tensors, config, &model.hash, device)
            }
            #[cfg(test)]
            Self::Memory(adapter) => Ok((adapter.clone(), "00".repeat(32))),
        };
        read.map_err(|error| EngineError::Adapter {
            name: name.to_owned(),
            reason: error.to_string(),
        })
    }
}
