//! Which server this is, among those on one database.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use sha2::{Digest, Sha256};

use super::error::StoreError;

/// Name of a data folder: random, made once, kept in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerId(String);

impl ServerId {
    /// Reads it from the folder, or makes one.
    pub fn of(folder: &Path) -> Result<Self, StoreError> {
        let file = folder.join("server");
        match fs::read_to_string(&file) {
            Ok(text) if is_whole(text.trim()) => Ok(Self(text.trim().to_owned())),
            Ok(_) => Err(StoreError::Folder {
                path: folder.to_owned(),
                reason: "its file `server` doesn't hold 32 hexadecimal digits".to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = Self::random()?;
                // Whole or not at all, also when the power goes.
                let write = || {
                    let mut new = tempfile::NamedTempFile::new_in(folder)?;
                    io::Write::write_all(&mut new, id.0.as_bytes())?;
                    new.as_file().sync_all()?;
                    new.persist(&file).map_err(|error| error.error)
                };
                write().map_err(|error| StoreError::io(folder, &error))?;
                Ok(id)
            }
            Err(error) => Err(StoreError::io(folder, &error)),
        }
    }

    fn random() -> Result<Self, StoreError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| StoreError::Broken {
            what: "name of this server".to_owned(),
            reason: format!("the system gives no random numbers: {error}"),
        })?;
        Ok(Self(random.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string can't fail.
            let _ = write!(text, "{byte:02x}");
            text
        })))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_whole(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The lock that a server holds on the database for as long as it works.
pub(super) fn lock_key(server: &str) -> i64 {
    let hash = Sha256::digest(format!("polylogue server {server}"));
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(first)
}
