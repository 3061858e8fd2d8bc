//! A file from the web, for the command line only: a server that fetches what visitors name would
//! reach places that they can't.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::draft::slug;
use crate::jobs::JobError;

/// Largest file that is imported, in bytes.
pub const LARGEST: u64 = 256 * 1024 * 1024;

/// Longest wait for the whole file.
const PATIENCE: Duration = Duration::from_secs(600);

/// Whether `source` is an address rather than a path.
pub fn is_address(source: &str) -> bool {
    source.starts_with("https://") || source.starts_with("http://")
}

/// Fetches `address` into a folder of its own, which goes away with the returned guard.
///
/// # Errors
/// [`JobError::BadFile`] naming the address.
pub fn fetch(address: &str) -> Result<(TempDir, PathBuf), JobError> {
    let bad = |rule: String| JobError::BadFile {
        path: address.into(),
        rule,
        hint: "Open the address in a browser and import the saved file.".to_owned(),
    };
    let name = address.split(['?', '#']).next().unwrap_or_default().rsplit('/').next();
    let (stem, extension) = name.unwrap_or_default().rsplit_once('.').unwrap_or_default();
    if !["csv", "jsonl"].contains(&extension) {
        return Err(bad("must end in a file's name with `.csv` or `.jsonl`".to_owned()));
    }
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build().into();
    let mut response =
        agent.get(address).call().map_err(|error| bad(format!("can't be fetched: {error}")))?;
    let folder = tempfile::tempdir().map_err(|error| bad(format!("can't be kept: {error}")))?;
    let path = folder.path().join(format!("{}.{extension}", slug(stem)));
    let body = response.body_mut().with_config().limit(LARGEST + 1).reader();
    let copied =
        File::create(&path).and_then(|mut file| io::copy(&mut body.take(LARGEST + 1), &mut file));
    match copied {
        Ok(bytes) if bytes > LARGEST => {
            Err(bad(format!("is larger than {} MB", LARGEST / 1024 / 1024)))
        }
        Ok(_) => Ok((folder, path)),
        Err(error) => Err(bad(format!("broke off: {error}"))),
    }
}
