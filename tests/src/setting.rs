//! Where the programs lie. `cargo xtask test` says so through the environment; without it, the
//! places are those that it builds into.

use std::env;
use std::path::{Path, PathBuf};

/// The server's program.
pub fn server() -> PathBuf {
    told("POLYLOGUE_BIN").unwrap_or_else(|| target().join("debug/polylogue"))
}

/// The built client.
pub fn site() -> PathBuf {
    told("POLYLOGUE_SITE").unwrap_or_else(|| target().join("site-debug"))
}

/// The browser; its driver wants a whole path.
pub fn chromium() -> PathBuf {
    told("POLYLOGUE_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into())
}

/// The program that drives it.
pub fn chromedriver() -> PathBuf {
    told("POLYLOGUE_CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into())
}

/// Where logs of all journeys and pictures of failed ones go.
pub fn results() -> PathBuf {
    told("POLYLOGUE_JOURNEYS").unwrap_or_else(|| target().join("journeys"))
}

/// Where `cargo xtask screenshots` wants its pictures.
pub fn screenshots() -> PathBuf {
    told("POLYLOGUE_SCREENSHOTS").unwrap_or_else(results)
}

fn told(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from)
}

fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    told("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target"))
}
