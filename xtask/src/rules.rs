//! What the repository demands of itself, as far as a program can tell.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Failure;
use crate::tools;
use crate::workspace::{Workspace, files_below, read};

/// How many rules there are, for the count of checks.
pub const COUNT: usize = 4;

/// A longer Rust file must say in its head why it is one file.
const LONGEST_FILE: usize = 600;

/// The words by which it does so.
const REASON: &str = "One file because";

/// Folders of which paths in the documents speak.
const FOLDERS: [&str; 9] =
    ["app/", "domain/", "server/", "tests/", "xtask/", "style/", "public/", "docs/", ".ci/"];

/// Beginnings of paths that exist on one machine only. Put together here, lest this file break
/// its own rule.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/")];

/// What is broken, one sentence each.
pub fn broken(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let mut broken = Vec::new();
    for path in tracked(workspace)? {
        let name = path.to_string_lossy().into_owned();
        let full = workspace.root.join(&path);
        // Pictures and weights are no text; a file that git lists may have been removed by hand.
        let Some(text) = read(&full).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
            continue;
        };
        if name.ends_with(".rs") {
            broken.extend(rust_file(&name, &text));
        }
        if name.ends_with(".md") {
            broken.extend(document(&workspace.root, &path, &text));
        }
        if !name.ends_with(".lock") {
            broken.extend(machine_paths(&name, &text));
        }
    }
    Ok(broken)
}

/// The files under version control and those about to be; without git, all but the target folder.
fn tracked(workspace: &Workspace) -> Result<Vec<PathBuf>, Failure> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(&workspace.root);
    if let Some(listed) = tools::read_output(&mut git) {
        return Ok(listed.lines().map(PathBuf::from).collect());
    }
    let all = files_below(&workspace.root)?;
    let inside = all.iter().filter(|path| !path.starts_with(&workspace.target));
    Ok(inside
        .filter_map(|path| Some(path.strip_prefix(&workspace.root).ok()?.to_path_buf()))
        .collect())
}

fn rust_file(name: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
    if head.is_empty() {
        broken.push(format!("`{name}` must open with `//!`: what lives in it, and what doesn't"));
    }
    let lines = text.lines().count();
    if lines > LONGEST_FILE && !head.iter().any(|line| line.contains(REASON)) {
        broken.push(format!(
            "`{name}` has {lines} lines; over {LONGEST_FILE} its head must say `{REASON} …`"
        ));
    }
    broken
}

/// Every path that a document names must exist.
fn document(root: &Path, path: &Path, text: &str) -> Vec<String> {
    let folder = root.join(path.parent().unwrap_or(Path::new("")));
    let code = code_spans(text)
        .into_iter()
        .filter(|span| looks_like_path(span))
        .map(|span| root.join(span));
    let links = link_targets(text).into_iter().map(|target| folder.join(target));
    let missing = code.chain(links).filter(|target| !target.exists());
    missing
        .map(|target| {
            let shown = target.strip_prefix(root).unwrap_or(&target).display().to_string();
            format!("`{}` names `{shown}`, which does not exist", path.display())
        })
        .collect()
}

fn code_spans(text: &str) -> Vec<&str> {
    outside_fences(text).flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

fn looks_like_path(span: &str) -> bool {
    let plain = !span.contains(['<', '>', '*', '{', '}', ' ', '$', '…']) && !span.contains("::");
    plain && FOLDERS.iter().any(|folder| span.starts_with(folder))
}

fn link_targets(text: &str) -> Vec<&str> {
    outside_fences(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ', '#']).next())
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .collect()
}

fn outside_fences(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

fn machine_paths(name: &str, text: &str) -> Vec<String> {
    let found = MACHINE_PATHS.iter().filter(|path| starts_a_path(text, path));
    found.map(|path| format!("`{name}` speaks of `{path}`, a path of one machine")).collect()
}

/// Whether `path` stands in `text` other than as the middle of a longer path.
fn starts_a_path(text: &str, path: &str) -> bool {
    let goes_on = |before: char| before.is_alphanumeric() || "_}.-~*".contains(before);
    text.match_indices(path).any(|(at, _)| !text[..at].ends_with(goes_on))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_file_says_what_it_is_and_stays_short() {
        assert!(rust_file("a.rs", "//! A.\nfn a() {}\n").is_empty());
        assert_eq!(rust_file("a.rs", "fn a() {}\n").len(), 1);
        let long = "fn a() {}\n".repeat(LONGEST_FILE);
        assert_eq!(rust_file("a.rs", &format!("//! A.\n{long}")).len(), 1);
        assert!(rust_file("a.rs", &format!("//! {REASON} it is a table.\n{long}")).is_empty());
    }

    #[test]
    fn documents_are_read_for_paths() {
        let text = "See `server/src/lib.rs`, `app/*`, `a/b` and [x](docs/x.md#part), [y](https://y.org).\n```\n`domain/none`\n```\n";
        let paths: Vec<&str> =
            code_spans(text).into_iter().filter(|s| looks_like_path(s)).collect();
        assert_eq!(paths, ["server/src/lib.rs"]);
        assert_eq!(link_targets(text), ["docs/x.md"]);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let text = format!("see {}you/file", MACHINE_PATHS[1]);
        assert_eq!(machine_paths("a.md", &text).len(), 1);
        let longer = format!("see $W{}you/file", MACHINE_PATHS[1]);
        assert!(machine_paths("a.md", &longer).is_empty());
    }
}
