//! nvcc and the libraries to link with: the machine's own CUDA, else NVIDIA's packages from PyPI,
//! kept in the target folder. And a driver's library that does nothing, to link and start without
//! a driver.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::folder_with;
use crate::step::{self, Failure};
use crate::tools::{find_program, read_output};
use crate::workspace::{Workspace, files_below, make_folder, read, write};

/// A driver runs the PTX of its own CUDA version and of older ones: 13.0 goes with drivers from 580.
const PACKAGES: [&str; 8] = [
    "nvidia-cuda-nvcc==13.0.*",
    "nvidia-cuda-crt==13.0.*",
    "nvidia-nvvm==13.0.*",
    "nvidia-cuda-cccl==13.0.*",
    "nvidia-cuda-runtime==13.0.*",
    "nvidia-cuda-nvrtc==13.0.*",
    "nvidia-cublas==13.0.*",
    "nvidia-curand==10.4.0.*",
];

/// What cudarc links with.
const LIBRARIES: [&str; 5] = ["cublas", "cublasLt", "cudart", "curand", "nvrtc"];

/// `CUDA_ERROR_STUB_LIBRARY`, which NVIDIA's own stand-in answers, too.
const STUB_ERROR: u32 = 34;

/// A CUDA toolkit.
pub struct Toolkit {
    /// Its home: `bin`, `include` and a folder of libraries.
    root: PathBuf,
    /// Where its shared libraries lie.
    pub libraries: PathBuf,
}

impl Toolkit {
    /// The machine's own, else the packages.
    pub fn get(workspace: &Workspace) -> Result<Self, Failure> {
        if let Some(root) = installed() {
            return Self::at(root);
        }
        let root = workspace.cache().join("cuda-13.0");
        let done = root.join("complete");
        if !done.is_file() {
            download(workspace, &root)?;
            write(&done, b"")?;
        }
        Self::at(root.join("nvidia/cu13"))
    }

    fn at(root: PathBuf) -> Result<Self, Failure> {
        match folder_with(&root, "libcublas.so") {
            Some(libraries) => Ok(Self { root, libraries }),
            None => Err(Failure::new(format!("`{}` holds no libcublas.so", root.display())).hint(
                "the toolkit must have its development libraries\nset CUDA_HOME to a whole one, or unset it to fetch NVIDIA's packages",
            )),
        }
    }

    /// Tells cargo's build scripts and linker where everything is.
    pub fn environment(&self, cargo: &mut Command, stub: &Path) {
        let mut path = vec![self.root.join("bin")];
        path.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
        // A folder with a separator in its name can't be on a PATH; cargo then says what it misses.
        if let Ok(path) = env::join_paths(path) {
            cargo.env("PATH", path);
        }
        cargo.env("CUDA_HOME", &self.root).env("CUDA_PATH", &self.root);
        cargo.env("LIBRARY_PATH", stub);
        // nvcc has it since 12.8.
        let mut help = Command::new(self.root.join("bin/nvcc"));
        if read_output(help.arg("--help")).is_some_and(|help| help.contains("--compress-mode")) {
            cargo.env("NVCC_APPEND_FLAGS", "--compress-mode=size");
        }
    }

    /// Builds the driver's stand-in into `folder`, under both names: for the linker and to start.
    pub fn driver_stub(&self, workspace: &Workspace, folder: &Path) -> Result<PathBuf, Failure> {
        let library = folder.join("libcuda.so.1");
        let header = self.root.join("include/cuda.h");
        let source = stub_source(&String::from_utf8_lossy(&read(&header)?));
        let source_file = folder.join("libcuda.c");
        if library.is_file() && fs::read(&source_file).is_ok_and(|old| old == source.as_bytes()) {
            return Ok(folder.to_owned());
        }
        write(&source_file, source.as_bytes())?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1", "-o"]);
        compiler.arg(&library).arg(&source_file);
        step::command(workspace, "make: a driver that does nothing", &mut compiler)?;
        link(&library, &folder.join("libcuda.so"))?;
        Ok(folder.to_owned())
    }
}

