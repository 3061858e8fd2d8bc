//! Continuous batching: every step runs one forward pass over all live replies.
//!
//! A new row joins at the next step, its prompt packed beside the other rows' single tokens, in
//! portions if it is long. What a row says doesn't depend on who is beside it: it has its own
//! cache, adapter and generator.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use app::api::Finish;

use super::adapters::NamedAdapter;
use super::decoder::KvCache;
use super::error::EngineError;
use super::limits::Deadlines;
use super::load::Load;
use super::loading::LoadedModel;
use super::mailbox::RowSender;
use super::pass::{self, Part, Want};
use super::places::Place;
use super::portions::portions;
use super::prefixes::{Prefixes, Start};
use super::request::{ClientId, RowEvent};
use super::sampler::Sampler;
use super::text_stream::TextStream;
use super::turns::Turns;

/// Replies in one batch.
pub const MAX_LIVE: usize = 64;
/// Of these, the last ones are for clients that have few rows in the batch, so that somebody who
/// comes later needn't wait for a reply to end.
const RESERVED: usize = 16;
/// A client with fewer rows than this in the batch has few.
const FEW: usize = 8;
/// Bytes that all caches may take together, f32 keys and values; a single row may take more.
const CACHE_BYTES: usize = 2 << 30;

/// What a row holds from its request to its end.
#[derive(Debug)]
pub struct Ticket {
    /// The row's place in the engine, and whose it is.
    pub place: Place,
    /// Where events go; closed by whoever doesn't want the reply any more.
    pub events: RowSender,
    /// When it gives up.
    pub deadlines: Deadlines,
}

/// A reply that is wanted.
#[derive(Debug)]
pub struct NewRow {
    /// What it holds.
    pub ticket: Ticket,
    /// The prompt.
    pub tokens: Vec<u32>,
    /// The adapter that it starts and ends with.
    pub adapter: Option<Arc<NamedAdapter>>,
    /// How tokens are drawn.
    pub sampler: Sampler,
    /// Largest number of new tokens; together with the prompt it fits the context.
    pub max_tokens: usize,
}

/// A reply in the batch.
struct Row {
    new: NewRow,
    cache: KvCache,
    /// The tokens that the cache holds.
    seen: Vec<u32>,
    /// Tokens that it may come to hold.
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
    prefixes: Arc<Prefixes>,
    live: Vec<Row>,
    waiting: Turns<NewRow>,
}

impl Scheduler {
    /// Without any rows.
    pub fn new(model: Arc<LoadedModel>, load: Arc<Load>, prefixes: Arc<Prefixes>) -> Self {
        Self { model, load, prefixes, live: Vec::new(), waiting: Turns::default() }
    }

    /// Takes the rows of one request in.
    pub fn push(&mut self, rows: Vec<NewRow>) {
        for row in rows {
            let client = row.client().clone();
            self.waiting.push(&client, row);
        }
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.live.is_empty() && self.waiting.is_empty()
    }

