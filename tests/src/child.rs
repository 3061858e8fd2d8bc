//! A program that says on its standard output where it listens. It dies with its handle.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::setting;

/// How long a program may take until it listens. Long: the machine may be busy.
const START: Duration = Duration::from_secs(120);

/// Starts `command`, logs its errors to `log` and reads its output until `find` finds something.
///
/// # Panics
/// When the program cannot be started, or ends or stays silent before it says what is looked for.
pub async fn start<T>(
    command: &mut Command,
    log: &str,
    find: impl Fn(&str) -> Option<T>,
) -> (Child, T) {
    let program = Path::new(command.as_std().get_program()).to_path_buf();
    let errors = log_file(&format!("{log}.err"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "cannot start `{}`: {error}\n`cargo xtask test --only journeys` builds and gets \
                 what is missing",
                program.display()
            )
        });
    let stdout = child.stdout.take().expect("the output was asked for");
    let mut lines = BufReader::new(stdout).lines();
    let found = timeout(START, first(&mut lines, find)).await;
    let Ok(Some(found)) = found else {
        panic!(
            "`{}` did not say where it listens; see {log}.err in {}",
            program.display(),
            setting::results().display()
        )
    };
    // The rest goes to a file: a full pipe would stop the program.
    let mut file = log_file(&format!("{log}.out"));
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = writeln!(file, "{line}");
        }
    });
    (child, found)
}

async fn first<T>(
    lines: &mut Lines<BufReader<ChildStdout>>,
    find: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(found) = find(&line) {
            return Some(found);
        }
    }
    None
}

fn log_file(name: &str) -> File {
    let folder = setting::results();
    fs::create_dir_all(&folder).expect("the folder for results can be made");
    File::create(folder.join(name)).expect("a log can be written")
}
