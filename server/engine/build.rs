//! Lists the starter's files, so that they are embedded where they are there: the binary builds
//! before its model has been trained.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let assets = root.join("../assets/starter");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", assets.display());
    let mut files = Vec::new();
    for part in ["model", "adapters"] {
        collect(&assets.join(part), part, &mut files)?;
    }
    files.sort();
    let mut list = String::from("&[\n");
    for (name, path) in files {
        // Writing to a string can't fail.
        let _ = writeln!(
            list,
            "    ({name:?}, include_bytes!({:?}) as &[u8]),",
            path.display().to_string()
        );
    }
    list.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    fs::write(out.join("starter_files.rs"), list)
}

fn collect(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let Some(file) = path.file_name().and_then(|file| file.to_str()) else { continue };
        let name = format!("{name}/{file}");
        if path.is_dir() {
            collect(&path, &name, files)?;
        } else if matches!(
            path.extension().and_then(|e| e.to_str()),
            Some("json" | "safetensors" | "jinja")
        ) {
            files.push((name, path));
        }
    }
    Ok(())
}
