//! The engine as a whole, on a tiny random model.

mod adapters;
mod caches;
mod failures;
mod generation;
mod gpu;
mod loading;
mod prefixes;
mod quantised;
mod queue;
mod scoring;
mod speed;
mod templates;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::prompt::{Message, Role};
use domain::sampling::Sampling;
use futures::{FutureExt, StreamExt};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::adapters::Adapters;
use super::asked::Asked;
use super::cache_memory::CacheMemory;
use super::decoder::DecoderConfig;
use super::limits::Deadlines;
use super::load::Load;
use super::option_scorer::{Budget, ScoreJob, ScoreQueue};
use super::places::Places;
use super::prefixes::Prefixes;
use super::prompts::{encode_prompts, encode_row};
use super::row::Ticket;
use super::scheduler::Scheduler;
use super::testing::{tiny_config, tiny_model_dir};
use super::{
    AdapterChoice, ClientId, DeviceChoice, Engine, EngineConfig, EngineError, GenerateRow,
    GenerationStream, Limits, LoadedModel, ModelSource, RowEvent, ScorePrompt, mailbox,
};

/// An engine with the tiny model.
fn tiny_engine() -> (Engine, TempDir) {
    let folder = tiny_model_dir();
    (start(folder.path(), Limits::default()), folder)
}

/// An engine with the model in `folder`.
fn start(folder: &Path, limits: Limits) -> Engine {
    let source = ModelSource::Folder(folder.to_owned());
    let config = EngineConfig { limits, ..EngineConfig::new(source, DeviceChoice::Cpu) };
    Engine::start(config).unwrap()
}

/// The tiny model without a thread of its own: a test says when a step happens, and at what time.
struct Bench {
    model: Arc<LoadedModel>,
    prefixes: Arc<Prefixes>,
    adapters: Adapters,
    places: Arc<Places>,
    scheduler: Scheduler,
    /// Memory for caches, where a token takes one byte.
    caches: CacheMemory,
    limits: Limits,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        let folder = tiny_model_dir();
        let source = ModelSource::Folder(folder.path().to_owned());
        let model = LoadedModel::load(&source, &candle_core::Device::Cpu).unwrap();
        Self::with_prefixes(Arc::new(model), usize::MAX)
    }

    /// With so many bytes for what was read before.
    fn with_prefixes(model: Arc<LoadedModel>, bytes: usize) -> Self {
        Self::with_memory(model, bytes, 2 << 30)
    }

    /// With memory for caches of so many tokens, and nothing kept.
    fn with_caches(tokens: usize) -> Self {
        Self::with_memory(Self::new().model, 0, tokens)
    }

    fn with_memory(model: Arc<LoadedModel>, prefix_bytes: usize, cache_tokens: usize) -> Self {
        let (prefixes, caches) = (Prefixes::new(prefix_bytes), CacheMemory::new(cache_tokens, 1));
        let (kept, load) = (Arc::clone(&prefixes), Arc::new(Load::new(caches)));
        Self {
            scheduler: Scheduler::new(Arc::clone(&model), load, kept),
            caches,
            adapters: Adapters::new(64, usize::MAX, Arc::clone(&prefixes)),
            model,
            prefixes,
            places: Places::new(1000, 1000, "replies"),
            limits: Limits::default(),
            start: Instant::now(),
        }
    }

    /// Queues rows as one request.
    fn push(&mut self, client: &str, rows: &[GenerateRow]) -> GenerationStream {
        self.try_push(client, rows).unwrap()
    }

    fn try_push(
        &mut self,
        client: &str,
        rows: &[GenerateRow],
    ) -> Result<GenerationStream, EngineError> {
        let client = ClientId::new(client);
        let places = self.places.take(&client, rows.len(), Duration::ZERO)?;
        let (senders, stream) = mailbox::open(rows.len());
        let deadlines = Deadlines::new(&self.limits, self.start);
        let tickets = places.into_iter().zip(senders);
        let mut asked = Asked::new(&self.adapters);
        let mut ready = Vec::with_capacity(rows.len());
        for (row, (place, events)) in rows.iter().zip(tickets) {
            let ticket = Ticket { place, events, deadlines };
            ready.push(encode_row(&self.model, &mut asked, self.caches, row, ticket)?);
        }
        self.scheduler.push(ready);
        Ok(stream)
    }

    fn step(&mut self) {
        self.scheduler.step(self.start);
    }

    /// Steps until nothing is left to do.
    fn finish(&mut self) {
        while !self.scheduler.is_idle() {
            self.step();
        }
    }

    /// A request to score, and where its answer comes.
    fn job(&self, client: &str, prompts: &[ScorePrompt]) -> (ScoreJob, Answer) {
        let mut asked = Asked::new(&self.adapters);
        let encoded = encode_prompts(&self.model, &mut asked, self.caches, prompts).unwrap();
        let (reply, answer) = oneshot::channel();
        let mut places = self.places.take(&ClientId::new(client), 1, Duration::ZERO).unwrap();
        (ScoreJob::new(encoded, reply, places.pop().unwrap()), answer)
    }

    /// Scores, and in how many steps.
    fn score(&self, prompts: &[ScorePrompt], budget: Budget) -> (Vec<Vec<f64>>, usize) {
        let (job, mut answer) = self.job("one", prompts);
        let mut queue = ScoreQueue::default();
        queue.push(job);
        let mut steps = 0;
        while !queue.is_empty() {
            queue.step(&self.model, &self.prefixes, budget);
            steps += 1;
        }
        (answer.try_recv().unwrap().unwrap(), steps)
    }

    /// Rows of that client in the batch.
    fn live(&self, client: &str) -> usize {
        let client = ClientId::new(client);
        self.scheduler.progress().iter().filter(|(other, ..)| *other == client).count()
    }
}

type Answer = oneshot::Receiver<Result<Vec<Vec<f64>>, EngineError>>;

/// So many tokens in a step, and any number of bytes.
fn budget(tokens: usize) -> Budget {
    Budget { tokens, score_bytes: usize::MAX, cache_bytes: usize::MAX }
}

/// A row that goes on for long: without chance, and with room for many tokens.
fn long(message: &str) -> GenerateRow {
    GenerateRow {
        messages: conversation("You count.", message),
        adapter: AdapterChoice::Base,
        sampling: Sampling { temperature: 0.0, max_tokens: 10_000, ..Sampling::default() },
    }
}

fn conversation(persona: &str, message: &str) -> Vec<Message> {
    vec![Message::new(Role::System, persona), Message::new(Role::User, message)]
}

fn row(persona: &str, adapter: Option<&str>, seed: u64) -> GenerateRow {
    GenerateRow {
        messages: conversation(persona, "What do you do on a free day?"),
        adapter: adapter.map(str::to_owned).into(),
        sampling: Sampling { temperature: 0.9, top_p: 0.95, seed, max_tokens: 40 },
    }
}

/// Everything that a stream has brought so far.
fn said(stream: &mut GenerationStream) -> String {
    let mut text = String::new();
    while let Some(Some(event)) = stream.next().now_or_never() {
        match event {
            RowEvent::Text { text: more, .. } => text.push_str(&more),
            RowEvent::Done { .. } => {}
            RowEvent::Failed { error, .. } => panic!("{error}"),
        }
    }
    text
}
