//! The state of a conversation with several voices, and how replies arrive in it.
//!
//! Lives above the pages, so that a visit to another page loses nothing. No view here.

use std::sync::Arc;

use domain::prompt::{Message, Role};
use domain::voice::Voice;
use futures::StreamExt;
use futures::future::{AbortHandle, Abortable};
use leptos::prelude::*;

use super::choice::default_voices;
use crate::api::{ApiError, ChatEvent, ChatRequest, ChatRow, Finish, ReplyInfo, Sampling, World};
use crate::backend::{Live, use_live};
use crate::link::DeepLink;

/// A place in the row of voices; a changed voice gets a new one, with no past.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    /// Unique within the conversation.
    pub id: u64,
    /// Who sits there.
    pub voice: Voice,
}

/// How far a reply is.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Asked, or speaking.
    Open,
    /// Complete.
    Done(ReplyInfo),
    /// The person stopped it.
    Stopped,
    /// It went wrong; the other voices went on.
    Failed(ApiError),
}

/// What a voice has said so far.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyState {
    /// The text so far.
    pub text: String,
    /// How far it is.
    pub phase: Phase,
    /// The seed that draws it.
    pub seed: u64,
}

/// One voice's reply to one message.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The seat it belongs to.
    pub seat: u64,
    /// What it says.
    pub state: ArcRwSignal<ReplyState>,
}

/// One message and its replies.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Unique within the conversation.
    pub id: u64,
    /// What the person said.
    pub message: String,
    /// Who answered what.
    pub replies: ArcRwSignal<Vec<Reply>>,
}

impl Turn {
    /// The reply of `seat`, if it was asked. Tracks.
    pub fn reply(&self, seat: u64) -> Option<Reply> {
        self.replies.with(|replies| replies.iter().find(|reply| reply.seat == seat).cloned())
    }
}

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
        }
    }
}

