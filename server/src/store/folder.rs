//! The data folder: where it is, and that only one process works in it.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// The user's own data folder, for example `~/.local/share/polylogue`.
///
/// # Errors
/// [`StoreError::NoFolder`] where the system names none, as in some containers.
pub fn default_folder() -> Result<PathBuf, StoreError> {
    directories::ProjectDirs::from("", "", "polylogue")
        .map(|folders| folders.data_dir().to_owned())
        .ok_or(StoreError::NoFolder)
}

/// Holds the folder for this process; the system lets go of it when the process ends, however.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Makes the folder where it is missing, and takes it.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let io = |error| StoreError::io(folder, &error);
        fs::create_dir_all(folder).map_err(io)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(io)?;
        match fs4::fs_std::FileExt::try_lock_exclusive(&file) {
            Ok(true) => Ok(Self { _file: file }),
            Ok(false) => Err(StoreError::Locked { path: folder.to_owned() }),
            Err(error) => Err(io(error)),
        }
    }
}
