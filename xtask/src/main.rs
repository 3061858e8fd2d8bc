//! `cargo xtask serve | test | dev | build-cuda | screenshots`: the only build script of the workspace.
//!
//! - [`workspace`]: where things lie; [`step`]: running commands, one progress line each;
//! - [`tools`]: what a machine may lack (wasm target, wasm-opt, a browser), with pinned versions;
//! - [`client`] and [`site`]: from the `app` crate to the folder which the server hands out;
//! - [`serve`], [`dev`], [`check`], [`cuda`]: the commands; [`rules`]: what the repository demands of itself;
//! - [`exports`], [`score`]: stages that need more than cargo.
//!
//! **Invariant:** no product code. Nothing here runs when the product runs.

mod check;
mod client;
mod count;
mod cuda;
mod dev;
mod exports;
mod rules;
mod score;
mod serve;
mod site;
mod step;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::step::Failure;
use crate::workspace::Workspace;

/// Builds, serves and checks Polylogue.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build client and server in release mode and serve on 127.0.0.1:3000.
    Serve {
        /// Leave the client as the compiler made it (about a fifth larger; needs no npm).
        #[arg(long)]
        no_wasm_opt: bool,
        /// Options for `polylogue serve`, after `--`.
        #[arg(last = true)]
        server: Vec<String>,
    },
    /// Run every check; the last line counts passed and failed.
    Test {
        /// Only the stages whose name contains one of these words.
        #[arg(long, value_name = "WORD")]
        only: Vec<String>,
    },
    /// Rebuild and restart on every change.
    Dev {
        /// Options for `polylogue serve`, after `--`.
        #[arg(last = true)]
        server: Vec<String>,
    },
    /// Build client and server for an NVIDIA GPU, with the machine's CUDA or NVIDIA's PyPI packages.
    BuildCuda {
        /// Compute capability times ten, such as 90; by default that of this machine's GPU, else 80.
        #[arg(long, value_name = "N")]
        compute_capability: Option<u32>,
    },
    /// Take the pictures of the README with a real browser.
    Screenshots,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    let workspace = Workspace::find()?;
    match command {
        Command::Serve { no_wasm_opt, server } => serve::run(&workspace, !no_wasm_opt, &server),
        Command::Test { only } => Ok(check::run(&workspace, &only)),
        Command::Dev { server } => dev::run(&workspace, &server),
        Command::BuildCuda { compute_capability } => cuda::build(&workspace, compute_capability),
        Command::Screenshots => check::screenshots(&workspace),
    }
}
