//! The starter model's files and adapters inside of the binary; none before it has been trained.

/// Path below `assets/starter` and contents, by path.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/starter_files.rs"));

/// A file such as `model/config.json`.
pub fn file(path: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
}

/// A file's name within its folder, and its contents.
pub type StarterFile = (&'static str, &'static [u8]);

/// Every adapter's name with its files.
pub fn adapters() -> Vec<(&'static str, Vec<StarterFile>)> {
    let mut adapters: Vec<(&str, Vec<StarterFile>)> = Vec::new();
    for (path, bytes) in FILES {
        let mut parts = path.splitn(3, '/');
        let (Some("adapters"), Some(adapter), Some(file)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        match adapters.last_mut() {
            Some((name, files)) if *name == adapter => files.push((file, bytes)),
            _ => adapters.push((adapter, vec![(file, bytes)])),
        }
    }
    adapters
}
