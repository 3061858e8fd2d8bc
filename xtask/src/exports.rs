//! The exports of an annotation project, read by the Python packages that they are made for.
//!
//! The packages come from PyPI in pinned versions, once, into a virtual environment below the target
//! folder. Where they can't be installed the stage says so and counts nothing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::check::{NATIVE, cargo, counted};
use crate::count::Count;
use crate::step::{self, Failure};
use crate::tools;
use crate::workspace::{Workspace, read, write};

/// What is installed.
const REQUIREMENTS: &str = "server/tests/annotation/requirements.txt";

/// What reads.
const READER: &str = "server/tests/annotation/read_exports.py";

/// The test that writes, ignored where nobody reads.
const WRITER: &str = "exports_are_written_for_other_programs";

/// Writes the exports of a project and reads them.
pub fn run(workspace: &Workspace, name: &str) -> Result<Count, Failure> {
    let since = Instant::now();
    let python = match environment(workspace)? {
        Ok(python) => python,
        Err(why) => {
            step::report("skip", name, since, &why);
            return Ok(Count::default());
        }
    };
    let folder = workspace.cache().join("exports");
    if folder.is_dir() {
        fs::remove_dir_all(&folder).map_err(|e| Failure::io("empty", &folder, &e))?;
    }
    let mut command = cargo();
    command.arg("test").args(NATIVE).args(["--test", "annotation", "--", "--ignored", WRITER]);
    let written = counted(workspace, "exports: write", command.env("POLYLOGUE_EXPORTS", &folder))?;
    if written.failed > 0 {
        return Ok(written);
    }
    let mut reader = Command::new(python);
    // The folder is enough: nothing is to be asked of anybody.
    reader.arg(workspace.root.join(READER)).arg(&folder).env("HF_HUB_OFFLINE", "1");
    Ok(written.plus(counted(workspace, name, &mut reader)?))
}

/// The Python of an environment that has the packages, or why there is none.
fn environment(workspace: &Workspace) -> Result<Result<PathBuf, String>, Failure> {
    let folder = workspace.cache().join("exports-python");
    let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
    let requirements = workspace.root.join(REQUIREMENTS);
    let wanted = read(&requirements)?;
    // Written last: half an installation is none.
    if python.is_file() && fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Ok(python));
    }
    let Some(system) = tools::find_program("python3") else {
        return Ok(Err("there is no `python3`".to_owned()));
    };
    let mut make = Command::new(system);
    let mut install = Command::new(&python);
    for (name, command) in [
        ("get: a Python environment", make.args(["-m", "venv"]).arg(&folder)),
        (
            "get: packages that read exports",
            install.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements),
        ),
    ] {
        let since = Instant::now();
        let outcome = step::watch(workspace, name, command)?;
        if !outcome.success {
            return Ok(Err(format!("`{name}` failed; see {}", outcome.log.display())));
        }
        step::report("ok  ", name, since, "");
    }
    write(&stamp, &wanted)?;
    Ok(Ok(python))
}
