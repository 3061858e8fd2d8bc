//! Running one command as one step: its progress line, its log file, and how it failed.
//!
//! The output of a step goes to a log, not to the terminal: a person sees one line per step, a
//! sign of life when a step is long, and the whole log only when it fails.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::workspace::{Workspace, make_folder};

/// How often a long step says that it is still alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// How much of a failed step's log is shown.
const SHOWN_LINES: usize = 150;

/// What went wrong, and on the following lines what to do about it.
#[derive(Debug, Clone)]
pub struct Failure {
    what: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure that needs no advice beyond its own words.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    /// Adds the way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file that could not be read, written or listed.
    pub fn io(action: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {action} `{}`: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  {}", hint.replace('\n', "\n  ")))
    }
}

/// What a finished command left behind.
pub struct Outcome {
    /// Whether it exited with zero.
    pub success: bool,
    /// Everything it wrote, line by line, both streams together.
    pub lines: Vec<String>,
    /// Where the same lines lie on disk.
    pub log: PathBuf,
}

impl Outcome {
    /// The end of the log, for showing after a failure.
    pub fn tail(&self) -> String {
        let skip = self.lines.len().saturating_sub(SHOWN_LINES);
        self.lines[skip..].join("\n")
    }
}

/// Prints the one line of a finished step.
pub fn report(mark: &str, name: &str, since: Instant, note: &str) {
    let note = if note.is_empty() { String::new() } else { format!("  {note}") };
    println!("{mark} {name:<36} {:>7.1} s{note}", since.elapsed().as_secs_f64());
    // A progress line is worthless if it waits in a buffer; nothing can be done if it fails.
    let _ = std::io::stdout().flush();
}

/// Does a piece of work in this process and prints its line.
pub fn work<T>(name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let since = Instant::now();
    let result = work();
    report(if result.is_ok() { "ok  " } else { "FAIL" }, name, since, "");
    result
}

/// Runs a command that must succeed, as one step with one line.
pub fn command(workspace: &Workspace, name: &str, command: &mut Command) -> Result<(), Failure> {
    let since = Instant::now();
    let outcome = watch(workspace, name, command)?;
    if outcome.success {
        report("ok  ", name, since, "");
        return Ok(());
    }
    report("FAIL", name, since, "");
    eprintln!("{}", outcome.tail());
    Err(Failure::new(format!("the step `{name}` failed"))
        .hint(format!("its whole output is in `{}`", outcome.log.display())))
}

/// Runs a command to its end, writing its output to a log and signs of life to the terminal.
pub fn watch(ws: &Workspace, name: &str, command: &mut Command) -> Result<Outcome, Failure> {
    let log = ws.cache().join("log").join(format!("{}.log", name.replace([' ', '/', ':'], "-")));
    if let Some(folder) = log.parent() {
        make_folder(folder)?;
    }
    let mut file = File::create(&log).map_err(|e| Failure::io("write", &log, &e))?;
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = clean(command)
        .current_dir(&ws.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Failure::new(format!("cannot start `{program}`: {e}")))?;
    let (sender, receiver) = mpsc::channel();
    read_lines(child.stdout.take(), sender.clone());
    read_lines(child.stderr.take(), sender);
    let lines = collect(name, &receiver, &mut file);
    let status =
        child.wait().map_err(|e| Failure::new(format!("lost sight of `{program}`: {e}")))?;
    Ok(Outcome { success: status.success(), lines, log })
}

/// Takes away what the cargo that started us told us about ourselves: handed on, it would make an
/// inner cargo believe that the environment of its own crates has changed.
pub fn clean(command: &mut Command) -> &mut Command {
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if name == "CARGO_PRIMARY_PACKAGE" || ours.iter().any(|start| name.starts_with(start)) {
            command.env_remove(&key);
        }
    }
    command
}

fn read_lines(stream: Option<impl Read + Send + 'static>, sender: mpsc::Sender<String>) {
    let Some(stream) = stream else { return };
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(read) if read > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}

fn collect(name: &str, lines: &mpsc::Receiver<String>, log: &mut File) -> Vec<String> {
    let start = Instant::now();
    let mut next = start + SIGN_OF_LIFE;
    let mut collected: Vec<String> = Vec::new();
    loop {
        match lines.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                // The log is a convenience: a full disk must not end the step.
                let _ = writeln!(log, "{line}");
                collected.push(line);
            }
            Err(RecvTimeoutError::Timeout) => {
                let last = collected.iter().rev().find(|line| !line.is_empty());
                let last: String =
                    last.map_or("", String::as_str).trim().chars().take(70).collect();
                println!("…    {name:<36} {:>7.0} s  {last}", start.elapsed().as_secs_f64());
                next = Instant::now() + SIGN_OF_LIFE;
            }
            Err(RecvTimeoutError::Disconnected) => return collected,
        }
    }
}
