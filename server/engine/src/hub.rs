//! Models of the Hugging Face hub: which files a model needs, fetched into the cache that Hugging
//! Face's other libraries use, and resumed after a break.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use super::error::EngineError;
use super::hub_snapshot::Snapshot;
use super::weights::{INDEX, SINGLE, shard_names};

/// Attempts after a broken connection; each goes on where the one before stopped, unless that brought
/// nothing.
const RETRIES: usize = 5;

/// What says whether the model can be used.
pub(super) const CONFIG: &str = "config.json";

/// Files beside the weights that are taken where they are.
const BESIDE: [&str; 4] =
    ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"];

/// A model of the hub by its name there: `owner/name`, or `owner/name@revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    /// `owner/name`.
    pub id: String,
    /// Branch, tag or commit.
    pub revision: String,
}

/// The text doesn't name a model of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a model of the Hugging Face hub is named `owner/name` or `owner/name@revision`")]
pub struct NotAHubModel;

impl FromStr for HubModel {
    type Err = NotAHubModel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, revision) = text.split_once('@').unwrap_or((text, "main"));
        let word = |word: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && !word.starts_with('.') && word.chars().all(fits)
        };
        match id.split_once('/') {
            Some((owner, name)) if word(owner) && word(name) && !revision.is_empty() => {
                Ok(Self { id: id.to_owned(), revision: revision.to_owned() })
            }
            _ => Err(NotAHubModel),
        }
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            "main" => f.write_str(&self.id),
            revision => write!(f, "{}@{revision}", self.id),
        }
    }
}

/// How the hub is reached.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Address, without a slash at its end.
    endpoint: String,
    cache: Cache,
    token: Option<String>,
    /// Whether only the cache may be used.
    offline: bool,
    /// [`RETRIES`], or fewer in a test.
    retries: usize,
}

impl Hub {
    /// As the environment says: `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN` (or the token that
    /// Hugging Face's tools have stored) and `HF_HUB_OFFLINE`.
    pub fn from_env() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cache = Cache::from_env();
        let offline = read("HF_HUB_OFFLINE").is_some_and(|value| {
            ["1", "ON", "YES", "TRUE"].contains(&value.to_ascii_uppercase().as_str())
        });
        Self {
            endpoint: read("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            token: read("HF_TOKEN").or_else(|| cache.token()),
            cache,
            offline,
            retries: RETRIES,
        }
    }

