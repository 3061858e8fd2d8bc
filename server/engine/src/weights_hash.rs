//! The hash of a model's weights, remembered: to read gigabytes again at every start would take longer than
//! all else.
//!
//! It is remembered by what the system says of the files: where each is, which one it is, its size and when
//! it last changed. Of files that changed just now nothing is remembered, since the clock may not tell their
//! next change from the last one.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use directories::ProjectDirs;
use sha2::{Digest, Sha256};

use super::tuning::atomic::write_atomic;

/// Weights of fewer bytes are hashed in no time.
const SMALLEST: u64 = 64 << 20;
/// What has changed within this time may change again unnoticed.
const JUST_NOW: Duration = Duration::from_secs(60);

/// Hashes of weights by their files.
#[derive(Debug)]
pub struct HashMemory {
    /// One file for each; `None` remembers nothing.
    folder: Option<PathBuf>,
    smallest: u64,
}

impl HashMemory {
    /// In the user's cache.
    pub fn usual() -> Self {
        let folders = ProjectDirs::from("", "", "polylogue");
        let folder = folders.map(|folders| folders.cache_dir().join("hashes"));
        Self { folder, smallest: SMALLEST }
    }

    /// The hash of the files, which `compute` gives where it isn't known: 64 hexadecimal digits.
    ///
    /// # Errors
    /// Those of `compute`. A memory that can't be written is none.
    pub fn hash<E>(
        &self,
        files: &[PathBuf],
        compute: impl FnOnce() -> Result<String, E>,
    ) -> Result<String, E> {
        let place = || Some((self.folder.as_ref()?, self.key(files, SystemTime::now())?));
        let Some((folder, key)) = place() else { return compute() };
        let path = folder.join(&key);
        let known = fs::read_to_string(&path).ok().filter(|hash| is_hash(hash));
        if let Some(hash) = known {
            return Ok(hash);
        }
        let hash = compute()?;
        // Otherwise they changed while they were read.
        let unchanged = self.key(files, SystemTime::now()).as_ref() == Some(&key);
        if unchanged && let Err(error) = write_atomic(&path, hash.as_bytes()) {
            tracing::debug!("the hash of the weights isn't remembered: {error}");
        }
        Ok(hash)
    }

    /// What the system says of the files at `now`, hashed; `None` where nothing is to be remembered of them.
    fn key(&self, files: &[PathBuf], now: SystemTime) -> Option<String> {
        let (mut told, mut bytes) = (String::new(), 0);
        for file in files {
            let file = fs::canonicalize(file).ok()?;
            let about = look(&file)?;
            let changed = about.modified().ok()?;
            // A time to come is no age either.
            if now.duration_since(changed).is_ok_and(|age| age >= JUST_NOW) {
                let at = last_change(&about);
                bytes += about.len();
                writeln!(told, "{} {at} {}", which(&about)?, file.display()).ok()?;
            } else {
                return None;
            }
        }
        let key = || hex(&Sha256::digest(told));
        (bytes >= self.smallest).then(key)
    }
}

/// What the system says of the files: the same as long as nobody writes to them or puts others in their place.
pub fn told(files: &[PathBuf]) -> Option<String> {
    let all = files.iter().map(|file| which(&look(file)?)).collect::<Option<Vec<_>>>()?;
    Some(all.join("\n"))
}

/// Asks an opened file, since a file system of the network may answer for a path from memory.
fn look(file: &Path) -> Option<fs::Metadata> {
    fs::File::open(file).and_then(|file| file.metadata()).ok()
}

/// Which file of the system it is, its size and when its contents changed.
fn which(about: &fs::Metadata) -> Option<String> {
    let since = about.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos();
    #[cfg(unix)]
    let file = {
        use std::os::unix::fs::MetadataExt;
        format!("{} {}", about.dev(), about.ino())
    };
    #[cfg(not(unix))]
    let file = format!("{:?}", about.created().ok());
    Some(format!("{file} {} {since}", about.len()))
}

/// When anything of it changed, its name too, which no program can set back; where the system tells.
fn last_change(about: &fs::Metadata) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        format!("{} {}", about.ctime(), about.ctime_nsec())
    }
    #[cfg(not(unix))]
    {
        let _ = about;
        String::new()
    }
}

/// As lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_remembered_until_a_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        let files = [file.clone()];
        let memory = HashMemory { folder: Some(folder.path().join("hashes")), smallest: 3 };
        let age = |then| {
            let opened = fs::File::options().write(true).open(&file).unwrap();
            opened.set_modified(then).unwrap();
        };
        let hash = |text: &str| memory.hash(&files, || Ok::<_, ()>(text.repeat(64))).unwrap();
        fs::write(&file, "abc").unwrap();
        assert_eq!(hash("0")[..1], *"0");
        assert_eq!(hash("1")[..1], *"1", "it changed just now, so nothing is remembered");
        let then = SystemTime::now() - Duration::from_secs(600);
        age(then);
        let before = told(&files);
        assert_eq!(hash("2")[..1], *"2");
        assert_eq!(hash("3")[..1], *"2", "remembered");
        // Another file in its place, of the same size and time.
        let other = folder.path().join("other");
        fs::copy(&file, &other).unwrap();
        fs::rename(&other, &file).unwrap();
        age(then);
        assert_ne!(told(&files), before);
        assert_eq!(hash("4")[..1], *"4", "it has changed");
        age(SystemTime::now() + Duration::from_secs(600));
        assert_eq!(hash("8")[..1], *"8", "a time to come says nothing");
        age(then);
        // A memory that is damaged is none.
        for entry in fs::read_dir(folder.path().join("hashes")).unwrap() {
            fs::write(entry.unwrap().path(), "45").unwrap();
        }
        assert_eq!(hash("5")[..1], *"5");
        assert_eq!(hash("6")[..1], *"5");
        assert_eq!(told(&[folder.path().join("none")]), None);
        let small = HashMemory { smallest: 4, ..memory };
        let computed = small.hash(&files, || Ok::<_, ()>("7".repeat(64))).unwrap();
        assert_eq!(computed[..1], *"7", "what is small isn't remembered");
        assert_eq!(small.hash(&files, || Err("broken")), Err("broken"));
    }
}
