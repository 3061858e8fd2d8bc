//! One reply, from the request to its last token: what it holds, how its next token comes about, and
//! how it ends. When it is computed is decided in [`super::scheduler`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::sampling::Finish;

use super::adapters::NamedAdapter;
use super::decoder::KvCache;
use super::error::EngineError;
use super::limits::Deadlines;
use super::loading::LoadedModel;
use super::mailbox::RowSender;
use super::pass::{self, Part, Want};
use super::places::Place;
use super::prefixes::{Prefixes, SHORTEST, Start};
use super::request::{ClientId, RowEvent};
use super::sampler::Sampler;
use super::text_stream::TextStream;

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
    /// Largest number of new tokens; together with the prompt it fits the context and the memory.
    pub max_tokens: usize,
    /// Whether its prompt is read whole, whatever is known of it.
    pub fresh: bool,
    /// Rows that came in before it, because there wasn't enough memory for it.
    pub passed: usize,
}

/// A reply in the batch.
#[derive(Debug)]
pub struct Row {
    new: NewRow,
    cache: KvCache,
    /// The tokens that the cache holds.
    seen: Vec<u32>,
    /// How many of them had been read before.
    known: usize,
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

impl NewRow {
    /// Who asks for it.
    pub fn client(&self) -> &ClientId {
        self.ticket.place.client()
    }

    /// Tokens that its cache may come to hold.
    pub fn reserved(&self) -> usize {
        self.tokens.len() + self.max_tokens
    }

    /// Ends the row with an error, after letting its adapter go.
    pub fn fail(self, error: EngineError) {
        let Self { ticket, adapter, .. } = self;
        drop(adapter);
        ticket.fail(error);
    }

    /// A cache that has read what is known of the prompt.
    fn begin(&self, model: &LoadedModel, prefixes: &Prefixes) -> KvCache {
        let known = || prefixes.find(self.adapter.as_ref(), &self.tokens);
        let start = if self.fresh { None } else { known() };
        let fork = |start: Start| {
            pass::guard(|| start.fork().map_err(|error| pass::failed(&error.to_string())))
        };
        match start.map(fork) {
            Some(Ok(cache)) => cache,
            None => model.decoder.new_cache(),
            Some(Err(_)) => {
                // Broken, or without memory to copy it: nothing that is kept is worth a failure.
                prefixes.clear();
                model.decoder.new_cache()
            }
        }
    }
}

impl Ticket {
    /// Gives the place back, so that whoever hears of the end finds it free.
    fn end(self, event: RowEvent) {
        drop(self.place);
        self.events.end(event);
    }

    /// Ends the row with an error.
    pub fn fail(self, error: EngineError) {
        let row = self.events.row();
        self.end(RowEvent::Failed { row, error });
    }
}

impl Row {
    /// A row that has read what is known of its prompt.
    pub fn new(mut new: NewRow, model: &LoadedModel, prefixes: &Prefixes, now: Instant) -> Self {
        let (cache, reserved) = (new.begin(model, prefixes), new.reserved());
        let mut seen = std::mem::take(&mut new.tokens);
        Self {
            known: cache.len(),
            pending: seen.split_off(cache.len()).into(),
            new,
            cache,
            seen,
            reserved,
            text: TextStream::new(Arc::clone(&model.tokenizer)),
            produced: 0,
            started: now,
            clock: None,
        }
    }

    /// What it was asked for.
    pub fn wanted(&self) -> &NewRow {
        &self.new
    }

    /// The generation of its adapter; `None` is the base model.
    pub fn generation(&self) -> Option<u64> {
        self.new.adapter.as_ref().map(|named| named.generation)
    }

    /// Tokens that its cache may come to hold.
    pub fn reserved(&self) -> usize {
        self.reserved
    }

    /// Tokens that haven't been fed.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How long it has been in the batch.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The next tokens to feed; they must be.
    pub fn take(&mut self, count: usize) -> Vec<u32> {
        let tokens: Vec<u32> = self.pending.drain(..count.min(self.pending.len())).collect();
        self.seen.extend_from_slice(&tokens);
        tokens
    }

    /// Its part of a pass that feeds `tokens`.
    pub fn part<'a>(&'a mut self, tokens: &'a [u32]) -> Part<'a> {
        Part {
            tokens,
            want: if self.pending.is_empty() { Want::Last } else { Want::Nothing },
            cache: &mut self.cache,
            adapter: self.new.adapter.as_ref(),
            paths: &[],
        }
    }

    /// Draws the next token; why the reply ended, if it has.
    ///
    /// # Errors
    /// Scores that aren't numbers, and a reader that has stopped reading.
    pub fn advance(
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

    /// Keeps a copy of the prompt's cache once it has been read, so that rows which begin alike
    /// needn't wait for this one's end.
    pub fn keep_prompt(&self, prefixes: &Prefixes) {
        if self.produced != 1 || self.seen.len() < self.known + SHORTEST {
            return;
        }
        // A copy that wouldn't be kept isn't made, and without memory for one there is none.
        let per_token = self.cache.bytes_per_token() + size_of::<u32>();
        if !prefixes.has_room_for(self.seen.len() * per_token) {
            return;
        }
        keeping(prefixes, || {
            if let Ok(copy) = self.cache.fork() {
                prefixes.keep(self.new.adapter.as_ref(), self.seen.clone(), Arc::new(copy));
            }
        });
    }

    /// Keeps what the row has read for those that begin like it, and lets the rest go.
    pub fn keep(self, prefixes: &Prefixes) -> Ticket {
        let Self { new: NewRow { adapter, ticket, .. }, mut cache, seen, .. } = self;
        keeping(prefixes, || {
            cache.shrink();
            prefixes.keep(adapter.as_ref(), seen, Arc::new(cache));
        });
        ticket
    }

    /// Ends the row.
    pub fn done(self, finish: Finish, prefixes: &Prefixes) {
        let seconds = self.clock.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let (row, tokens) = (self.new.ticket.events.row(), self.produced);
        let adapter = self.new.adapter.as_ref().map(|named| named.info.clone());
        // Kept before the end is told: the next turn may come at once.
        self.keep(prefixes).end(RowEvent::Done { row, tokens, seconds, finish, adapter });
    }

    /// Ends the row with an error.
    pub fn fail(self, error: EngineError) {
        self.into_ticket().fail(error);
    }

    /// Lets everything go but the ticket: whoever hears of the end finds the memory free.
    fn into_ticket(self) -> Ticket {
        self.new.ticket
    }
}

/// Runs `work`, which keeps what was read. A reply is worth more than that: if it panics, the row goes
/// on without, and so do those that would have begun with what is kept.
fn keeping(prefixes: &Prefixes, work: impl FnOnce()) {
    let kept = pass::guard(|| {
        work();
        Ok(())
    });
    if kept.is_err() {
        prefixes.clear();
    }
}

#[cfg(test)]
impl Row {
    /// Client, tokens fed and tokens produced.
    pub fn progress(&self) -> (ClientId, usize, usize) {
        (self.new.client().clone(), self.cache.len(), self.produced)
    }
}
