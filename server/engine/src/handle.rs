//! The handle that the rest of the server holds: checks a request, queues it, hands back a stream.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use candle_core::Device;
use domain::adapter::AdapterInfo;
use domain::model::ModelInfo;
use tokio::sync::oneshot;

use super::adapter_source::AdapterSource;
use super::adapters;
use super::adapters::Adapters;
use super::asked::Asked;
use super::cache_memory::CacheMemory;
use super::device::{self, DeviceChoice};
use super::error::EngineError;
use super::hub::HubModel;
use super::limits::{Deadlines, Limits};
use super::load::Load;
use super::loading::LoadedModel;
use super::mailbox::{self, GenerationStream};
use super::option_scorer::{Budget, ScoreJob};
use super::places::Places;
use super::prefixes::Prefixes;
use super::prompts::{encode_prompts, encode_row};
use super::request::{ClientId, GenerateRow, ScorePrompt};
use super::row::{NewRow, Ticket};
use super::starter_adapters;
use super::weight_format::WeightFormat;
use super::worker::{self, Command};

/// Memory for the caches of replies on the CPU.
const USUAL_CACHE_BYTES: usize = 2_000_000_000;

/// Which model to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The one inside the binary.
    Starter,
    /// A folder of config.json, tokenizer files and *.safetensors.
    Folder(PathBuf),
    /// One GGUF file.
    Gguf(PathBuf),
    /// A model of the Hugging Face hub.
    Hub(HubModel),
}

impl From<&str> for ModelSource {
    /// `starter`, a folder, a file whose name ends in `.gguf`, or `owner/name` where no folder is
    /// called so. A folder named `starter` is reached as `./starter`.
    fn from(text: &str) -> Self {
        let path = Path::new(text);
        let gguf = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
        match text.parse() {
            _ if text == "starter" => Self::Starter,
            _ if gguf && !path.is_dir() => Self::Gguf(path.to_owned()),
            Ok(model) if !path.exists() => Self::Hub(model),
            _ => Self::Folder(path.to_owned()),
        }
    }
}

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Which model.
    pub source: ModelSource,
    /// Where to compute.
    pub device: DeviceChoice,
    /// In which form matrices are kept; `None` takes the usual one of the source and the device.
    pub weights: Option<WeightFormat>,
    /// What it takes on.
    pub limits: Limits,
}

impl EngineConfig {
    /// Matrices in the usual form of the source, and the usual limits.
    pub fn new(source: ModelSource, device: DeviceChoice) -> Self {
        Self { source, device, weights: None, limits: Limits::default() }
    }
}

/// A running engine; clones share it. The thread that computes ends after the last clone.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    /// Who asks through this handle.
    client: ClientId,
    /// Whether replies asked for through this handle never time out.
    patient: bool,
    /// Whether what is asked for takes nothing from what was read before.
    repeatable: bool,
}

#[derive(Debug)]
struct Shared {
    model: Arc<LoadedModel>,
    adapters: Arc<Adapters>,
    load: Arc<Load>,
    /// Memory for the cache of a prompt that is scored.
    score_caches: CacheMemory,
    limits: Limits,
    commands: Sender<Command>,
    rows: Arc<Places>,
    scores: Arc<Places>,
}

