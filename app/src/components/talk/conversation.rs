//! The state of a conversation with several voices, and how replies arrive in it.
//!
//! Lives above the pages, so that a visit to another page loses nothing. No view here.

use std::sync::Arc;

use domain::prompt::{Message, Role};
use domain::voice::Voice;
use futures::future::{AbortHandle, Abortable};
use leptos::prelude::*;

use super::arrival::pump;
use super::choice::default_voices;
use super::record::{Origin, Reply, ReplyState, Seat, Turn, history};
use crate::api::{AdapterInfo, ApiError, ChatRequest, ChatRow, ModelInfo, Sampling, World};
use crate::backend::{Live, use_live};
use crate::link::DeepLink;

/// Everything said; a handle that can be copied.
#[derive(Clone, Copy)]
pub struct Conversation {
    /// Who is asked, in order.
    pub seats: RwSignal<Vec<Seat>>,
    /// What was said, oldest first.
    pub turns: RwSignal<Vec<Turn>>,
    /// The message being written.
    pub draft: RwSignal<String>,
    /// Seed of the next replies.
    pub seed: RwSignal<u64>,
    /// Temperature of the next replies.
    pub temperature: RwSignal<f64>,
    /// Why the last message was refused.
    pub refusal: RwSignal<Option<ApiError>>,
    /// Number of answers that stream.
    pub streams: RwSignal<usize>,
    stops: StoredValue<Vec<AbortHandle>>,
    next_id: StoredValue<u64>,
    live: StoredValue<Option<Arc<dyn Live>>>,
    server: StoredValue<Server>,
}

/// What the conversation needs to know of the server it was opened with.
#[derive(Default)]
struct Server {
    model: Option<ModelInfo>,
    adapters: Vec<AdapterInfo>,
    /// Largest size of one message, in bytes.
    max_message_bytes: usize,
}

impl Default for Conversation {
    fn default() -> Self {
        let sampling = Sampling::default();
        Self {
            seats: RwSignal::default(),
            turns: RwSignal::default(),
            draft: RwSignal::default(),
            seed: RwSignal::new(sampling.seed),
            temperature: RwSignal::new(sampling.temperature),
            refusal: RwSignal::default(),
            streams: RwSignal::default(),
            stops: StoredValue::default(),
            next_id: StoredValue::default(),
            live: StoredValue::new(use_live()),
            server: StoredValue::default(),
        }
    }
}

impl Conversation {
    /// Makes this the conversation that `link` names and returns the messages to ask; keeps what is
    /// there where the link names nothing new.
    pub fn open(self, link: &DeepLink, world: &World) -> Vec<String> {
        self.server.set_value(Server {
            model: Some(world.model.clone()),
            adapters: world.adapters.clone(),
            max_message_bytes: world.max_message_bytes,
        });
        let started = !self.seats.with_untracked(Vec::is_empty);
        if started && (*link == DeepLink::default() || *link == self.link_untracked()) {
            return Vec::new();
        }
        self.clear();
        let mut voices = link.voices.clone();
        voices.truncate(world.max_voices.max(1));
        if voices.is_empty() {
            voices = default_voices(world);
        }
        let seats = voices.into_iter().map(|voice| Seat { id: self.fresh_id(), voice }).collect();
        self.seats.set(seats);
        let sampling = Sampling::default();
        self.seed.set(link.seed.unwrap_or(sampling.seed));
        self.temperature.set(link.temperature.unwrap_or(sampling.temperature));
        link.messages.clone()
    }

    /// The address of this conversation. Tracks.
    pub fn link(self) -> DeepLink {
        DeepLink {
            voices: self.seats.with(|seats| seats.iter().map(|seat| seat.voice.clone()).collect()),
            seed: Some(self.seed.get()),
            temperature: Some(self.temperature.get()),
            messages: self.turns.with(|turns| turns.iter().map(|t| t.message.clone()).collect()),
        }
    }

    fn link_untracked(self) -> DeepLink {
        untrack(move || self.link())
    }

    /// Forgets what was said; voices and settings stay.
    pub fn clear(self) {
        self.stop();
        self.turns.set(Vec::new());
        self.refusal.set(None);
    }

    /// Adds a voice at the end and returns its seat.
    pub fn join(self, voice: Voice) -> u64 {
        let id = self.fresh_id();
        self.seats.update(|seats| seats.push(Seat { id, voice }));
        id
    }

    /// Puts another voice into a seat's place and returns the new seat; its past is gone.
    pub fn change(self, seat: u64, voice: Voice) -> u64 {
        let id = self.fresh_id();
        self.seats.update(|seats| {
            if let Some(place) = seats.iter_mut().find(|place| place.id == seat) {
                *place = Seat { id, voice };
            }
        });
        id
    }

    /// Takes a voice away.
    pub fn remove(self, seat: u64) {
        self.seats.update(|seats| seats.retain(|place| place.id != seat));
    }

    /// Stops every voice that speaks; what was said stays.
    pub fn stop(self) {
        let handles = self.stops.try_update_value(std::mem::take).unwrap_or_default();
        handles.iter().for_each(AbortHandle::abort);
    }

