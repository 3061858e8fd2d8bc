//! What a machine may lack, with the versions we pin: wasm target, wasm-opt, Chromium, PostgreSQL, Node.
//!
//! Each function returns something usable or a [`Failure`] that says what is missing, what it is
//! needed for and what to do. Nothing is installed where it is present already.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Failure};
use crate::workspace::{WASM_TARGET, Workspace, make_folder};

/// The npm package `binaryen`, whose wasm-opt we use.
const BINARYEN_VERSION: &str = "132.0.0";

/// Older wasm-opt exits with zero and miscompiles what today's Rust emits (seen with 108).
const OLDEST_WASM_OPT: u32 = 120;

/// The rustup name under which `wasm-toolchain.sh` links a toolchain.
const FALLBACK_TOOLCHAIN: &str = "wasm-deb";

/// What Debian calls the browser, its driver, and a font (without one, text has no width).
const BROWSER_PACKAGES: [&str; 3] = ["chromium", "chromium-driver", "fonts-dejavu-core"];

/// What Debian calls PostgreSQL's server, and where it keeps a folder per version.
const POSTGRES_PACKAGE: &str = "postgresql";
const POSTGRES_FOLDER: &str = "/usr/lib/postgresql";

/// A toolchain that can compile for the browser.
#[derive(Debug, Clone)]
pub struct WasmToolchain {
    /// The rustup toolchain to name, if it isn't the one in use.
    name: Option<String>,
}

impl WasmToolchain {
    /// A cargo call with this toolchain.
    pub fn cargo(&self) -> Command {
        let Some(name) = &self.name else { return cargo() };
        let mut command = Command::new("cargo");
        command.env("RUSTUP_TOOLCHAIN", name).env_remove("CARGO").env_remove("RUSTC");
        command
    }

    /// Whether this toolchain brings clippy (the assembled one doesn't).
    pub fn has_clippy(&self) -> bool {
        self.name.is_none()
    }
}

/// A call of the cargo that started us.
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A toolchain with the wasm target: the one in use, if need be with the target added through
/// rustup, else one assembled from Debian's packages.
pub fn wasm_toolchain(workspace: &Workspace) -> Result<WasmToolchain, Failure> {
    if has_wasm_target(None) {
        return Ok(WasmToolchain { name: None });
    }
    if has_wasm_target(Some(FALLBACK_TOOLCHAIN)) {
        return Ok(WasmToolchain { name: Some(FALLBACK_TOOLCHAIN.to_owned()) });
    }
    if find_program("rustup").is_none() {
        return Err(Failure::new(format!("`rustc` has no target `{WASM_TARGET}`, and there is no `rustup`"))
            .hint("the pages run in the browser as WebAssembly\ninstall rustup from https://rustup.rs, or your distribution's package of the target"));
    }
    let mut rustup = Command::new("rustup");
    let added =
        step::command(workspace, "get: wasm target", rustup.args(["target", "add", WASM_TARGET]));
    if added.is_ok() && has_wasm_target(None) {
        return Ok(WasmToolchain { name: None });
    }
    assemble_toolchain(workspace)
}

/// The way without rustup's downloads.
fn assemble_toolchain(workspace: &Workspace) -> Result<WasmToolchain, Failure> {
    let script = workspace.root.join("xtask/wasm-toolchain.sh");
    let mut command = Command::new("bash");
    let name = "get: wasm toolchain from Debian";
    // The script's own first attempt is what has just failed.
    step::command(workspace, name, command.arg(script).env("WASM_TOOLCHAIN_FORCE", "debian")).map_err(|failure| {
        failure.hint(format!(
            "neither rustup nor Debian's packages gave the target `{WASM_TARGET}`\nwith a network: rustup target add {WASM_TARGET}"
        ))
    })?;
    Ok(WasmToolchain { name: Some(FALLBACK_TOOLCHAIN.to_owned()) })
}

fn has_wasm_target(toolchain: Option<&str>) -> bool {
    let mut command = Command::new("rustc");
    if let Some(name) = toolchain {
        command.env("RUSTUP_TOOLCHAIN", name);
    }
    let printed = read_output(command.args(["--print", "target-libdir", "--target", WASM_TARGET]));
    let Some(folder) = printed else { return false };
    let Ok(mut entries) = std::fs::read_dir(folder.trim()) else { return false };
    entries.any(|entry| entry.is_ok_and(|e| e.file_name().to_string_lossy().starts_with("libcore")))
}

/// A wasm-opt of a version that we trust, from npm, kept in the target folder.
pub struct WasmOpt {
    program: PathBuf,
    /// What it calls itself.
    pub version: String,
}

impl WasmOpt {
    /// A call of it. npm's wasm-opt is a script for Node.
    pub fn command(&self) -> Command {
        let mut command = Command::new("node");
        command.arg(&self.program);
        command
    }
}

