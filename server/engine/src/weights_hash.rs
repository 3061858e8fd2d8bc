//! The hash of a model's weights, remembered: to read gigabytes again at every start would take longer than
//! all else.
//!
//! It is remembered by what the system says of the files: where each is, which one it is, its size and when
//! it last changed. Of files that changed just now nothing is remembered, since the clock may not tell their
//! next change from the last one.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use directories::ProjectDirs;
use sha2::{Digest, Sha256};

/// Weights of fewer bytes are hashed in no time.
const SMALLEST: u64 = 64 << 20;
/// What has changed within this time may change again unnoticed.
const JUST_NOW: Duration = Duration::from_secs(10);

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
        if self.key(files, SystemTime::now()).as_ref() == Some(&key) {
            let own = folder.join(format!("{key}.{}", std::process::id()));
            let written = fs::create_dir_all(folder)
                .and_then(|()| fs::write(&own, &hash))
                .and_then(|()| fs::rename(&own, &path));
            if let Err(error) = written {
                tracing::debug!("the hash of the weights isn't remembered: {error}");
            }
        }
        Ok(hash)
    }

    /// What the system says of the files at `now`, hashed; `None` where nothing is to be remembered of them.
    fn key(&self, files: &[PathBuf], now: SystemTime) -> Option<String> {
        let (mut told, mut bytes) = (String::new(), 0);
        for file in files {
            let file = fs::canonicalize(file).ok()?;
            let about = fs::metadata(&file).ok()?;
            let changed = about.modified().ok()?;
            if now.duration_since(changed).is_ok_and(|age| age < JUST_NOW) {
                return None;
            }
            let since = changed.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos();
            bytes += about.len();
            writeln!(told, "{} {since} {:?} {}", about.len(), identity(&about), file.display())
                .ok()?;
        }
        let key = || hex(&Sha256::digest(told));
        (bytes >= self.smallest).then(key)
    }
}

/// Which file of the system it is, and when anything of it last changed, which no program can set back.
#[cfg(unix)]
fn identity(about: &fs::Metadata) -> impl std::fmt::Debug + use<> {
    use std::os::unix::fs::MetadataExt;
    (about.dev(), about.ino(), about.ctime(), about.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(about: &fs::Metadata) -> impl std::fmt::Debug + use<> {
    about.created().ok()
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
        let age = |seconds| {
            let then = SystemTime::now() - Duration::from_secs(seconds);
            let opened = fs::File::options().write(true).open(&file).unwrap();
            opened.set_modified(then).unwrap();
        };
        let hash = |text: &str| memory.hash(&files, || Ok::<_, ()>(text.repeat(64))).unwrap();
        fs::write(&file, "abc").unwrap();
        assert_eq!(hash("0")[..1], *"0");
        assert_eq!(hash("1")[..1], *"1", "it changed just now, so nothing is remembered");
        age(60);
        assert_eq!(hash("2")[..1], *"2");
        assert_eq!(hash("3")[..1], *"2", "remembered");
        fs::write(&file, "abd").unwrap();
        age(50);
        assert_eq!(hash("4")[..1], *"4", "it has changed");
        // A memory that is damaged is none.
        for entry in fs::read_dir(folder.path().join("hashes")).unwrap() {
            fs::write(entry.unwrap().path(), "45").unwrap();
        }
        assert_eq!(hash("5")[..1], *"5");
        assert_eq!(hash("6")[..1], *"5");
        let small = HashMemory { smallest: 4, ..memory };
        let computed = small.hash(&files, || Ok::<_, ()>("7".repeat(64))).unwrap();
        assert_eq!(computed[..1], *"7", "what is small isn't remembered");
        assert_eq!(small.hash(&files, || Err("broken")), Err("broken"));
    }
}
