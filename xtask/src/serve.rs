//! `cargo xtask serve`: everything in release mode, then the server in the place of this process.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::client::{self, Mode};
use crate::site;
use crate::step::{self, Failure};
use crate::tools;
use crate::workspace::Workspace;

/// The environment variable by which `polylogue serve` learns where the site lies.
pub const SITE_VARIABLE: &str = "POLYLOGUE_SITE";

/// A server and what it hands out.
pub struct Built {
    /// The `polylogue` program.
    pub server: PathBuf,
    /// The site's folder.
    pub site: PathBuf,
}

/// Builds what is out of date and serves.
pub fn run(
    workspace: &Workspace,
    optimise: bool,
    arguments: &[String],
) -> Result<ExitCode, Failure> {
    let since = Instant::now();
    let built = build(workspace, Mode::Release, optimise)?;
    step::report("ok  ", "ready", since, "");
    let mut server = server_command(&built, &workspace.root, arguments);
    replace_process(&mut server, &built.server)
}

/// Client, site and server.
pub fn build(workspace: &Workspace, mode: Mode, optimise: bool) -> Result<Built, Failure> {
    let client = client::build(workspace, mode, optimise)?;
    let site = site::assemble(workspace, mode, &client)?;
    let mut cargo = tools::cargo();
    cargo.args(["build", "--package", "server", "--bin", "polylogue"]);
    if mode == Mode::Release {
        cargo.arg("--release");
    }
    step::command(workspace, &format!("server: compile ({})", mode.server_folder()), &mut cargo)?;
    Ok(Built { server: workspace.server_binary(mode.server_folder()), site })
}

/// The call of `polylogue serve` for what was built.
pub fn server_command(built: &Built, folder: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new(&built.server);
    command.arg("serve").args(arguments).env(SITE_VARIABLE, &built.site).current_dir(folder);
    step::clean(&mut command);
    command
}

/// Becomes the server, so that signals reach it and its exit code is ours.
#[cfg(unix)]
fn replace_process(server: &mut Command, program: &Path) -> Result<ExitCode, Failure> {
    use std::os::unix::process::CommandExt;
    Err(Failure::io("start", program, &server.exec()))
}

#[cfg(not(unix))]
fn replace_process(server: &mut Command, program: &Path) -> Result<ExitCode, Failure> {
    let status = server.status().map_err(|e| Failure::io("start", program, &e))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
