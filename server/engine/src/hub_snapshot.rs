//! The files of one commit of a model on the hub, as they come into the cache: all of the same commit,
//! and of the sizes that the hub says they have.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use serde::Deserialize;

use super::error::EngineError;
use super::hub::{CONFIG, HubModel, Lines, explained, failed, repo_of};

/// What the hub says of a model.
#[derive(Debug, Deserialize)]
struct Info {
    /// The commit that the revision names now.
    sha: String,
    siblings: Vec<Sibling>,
}

/// A file of the model. Hubs that don't know sizes and hashes leave them out.
#[derive(Debug, Clone, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

/// Large files are named by another hash.
#[derive(Debug, Clone, Deserialize)]
struct Lfs {
    sha256: Option<String>,
}

impl Sibling {
    /// The file's name among the cache's blobs.
    fn etag(&self) -> Option<&str> {
        let large = self.lfs.as_ref().and_then(|lfs| lfs.sha256.as_deref());
        large.or(self.blob_id.as_deref()).filter(|etag| is_word(etag))
    }
}

/// Whether it may be a file's name: hashes are, and nothing that leads elsewhere.
fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(fits)
}

/// One commit of a model.
pub(super) struct Snapshot<'a> {
    model: &'a HubModel,
    api: ApiRepo,
    cache: &'a Cache,
    commit: String,
    files: BTreeMap<String, Sibling>,
}

impl<'a> Snapshot<'a> {
    /// The commit that the model's revision names now.
    ///
    /// # Errors
    /// [`EngineError::Hub`].
    pub fn newest(model: &'a HubModel, api: &Api, cache: &'a Cache) -> Result<Self, EngineError> {
        let request = api.repo(repo_of(model)).info_request().query("blobs", "true");
        let asked = |error| explained(model, &ApiError::RequestError(Box::new(error)));
        let mut response = request.call().map_err(asked)?;
        let text = response.body_mut().read_to_string().map_err(asked)?;
        let unknown = |reason: String| failed(model, reason, "Check HF_ENDPOINT, and try again.");
        let info: Info = serde_json::from_str(&text)
            .map_err(|error| unknown(format!("the hub's answer isn't understood ({error})")))?;
        if !is_word(&info.sha) {
            return Err(unknown(format!("the hub names the commit `{}`", info.sha)));
        }
        let api = api.repo(at(model, &info.sha));
        let files = info.siblings.into_iter().map(|file| (file.rfilename.clone(), file)).collect();
        Ok(Self { model, api, cache, commit: info.sha, files })
    }

    /// Whether the commit has a file of that name.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Where the commit's files are.
    pub fn folder(&self) -> PathBuf {
        self.repo().pointer_path(&self.commit)
    }

    fn repo(&self) -> CacheRepo {
        self.cache.repo(at(self.model, &self.commit))
    }

    /// A file of the commit, from the cache or else from the hub.
    ///
    /// # Errors
    /// [`EngineError::Hub`].
    pub fn get(&self, name: &str, report: &mut dyn FnMut(&str)) -> Result<PathBuf, EngineError> {
        let path = self.folder().join(name);
        let file = self.files.get(name);
        let size = file.and_then(|file| file.size);
        if path.exists() {
            match wrong_size(&path, size) {
                None => return Ok(path),
                Some(given) => {
                    report(&format!("{name} has {given} bytes in the cache and is fetched again"));
                }
            }
        }
        // Also where it points to nothing, since its blob was wrong in another commit.
        self.remove(&path)?;
        self.remove_whole_part(file)?;
        // A second time, since a server that can't go on where it stopped adds all to what was there.
        let mut given = 0;
        for _ in 0..2 {
            let progress = Lines::new(&mut *report);
            let got = self.api.download_with_progress(name, progress);
            let got = got.map_err(|error| explained(self.model, &error))?;
            if got != path {
                let reason = format!("`{name}` is of another commit than `{}`", self.commit);
                return Err(failed(self.model, reason, "Try again: it was changed meanwhile."));
            }
            match wrong_size(&path, size) {
                None => return Ok(path),
                Some(wrong) => given = wrong,
            }
            self.remove(&path)?;
        }
        let size = size.unwrap_or_default();
        let reason = format!("`{name}` arrived with {given} bytes, and should have {size}");
        Err(failed(self.model, reason, "Check the network, or HF_ENDPOINT, and try again."))
    }

    /// Notes that the commit is here: from now on the cache has it for the model's revision, for
    /// Hugging Face's other tools too. Writes nothing where that is noted, so that a cache may be read only.
    ///
    /// # Errors
    /// [`EngineError::Hub`] if the cache can't be written.
    pub fn complete(&self) -> Result<(), EngineError> {
        let repo = self.cache.repo(repo_of(self.model));
        if repo.get(CONFIG).as_deref() == Some(self.folder().join(CONFIG).as_path()) {
            return Ok(());
        }
        let noted = repo.create_ref(&self.commit);
        noted.map_err(|error| self.unwritable(&self.folder(), &error))?;
        if self.model.revision != self.commit {
            // What downloads by commit leave behind; by commit a model is found without it.
            let folder = self.cache.path().join(repo_of(self.model).folder_name());
            let _ = fs::remove_file(folder.join("refs").join(&self.commit));
        }
        Ok(())
    }

    /// Removes a file of the cache and what it points to, as far as they are there.
    fn remove(&self, path: &Path) -> Result<(), EngineError> {
        let blob = fs::canonicalize(path).ok();
        for file in blob.iter().map(PathBuf::as_path).chain([path]) {
            match fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(self.unwritable(path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what an earlier attempt fetched, if nothing is left to go on with: the hub refuses to be
    /// asked for what comes after the end.
    fn remove_whole_part(&self, file: Option<&Sibling>) -> Result<(), EngineError> {
        let known = file.and_then(|file| Some((file.etag()?, file.size?)));
        let Some((etag, size)) = known else { return Ok(()) };
        let part = self.repo().blob_path(etag).with_extension("part");
        match fs::metadata(&part) {
            Ok(found) if found.len() >= size => {
                fs::remove_file(&part).map_err(|error| self.unwritable(&part, &error))
            }
            _ => Ok(()),
        }
    }

    fn unwritable(&self, path: &Path, error: &std::io::Error) -> EngineError {
        let reason = format!("`{}` can't be changed: {error}", path.display());
        failed(self.model, reason, "Give HF_HOME a folder that you may write to.")
    }
}

/// The model at one commit.
fn at(model: &HubModel, commit: &str) -> Repo {
    Repo::with_revision(model.id.clone(), RepoType::Model, commit.to_owned())
}

/// The size of a file that should have another one.
fn wrong_size(path: &Path, size: Option<u64>) -> Option<u64> {
    let given = fs::metadata(path).map_or(0, |found| found.len());
    size.filter(|size| *size != given).map(|_| given)
}
