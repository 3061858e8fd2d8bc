//! `cargo xtask test`: every check of the repository, one after the other, and the count at the end.
//!
//! A failing stage doesn't stop the next one. All native stages select the same packages, because
//! cargo unifies the features of what is selected: another selection would compile the
//! dependencies a second time. For the same reason clippy compiles what is tested (see [`cargo`])
//! instead of checking it before: `cargo clippy` checks all dependencies apart, which takes minutes.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::client::{self, Client, Mode};
use crate::count::{self, Count};
use crate::serve::SITE_VARIABLE;
use crate::step::{self, Failure, Outcome};
use crate::workspace::Workspace;
use crate::{exports, rules, score, site, tools};

/// Everything native but this crate, which cargo has compiled with features of its own.
pub const NATIVE: [&str; 3] = ["--workspace", "--exclude", "xtask"];

/// A stage prints what it does and returns what passed and failed.
type Stage = (&'static str, fn(&Workspace, &str) -> Result<Count, Failure>);

/// The stages, cheap ones first, so that a slip shows early.
const STAGES: [Stage; 12] = [
    ("repository rules", repository),
    ("format", format),
    ("clippy and tests of xtask", xtask_tests),
    ("clippy, compiling for tests and journeys", compile),
    ("clippy (client)", clippy_client),
    ("tests", tests),
    ("tests on PostgreSQL", postgres_tests),
    ("doc tests", doc_tests),
    ("exports read by datasets, argilla and label-studio-sdk", exports::run),
    ("scores in WebAssembly", score::run),
    ("client for journeys", client_site),
    ("journeys in Chromium", journeys),
];

/// Runs the stages whose name contains one of `only` (all, if empty); refuses a word that no name contains.
pub fn run(workspace: &Workspace, only: &[String]) -> ExitCode {
    let since = Instant::now();
    if let Some(word) =
        only.iter().find(|word| !STAGES.iter().any(|(name, _)| name.contains(*word)))
    {
        let names = STAGES.map(|(name, _)| name).join("`, `");
        eprintln!("no stage has `{word}` in its name\nUse a word out of `{names}`.");
        return ExitCode::FAILURE;
    }
    let mut total = Count::default();
    for (name, stage) in STAGES {
        if !only.is_empty() && !only.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let count = stage(workspace, name).unwrap_or_else(|failure| {
            println!("FAIL {name}\n{failure}");
            Count::one(false)
        });
        total = total.plus(count);
    }
    println!("\nall stages took {:.1} min", since.elapsed().as_secs_f64() / 60.0);
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `cargo xtask screenshots`: the journeys' browser visits the pages and keeps what it sees.
pub fn screenshots(workspace: &Workspace) -> Result<ExitCode, Failure> {
    compile(workspace, "compile for screenshots")?;
    client_site(workspace, "client for screenshots")?;
    let mut command = cargo();
    command.args(["test"]).args(NATIVE).args(["--test", "screenshots", "--", "--ignored"]);
    command.env("POLYLOGUE_SCREENSHOTS", workspace.root.join("docs/images"));
    browser_environment(workspace, &mut command)?;
    let count = counted(workspace, "screenshots", &mut command)?;
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a command as a stage: counts its tests, or the command itself where it counts none.
pub fn counted(ws: &Workspace, name: &str, command: &mut Command) -> Result<Count, Failure> {
    let since = Instant::now();
    Ok(told(name, since, &step::watch(ws, name, command)?))
}

/// As [`counted`], for a command that compiles with [`cargo`]: a warning fails it. Cargo repeats the
/// warnings of what it finds compiled.
fn linted(ws: &Workspace, name: &str, command: &mut Command) -> Result<Count, Failure> {
    let since = Instant::now();
    let mut outcome = step::watch(ws, name, command)?;
    outcome.success &= !outcome.lines.iter().any(|line| is_warned(line));
    Ok(told(name, since, &outcome))
}

/// What cargo says below the warnings of each crate.
fn is_warned(line: &str) -> bool {
    line.starts_with("warning: `") && line.contains(" generated ")
}

fn told(name: &str, since: Instant, outcome: &Outcome) -> Count {
    let mut count = count::tests(&outcome.lines);
    if count == Count::default() || (!outcome.success && count.failed == 0) {
        count = count.plus(Count::one(outcome.success));
    }
    if outcome.success {
        step::report("ok  ", name, since, &format!("{} passed", count.passed));
    } else {
        println!("{}", outcome.tail());
        step::report("FAIL", name, since, &format!("{} failed", count.failed));
        println!("     the whole output is in {}", outcome.log.display());
    }
    count
}

fn repository(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    let since = Instant::now();
    let broken = rules::broken(workspace)?;
    for rule in &broken {
        println!("     {rule}");
    }
    let count = Count { passed: rules::COUNT.saturating_sub(broken.len()), failed: broken.len() };
    let mark = if broken.is_empty() { "ok  " } else { "FAIL" };
    step::report(mark, name, since, &format!("{} passed", count.passed));
    Ok(count)
}

fn format(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    counted(workspace, name, tools::cargo().args(["fmt", "--all", "--check"]))
}

/// A cargo call that compiles the workspace's own crates with clippy. Whatever native stage compiles
/// them calls this, since cargo keeps apart what different compilers made.
pub fn cargo() -> Command {
    let mut command = tools::cargo();
    command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
    command
}

/// What runs in the browser. A wasm toolchain without clippy leaves it to the native one, for which the
/// same code compiles.
fn clippy_client(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    let toolchain = tools::wasm_toolchain(workspace)?;
    let mut command = if toolchain.has_clippy() {
        client::cargo_client(&toolchain, "clippy", Mode::Debug)
    } else {
        let mut command = tools::cargo();
        command.args(["clippy", "--package", "app", "--lib", "--no-default-features"]);
        command.args(["--features", "hydrate"]);
        command
    };
    counted(workspace, name, command.args(["--", "--deny", "warnings"]))
}

fn xtask_tests(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    linted(workspace, name, cargo().args(["test", "--package", "xtask"]))
}

fn compile(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    let targets = ["--all-targets", "--keep-going"];
    linted(workspace, name, cargo().arg("build").args(NATIVE).args(targets))
}

fn tests(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    let mut command = cargo();
    if tools::has_cargo_command("nextest") {
        command.args(["nextest", "run"]).args(NATIVE).args(NEXTEST);
        command.args(["-E", "not package(tests)"]);
    } else {
        command.arg("test").args(NATIVE).args(["--lib", "--bins", "--tests", "--no-fail-fast"]);
        command.args(["--", "--skip", "journey::"]);
    }
    counted(workspace, name, &mut command)
}

/// Tests that start a PostgreSQL of their own are ignored elsewhere, so that none passes without it.
fn postgres_tests(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    let programs = tools::postgres(workspace)?;
    let mut command = cargo();
    if tools::has_cargo_command("nextest") {
        command.args(["nextest", "run"]).args(NATIVE).args(NEXTEST);
        command.args(["--run-ignored", "only", "-E", "test(postgres::) and not package(tests)"]);
    } else {
        command.arg("test").args(NATIVE).args(["--lib", "--tests", "--no-fail-fast"]);
        command.args(["--", "--ignored", "postgres::"]);
    }
    counted(workspace, name, command.env("POLYLOGUE_POSTGRES", programs))
}

/// nextest says every test's name: the log tells which one was running.
const NEXTEST: [&str; 4] =
    ["--no-fail-fast", "--no-tests=pass", "--status-level=pass", "--final-status-level=fail"];

fn doc_tests(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    let mut command = cargo();
    counted(workspace, name, command.args(["test", "--doc", "--no-fail-fast"]).args(NATIVE))
}

fn client_site(workspace: &Workspace, _: &str) -> Result<Count, Failure> {
    let client: Client = client::build(workspace, Mode::Debug, false)?;
    site::assemble(workspace, Mode::Debug, &client)?;
    Ok(Count::one(true))
}

fn journeys(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    let mut command = cargo();
    if tools::has_cargo_command("nextest") {
        command.args(["nextest", "run"]).args(NATIVE).args(NEXTEST);
        command.args(["-E", "package(tests)", "--test-threads=1"]);
    } else {
        command.arg("test").args(NATIVE).args(["--test", "journeys", "--no-fail-fast"]);
        command.args(["--", "--test-threads=1"]);
    }
    browser_environment(workspace, &mut command)?;
    counted(workspace, name, &mut command)
}

/// Tells the journeys which browser, server and site to use, and where to leave what went wrong.
fn browser_environment(workspace: &Workspace, command: &mut Command) -> Result<(), Failure> {
    let browser = tools::browser(workspace)?;
    let set = |command: &mut Command, key: &str, path: &Path| {
        command.env(key, path);
    };
    set(command, "POLYLOGUE_CHROMIUM", &browser.chromium);
    set(command, "POLYLOGUE_CHROMEDRIVER", &browser.driver);
    set(command, "POLYLOGUE_BIN", &workspace.server_binary(Mode::Debug.server_folder()));
    set(command, SITE_VARIABLE, &Mode::Debug.site(workspace));
    set(command, "POLYLOGUE_JOURNEYS", &workspace.target.join("journeys"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_with_warnings_is_found_and_a_test_that_speaks_of_them_is_not() {
        for (line, expect) in [
            ("warning: `server` (lib test) generated 2 warnings (1 duplicate)", true),
            ("warning: `app` (lib) generated 1 warning", true),
            ("warning: unused variable: `x`", false),
            ("test warnings_are_generated ... ok", false),
            ("    Finished `dev` profile", false),
        ] {
            assert_eq!(is_warned(line), expect, "{line}");
        }
    }
}