    /// The folder with the model's files, after what is missing has been fetched; all are of one commit.
    /// `check` looks at the folder when its config.json is there, before the large files are fetched.
    /// `report` hears lines about what is fetched. Where the hub can't be reached but the cache holds the
    /// model, the cache is used.
    ///
    /// # Errors
    /// [`EngineError::Hub`], and what `check` says.
    pub fn fetch(
        &self,
        model: &HubModel,
        check: &dyn Fn(&Path) -> Result<(), EngineError>,
        report: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, EngineError> {
        let cached = self.cached(model);
        if self.offline {
            return cached.ok_or_else(|| {
                let reason = format!("it isn't in the cache `{}`", self.cache.path().display());
                failed(model, reason, "Fetch it once without HF_HUB_OFFLINE.")
            });
        }
        let api = ApiBuilder::from_cache(self.cache.clone())
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_progress(false)
            .with_retries(self.retries)
            .build()
            .map_err(|error| explained(model, &error))?;
        match (self.fetch_files(model, &api, check, report), cached) {
            (Err(error @ EngineError::Hub { reachable: false, .. }), Some(folder)) => {
                let first = error.to_string();
                report(first.lines().next().unwrap_or_default());
                report(&format!("using `{}` instead", folder.display()));
                Ok(folder)
            }
            (result, _) => result,
        }
    }

    /// The folder of a model that the cache holds as a whole. By commit it is found without a note of that
    /// commit, which other tools don't make.
    fn cached(&self, model: &HubModel) -> Option<PathBuf> {
        let repo = self.cache.repo(repo_of(model));
        let noted = || Some(repo.get(CONFIG)?.parent()?.to_owned());
        let by_commit = repo.pointer_path(&model.revision);
        let folders = noted().into_iter().chain([by_commit]);
        folders.into_iter().find(|folder| folder.join(CONFIG).exists() && has_weights(folder))
    }

    fn fetch_files(
        &self,
        model: &HubModel,
        api: &Api,
        check: &dyn Fn(&Path) -> Result<(), EngineError>,
        report: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, EngineError> {
        let snapshot = Snapshot::newest(model, api, &self.cache)?;
        if !snapshot.has(CONFIG) {
            let reason = format!("it holds no `{CONFIG}`");
            return Err(failed(model, reason, "Choose a model for Hugging Face's transformers."));
        }
        if !snapshot.has(INDEX) && !snapshot.has(SINGLE) {
            let reason = format!("it holds neither `{SINGLE}` nor `{INDEX}`");
            return Err(failed(model, reason, "Choose a model with safetensors weights."));
        }
        snapshot.get(CONFIG, report)?;
        check(&snapshot.folder())?;
        for name in BESIDE.into_iter().filter(|name| snapshot.has(name)) {
            snapshot.get(name, report)?;
        }
        if snapshot.has(INDEX) {
            for shard in shard_names(&snapshot.get(INDEX, report)?)? {
                snapshot.get(&shard, report)?;
            }
        } else {
            snapshot.get(SINGLE, report)?;
        }
        snapshot.complete()?;
        Ok(snapshot.folder())
    }
}

/// Whether all files of the weights are there.
fn has_weights(folder: &Path) -> bool {
    let index = folder.join(INDEX);
    match index.exists() {
        true => shard_names(&index)
            .is_ok_and(|shards| shards.iter().all(|shard| folder.join(shard).exists())),
        false => folder.join(SINGLE).exists(),
    }
}

pub(super) fn repo_of(model: &HubModel) -> Repo {
    Repo::with_revision(model.id.clone(), RepoType::Model, model.revision.clone())
}

pub(super) fn failed(model: &HubModel, reason: String, hint: &str) -> EngineError {
    EngineError::Hub { model: model.to_string(), reason, hint: hint.to_owned(), reachable: true }
}

/// What the hub's answer means for somebody who wants a model.
pub(super) fn explained(model: &HubModel, error: &ApiError) -> EngineError {
    let status = match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    };
    let (reason, hint, reachable) = match status {
        Some(401 | 403) => (
            "the hub asks who you are".to_owned(),
            "Accept the model's terms on its page there, and set HF_TOKEN to a token of yours.",
            true,
        ),
        Some(404) => (
            "the hub has no such model or revision".to_owned(),
            "Check the spelling; a folder is named with its path, such as `./models/name`.",
            true,
        ),
        _ => (
            error.to_string(),
            "Check the network and run the command again: it goes on where it stopped.",
            false,
        ),
    };
    EngineError::Hub { model: model.to_string(), reason, hint: hint.to_owned(), reachable }
}

/// Says how far a file is, a line every few seconds.
pub(super) struct Lines<'a> {
    report: &'a mut dyn FnMut(&str),
    file: String,
    size: usize,
    done: usize,
    /// Bytes that an earlier attempt had fetched.
    before: Option<usize>,
    started: Instant,
    said: Instant,
}

impl<'a> Lines<'a> {
    const EVERY: Duration = Duration::from_secs(2);

    pub fn new(report: &'a mut dyn FnMut(&str)) -> Self {
        let now = Instant::now();
        let file = String::new();
        Self { report, file, size: 0, done: 0, before: None, started: now, said: now }
    }

    fn say(&mut self) {
        let fetched = self.done - self.before.unwrap_or(0);
        let rate = fetched as f64 / self.started.elapsed().as_secs_f64().max(1e-3);
        let left = (self.size - self.done) as f64 / rate.max(1.0);
        let megabytes = |bytes: usize| bytes as f64 / 1e6;
        let line = format!(
            "{}: {:.1} of {:.1} MB, {:.1} MB/s, {left:.0} s left",
            self.file,
            megabytes(self.done),
            megabytes(self.size),
            rate / 1e6,
        );
        (self.report)(&line);
        self.said = Instant::now();
    }
}

impl Progress for Lines<'_> {
    /// Called again by every attempt, before it counts what earlier ones have fetched.
    fn init(&mut self, size: usize, file: &str) {
        (self.size, self.done, self.before) = (size, 0, None);
        file.clone_into(&mut self.file);
    }

    fn update(&mut self, size: usize) {
        self.done = (self.done + size).min(self.size);
        self.before.get_or_insert(self.done);
        if self.said.elapsed() > Self::EVERY {
            self.say();
        }
    }

    fn finish(&mut self) {
        self.say();
    }
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