/// Gets wasm-opt where it is missing.
pub fn wasm_opt(workspace: &Workspace) -> Result<WasmOpt, Failure> {
    let why = "wasm-opt makes the client small; it comes from npm and runs in Node\n\
               install Node 18 or newer (with npm), or leave it out: cargo xtask serve --no-wasm-opt";
    for program in ["node", "npm"] {
        if find_program(program).is_none() {
            return Err(Failure::new(format!("`{program}` is missing")).hint(why));
        }
    }
    let folder = workspace.cache().join(format!("binaryen-{BINARYEN_VERSION}"));
    let program = folder.join("node_modules/binaryen/bin/wasm-opt");
    if !program.is_file() {
        make_folder(&folder)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
        npm.arg(format!("binaryen@{BINARYEN_VERSION}"));
        step::command(workspace, "get: wasm-opt", &mut npm).map_err(|failure| failure.hint(why))?;
    }
    checked_wasm_opt(program)
}

fn checked_wasm_opt(program: PathBuf) -> Result<WasmOpt, Failure> {
    let mut opt = WasmOpt { program, version: String::new() };
    let printed = read_output(opt.command().arg("--version")).unwrap_or_default();
    let number = printed.split_whitespace().find_map(|word| word.parse::<u32>().ok());
    match number {
        Some(number) if number >= OLDEST_WASM_OPT => {
            opt.version = printed.trim().to_owned();
            Ok(opt)
        }
        _ => Err(Failure::new(format!(
            "`{}` must be wasm-opt {OLDEST_WASM_OPT} or newer and says `{}`",
            opt.program.display(),
            printed.trim()
        ))
        .hint("remove the folder target/xtask and run the command again")),
    }
}

/// A browser and the program that drives it.
pub struct Browser {
    /// Chromium or Chrome.
    pub chromium: PathBuf,
    /// Its WebDriver.
    pub driver: PathBuf,
}

/// Finds a browser, or installs one where that is possible.
pub fn browser(workspace: &Workspace) -> Result<Browser, Failure> {
    if let Some(browser) = find_browser() {
        return Ok(browser);
    }
    install(workspace, "get: chromium", &BROWSER_PACKAGES, no_browser)?;
    find_browser().ok_or_else(no_browser)
}

fn find_browser() -> Option<Browser> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    let chromium = names.iter().find_map(|name| find_program(name))?;
    let driver = ["chromedriver", "chromium-driver"].iter().find_map(|name| find_program(name))?;
    Some(Browser { chromium, driver })
}

fn no_browser() -> Failure {
    Failure::new("Chromium and its driver are missing").hint(format!(
        "the journeys run in a real browser; as root we would install it ourselves\nsudo apt-get install {}\nor put `chromium` and `chromedriver` of the same version on the PATH",
        BROWSER_PACKAGES.join(" ")
    ))
}

/// Finds PostgreSQL's server programs, or installs Debian's package where that is possible. Returns
/// their folder.
pub fn postgres(workspace: &Workspace) -> Result<PathBuf, Failure> {
    if let Some(folder) = find_postgres() {
        return Ok(folder);
    }
    install(workspace, "get: postgresql", &[POSTGRES_PACKAGE], no_postgres)?;
    find_postgres().ok_or_else(no_postgres)
}

/// Where `initdb` is: on the PATH, or in Debian's folder of the newest version.
fn find_postgres() -> Option<PathBuf> {
    if let Some(program) = find_program("initdb") {
        return program.parent().map(Path::to_owned);
    }
    let versions = std::fs::read_dir(POSTGRES_FOLDER).ok()?.flatten();
    let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let folder = Path::new(POSTGRES_FOLDER).join(newest.max()?.to_string()).join("bin");
    folder.join("initdb").is_file().then_some(folder)
}

fn no_postgres() -> Failure {
    Failure::new("PostgreSQL's programs are missing").hint(format!(
        "the store is tested on PostgreSQL too; as root we would install it ourselves\nsudo apt-get install {POSTGRES_PACKAGE}\nor put `initdb` and `postgres` on the PATH"
    ))
}

/// Installs Debian's packages, or fails as `missing` says where that is not possible.
fn install(
    workspace: &Workspace,
    name: &str,
    packages: &[&str],
    missing: fn() -> Failure,
) -> Result<(), Failure> {
    if find_program("apt-get").is_none() || !is_root() {
        return Err(missing());
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    step::command(workspace, "get: package lists", &mut apt(&["update", "-q"]))?;
    let mut install = apt(&["install", "-y", "-q", "--no-install-recommends"]);
    step::command(workspace, name, install.args(packages)).map(drop)
}

/// A program on the PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(&file))
        .find(|path| path.is_file())
}

/// Whether a cargo subcommand is installed.
pub fn has_cargo_command(name: &str) -> bool {
    find_program(&format!("cargo-{name}")).is_some()
}

fn is_root() -> bool {
    read_output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}

/// What a command prints, if it succeeds.
pub fn read_output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
