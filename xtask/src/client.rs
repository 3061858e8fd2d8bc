//! From the `app` crate to JavaScript and WebAssembly: cargo, wasm-bindgen, wasm-opt.
//!
//! Cargo decides whether anything changed. The steps after it compare a fingerprint of what cargo
//! made (and of the tools) with a stamp, and do nothing when both agree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

use crate::step::{self, Failure};
use crate::tools::{self, WasmOpt, WasmToolchain};
use crate::workspace::{WASM_TARGET, Workspace, make_folder, read, write};

/// The name of the client's files: `polylogue.js` and `polylogue_bg.wasm`, which is what the page's
/// hydration script asks for.
pub const NAME: &str = "polylogue";

/// The two ways in which we build client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// For working on it and for the tests: quick to build.
    Debug,
    /// For using it: quick to run, small to send.
    Release,
}

impl Mode {
    /// The cargo profile of the client. In debug mode it is the server's own: another one would
    /// compile every procedural macro a second time.
    pub fn wasm_profile(self) -> &'static str {
        match self {
            Mode::Debug => "dev",
            Mode::Release => "wasm-release",
        }
    }

    /// The folder under `target/wasm32-unknown-unknown` in which the client lies.
    pub fn wasm_folder(self) -> &'static str {
        match self {
            Mode::Debug => "debug",
            Mode::Release => "wasm-release",
        }
    }

    /// The folder under the target folder in which the server's binary lies.
    pub fn server_folder(self) -> &'static str {
        match self {
            Mode::Debug => "debug",
            Mode::Release => "release",
        }
    }

    /// The folder that the server hands out.
    pub fn site(self, workspace: &Workspace) -> PathBuf {
        workspace.target.join(match self {
            Mode::Debug => "site-debug",
            Mode::Release => "site",
        })
    }
}

/// A finished client.
pub struct Client {
    /// The folder with `polylogue.js`, `polylogue_bg.wasm` and perhaps `snippets/`.
    pub folder: PathBuf,
    /// Changes whenever a file in the folder does.
    pub fingerprint: String,
}

/// The cargo call that compiles (or, with `clippy`, checks) the client.
pub fn cargo_client(toolchain: &WasmToolchain, subcommand: &str, mode: Mode) -> Command {
    let mut command = toolchain.cargo();
    command.args([subcommand, "--package", "app", "--lib", "--no-default-features"]);
    command.args(["--features", "hydrate", "--target", WASM_TARGET]);
    command.args(["--profile", mode.wasm_profile()]);
    // wasm-bindgen leaves debugging information out; without it, it has less to read.
    command.env("CARGO_PROFILE_DEV_DEBUG", "false");
    command
}

/// Builds the client; with `optimise`, wasm-opt makes it smaller.
pub fn build(workspace: &Workspace, mode: Mode, optimise: bool) -> Result<Client, Failure> {
    let toolchain = tools::wasm_toolchain(workspace)?;
    let wasm_opt = if optimise { Some(tools::wasm_opt(workspace)?) } else { None };
    let mut cargo = cargo_client(&toolchain, "build", mode);
    step::command(workspace, &format!("client: compile ({})", mode.wasm_profile()), &mut cargo)?;
    let compiled = workspace.target.join(WASM_TARGET).join(mode.wasm_folder()).join("app.wasm");
    let wasm = read(&compiled)?;
    let opt = wasm_opt.as_ref().map_or("not optimised", |opt| opt.version.as_str());
    let fingerprint = fingerprint([wasm.as_slice(), BINDGEN_VERSION.as_bytes(), opt.as_bytes()]);
    let folder = workspace.cache().join(format!("client-{}", mode.wasm_folder()));
    let stamp = folder.with_extension("stamp");
    if !is_current(&stamp, &fingerprint) {
        make(workspace, &compiled, &folder, wasm_opt.as_ref())?;
        write(&stamp, fingerprint.as_bytes())?;
    }
    Ok(Client { folder, fingerprint })
}

/// What `=` in Cargo.toml pins; a bindgen that differs from the client's library refuses the module
/// by itself, so a stale value here costs one rebuild too many or too few and nothing else.
const BINDGEN_VERSION: &str = "0.2.130";

fn make(ws: &Workspace, wasm: &Path, folder: &Path, opt: Option<&WasmOpt>) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|e| Failure::io("remove", folder, &e))?;
    }
    make_folder(folder)?;
    step::work("client: wasm-bindgen", || bindgen(wasm, folder))?;
    match opt {
        Some(opt) => optimise(ws, opt, &folder.join(format!("{NAME}_bg.wasm"))),
        None => Ok(()),
    }
}

fn bindgen(wasm: &Path, folder: &Path) -> Result<(), Failure> {
    let run = || {
        let mut bindgen = Bindgen::new();
        bindgen.input_path(wasm).out_name(NAME).typescript(false);
        bindgen.web(true)?.generate(folder)
    };
    run().map_err(|e| {
        Failure::new(format!("wasm-bindgen refused `{}`: {e:#}", wasm.display())).hint(
            "wasm-bindgen and wasm-bindgen-cli-support must have the same version in Cargo.lock",
        )
    })
}

fn optimise(workspace: &Workspace, opt: &WasmOpt, wasm: &Path) -> Result<(), Failure> {
    let since = Instant::now();
    let before = size(wasm);
    let smaller = wasm.with_extension("opt");
    let mut command = opt.command();
    command.arg("-Oz").arg(wasm).arg("-o").arg(&smaller);
    let name = "client: wasm-opt -Oz";
    let outcome = step::watch(workspace, name, &mut command)?;
    if !outcome.success {
        return Err(Failure::new(format!("wasm-opt failed:\n{}", outcome.tail()))
            .hint("to serve without it: cargo xtask serve --no-wasm-opt"));
    }
    fs::rename(&smaller, wasm).map_err(|e| Failure::io("rename", &smaller, &e))?;
    step::report("ok  ", name, since, &format!("{} -> {} KB", before / 1000, size(wasm) / 1000));
    Ok(())
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

/// One hash over several inputs; their lengths count too, so that no two lists of inputs agree.
pub fn fingerprint<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for input in inputs {
        hash.update((input.len() as u64).to_le_bytes());
        hash.update(input);
    }
    format!("{:x}", hash.finalize())
}

/// Whether the stamp holds this very fingerprint.
pub fn is_current(stamp: &Path, fingerprint: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|found| found == fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_knows_where_one_input_ends() {
        let joined: [&[u8]; 2] = [b"ab", b"c"];
        let moved: [&[u8]; 2] = [b"a", b"bc"];
        assert_ne!(fingerprint(joined), fingerprint(moved));
    }
}
