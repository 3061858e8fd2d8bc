//! Where things lie: the repository root, the target folder and what is made in it.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::step::Failure;

/// The target that browsers run.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The folders of one checkout.
pub struct Workspace {
    /// The repository root.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built from.
    pub fn find() -> Result<Self, Failure> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().unwrap_or(&manifest).to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => {
                std::path::absolute(folder).map_err(|e| Failure::io("resolve", &root, &e))?
            }
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// Downloaded tools, logs and stamps: whatever can be made again.
    pub fn cache(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// The server binary of a cargo profile's output folder (`debug`, `release`).
    pub fn server_binary(&self, folder: &str) -> PathBuf {
        self.target.join(folder).join(format!("polylogue{}", env::consts::EXE_SUFFIX))
    }
}

/// Makes a folder and its parents.
pub fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|e| Failure::io("make the folder", path, &e))
}

/// Writes a file, making its folder first.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    fs::write(path, bytes).map_err(|e| Failure::io("write", path, &e))
}

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| Failure::io("read", path, &e))
}

/// Every file below a folder, sorted; nothing if the folder is missing.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        if !folder.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&folder).map_err(|e| Failure::io("list", &folder, &e))?;
        for entry in entries {
            let path = entry.map_err(|e| Failure::io("list", &folder, &e))?.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}