impl Conversation {
    /// Makes this the conversation that `link` names and returns the messages to ask; keeps what is
    /// there where the link names nothing new.
    pub fn open(self, link: &DeepLink, world: &World) -> Vec<String> {
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
    pub fn add(self, voice: Voice) -> u64 {
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
        let replies: Vec<Reply> = seats.iter().map(|seat| open_reply(seat.id, seed)).collect();
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

    /// Asks one voice the turn's message again with the next seed, or for the first time.
    pub async fn regenerate(self, turn: Turn, seat: Seat) {
        let reply = match untrack(|| turn.reply(seat.id)) {
            Some(reply) => {
                reply.state.update(|state| {
                    let seed = state.seed.wrapping_add(1);
                    *state = ReplyState { text: String::new(), phase: Phase::Open, seed };
                });
                reply
            }
            None => {
                let reply = open_reply(seat.id, self.seed.get_untracked());
                turn.replies.update(|replies| replies.push(reply.clone()));
                reply
            }
        };
        let rows = vec![self.row(&seat, Some(turn.id), &turn.message)];
        let seed = reply.state.with_untracked(|state| state.seed);
        if let Err(error) = self.stream(vec![reply.clone()], rows, seed).await {
            reply.state.update(|state| state.phase = Phase::Failed(error));
        }
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

    fn fresh_id(self) -> u64 {
        self.next_id.try_update_value(|id| std::mem::replace(id, *id + 1)).unwrap_or_default()
    }

    /// A seat's past up to (not with) the turn `until`, followed by `message`.
    fn row(self, seat: &Seat, until: Option<u64>, message: &str) -> ChatRow {
        let turns = self.turns.get_untracked();
        let past = turns.iter().take_while(|turn| Some(turn.id) != until);
        let mut messages = untrack(|| history(past, seat.id));
        messages.push(Message::new(Role::User, message));
        ChatRow { voice: seat.voice.clone(), messages }
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
        let pumping = pump(live, ChatRequest { rows, sampling }, &replies);
        let outcome = Abortable::new(pumping, registration).await;
        for reply in &replies {
            // After a stop; everything else has settled its replies itself.
            settle(reply, Phase::Stopped);
        }
        self.streams.update(|streams| *streams -= 1);
        if self.streams.get_untracked() == 0 {
            self.stops.set_value(Vec::new());
        }
        outcome.unwrap_or(Ok(()))
    }
}

fn open_reply(seat: u64, seed: u64) -> Reply {
    let state = ReplyState { text: String::new(), phase: Phase::Open, seed };
    Reply { seat, state: ArcRwSignal::new(state) }
}

/// The exchange of one seat: what it was asked and what it said. Failed replies are left out with
/// their message, so that user and assistant alternate.
fn history<'a>(turns: impl Iterator<Item = &'a Turn>, seat: u64) -> Vec<Message> {
    turns
        .filter_map(|turn| {
            let state = turn.reply(seat)?.state.get();
            let said = !matches!(state.phase, Phase::Failed(_)) && !state.text.trim().is_empty();
            said.then(|| {
                [
                    Message::new(Role::User, &turn.message),
                    Message::new(Role::Assistant, state.text.trim()),
                ]
            })
        })
        .flatten()
        .collect()
}

async fn pump(
    live: Arc<dyn Live>,
    request: ChatRequest,
    replies: &[Reply],
) -> Result<(), ApiError> {
    let mut events = live.chat(request).await?;
    let mut end = ApiError {
        code: "ended-early".to_owned(),
        message: "the server ended the stream before this voice was done".to_owned(),
        hint: Some("Ask this voice again.".to_owned()),
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => apply(event, replies),
            Err(error) => {
                end = error;
                break;
            }
        }
    }
    replies.iter().for_each(|reply| settle(reply, Phase::Failed(end.clone())));
    Ok(())
}

fn apply(event: ChatEvent, replies: &[Reply]) {
    let row = match &event {
        ChatEvent::Text { row, .. }
        | ChatEvent::Done { row, .. }
        | ChatEvent::Failed { row, .. } => *row,
    };
    let Some(reply) = replies.get(row) else { return };
    reply.state.update(|state| match event {
        ChatEvent::Text { text, .. } => state.text.push_str(&text),
        ChatEvent::Done { reply, .. } => state.phase = Phase::Done(reply),
        ChatEvent::Failed { error, .. } => state.phase = Phase::Failed(error),
    });
}

/// Ends a reply that is still open.
fn settle(reply: &Reply, phase: Phase) {
    if reply.state.with_untracked(|state| state.phase == Phase::Open) {
        reply.state.update(|state| state.phase = phase);
    }
}

/// The line under a reply: `Polylogue Starter 0123456789ab · joint 9f… · seed 7 · 24 tokens · 41 tok/s`.
pub fn describe(info: &ReplyInfo) -> String {
    let mut parts = vec![format!("{} {}", info.model, info.model_hash)];
    parts.push(match &info.adapter {
        Some(adapter) => format!("adapter {} {}", adapter.name, adapter.hash),
        None => "no adapter".to_owned(),
    });
    parts.push(format!("seed {}", info.seed));
    parts.push(format!("{} tokens", info.tokens));
    parts.push(format!("{:.0} tok/s", info.tokens_per_second));
    if info.finish == Finish::Length {
        parts.push("cut at the length limit".to_owned());
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::super::choice::tests::world;
    use super::*;
    use crate::api::{AdapterInfo, SurveyRunInfo, SurveyRunRequest};
    use crate::backend::{Answer, Events, SharedLive};
    use std::sync::Mutex;

    type Script = Box<
        dyn Fn(&ChatRequest) -> Result<Vec<Result<ChatEvent, ApiError>>, ApiError> + Send + Sync,
    >;

    /// A live connection that plays what a test wrote down and keeps the requests.
    struct Played(Script, Mutex<Vec<ChatRequest>>);

    impl Live for Played {
        fn chat(&self, request: ChatRequest) -> Answer<Events<ChatEvent>> {
            let events = (self.0)(&request);
            self.1.lock().unwrap().push(request);
            Box::pin(
                async move { Ok(Box::pin(futures::stream::iter(events?)) as Events<ChatEvent>) },
            )
        }
        fn start_survey_run(&self, _: SurveyRunRequest) -> Answer<SurveyRunInfo> {
            unreachable!()
        }
        fn cancel_survey_run(&self, _: String) -> Answer<SurveyRunInfo> {
            unreachable!()
        }
        fn survey_run_events(&self, _: String) -> Answer<Events<SurveyRunInfo>> {
            unreachable!()
        }
    }

    fn info(seed: u64) -> ReplyInfo {
        ReplyInfo {
            model: "M".to_owned(),
            model_hash: "aa".to_owned(),
            adapter: None,
            seed,
            tokens: 2,
            tokens_per_second: 40.4,
            finish: Finish::Stop,
        }
    }

    fn refused() -> ApiError {
        ApiError { code: "no".to_owned(), message: "no".to_owned(), hint: None }
    }

    fn with_script(script: Script, test: impl FnOnce(Conversation, Arc<Played>)) {
        let played = Arc::new(Played(script, Mutex::default()));
        Owner::new().with(|| {
            provide_context(SharedLive(played.clone()));
            let conversation = Conversation::default();
            conversation.open(&DeepLink::default(), &world(&["THA"], &["joint"]));
            test(conversation, played);
        });
    }

    fn echo(request: &ChatRequest) -> Vec<Result<ChatEvent, ApiError>> {
        let seed = request.sampling.seed;
        (0..request.rows.len())
            .flat_map(|row| {
                let text = format!("said {row} {seed}");
                [ChatEvent::Text { row, text }, ChatEvent::Done { row, reply: info(seed) }]
            })
            .map(Ok)
            .collect()
    }

    #[test]
    fn a_second_message_carries_each_voice_its_own_past() {
        with_script(Box::new(|request| Ok(echo(request))), |conversation, played| {
            conversation.draft.set("  one ".to_owned());
            futures::executor::block_on(conversation.send());
            assert!(futures::executor::block_on(conversation.ask("two".to_owned())));
            let requests = played.1.lock().unwrap();
            let said: Vec<_> =
                requests[1].rows[2].messages.iter().map(|m| m.content.as_str()).collect();
            assert_eq!(said, ["one", "said 2 7", "two"]);
            assert_eq!(conversation.link().messages, ["one", "two"]);
            assert_eq!(conversation.streams.get_untracked(), 0);
        });
    }

    #[test]
    fn regenerating_takes_the_next_seed_and_only_one_voice() {
        with_script(Box::new(|request| Ok(echo(request))), |conversation, played| {
            futures::executor::block_on(conversation.ask("one".to_owned()));
            let turn = conversation.turns.get_untracked()[0].clone();
            let seat = conversation.seats.get_untracked()[1].clone();
            futures::executor::block_on(conversation.regenerate(turn, seat));
            let texts: Vec<_> =
                conversation.newest_texts().into_iter().map(|(_, text)| text).collect();
            assert_eq!(texts, ["said 0 7", "said 0 8", "said 2 7"]);
            assert_eq!(played.1.lock().unwrap()[1].rows[0].messages.len(), 1);
        });
    }

    #[test]
    fn a_refused_message_comes_back() {
        with_script(Box::new(|_| Err(refused())), |conversation, _| {
            conversation.draft.set("keep me".to_owned());
            futures::executor::block_on(conversation.send());
            assert_eq!(conversation.draft.get_untracked(), "keep me");
            assert_eq!(conversation.refusal.get_untracked(), Some(refused()));
            assert!(conversation.turns.with_untracked(Vec::is_empty));
        });
    }

    #[test]
    fn one_failure_leaves_the_others_and_is_no_past() {
        let script: Script = Box::new(|request| {
            let mut events = echo(request);
            events[1] = Ok(ChatEvent::Failed { row: 0, error: refused() });
            events.pop();
            events.push(Err(refused()));
            Ok(events)
        });
        with_script(script, |conversation, played| {
            futures::executor::block_on(conversation.ask("one".to_owned()));
            let turn = conversation.turns.get_untracked()[0].clone();
            let phases: Vec<_> = turn
                .replies
                .get_untracked()
                .iter()
                .map(|reply| reply.state.with_untracked(|state| state.phase.clone()))
                .collect();
            let failed = Phase::Failed(refused());
            assert_eq!(phases, [failed.clone(), Phase::Done(info(7)), failed]);
            futures::executor::block_on(conversation.ask("two".to_owned()));
            let requests = played.1.lock().unwrap();
            let lengths: Vec<_> = requests[1].rows.iter().map(|row| row.messages.len()).collect();
            assert_eq!(lengths, [1, 3, 1]);
        });
    }

    #[test]
    fn a_reply_says_how_it_came_to_be() {
        let adapter =
            AdapterInfo { name: "joint".to_owned(), hash: "bb".to_owned(), culture: None };
        let info = ReplyInfo { adapter: Some(adapter), finish: Finish::Length, ..info(7) };
        assert_eq!(
            describe(&info),
            "M aa · adapter joint bb · seed 7 · 2 tokens · 40 tok/s · cut at the length limit"
        );
    }
}
