//! The score table of `domain`, run where the browser runs it: compiled to WebAssembly.
//!
//! `domain/tests/score_table.rs` runs the same table natively. Here `domain/examples/score_table.rs`
//! is compiled for the browser's target and called by Node, which needs no bindings for it.

use std::process::Command;

use crate::check::counted;
use crate::client::Mode;
use crate::count::Count;
use crate::step::{self, Failure};
use crate::tools;
use crate::workspace::{WASM_TARGET, Workspace};

/// Calls every row of the table and prints a summary in the words of Rust's own test harness.
const RUNNER: &str = "xtask/score-table.mjs";

/// Compiles the table and runs it.
pub fn run(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    if tools::find_program("node").is_none() {
        return Err(Failure::new("`node` is missing")
            .hint("the score table compiled to WebAssembly runs in it\ninstall Node 18 or newer"));
    }
    let profile = Mode::Debug.wasm_profile();
    let mut cargo = tools::wasm_toolchain(workspace)?.cargo();
    cargo.args(["build", "--package", "domain", "--example", "score_table"]);
    cargo.args(["--target", WASM_TARGET, "--profile", profile]);
    step::command(workspace, "score table: compile", &mut cargo)?;
    let folder =
        workspace.target.join(WASM_TARGET).join(Mode::Debug.wasm_folder()).join("examples");
    let mut node = Command::new("node");
    counted(workspace, name, node.arg(RUNNER).arg(folder.join("score_table.wasm")))
}
