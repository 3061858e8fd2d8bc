//! Runs the process of a measure and waits for its result.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

/// Runs a measure's process and gives what it printed last, and when after its start.
///
/// # Errors
/// If it can't be started; what it said last where it gave no result is the inner error.
pub(super) fn watch<T: DeserializeOwned>(
    command: &mut Command,
) -> io::Result<(Result<T, String>, Duration)> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Errors are read aside, or a talkative process would wait for us for ever.
    let errors = child.stderr.take().map(|mut stderr| {
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        })
    });
    let (mut last, mut at) = (None, Duration::ZERO);
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            if let Ok(result) = serde_json::from_str(&line?) {
                (last, at) = (Some(result), started.elapsed());
            }
        }
    }
    child.wait()?;
    let errors = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let words = || {
        let lines: Vec<&str> = errors.trim().lines().rev().take(2).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" ")
    };
    Ok((last.ok_or_else(words), at))
}
