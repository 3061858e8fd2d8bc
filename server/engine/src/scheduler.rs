//! Continuous batching: every step runs one forward pass over all live replies.
//!
//! A new row joins at the next step, its prompt packed beside the other rows' single tokens, in
//! portions if it is long. What a row says doesn't depend on who is beside it: it has its own
//! cache, adapter and generator.

use std::sync::Arc;
use std::time::Instant;

use super::cache_memory::{Reserved, Verdict};
use super::error::EngineError;
use super::load::Load;
use super::loading::LoadedModel;
use super::pass::{self, Part};
use super::portions::portions;
use super::prefixes::Prefixes;
use super::request::ClientId;
use super::row::{NewRow, Row};
use super::turns::Turns;

/// Replies in one batch.
pub const MAX_LIVE: usize = 64;
/// Of these, the last ones are for clients that have few rows in the batch, so that somebody who
/// comes later needn't wait for a reply to end.
const RESERVED: usize = 16;
/// A client with fewer rows than this in the batch has few.
const FEW: usize = 8;
/// Rows that may come in before one that needs more memory than is left. Then no other does until it
/// fits, so that nobody waits for ever.
pub(super) const PATIENCE: usize = 64;

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
            self.live.iter().map(|row| (row.wanted().client(), row.pending())).collect();
        let portions = portions(&pending);
        let rows = self.live.iter_mut().zip(portions);
        let fed: Vec<Vec<u32>> = rows.map(|(row, portion)| row.take(portion)).collect();
        let mut parts: Vec<Part<'_>> = self
            .live
            .iter_mut()
            .zip(&fed)
            .filter(|(_, tokens)| !tokens.is_empty())
            .map(|(row, tokens)| row.part(tokens))
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
        let closed = |row: &NewRow| row.ticket.events.is_closed();
        for row in self.live.extract_if(.., |row| closed(row.wanted())) {
            drop(row.keep(&self.prefixes));
        }
        drop(self.waiting.extract(closed));
        let late = |row: &NewRow| row.ticket.deadlines.while_waiting(now);
        for row in self.waiting.extract(|row| late(row).is_some()) {
            if let Some(error) = late(&row) {
                row.fail(error);
            }
        }
        let late = |row: &Row| row.wanted().ticket.deadlines.while_answering(now);
        for row in self.live.extract_if(.., |row| late(row).is_some()) {
            if let Some(error) = late(&row) {
                row.fail(error);
            }
        }
    }

    /// Lets waiting rows in while there is room, their clients taking turns.
    fn admit(&mut self, now: Instant) {
        while self.live.len() < MAX_LIVE {
            let Some(new) = self.next_turn().and_then(|turn| self.waiting.take(turn)) else {
                break;
            };
            let row = Row::new(new, &self.model, &self.prefixes, now);
            // Neighbours with the same adapter share its products.
            let at = self.live.partition_point(|other| other.generation() <= row.generation());
            self.live.insert(at, row);
        }
    }

    /// Whose turn it is among the rows that there is a place and memory for. Those that would need
    /// more memory than is left are passed over, so many times.
    fn next_turn(&mut self) -> Option<usize> {
        let roomy = self.live.len() < MAX_LIVE - RESERVED;
        let (all, others_wait) = (self.reserved(), self.waiting.clients() > 1);
        let (mut passed, mut chosen) = (Vec::new(), None);
        for (turn, (client, new)) in self.waiting.fronts().enumerate() {
            let of_client = || self.live.iter().filter(|row| row.wanted().client() == client);
            if !roomy && of_client().count() >= FEW {
                continue;
            }
            let own = of_client().map(Row::reserved).sum();
            let held = Reserved { all, own, others_wait };
            match self.load.caches.verdict(held, new.reserved()) {
                Verdict::Fits => {
                    chosen = Some(turn);
                    break;
                }
                Verdict::Share => {}
                Verdict::Full if new.passed >= PATIENCE => return None,
                Verdict::Full => passed.push(turn),
            }
        }
        if chosen.is_some() {
            for turn in passed {
                self.waiting.front_mut(turn)?.passed += 1;
            }
        }
        chosen
    }

    /// Tokens that the caches of all rows in the batch may come to hold.
    pub(super) fn reserved(&self) -> usize {
        self.live.iter().map(Row::reserved).sum()
    }

    /// Draws a token for every row whose pending tokens have all been fed.
    fn draw(&mut self, logits: &pass::Logits) {
        let mut next = 0;
        let rows = std::mem::take(&mut self.live);
        for mut row in rows {
            if row.pending() > 0 {
                self.live.push(row);
                continue;
            }
            let drawn = pass::guard(|| row.advance(logits.row(next), &self.model));
            next += 1;
            match drawn {
                Ok(None) => {
                    row.keep_prompt(&self.prefixes);
                    self.live.push(row);
                }
                Ok(Some(finish)) => {
                    self.load.row_took(row.age());
                    row.done(finish, &self.prefixes);
                }
                Err(error) => {
                    // Scores that are no numbers come from its adapter, or from what was read under
                    // it; what others have read is sound.
                    if matches!(error, EngineError::Compute { .. }) {
                        self.prefixes.forget(row.generation());
                    }
                    row.fail(error);
                }
            }
        }
    }
}

#[cfg(test)]
impl Scheduler {
    /// Client, tokens fed and tokens produced of every row in the batch.
    pub fn progress(&self) -> Vec<(ClientId, usize, usize)> {
        self.live.iter().map(Row::progress).collect()
    }

    /// Rows that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
