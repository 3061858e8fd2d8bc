//! Runs the process of a measure and waits for its result.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

/// Runs a measure's process and gives what it printed last, and when after its start. A process that takes
/// longer than `limit` is ended.
///
/// # Errors
/// If it can't be started; what it said last where it gave no result is the inner error.
pub(super) fn watch<T: DeserializeOwned>(
    command: &mut Command,
    limit: Option<Duration>,
) -> io::Result<(Result<T, String>, Duration)> {
    let started = Instant::now();
    end_with_this(command);
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
    let stdout = child.stdout.take();
    let (read, reading) = mpsc::channel();
    let in_time = std::thread::scope(|scope| {
        let guarded = &mut child;
        let guard = scope.spawn(move || end_in_time(guarded, &reading, limit));
        for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
            if let Ok(result) = serde_json::from_str(&line?) {
                (last, at) = (Some(result), started.elapsed());
            }
        }
        drop(read);
        guard.join().unwrap_or(Ok(true))
    });
    if in_time.is_err() {
        // It isn't to compute beside the next one.
        child.kill()?;
    }
    child.wait()?;
    let in_time = in_time?;
    if let Some(limit) = limit.filter(|_| !in_time) {
        return Ok((Err(format!("given up after {:.0} s", limit.as_secs_f64())), at));
    }
    let errors = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
    let words = || {
        let lines: Vec<&str> = errors.trim().lines().rev().take(2).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" ")
    };
    Ok((last.ok_or_else(words), at))
}

/// Has Linux kill the process when the thread that starts it ends, be it killed: a measure that nobody waits for
/// would go on beside others for an hour.
fn end_with_this(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;

        let parent = std::process::id() as libc::pid_t;
        #[expect(
            unsafe_code,
            reason = "the call concerns the new process and has to be made by it"
        )]
        // SAFETY: between fork and exec only system calls are made, which take numbers, and nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                let kill = libc::SIGKILL as libc::c_ulong;
                if libc::prctl(libc::PR_SET_PDEATHSIG, kill) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // Who ended before the call sends no signal any more.
                match libc::getppid() == parent {
                    true => Ok(()),
                    false => Err(io::ErrorKind::NotFound.into()),
                }
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Ends the process if it is still being read from at the end of its time; whether it wasn't.
fn end_in_time(
    child: &mut Child,
    reading: &Receiver<()>,
    limit: Option<Duration>,
) -> io::Result<bool> {
    let Some(limit) = limit else { return Ok(true) };
    if reading.recv_timeout(limit) != Err(RecvTimeoutError::Timeout) {
        return Ok(true);
    }
    child.kill()?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Option<Duration>) -> Result<u32, String> {
        watch(Command::new("sh").args(["-c", script]), limit).unwrap().0
    }

    #[test]
    fn the_last_result_counts_and_a_failure_says_its_last_words() {
        assert_eq!(shell("echo 1; echo words; echo 2", None), Ok(2));
        assert_eq!(
            shell("echo one >&2; echo two >&2; echo three >&2", None),
            Err("two three".to_owned())
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_ends_with_who_started_it() {
        use std::os::unix::process::ExitStatusExt;

        let start = || {
            let mut command = Command::new("sleep");
            end_with_this(command.arg("20"));
            command.spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn a_process_that_takes_too_long_is_ended() {
        let limit = Duration::from_millis(50);
        assert_eq!(shell("exec sleep 600", Some(limit)), Err("given up after 0 s".to_owned()));
        assert_eq!(shell("echo 3", Some(Duration::from_secs(600))), Ok(3));
    }
}