impl Engine {
    /// Loads the model, with the starter also its adapters, and starts the thread that computes.
    ///
    /// # Errors
    /// Whatever is wrong with the device or the model, see [`EngineError`].
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let device = config.device.open()?;
        let weights = config.weights.unwrap_or_else(|| WeightFormat::of(&config.source, &device));
        let model = Arc::new(LoadedModel::load_as(&config.source, &device, weights)?);
        let limits = config.limits;
        let prefixes = Prefixes::new(limits.prefix_bytes);
        let kept = Arc::clone(&prefixes);
        let adapters = Arc::new(Adapters::new(limits.adapters, limits.adapter_bytes, kept));
        if model.info.starter {
            starter_adapters::load(&model, &adapters);
        }
        let per_token = model.decoder.new_cache().bytes_per_token();
        let cache_bytes = limits.cache_bytes.unwrap_or_else(|| usual_cache_bytes(&device));
        let load = Arc::new(Load::new(CacheMemory::new(cache_bytes, per_token)));
        // A prompt that alone needs more than a pass is meant to has a pass to itself.
        let score_bytes = Budget::ALONE.cache_bytes.max(cache_bytes / 2);
        let score_caches = CacheMemory::new(score_bytes, per_token);
        let (commands, received) = mpsc::channel();
        let (worker_model, worker_load) = (Arc::clone(&model), Arc::clone(&load));
        thread::Builder::new()
            .name("polylogue-engine".to_owned())
            .spawn(move || worker::run(&worker_model, &worker_load, &prefixes, &received))
            .map_err(|error| EngineError::Compute { reason: error.to_string() })?;
        let rows = Places::new(limits.rows, limits.client_rows, "replies");
        let scores = Places::new(limits.scores, limits.client_scores, "survey requests");
        let shared = Shared { model, adapters, load, score_caches, limits, commands, rows, scores };
        let (client, patient, repeatable) = (ClientId::server(), false, false);
        Ok(Self { shared: Arc::new(shared), client, patient, repeatable })
    }

    /// The same engine, asked by `client`: clients take turns, and each has its share of places.
    pub fn for_client(&self, client: ClientId) -> Self {
        Self { client, ..self.clone() }
    }

    /// The same engine for work that may take any time, as a job of many replies on a slow machine
    /// does: replies don't time out.
    pub fn patient(&self) -> Self {
        Self { patient: true, ..self.clone() }
    }

    /// The same engine for work that is compared byte by byte when it is repeated. Sums are rounded
    /// otherwise when a prompt's start is known, or when a pass is longer: so prompts are read whole,
    /// and those of one request are scored in the same passes whoever else is served.
    pub fn repeatable(&self) -> Self {
        Self { repeatable: true, ..self.clone() }
    }

    /// The base model.
    pub fn info(&self) -> &ModelInfo {
        &self.shared.model.info
    }

    /// SHA-256 of the weights, 64 hexadecimal digits: what adapters belong to.
    pub fn base_hash(&self) -> &str {
        &self.shared.model.hash
    }

    /// What answers belong to, see [`LoadedModel::id`].
    pub fn model_id(&self) -> String {
        self.shared.model.id()
    }

    /// The model itself, as tuning needs it: its weights never change, so another thread may
    /// compute with it beside the engine's.
    pub fn model(&self) -> Arc<LoadedModel> {
        Arc::clone(&self.shared.model)
    }

    /// Starts one reply per row, all in one batch. Encodes on the calling thread: in async code a
    /// message near the size limit belongs into `spawn_blocking`.
    ///
    /// # Errors
    /// Refusals come before anything is computed: too much queued, an unknown adapter, no memory for one, a prompt beyond
    /// the context or memory, sampling out of range. Failures of a single row come as events.
    pub fn generate(&self, rows: Vec<GenerateRow>) -> Result<GenerationStream, EngineError> {
        let shared = &*self.shared;
        let most = shared.limits.client_rows.min(shared.limits.rows);
        if rows.is_empty() || rows.len() > most {
            let rule = format!("a request must have 1 to {most} rows, not {}", rows.len());
            return Err(EngineError::invalid(rule, "Split it into several requests."));
        }
        let places = shared.rows.take(&self.client, rows.len(), shared.load.retry_after())?;
        let deadlines = match self.patient {
            true => Deadlines::default(),
            false => Deadlines::new(&shared.limits, Instant::now()),
        };
        let (senders, stream) = mailbox::open(rows.len());
        let mut asked = Asked::new(&shared.adapters);
        let mut ready = Vec::with_capacity(rows.len());
        for (row, (place, events)) in rows.iter().zip(places.into_iter().zip(senders)) {
            let ticket = Ticket { place, events, deadlines };
            let row = encode_row(&shared.model, &mut asked, shared.load.caches, row, ticket)?;
            ready.push(NewRow { fresh: self.repeatable, ..row });
        }
        drop(asked);
        shared.commands.send(Command::Generate(ready)).map_err(|_| EngineError::Stopped)?;
        Ok(stream)
    }

    /// Probability per option of every prompt, normalised over its options; each option counts
    /// with its end token, so that `1` isn't credited with what `10` begins with. Must be called
    /// within a tokio runtime; dropping the future cancels the request.
    ///
    /// # Errors
    /// As [`Self::generate`]; also a prompt without options, with an empty one or with equal ones.
    pub async fn score(&self, prompts: Vec<ScorePrompt>) -> Result<Vec<Vec<f64>>, EngineError> {
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let (shared, repeatable) = (Arc::clone(&self.shared), self.repeatable);
        let mut places = shared.scores.take(&self.client, 1, shared.load.retry_after())?;
        let Some(place) = places.pop() else { return Err(EngineError::Stopped) };
        let (reply, answer) = oneshot::channel();
        blocking(move || {
            let mut asked = Asked::new(&shared.adapters);
            let caches = shared.score_caches;
            let encoded = encode_prompts(&shared.model, &mut asked, caches, &prompts)?;
            drop(asked);
            let job = ScoreJob::new(encoded, reply, place).with_repeatable(repeatable);
            shared.commands.send(Command::Score(Box::new(job))).map_err(|_| EngineError::Stopped)
        })
        .await?;
        // Whoever gives up drops the receiver, which takes the request out of the queue.
        let limit = self.shared.limits.score;
        let answer = tokio::time::timeout(limit, answer).await;
        let answer = answer.map_err(|_| EngineError::TimedOut { limit, waiting: false })?;
        answer.map_err(|_| EngineError::Stopped)?
    }

    /// Loads the adapter in `dir` (PEFT layout) under `name`, replacing one of the same name; rows
    /// in flight finish with the one they started with. Waits while rows hold the memory that it
    /// needs, as long as a row would wait for its place.
    ///
    /// # Errors
    /// [`EngineError::Adapter`] if the files are broken, belong to another base model, or need more
    /// memory than adapters may take; [`EngineError::Overloaded`] if rows hold it for too long.
    pub async fn load_adapter(&self, name: &str, dir: &Path) -> Result<AdapterInfo, EngineError> {
        adapters::check_name(name)?;
        let started = Instant::now();
        loop {
            let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
            let source = AdapterSource::Folder(dir.to_owned());
            let load = move || shared.adapters.load(&shared.model, &name, source);
            let loaded = blocking(load).await;
            match loaded.as_ref().err().and_then(EngineError::retry_after) {
                Some(time) if started.elapsed() < self.shared.limits.waiting => {
                    tokio::time::sleep(time).await;
                }
                _ => return loaded,
            }
        }
    }

    /// Lets an adapter go that nobody is to ask for again.
    pub fn forget_adapter(&self, name: &str) {
        self.shared.adapters.forget(name);
    }

    /// The adapters that rows can name, joint ones first, then by name.
    pub fn adapters(&self) -> Vec<AdapterInfo> {
        self.shared.adapters.list()
    }
}

#[cfg(test)]
impl Engine {
    pub(super) fn adapter_store(&self) -> &Adapters {
        &self.shared.adapters
    }

    pub(super) fn prefixes(&self) -> Arc<Prefixes> {
        self.shared.adapters.prefixes()
    }

    pub(super) fn row_places(&self) -> &Arc<Places> {
        &self.shared.rows
    }
}

/// Memory for the caches of replies where nobody says how much: of a GPU half of what the model leaves.
fn usual_cache_bytes(device: &Device) -> usize {
    device::free_bytes(device).map_or(USUAL_CACHE_BYTES, |free| free / 2)
}

/// Runs `work` where it may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(EngineError::Compute { reason: error.to_string() }),
    }
}