/// The home of an installed toolkit.
fn installed() -> Option<PathBuf> {
    let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let on_path = find_program("nvcc").and_then(|nvcc| fs::canonicalize(nvcc).ok());
    let on_path = on_path.and_then(|nvcc| Some(nvcc.parent()?.parent()?.to_owned()));
    let usual = ["/usr/local/cuda", "/opt/cuda"].map(PathBuf::from);
    named.chain(on_path).chain(usual).find(|root| root.join("bin/nvcc").is_file())
}

fn download(workspace: &Workspace, root: &Path) -> Result<(), Failure> {
    let wheels = root.join("wheels");
    make_folder(&wheels)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--no-deps", "--quiet", "-d"]).arg(&wheels).args(PACKAGES);
    step::command(workspace, "get: CUDA from PyPI", &mut pip).map_err(|failure| {
        failure.hint(
            "nvcc and its libraries come as packages from PyPI (about 1 GB)\ninstall Python with pip, or a CUDA toolkit and set CUDA_HOME",
        )
    })?;
    for wheel in files_below(&wheels)? {
        let mut unpack = Command::new("python3");
        unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(root);
        let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.split('-').next().unwrap_or_default().to_owned();
        step::command(workspace, &format!("unpack: {name}"), &mut unpack)?;
    }
    fs::remove_dir_all(&wheels).map_err(|error| Failure::io("remove", &wheels, &error))?;
    arrange(&root.join("nvidia/cu13"))
}

/// Gives the unpacked packages what an installed toolkit has: programs that may run, and libraries
/// under the names that a linker looks for.
fn arrange(home: &Path) -> Result<(), Failure> {
    for folder in ["bin", "nvvm/bin"] {
        for program in files_below(&home.join(folder))? {
            super::make_executable(&program)?;
        }
    }
    let libraries = home.join("lib");
    for name in LIBRARIES {
        let versioned = files_below(&libraries)?.into_iter().find(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(&format!("lib{name}.so."))
        });
        let versioned = versioned.ok_or_else(|| {
            let what = format!("`{}` holds no lib{name}.so", libraries.display());
            Failure::new(what).hint("remove the folder target/xtask and run the command again")
        })?;
        link(&versioned, &libraries.join(format!("lib{name}.so")))?;
    }
    Ok(())
}

#[cfg(unix)]
fn link(file: &Path, name: &Path) -> Result<(), Failure> {
    let _ = fs::remove_file(name);
    let file = file.file_name().unwrap_or_default();
    std::os::unix::fs::symlink(file, name).map_err(|error| Failure::io("link", name, &error))
}

#[cfg(not(unix))]
fn link(file: &Path, name: &Path) -> Result<(), Failure> {
    fs::copy(file, name).map(drop).map_err(|error| Failure::io("copy", name, &error))
}

/// A C file with every function that the driver's header speaks of, in all its versions.
fn stub_source(header: &str) -> String {
    let words = header.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let function = |word: &&str| {
        let rest = word.strip_prefix("cu");
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    let names: BTreeSet<&str> = words.filter(function).collect();
    let line = |name: &str| format!("int {name}(void) {{ return {STUB_ERROR}; }}\n");
    names.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_has_every_function_once() {
        let header = "#define cuMemAlloc cuMemAlloc_v2\n\
            CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr *p, size_t n);\n\
            typedef uint32_t cuuint32_t; CUresult CUDAAPI cuInit(unsigned int Flags); /* cuInit */";
        let source = stub_source(header);
        let line = |name: &str| format!("int {name}(void) {{ return 34; }}\n");
        assert_eq!(source, line("cuInit") + &line("cuMemAlloc") + &line("cuMemAlloc_v2"));
    }
}
