//! Continuous batching: every step runs one forward pass over all live replies.
//!
//! A new row joins at the next step, its prompt packed beside the other rows' single tokens, in
//! portions if it is long. What a row says doesn't depend on who is beside it: it has its own
//! cache, adapter and generator.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use app::api::Finish;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;

use super::adapters::NamedAdapter;
use super::decoder::KvCache;
use super::error::EngineError;
use super::load::Load;
use super::loading::LoadedModel;
use super::pass::{self, Part, Want};
use super::request::RowEvent;
use super::sampler::Sampler;
use super::text_stream::TextStream;

/// Replies in one batch.
pub const MAX_LIVE: usize = 64;
/// Of these, how many stay free for small requests while a large one is at work.
const RESERVED: usize = 16;
/// A request of more rows than this is large: work in the background, not a person who waits.
const SMALL_REQUEST: usize = 8;
/// Tokens of prompts per step.
const PREFILL: usize = 1024;
/// Bytes that all caches may take together, f32 keys and values; a single row may take more.
const CACHE_BYTES: usize = 2 << 30;

/// A reply that is wanted.
#[derive(Debug)]
pub struct NewRow {
    /// Index into the request.
    pub index: usize,
    /// The prompt.
    pub tokens: Vec<u32>,
    /// The adapter that it starts and ends with.
    pub adapter: Option<Arc<NamedAdapter>>,
    /// How tokens are drawn.
    pub sampler: Sampler,
    /// Largest number of new tokens; together with the prompt it fits the context.
    pub max_tokens: usize,
    /// Where events go; closed by whoever doesn't want the reply any more.
    pub events: UnboundedSender<RowEvent>,
    /// The row's place in the engine.
    pub permit: OwnedSemaphorePermit,
}

/// A reply in the batch.
struct Row {
    new: NewRow,
    cache: KvCache,
    /// Tokens that the cache may come to hold.
    reserved: usize,
    /// Tokens not yet fed: what is left of the prompt, or the newest token.
    pending: VecDeque<u32>,
    text: TextStream,
    produced: usize,
    started: Instant,
    /// When the first and the newest token came.
    clock: Option<(Instant, Instant)>,
}

/// All replies: in the batch and waiting for a place in it.
pub struct Scheduler {
    model: Arc<LoadedModel>,
    load: Arc<Load>,
    live: Vec<Row>,
    small: VecDeque<NewRow>,
    large: VecDeque<NewRow>,
}

impl Scheduler {
    /// Without any rows.
    pub fn new(model: Arc<LoadedModel>, load: Arc<Load>) -> Self {
        Self { model, load, live: Vec::new(), small: VecDeque::new(), large: VecDeque::new() }
    }

    /// Takes the rows of one request in.
    pub fn push(&mut self, rows: Vec<NewRow>) {
        let queue = if rows.len() > SMALL_REQUEST { &mut self.large } else { &mut self.small };
        queue.extend(rows);
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.live.is_empty() && self.small.is_empty() && self.large.is_empty()
    }

    /// Rows in the batch.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// One forward pass over the live rows, then one new token for each whose prompt is read.
    pub fn step(&mut self) {
        self.live.retain(|row| !row.new.events.is_closed());
        self.small.retain(|row| !row.events.is_closed());
        self.large.retain(|row| !row.events.is_closed());
        self.admit();
        if self.live.is_empty() {
            return;
        }
        let portions = portions(&self.live);
        let mut fed: Vec<Vec<u32>> = Vec::with_capacity(self.live.len());
        for (row, portion) in self.live.iter_mut().zip(portions) {
            fed.push(row.pending.drain(..portion).collect());
        }
        let mut parts: Vec<Part<'_>> = self
            .live
            .iter_mut()
            .zip(&fed)
            .filter(|(_, tokens)| !tokens.is_empty())
            .map(|(row, tokens)| Part {
                tokens,
                want: if row.pending.is_empty() { Want::Last } else { Want::Nothing },
                cache: &mut row.cache,
                adapter: row.new.adapter.as_ref(),
            })
            .collect();
        match pass::run(&self.model.decoder, &mut parts) {
            Ok(logits) => self.draw(&logits),
            Err(error) => self.fail(&error),
        }
    }

