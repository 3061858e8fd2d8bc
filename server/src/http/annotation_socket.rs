//! The live connection of a browser with a room.
//!
//! A connection that was cut is taken up with the number of the last event that arrived; nothing else
//! is remembered of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use app::api::annotation::{ClientMessage, RoomMessage};
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use domain::annotation::Member;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Mutex, broadcast};
use tokio::time::{Instant, timeout, timeout_at};

use super::HttpError;
use super::error::api_error;
use crate::annotation::{Notice, Room, Token};
use crate::state::AppState;

/// Largest message of a browser, in bytes.
const LARGEST_MESSAGE: usize = 16 * 1024;

/// How long a browser may be silent; it says what it looks at far more often.
const SILENCE: Duration = Duration::from_secs(90);

/// How long a message may take to leave: a browser that takes nothing any more isn't there.
const SENDING: Duration = Duration::from_secs(60);

/// `GET /api/annotation/projects/{id}/socket`
pub async fn open(
    State(state): State<AppState>,
    Path(project): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, HttpError> {
    let room = state.rooms.room(&project).await?;
    Ok(upgrade.max_message_size(LARGEST_MESSAGE).on_upgrade(|socket| async move {
        // A connection that breaks has told its end already.
        let _ = greet(socket, room).await;
    }))
}

/// A message that couldn't be sent: the browser is gone.
struct Gone;

async fn greet(mut socket: WebSocket, room: Arc<Mutex<Room>>) -> Result<(), Gone> {
    let deadline = Instant::now() + SILENCE;
    let Some(ClientMessage::Hello { token, since }) = heard(&mut socket, deadline).await else {
        return Ok(());
    };
    let token = Token::presented(&token);
    let entered = {
        let mut room = room.lock().await;
        let notices = room.listen();
        match room.member(&token).cloned() {
            Ok(member) => Ok((room.arrive(&member.id).await, member, notices)),
            Err(error) => Err(error),
        }
    };
    match entered {
        Err(error) => {
            let error = api_error(error.code(), &error);
            send(&mut socket, &RoomMessage::Refused { error }).await
        }
        Ok((connection, member, notices)) => {
            let mut visit = Visit { socket, member, connection, since, room };
            let ended = visit.stay(notices).await;
            visit.room.lock().await.depart(&visit.member.id, connection).await;
            ended
        }
    }
}

/// One connection of one member.
struct Visit {
    socket: WebSocket,
    member: Member,
    connection: u64,
    since: u64,
    room: Arc<Mutex<Room>>,
}

impl Visit {
    async fn stay(&mut self, mut notices: broadcast::Receiver<Notice>) -> Result<(), Gone> {
        let mut changed = everything();
        // Notices don't put it off: a browser that is gone hears them and says nothing.
        let mut deadline = Instant::now() + SILENCE;
        loop {
            self.tell(&changed).await?;
            tokio::select! {
                notice = notices.recv() => match gathered(notice, &mut notices) {
                    Some(gathered) => changed = gathered,
                    None => return Ok(()),
                },
                heard = heard(&mut self.socket, deadline) => match heard {
                    Some(ClientMessage::Looking { item, idle_seconds }) => {
                        deadline = Instant::now() + SILENCE;
                        let mut room = self.room.lock().await;
                        let (member, connection) = (&self.member.id, self.connection);
                        if let Err(error) = room.look(member, connection, item, idle_seconds).await {
                            tracing::error!(code = error.code(), "{error}");
                        }
                        drop(room);
                        send(&mut self.socket, &RoomMessage::Heard).await?;
                        changed = Vec::new();
                    }
                    _ => return Ok(()),
                },
            }
        }
    }

    /// Sends what `changed` means for the member.
    async fn tell(&mut self, changed: &[Notice]) -> Result<(), Gone> {
        for notice in changed {
            let message = {
                let room = self.room.lock().await;
                match notice {
                    Notice::Members => {
                        let members = room.members();
                        if members.iter().any(|m| m.id == self.member.id && m.left) {
                            return Err(Gone);
                        }
                        RoomMessage::Members { members }
                    }
                    Notice::Presence => RoomMessage::Presence { present: room.present() },
                    Notice::Items => RoomMessage::Items,
                    Notice::Events if room.sequence() == self.since => continue,
                    Notice::Events => {
                        let events = room.events_since(&self.member, self.since);
                        self.since = room.sequence();
                        RoomMessage::Events { events, sequence: self.since }
                    }
                }
            };
            send(&mut self.socket, &message).await?;
        }
        Ok(())
    }
}

fn everything() -> Vec<Notice> {
    vec![Notice::Members, Notice::Events, Notice::Presence, Notice::Items]
}

/// The notice and all that came meanwhile, each kind once; `None` where the room is gone. Who was
/// too slow to get them all looks at everything.
fn gathered(
    first: Result<Notice, RecvError>,
    notices: &mut broadcast::Receiver<Notice>,
) -> Option<Vec<Notice>> {
    let mut kinds = BTreeSet::new();
    match first {
        Ok(notice) => kinds.insert(notice),
        Err(RecvError::Lagged(_)) => return Some(everything()),
        Err(RecvError::Closed) => return None,
    };
    loop {
        match notices.try_recv() {
            Ok(notice) => kinds.insert(notice),
            Err(TryRecvError::Lagged(_)) => return Some(everything()),
            Err(_) => return Some(kinds.into_iter().collect()),
        };
    }
}

/// The next message; `None` where the connection has ended, was silent for too long or makes no sense.
async fn heard(socket: &mut WebSocket, deadline: Instant) -> Option<ClientMessage> {
    loop {
        match timeout_at(deadline, socket.recv()).await.ok()??.ok()? {
            Message::Text(text) => return serde_json::from_str(&text).ok(),
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Binary(_) | Message::Close(_) => return None,
        }
    }
}

async fn send(socket: &mut WebSocket, message: &RoomMessage) -> Result<(), Gone> {
    let text = serde_json::to_string(message).map_err(|_| Gone)?;
    let sent = timeout(SENDING, socket.send(Message::Text(Utf8Bytes::from(text)))).await;
    sent.map_err(|_| Gone)?.map_err(|_| Gone)
}