    /// Sends the message being written to all voices.
    pub async fn send(self) {
        if self.streams.get_untracked() > 0 {
            return;
        }
        let message = self.draft.get_untracked().trim().to_owned();
        if message.is_empty() {
            self.refusal.set(Some(ApiError {
                code: "empty-message".to_owned(),
                message: "there is no message yet".to_owned(),
                hint: Some("Write one, or pick an example.".to_owned()),
                status: None,
            }));
            return;
        }
        let limit = self.server.with_value(|server| server.max_message_bytes);
        if message.len() > limit {
            // The draft stays, to be shortened.
            self.refusal.set(Some(ApiError {
                code: "message-too-long".to_owned(),
                message: format!(
                    "the message has {} bytes, but at most {limit} are taken",
                    message.len()
                ),
                hint: Some(
                    "Shorten it. A letter takes 1 byte in English, up to 4 elsewhere.".to_owned(),
                ),
                status: None,
            }));
            return;
        }
        self.draft.set(String::new());
        self.ask(message).await;
    }

    /// Asks all voices; `true` once they have answered, `false` where the message was refused. A
    /// refused message goes back to where it was written.
    pub async fn ask(self, message: String) -> bool {
        self.refusal.set(None);
        let seed = self.seed.get_untracked();
        let seats = self.seats.get_untracked();
        let rows = seats.iter().map(|seat| self.row(seat, None, &message)).collect();
        let replies: Vec<Reply> = seats.iter().map(|seat| Reply::open(seat.id, seed)).collect();
        let id = self.fresh_id();
        let turn =
            Turn { id, message: message.clone(), replies: ArcRwSignal::new(replies.clone()) };
        self.turns.update(|turns| turns.push(turn));
        let Err(error) = self.stream(replies, rows, seed).await else { return true };
        self.turns.update(|turns| turns.retain(|turn| turn.id != id));
        if self.draft.with_untracked(String::is_empty) {
            self.draft.set(message);
        }
        self.refusal.set(Some(error));
        false
    }

    /// Asks one voice the turn's message again with the next seed, or for the first time. Where the server
    /// refuses, all stays as it was.
    pub async fn regenerate(self, turn: Turn, seat: Seat) {
        self.refusal.set(None);
        let before = untrack(|| turn.reply(seat.id));
        let reply = before.clone().unwrap_or_else(|| {
            let reply = Reply::open(seat.id, self.seed.get_untracked());
            turn.replies.update(|replies| replies.push(reply.clone()));
            reply
        });
        let said = reply.state.get_untracked();
        if before.is_some() {
            reply.state.set(ReplyState::open(said.seed.wrapping_add(1)));
        }
        let rows = vec![self.row(&seat, Some(turn.id), &turn.message)];
        let seed = reply.state.with_untracked(|state| state.seed);
        let Err(error) = self.stream(vec![reply.clone()], rows, seed).await else { return };
        match before {
            Some(reply) => reply.state.set(said),
            None => turn.replies.update(|replies| replies.retain(|other| other.seat != seat.id)),
        }
        self.refusal.set(Some(error));
    }

    /// What each present voice said to the newest message, in order. Tracks.
    pub fn newest_texts(self) -> Vec<(Voice, String)> {
        let Some(turn) = self.turns.with(|turns| turns.last().cloned()) else { return Vec::new() };
        let seats = self.seats.get();
        seats
            .into_iter()
            .filter_map(|seat| {
                let text = turn.reply(seat.id)?.state.with(|state| state.text.clone());
                (!text.trim().is_empty()).then_some((seat.voice, text))
            })
            .collect()
    }

    /// What speaks as `voice`.
    fn origin(self, voice: &Voice) -> Origin {
        self.server.with_value(|server| {
            let named = |info: &&AdapterInfo| Some(&info.name) == voice.adapter.as_ref();
            let model = server.model.as_ref();
            Origin {
                model: model.map(|model| model.name.clone()).unwrap_or_default(),
                model_hash: model.map(|model| model.hash.clone()).unwrap_or_default(),
                adapter: server.adapters.iter().find(named).cloned(),
            }
        })
    }

    fn fresh_id(self) -> u64 {
        self.next_id.try_update_value(|id| std::mem::replace(id, *id + 1)).unwrap_or_default()
    }

    /// A seat's past up to (not with) the turn `until`, followed by `message`.
    fn row(self, seat: &Seat, until: Option<u64>, message: &str) -> ChatRow {
        let turns = self.turns.get_untracked();
        let past = turns.iter().take_while(|turn| Some(turn.id) != until);
        let mut messages = untrack(|| history(past, seat.id));
        messages.push(Message::new(Role::User, message));
        ChatRow { voice: seat.voice.clone(), messages, blend: Vec::new() }
    }

    /// Streams `rows` into `replies` until all are complete, stopped or failed.
    ///
    /// # Errors
    /// The server refused the request as a whole; nothing was said.
    async fn stream(
        self,
        replies: Vec<Reply>,
        rows: Vec<ChatRow>,
        seed: u64,
    ) -> Result<(), ApiError> {
        let Some(live) = self.live.get_value() else { return Ok(()) };
        let temperature = self.temperature.get_untracked();
        let sampling = Sampling { seed, temperature, ..Sampling::default() };
        let (handle, registration) = AbortHandle::new_pair();
        self.stops.update_value(|stops| stops.push(handle));
        self.streams.update(|streams| *streams += 1);
        let origins: Vec<Origin> = rows.iter().map(|row| self.origin(&row.voice)).collect();
        let pumping = pump(live, ChatRequest { rows, sampling }, &replies);
        let outcome = Abortable::new(pumping, registration).await;
        for (reply, origin) in replies.iter().zip(&origins) {
            // After a stop; everything else has settled its replies itself.
            reply.stop(origin);
        }
        self.streams.update(|streams| *streams -= 1);
        if self.streams.get_untracked() == 0 {
            self.stops.set_value(Vec::new());
        }
        outcome.unwrap_or(Ok(()))
    }
}

#[cfg(test)]
mod tests;
