//! Arguments that several commands share, and what they mean.

use std::path::PathBuf;

use clap::Args;

use crate::store::{Store, StoreError, default_folder};

/// Where things are kept.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Folder with everything that is kept; by default the user's own data folder.
    #[arg(long, value_name = "DIR", env = "POLYLOGUE_DATA")]
    pub data: Option<PathBuf>,
}

impl StoreArgs {
    /// Opens the data folder.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(&self) -> Result<Store, StoreError> {
        let folder = match &self.data {
            Some(folder) => folder.clone(),
            None => default_folder()?,
        };
        Store::open(&folder).await
    }
}
