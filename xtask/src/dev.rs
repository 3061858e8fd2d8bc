//! `cargo xtask dev`: rebuild and restart on every change.

use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};

use crate::client::Mode;
use crate::serve::{self, Built};
use crate::step::Failure;
use crate::workspace::Workspace;

/// What a change may lie in.
const WATCHED: [&str; 5] = ["app", "domain", "server", "style", "public"];

/// A change comes as a burst of events (an editor writes, renames, touches): wait for its end.
const BURST: Duration = Duration::from_millis(200);

/// Builds, serves, and does so again after each change, until interrupted.
pub fn run(workspace: &Workspace, arguments: &[String]) -> Result<ExitCode, Failure> {
    let (sender, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(sender)
        .map_err(|e| Failure::new(format!("cannot watch for changes: {e}")))?;
    for folder in WATCHED.map(|name| workspace.root.join(name)) {
        watcher
            .watch(&folder, RecursiveMode::Recursive)
            .map_err(|e| Failure::new(format!("cannot watch `{}`: {e}", folder.display())))?;
    }
    let mut running: Option<Running> = None;
    loop {
        running = round(workspace, arguments, running);
        let changed = next_change(&changes)?;
        println!(
            "\nchanged: {}",
            changed.strip_prefix(&workspace.root).unwrap_or(&changed).display()
        );
    }
}

/// A server with the time stamp of its binary, which tells whether it is out of date.
struct Running {
    child: Child,
    made: Option<std::time::SystemTime>,
}

/// Builds once; the old server goes on where the build fails or changed only the site.
fn round(workspace: &Workspace, arguments: &[String], old: Option<Running>) -> Option<Running> {
    let built = match serve::build(workspace, Mode::Debug, false) {
        Ok(built) => built,
        Err(failure) => {
            eprintln!("\n{failure}\nwaiting for the next change …");
            return old;
        }
    };
    let made = std::fs::metadata(&built.server).and_then(|data| data.modified()).ok();
    let next = match old {
        Some(old) if old.made == made => {
            keep_alive(old).or_else(|| restart(workspace, arguments, &built, None, made))
        }
        old => restart(workspace, arguments, &built, old, made),
    };
    println!("reload the page to see the change; Ctrl-C ends");
    next
}

/// The server, unless it has ended by itself.
fn keep_alive(mut running: Running) -> Option<Running> {
    matches!(running.child.try_wait(), Ok(None)).then_some(running)
}

fn restart(
    workspace: &Workspace,
    arguments: &[String],
    built: &Built,
    old: Option<Running>,
    made: Option<std::time::SystemTime>,
) -> Option<Running> {
    if let Some(mut old) = old {
        // It may have ended by itself, which is as good.
        let _ = old.child.kill();
        let _ = old.child.wait();
    }
    match serve::server_command(built, &workspace.root, arguments).spawn() {
        Ok(child) => Some(Running { child, made }),
        Err(error) => {
            eprintln!("{}", Failure::io("start", &built.server, &error));
            None
        }
    }
}

/// Waits for a change of a file that counts, then for the end of its burst.
fn next_change(changes: &Receiver<notify::Result<notify::Event>>) -> Result<PathBuf, Failure> {
    let gone = || Failure::new("the watcher for changes ended");
    loop {
        let event = changes.recv().map_err(|_| gone())?;
        let Some(path) = event.ok().and_then(|event| relevant(&event)) else { continue };
        loop {
            match changes.recv_timeout(BURST) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(path),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            }
        }
    }
}

fn relevant(event: &notify::Event) -> Option<PathBuf> {
    if event.kind.is_access() {
        return None;
    }
    event.paths.iter().find(|path| !is_by_product(path)).cloned()
}

/// Files that editors and test runs leave behind.
fn is_by_product(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.starts_with('.')
        || name.ends_with('~')
        || name.ends_with(".swp")
        || name.ends_with(".snap.new")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_leave_by_products() {
        for (name, expect) in [("a/lib.rs", false), ("a/.lib.rs.swp", true), ("a/lib.rs~", true)] {
            assert_eq!(is_by_product(Path::new(name)), expect, "{name}");
        }
    }
}
