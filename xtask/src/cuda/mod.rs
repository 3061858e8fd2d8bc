//! `cargo xtask build-cuda`: the server for an NVIDIA GPU, in a target folder of its own.
//!
//! A program that is linked with CUDA doesn't start where the driver's library is missing. So what
//! is called is a small script beside it, which puts an empty driver in the place of a missing one:
//! then `--device auto` computes on the CPU, and `--device cuda` says what is missing.
//! - [`toolkit`]: nvcc and the libraries, the machine's own or NVIDIA's packages from PyPI.

mod toolkit;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::client::Mode;
use crate::step::{self, Failure};
use crate::workspace::{Workspace, write};
use crate::{client, site, tools};
use toolkit::Toolkit;

/// bfloat16 needs 8.0; its PTX is compiled by the driver for every later GPU.
const OLDEST_CAPABILITY: u32 = 80;

/// Builds client, site and server, and prints what to call.
pub fn build(workspace: &Workspace, capability: Option<u32>) -> Result<ExitCode, Failure> {
    let since = Instant::now();
    let capability = supported(capability.or_else(gpu_capability).unwrap_or(OLDEST_CAPABILITY))?;
    let toolkit = Toolkit::get(workspace)?;
    let target = workspace.target.join("cuda");
    let stub = toolkit.driver_stub(workspace, &target.join("stub"))?;
    let client = client::build(workspace, Mode::Release, false)?;
    let site = site::assemble(workspace, Mode::Release, &client)?;
    let mut cargo = tools::cargo();
    cargo.args(["build", "--release", "--package", "server", "--bin", "polylogue"]);
    cargo.args(["--features", "cuda"]).arg("--target-dir").arg(&target);
    toolkit.environment(&mut cargo, &stub);
    cargo.env("CUDA_COMPUTE_CAP", capability.to_string());
    let name = format!("server: compile (CUDA, {}.{})", capability / 10, capability % 10);
    step::command(workspace, &name, &mut cargo)?;
    let script = target.join("polylogue");
    let program = target.join("release/polylogue");
    write(&script, launcher(&program, &toolkit.libraries, &stub, &site).as_bytes())?;
    make_executable(&script)?;
    let mut start = Command::new(&script);
    step::command(workspace, "server: starts", start.arg("--version"))?;
    step::report("ok  ", "ready", since, &format!("{} serve", script.display()));
    Ok(ExitCode::SUCCESS)
}

fn supported(capability: u32) -> Result<u32, Failure> {
    if capability >= OLDEST_CAPABILITY {
        return Ok(capability);
    }
    Err(Failure::new(format!(
        "the compute capability must be {OLDEST_CAPABILITY} or more, not {capability}"
    ))
    .hint("the server computes in bfloat16, which GPUs have since Ampere (8.0)\nuse the CPU build: cargo xtask serve"))
}

/// The compute capability of the first GPU, times ten; `None` where no driver answers.
fn gpu_capability() -> Option<u32> {
    let mut query = Command::new("nvidia-smi");
    query.args(["--query-gpu=compute_cap", "--format=csv,noheader"]);
    parse_capability(&tools::read_output(&mut query)?)
}

fn parse_capability(printed: &str) -> Option<u32> {
    let (major, minor) = printed.lines().next()?.trim().split_once('.')?;
    Some(major.parse::<u32>().ok()? * 10 + minor.parse::<u32>().ok()?)
}

/// The script that starts `program` with the libraries it was linked with.
fn launcher(program: &Path, libraries: &Path, stub: &Path, site: &Path) -> String {
    let [program, libraries, stub, site] =
        [program, libraries, stub, site].map(|path| quoted(&path.display().to_string()));
    format!(
        "#!/bin/sh\n\
         # Made by `cargo xtask build-cuda`. A machine without NVIDIA's driver gets an empty one.\n\
         LD_LIBRARY_PATH=\"${{LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}}\"{libraries}\n\
         export LD_LIBRARY_PATH\n\
         # The loader knows best where a driver may lie: only a program that can't start gets the empty one.\n\
         {program} --version >/dev/null 2>&1 || LD_LIBRARY_PATH=\"$LD_LIBRARY_PATH:\"{stub}\n\
         [ -n \"$POLYLOGUE_SITE\" ] || POLYLOGUE_SITE={site}\n\
         export POLYLOGUE_SITE\n\
         exec {program} \"$@\"\n"
    )
}

/// In single quotes, as a shell reads it back.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, permissions)
        .map_err(|error| Failure::io("make executable", path, &error))
}

#[cfg(not(unix))]
fn make_executable(path: &Path) -> Result<(), Failure> {
    Err(Failure::new(format!("`{}` is a script for Unix shells", path.display()))
        .hint("build with `cargo build --release -p server --features cuda` instead"))
}

/// A folder below the home of CUDA that holds `name`.
fn folder_with(root: &Path, name: &str) -> Option<PathBuf> {
    let places = ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"];
    places.iter().map(|place| root.join(place)).find(|folder| folder.join(name).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_and_old_gpus_refused() {
        assert_eq!(parse_capability("9.0\n8.6\n"), Some(90));
        assert_eq!(parse_capability("12.1"), Some(121));
        assert_eq!(parse_capability("no devices were found"), None);
        assert_eq!(supported(86).unwrap(), 86);
        assert!(supported(75).unwrap_err().to_string().contains("not 75"));
    }

    #[cfg(unix)]
    #[test]
    fn the_script_hands_on_arguments_and_keeps_what_the_user_set() {
        let folder = std::env::temp_dir().join(format!("polylogue it's {}", std::process::id()));
        let program = folder.join("program");
        let starts = |where_| {
            let text = format!(
                "#!/bin/sh\ncase \"$LD_LIBRARY_PATH\" in *{where_}*) ;; *) exit 127;; esac\n\
                 echo \"$LD_LIBRARY_PATH|$POLYLOGUE_SITE|$2\"\n"
            );
            write(&program, text.as_bytes()).unwrap();
            make_executable(&program).unwrap();
        };
        starts("lib");
        let script = folder.join("polylogue");
        let text = launcher(&program, &folder.join("lib"), &folder.join("stub"), Path::new("/a b"));
        write(&script, text.as_bytes()).unwrap();
        let run = |site: Option<&str>| {
            let mut command = Command::new("sh");
            command.arg(&script).args(["serve", "two words"]).env("LD_LIBRARY_PATH", "/mine");
            command.env_remove("POLYLOGUE_SITE").envs(site.map(|site| ("POLYLOGUE_SITE", site)));
            tools::read_output(&mut command).unwrap()
        };
        let (printed, lib) = (run(None), folder.join("lib"));
        assert!(printed.starts_with(&format!("/mine:{}|", lib.display())), "{printed}");
        assert!(printed.ends_with("|/a b|two words\n"), "{printed}");
        assert!(run(Some("/other")).ends_with("|/other|two words\n"));
        // Without a driver it can't start but beside the empty one.
        starts("stub");
        let (printed, stub) = (run(None), folder.join("stub"));
        assert!(printed.contains(&format!(":{}|", stub.display())), "{printed}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
