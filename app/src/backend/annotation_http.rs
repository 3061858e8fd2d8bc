//! [`Annotation`] of the browser: fetch, and a WebSocket for the live room.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::annotation::{Item, ItemId, Member, MemberId, ProjectSettings};
use domain::culture::CultureCode;
use futures::channel::mpsc;
use futures::{SinkExt, Stream, StreamExt, future};
use gloo_net::http::{Request, RequestBuilder};
use gloo_net::websocket::Message;
use gloo_net::websocket::futures::WebSocket;
use send_wrapper::SendWrapper;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::annotation::{Annotation, Key, Speaker};
use super::http::{HttpBackend, accepted, later, parse, read, timely, unreachable};
use super::{Answer, Events};
use crate::api::annotation::{
    AcceptedRun, ClientMessage, ExportFormat, Invitation, Joined, Joining, ListedInvite, NewInvite,
    NewProject, NewlyInvited, NextRequest, Outcome, Project, RoomMessage, SettingsChange,
    SourceInfo, Submission,
};
use crate::api::{ApiError, MethodRunInfo};
use crate::browser;
use crate::link::escape;

impl Annotation for HttpBackend {
    fn sources(&self) -> Answer<Vec<SourceInfo>> {
        later(ask(Request::get("/api/annotation/sources")))
    }

    fn create(&self, new: NewProject) -> Answer<Joined> {
        later(send(Request::post("/api/annotation/projects"), new))
    }

    fn invitation(&self, token: String) -> Answer<Invitation> {
        later(ask(Request::get(&format!("/api/annotation/invites/{}", escape(&token)))))
    }

    fn join(&self, token: String, joining: Joining) -> Answer<Joined> {
        let address = format!("/api/annotation/invites/{}", escape(&token));
        later(send(Request::post(&address), joining))
    }

    fn project(&self, key: Key) -> Answer<Project> {
        later(ask(get(&key, "")))
    }

    fn change(&self, key: Key, change: SettingsChange) -> Answer<ProjectSettings> {
        later(timely(post(&key, "/settings"), Some(change)))
    }

    fn know(&self, key: Key, cultures: BTreeSet<CultureCode>) -> Answer<Member> {
        later(timely(post(&key, "/cultures"), Some(cultures)))
    }

    fn next(&self, key: Key, request: NextRequest) -> Answer<Vec<Item>> {
        later(timely(post(&key, "/next"), Some(request)))
    }

    fn item(&self, key: Key, item: ItemId) -> Answer<Item> {
        later(ask(get(&key, &format!("/items/{}", escape(item.as_str())))))
    }

    fn submit(&self, key: Key, submissions: Vec<Submission>) -> Answer<Vec<Outcome>> {
        later(timely(post(&key, "/submissions"), Some(submissions)))
    }

    fn invites(&self, key: Key) -> Answer<Vec<ListedInvite>> {
        later(ask(get(&key, "/invites")))
    }

    fn invite(&self, key: Key, new: NewInvite) -> Answer<NewlyInvited> {
        later(send(post(&key, "/invites"), new))
    }

    fn revoke(&self, key: Key, invite: String) -> Answer<Vec<ListedInvite>> {
        later(read(post(&key, &format!("/invites/{}/revoke", escape(&invite)))))
    }

    fn leave(&self, key: Key, member: MemberId) -> Answer<()> {
        let request = post(&key, &format!("/members/{}/leave", escape(member.as_str())));
        later(async move { accepted(request.send().await).await.map(|_| ()) })
    }

    fn method_runs(&self, key: Key) -> Answer<Vec<AcceptedRun>> {
        later(ask(get(&key, "/method-runs")))
    }

    fn start_method_run(&self, key: Key) -> Answer<MethodRunInfo> {
        later(read(post(&key, "/method-runs")))
    }

    fn export(&self, key: Key, format: ExportFormat) -> Answer<Vec<u8>> {
        let request = get(&key, &format!("/export/{}", format.as_str()));
        later(
            async move { accepted(request.send().await).await?.binary().await.map_err(unreachable) },
        )
    }

    fn enter(&self, key: Key, since: u64) -> Answer<(Events<RoomMessage>, Speaker)> {
        later(async move {
            let address = browser::absolute(&format!("{}/socket", address(&key)));
            // `http` becomes `ws`, and `https` becomes `wss`.
            let address = address.replacen("http", "ws", 1);
            let socket = WebSocket::open(&address).map_err(cut)?;
            let (mut sink, messages) = socket.split();
            let hello = ClientMessage::Hello { token: key.token, since };
            sink.send(Message::Text(text(&hello)?)).await.map_err(cut)?;
            let (speaker, said) = mpsc::unbounded::<ClientMessage>();
            // One half of a connection ends with the other.
            let speaking = async move {
                let mut said = said;
                while let Some(message) = said.next().await {
                    let Ok(text) = text(&message) else { continue };
                    if sink.send(Message::Text(text)).await.is_err() {
                        break;
                    }
                }
                future::pending::<Option<Result<RoomMessage, ApiError>>>().await
            };
            let speak: Speaker = Arc::new(move |message| {
                let _ = speaker.unbounded_send(message);
            });
            let heard = futures::stream::select(heard(messages), once(speaking));
            let events: Events<RoomMessage> = Box::pin(SendWrapper::new(heard));
            Ok((events, speak))
        })
    }
}

/// A stream that only drives `speaking`, and never gives anything.
fn once(
    speaking: impl Future<Output = Option<Result<RoomMessage, ApiError>>>,
) -> impl Stream<Item = Result<RoomMessage, ApiError>> {
    futures::stream::once(speaking).filter_map(future::ready)
}

/// What the room says; the end of the connection is an error, so that it is noticed.
fn heard(
    messages: impl Stream<Item = Result<Message, gloo_net::websocket::WebSocketError>>,
) -> impl Stream<Item = Result<RoomMessage, ApiError>> {
    let read = messages.map(|message| match message.map_err(cut)? {
        Message::Text(text) => parse(&text),
        Message::Bytes(_) => Err(cut("the room sent bytes")),
    });
    read.chain(futures::stream::once(future::ready(Err(cut("the room closed the connection")))))
}

fn address(key: &Key) -> String {
    format!("/api/annotation/projects/{}", escape(&key.project))
}

fn get(key: &Key, path: &str) -> RequestBuilder {
    signed(Request::get(&format!("{}{path}", address(key))), key)
}

fn post(key: &Key, path: &str) -> RequestBuilder {
    signed(Request::post(&format!("{}{path}", address(key))), key)
}

fn signed(request: RequestBuilder, key: &Key) -> RequestBuilder {
    request.header("authorization", &format!("Bearer {}", key.token))
}

/// As [`timely`], without a body.
fn ask<T: DeserializeOwned>(request: RequestBuilder) -> impl Future<Output = Result<T, ApiError>> {
    timely(request, None::<()>)
}

/// As [`timely`], but for as long as it takes: for what would be done twice if it were sent again.
async fn send<T: DeserializeOwned>(
    request: RequestBuilder,
    body: impl Serialize,
) -> Result<T, ApiError> {
    let request = request.json(&body).map_err(unreachable)?;
    accepted(request.send().await).await?.json().await.map_err(unreachable)
}

fn text(message: &ClientMessage) -> Result<String, ApiError> {
    serde_json::to_string(message).map_err(cut)
}

fn cut(error: impl std::fmt::Display) -> ApiError {
    ApiError {
        code: "connection-lost".to_owned(),
        message: format!("the live connection broke: {error}"),
        hint: Some("It is taken up again by itself; what you do meanwhile is kept.".to_owned()),
        status: None,
    }
}
