//! The folder that the server hands out: client, style and `public`, each also compressed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::client::{Client, Mode, NAME, fingerprint, is_current};
use crate::step::{self, Failure};
use crate::workspace::{Workspace, files_below, make_folder, read, write};

/// Below this many bytes a compressed twin saves nothing worth a second file.
const WORTH_COMPRESSING: usize = 1000;

/// What compresses; pictures and fonts are compressed already.
const COMPRESSIBLE: [&str; 8] = ["css", "html", "ico", "js", "json", "svg", "txt", "wasm"];

/// The style sheet that names all others.
const STYLE: &str = "style/main.css";

/// Brings the site of this mode up to date and returns its folder.
pub fn assemble(workspace: &Workspace, mode: Mode, client: &Client) -> Result<PathBuf, Failure> {
    let site = mode.site(workspace);
    let style = style_sheet(&workspace.root.join(STYLE))?;
    let public = load_all(&workspace.root.join("public"))?;
    let mut inputs = vec![client.fingerprint.as_bytes(), style.as_bytes()];
    for (name, bytes) in &public {
        inputs.extend([name.as_os_str().as_encoded_bytes(), bytes.as_slice()]);
    }
    let print = fingerprint(inputs);
    let stamp = workspace.cache().join(format!("site-{}.stamp", mode.server_folder()));
    if site.is_dir() && is_current(&stamp, &print) {
        return Ok(site);
    }
    step::work("site: copy and compress", || {
        empty(&site)?;
        for (name, bytes) in &public {
            put(&site.join(name), bytes, mode)?;
        }
        for (name, bytes) in load_all(&client.folder)? {
            put(&site.join("pkg").join(name), &bytes, mode)?;
        }
        put(&site.join("pkg").join(format!("{NAME}.css")), style.as_bytes(), mode)
    })?;
    write(&stamp, print.as_bytes())?;
    Ok(site)
}

/// The files of a folder with their names relative to it.
fn load_all(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
    let mut loaded = Vec::new();
    for path in files_below(folder)? {
        let bytes = read(&path)?;
        loaded.push((path.strip_prefix(folder).unwrap_or(&path).to_path_buf(), bytes));
    }
    Ok(loaded)
}

fn empty(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|e| Failure::io("empty", folder, &e))?;
    }
    make_folder(folder)
}

/// Writes a file and, in release mode, its compressed twins.
fn put(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), Failure> {
    write(path, bytes)?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let worth = bytes.len() >= WORTH_COMPRESSING && COMPRESSIBLE.contains(&extension);
    if mode == Mode::Debug || !worth {
        return Ok(());
    }
    write(&path.with_extension(format!("{extension}.gz")), &gzip(bytes, path)?)?;
    write(&path.with_extension(format!("{extension}.br")), &brotli(bytes, path)?)
}

fn gzip(bytes: &[u8], path: &Path) -> Result<Vec<u8>, Failure> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).map_err(|e| Failure::io("compress", path, &e))?;
    encoder.finish().map_err(|e| Failure::io("compress", path, &e))
}

fn brotli(bytes: &[u8], path: &Path) -> Result<Vec<u8>, Failure> {
    let parameters = BrotliEncoderParams { size_hint: bytes.len(), ..Default::default() };
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters)
        .map_err(|e| Failure::io("compress", path, &e))?;
    Ok(packed)
}

/// One sheet out of the main one and what it imports, in order of the imports.
fn style_sheet(main: &Path) -> Result<String, Failure> {
    let folder = main.parent().unwrap_or(main);
    let text = String::from_utf8_lossy(&read(main)?).into_owned();
    let mut joined = String::new();
    for line in text.lines() {
        match imported(line) {
            Some(name) => joined.push_str(&style_sheet(&folder.join(name))?),
            None => joined.push_str(line),
        }
        joined.push('\n');
    }
    Ok(without_comments(&joined))
}

/// The file of an `@import "file.css";` line.
fn imported(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("@import")?.trim().strip_suffix(';')?.trim();
    let rest = rest.strip_prefix("url(").and_then(|r| r.strip_suffix(')')).unwrap_or(rest);
    let name = rest.trim_matches(['"', '\'']);
    (!name.contains("//")).then(|| name.trim_start_matches("./"))
}

/// Drops comments, indentation and empty lines; whatever stands in quotes stays.
fn without_comments(css: &str) -> String {
    let mut kept = String::with_capacity(css.len());
    let mut quote = None;
    let mut rest = css;
    while let Some(next) = rest.chars().next() {
        if quote.is_none() && rest.starts_with("/*") {
            rest = rest[2..].split_once("*/").map_or("", |(_, after)| after);
            continue;
        }
        match quote {
            None if matches!(next, '"' | '\'') => quote = Some(next),
            Some(open) if open == next => quote = None,
            _ => {}
        }
        kept.push(next);
        rest = &rest[next.len_utf8()..];
    }
    let lines = kept.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_quoted_ones_stay() {
        let css = "/* a\n b */\n  p { content: \"/* kept */\"; } /* c */\n\n";
        assert_eq!(without_comments(css), "p { content: \"/* kept */\"; }");
    }

    #[test]
    fn imports_are_named_and_distant_ones_left_alone() {
        assert_eq!(imported("@import \"./tokens.css\";"), Some("tokens.css"));
        assert_eq!(imported("  @import url('a/b.css');"), Some("a/b.css"));
        assert_eq!(imported("@import url(\"https://example.org/x.css\");"), None);
        assert_eq!(imported("p { color: red; }"), None);
    }

    #[test]
    fn an_import_is_put_in_its_place() {
        let folder = std::env::temp_dir().join(format!("xtask-style-{}", std::process::id()));
        write(&folder.join("main.css"), b"@import \"a.css\";\nb{}").unwrap();
        write(&folder.join("a.css"), b"a{}").unwrap();
        let sheet = style_sheet(&folder.join("main.css")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(sheet, "a{}\nb{}");
    }
}