    /// One forward pass over the live rows, then one new token for each whose prompt is read.
    pub fn step(&mut self, now: Instant) {
        self.leave(now);
        self.admit(now);
        if self.live.is_empty() {
            return;
        }
        let pending: Vec<(&ClientId, usize)> =
            self.live.iter().map(|row| (row.new.client(), row.pending.len())).collect();
        let portions = portions(&pending);
        let mut fed: Vec<Vec<u32>> = Vec::with_capacity(self.live.len());
        for (row, portion) in self.live.iter_mut().zip(portions) {
            let tokens: Vec<u32> = row.pending.drain(..portion).collect();
            row.seen.extend_from_slice(&tokens);
            fed.push(tokens);
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
                paths: &[],
            })
            .collect();
        match pass::run(&self.model.decoder, &mut parts) {
            Ok(logits) => self.draw(&logits),
            Err(error) => self.fail(&error),
        }
    }

    /// Fails every live row, as after a pass that none of them survives. What was kept of earlier
    /// rows may be why it failed.
    pub fn fail(&mut self, error: &EngineError) {
        self.prefixes.clear();
        for row in self.live.drain(..) {
            row.fail(error.clone());
        }
    }

    /// Drops rows that nobody wants any more, and fails those whose time is over.
    fn leave(&mut self, now: Instant) {
        for row in self.live.extract_if(.., |row| row.new.ticket.events.is_closed()) {
            drop(row.keep(&self.prefixes));
        }
        drop(self.waiting.extract(|row| row.ticket.events.is_closed()));
        let late = |row: &NewRow| row.ticket.deadlines.while_waiting(now);
        for row in self.waiting.extract(|row| late(row).is_some()) {
            if let Some(error) = late(&row) {
                row.ticket.fail(error);
            }
        }
        let late = |row: &Row| row.new.ticket.deadlines.while_answering(now);
        for row in self.live.extract_if(.., |row| late(row).is_some()) {
            if let Some(error) = late(&row) {
                row.fail(error);
            }
        }
    }

    /// Lets waiting rows in while there is room, their clients taking turns.
    fn admit(&mut self, now: Instant) {
        while self.live.len() < MAX_LIVE {
            let roomy = self.live.len() < MAX_LIVE - RESERVED;
            let few = |client: &ClientId| {
                self.live.iter().filter(|row| row.new.client() == client).count() < FEW
            };
            let Some((turn, new)) = self.waiting.next(|client| roomy || few(client)) else { break };
            let held: usize = self.live.iter().map(|row| row.reserved).sum();
            let bytes = (held + reserved(new)) * self.load.bytes_per_token;
            if !self.live.is_empty() && bytes > CACHE_BYTES {
                break;
            }
            let Some(new) = self.waiting.take(turn) else { break };
            let cache = self.begin(&new);
            let row = Row::new(new, cache, &self.model, now);
            // Neighbours with the same adapter share its products.
            let at = self.live.partition_point(|other| other.generation() <= row.generation());
            self.live.insert(at, row);
        }
    }

    /// A cache that has read what is known of the row's prompt.
    fn begin(&self, new: &NewRow) -> KvCache {
        let start = self.prefixes.find(new.adapter.as_ref(), &new.tokens);
        let fork = |start: Start| {
            pass::guard(|| start.fork().map_err(|error| pass::failed(&error.to_string())))
        };
        match start.map(fork) {
            Some(Ok(cache)) => cache,
            None => self.model.decoder.new_cache(),
            Some(Err(_)) => {
                // Broken, or without memory to copy it: nothing that is kept is worth a failure.
                self.prefixes.clear();
                self.model.decoder.new_cache()
            }
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
                    row.done(finish, &self.prefixes);
                }
                Err(error) => {
                    if matches!(error, EngineError::Compute { .. }) {
                        self.prefixes.clear();
                    }
                    row.fail(error);
                }
            }
        }
    }
}

fn reserved(new: &NewRow) -> usize {
    new.tokens.len() + new.max_tokens
}

impl NewRow {
    fn client(&self) -> &ClientId {
        self.ticket.place.client()
    }
}

impl Ticket {
    /// Gives the place back, so that whoever hears of the end finds it free.
    fn end(self, event: RowEvent) {
        drop(self.place);
        self.events.end(event);
    }

    fn fail(self, error: EngineError) {
        let row = self.events.row();
        self.end(RowEvent::Failed { row, error });
    }
}

impl Row {
    /// A row whose prompt begins with what `cache` holds.
    fn new(mut new: NewRow, cache: KvCache, model: &LoadedModel, now: Instant) -> Self {
        let reserved = reserved(&new);
        let mut seen = std::mem::take(&mut new.tokens);
        let pending = seen.split_off(cache.len()).into();
        Self {
            reserved,
            pending,
            cache,
            seen,
            text: TextStream::new(Arc::clone(&model.tokenizer)),
            produced: 0,
            started: now,
            clock: None,
            new,
        }
    }

    fn generation(&self) -> Option<u64> {
        self.new.adapter.as_ref().map(|named| named.generation)
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
        self.new.ticket.events.text(&text)
    }

    /// Keeps what the row has read for those that begin like it, and lets the rest go.
    fn keep(mut self, prefixes: &Prefixes) -> Ticket {
        self.cache.shrink();
        prefixes.keep(self.new.adapter.as_ref(), self.seen, Arc::new(self.cache));
        self.new.ticket
    }

    fn done(self, finish: Finish, prefixes: &Prefixes) {
        let seconds = self.clock.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let (row, tokens) = (self.new.ticket.events.row(), self.produced);
        let adapter = self.new.adapter.as_ref().map(|named| named.info.clone());
        // Kept before the end is told: the next turn may come at once.
        self.keep(prefixes).end(RowEvent::Done { row, tokens, seconds, finish, adapter });
    }

    fn fail(self, error: EngineError) {
        self.new.ticket.fail(error);
    }
}

#[cfg(test)]
impl Scheduler {
    /// Client, tokens fed and tokens produced of every row in the batch.
    pub fn progress(&self) -> Vec<(ClientId, usize, usize)> {
        let row = |row: &Row| (row.new.client().clone(), row.cache.len(), row.produced);
        self.live.iter().map(row).collect()
    }

    /// Rows that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