    /// Fails every live row, as after a pass that none of them survives.
    pub fn fail(&mut self, error: &EngineError) {
        for row in self.live.drain(..) {
            row.fail(error.clone());
        }
    }

    /// Lets waiting rows in while there is room, those of small requests first.
    fn admit(&mut self) {
        while self.live.len() < MAX_LIVE {
            let large = self.live.len() < MAX_LIVE - RESERVED;
            let queue = match (self.small.is_empty(), large) {
                (false, _) => &mut self.small,
                (true, true) => &mut self.large,
                (true, false) => break,
            };
            let Some(new) = queue.front() else { break };
            let held: usize = self.live.iter().map(|row| row.reserved).sum();
            let bytes = (held + reserved(new)) * self.load.bytes_per_token;
            if !self.live.is_empty() && bytes > CACHE_BYTES {
                break;
            }
            let Some(new) = queue.pop_front() else { break };
            let row = Row::new(new, &self.model);
            // Neighbours with the same adapter share its products.
            let at = self.live.partition_point(|other| other.adapter_name() <= row.adapter_name());
            self.live.insert(at, row);
        }
    }

    /// Draws a token for every row whose pending tokens have all been fed.
    fn draw(&mut self, logits: &pass::Logits) {
        let mut next = 0;
        let rows = std::mem::take(&mut self.live);
        for mut row in rows {
            if !row.pending.is_empty() {
                self.live.push(row);
                continue;
            }
            let drawn = pass::guard(|| row.advance(logits.row(next), &self.model));
            next += 1;
            match drawn {
                Ok(None) => self.live.push(row),
                Ok(Some(finish)) => {
                    self.load.row_took(row.started.elapsed());
                    row.done(finish);
                }
                Err(error) => row.fail(error),
            }
        }
    }
}

/// How many pending tokens each row feeds in this step: new tokens always, prompts as far as the
/// step's share for them goes.
fn portions(rows: &[Row]) -> Vec<usize> {
    let mut left = PREFILL;
    rows.iter()
        .map(|row| match row.pending.len() {
            1 => 1,
            pending => {
                let portion = pending.min(left);
                left -= portion;
                portion
            }
        })
        .collect()
}

fn reserved(new: &NewRow) -> usize {
    new.tokens.len() + new.max_tokens
}

impl Row {
    fn new(mut new: NewRow, model: &LoadedModel) -> Self {
        Self {
            reserved: reserved(&new),
            pending: std::mem::take(&mut new.tokens).into(),
            cache: model.decoder.new_cache(),
            text: TextStream::new(Arc::clone(&model.tokenizer)),
            produced: 0,
            started: Instant::now(),
            clock: None,
            new,
        }
    }

    fn adapter_name(&self) -> Option<&str> {
        self.new.adapter.as_ref().map(|named| named.info.name.as_str())
    }

    /// Draws the next token; why the reply ended, if it has.
    fn advance(
        &mut self,
        logits: &[f32],
        model: &LoadedModel,
    ) -> Result<Option<Finish>, EngineError> {
        let token = self.new.sampler.sample(logits)?;
        let ended = model.tokenizer.end_ids().contains(&token);
        if !ended {
            self.produced += 1;
            let now = Instant::now();
            self.clock = Some((self.clock.map_or(now, |(first, _)| first), now));
            self.tell(|text| text.push(token))?;
            self.pending.push_back(token);
        }
        let full = self.produced == self.new.max_tokens;
        let finish = if ended { Some(Finish::Stop) } else { full.then_some(Finish::Length) };
        if finish.is_some() {
            self.tell(TextStream::finish)?;
        }
        Ok(finish)
    }

    fn tell(
        &mut self,
        text: impl FnOnce(&mut TextStream) -> Result<String, EngineError>,
    ) -> Result<(), EngineError> {
        let text = text(&mut self.text)?;
        if !text.is_empty() {
            // Nobody listens any more: the next step drops the row.
            let _ = self.new.events.send(RowEvent::Text { row: self.new.index, text });
        }
        Ok(())
    }

    fn done(self, finish: Finish) {
        let seconds = self.clock.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let (row, tokens) = (self.new.index, self.produced);
        let _ = self.new.events.send(RowEvent::Done { row, tokens, seconds, finish });
    }

    fn fail(self, error: EngineError) {
        let _ = self.new.events.send(RowEvent::Failed { row: self.new.index, error });
    }
}
