//! The live connection: everybody sees what happens, and who was cut off misses nothing.

use app::api::annotation::{ClientMessage, Numbered, RoomMessage};
use domain::annotation::{Act, MemberRole, ProjectSettings, SkipReason, State};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::app::{Person, TestApp, submission};

/// A browser's connection with a room.
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub events: Vec<Numbered>,
    pub sequence: u64,
    /// What everybody looks at; `-` for nothing.
    pub present: Vec<String>,
    /// How often the room said that an item may be free.
    pub free: usize,
    /// How often it answered.
    pub answers: usize,
}

impl Connection {
    pub async fn open(person: &Person<'_>, since: u64) -> Self {
        Self::with_token(person, since, &person.joined.token).await
    }

    async fn with_token(person: &Person<'_>, since: u64, token: &str) -> Self {
        let project = &person.joined.project;
        let address = person.app.address(&format!("/projects/{project}/socket"));
        let (socket, _) = connect_async(address.replace("http:", "ws:")).await.unwrap();
        let mut connection =
            Self { socket, events: vec![], sequence: since, present: vec![], free: 0, answers: 0 };
        connection.say(&ClientMessage::Hello { token: token.to_owned(), since }).await;
        connection
    }

    pub async fn say(&mut self, message: &ClientMessage) {
        let text = serde_json::to_string(message).unwrap();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message; `None` where the server has ended the connection.
    pub async fn hear(&mut self) -> Option<RoomMessage> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                _ => return None,
            }
        }
    }

    /// Takes messages in until `enough` of what has arrived.
    pub async fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            match self.hear().await.unwrap() {
                RoomMessage::Events { events, sequence } => {
                    self.events.extend(events);
                    self.sequence = sequence;
                }
                RoomMessage::Presence { present } => {
                    let on = |item: &Option<domain::annotation::ItemId>| {
                        item.as_ref().map_or("-".to_owned(), ToString::to_string)
                    };
                    self.present = present.iter().map(|p| on(&p.item)).collect();
                }
                RoomMessage::Members { .. } => {}
                RoomMessage::Items => self.free += 1,
                RoomMessage::Heard => self.answers += 1,
                RoomMessage::Refused { error } => panic!("{error:?}"),
            }
        }
    }

    fn state(&self) -> State {
        State::of(self.events.iter().map(|numbered| &numbered.event))
    }
}

#[tokio::test]
async fn everybody_sees_everybody_and_a_blind_item_opens_when_it_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings::new("t"), 2).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let bob = owner.bring("Bob", MemberRole::Annotator).await;
    ann.next(2).await;
    bob.next(2).await;
    let (mut at_ann, mut at_owner) =
        (Connection::open(&ann, 0).await, Connection::open(&owner, 0).await);
    at_owner.until(|c| c.present.len() == 2).await;
    at_ann.say(&ClientMessage::Looking { item: Some("t0".into()), idle_seconds: 0 }).await;
    at_owner.until(|c| c.present.contains(&"t0".to_owned())).await;

    bob.judge("b", "t0", "wrong").await;
    at_ann.until(|c| c.sequence == 1).await;
    assert!(matches!(at_ann.events[0].event.act, Act::Hidden { .. }), "{:?}", at_ann.events);
    assert_eq!(at_ann.state().judged_by(&"t0".into()), 1, "progress shows all the same");
    at_owner.until(|c| c.sequence == 1).await;
    assert!(matches!(at_owner.events[0].event.act, Act::Judged(_)), "owners see it");

    ann.judge("a", "t0", "right").await;
    at_ann.until(|c| c.sequence == 2).await;
    let state = at_ann.state();
    let judgements = state.record(&"t0".into()).unwrap().judgements().len();
    assert_eq!(judgements, 2, "both are shown now: {:?}", at_ann.events);
}

#[tokio::test]
async fn a_skip_reaches_who_waits_for_an_item() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let settings = ProjectSettings { overlap: 1, ..ProjectSettings::new("t") };
    let owner = app.project(settings, 1).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let bob = owner.bring("Bob", MemberRole::Annotator).await;
    ann.next(1).await;
    assert!(bob.next(1).await.is_empty());
    let mut at_bob = Connection::open(&bob, 0).await;
    at_bob.until(|c| c.present.len() == 1).await;
    let skip = Act::Skipped { reason: SkipReason::Undecided };
    ann.submit(submission("s", "t0", skip.clone())).await;
    at_bob.until(|c| c.sequence == 1).await;
    assert_eq!(at_bob.events[0].event.act, skip);
    assert_eq!(bob.next(1).await.len(), 1);
    at_bob.say(&ClientMessage::Looking { item: None, idle_seconds: 0 }).await;
    at_bob.until(|c| c.answers == 1).await;
}

#[tokio::test]
async fn a_connection_that_was_cut_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings::new("t"), 3).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    owner.next(3).await;
    ann.next(3).await;
    let mut connection = Connection::open(&ann, 0).await;
    owner.judge("o0", "t0", "right").await;
    connection.until(|c| c.sequence == 1).await;
    let (mut before, since) = (connection.events.clone(), connection.sequence);
    drop(connection);
    owner.judge("o1", "t1", "right").await;
    ann.judge("a0", "t0", "wrong").await;
    let mut again = Connection::open(&ann, since).await;
    again.until(|c| c.sequence == 3).await;
    before.extend(again.events.clone());
    let pieced = State::of(before.iter().map(|numbered| &numbered.event));
    let whole = ann.events(0).await;
    assert_eq!(pieced, State::of(whole.iter().map(|numbered| &numbered.event)));
    let item = pieced.record(&"t0".into()).unwrap();
    assert_eq!(item.judgements().len(), 2, "what was hidden has come again with its content");
}

#[tokio::test]
async fn a_stranger_is_sent_away_and_so_is_who_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let app = TestApp::start(&folder).await;
    let owner = app.project(ProjectSettings::new("t"), 1).await;
    let ann = owner.bring("Ann", MemberRole::Annotator).await;
    let mut stranger = Connection::with_token(&ann, 0, "guessed").await;
    let Some(RoomMessage::Refused { error }) = stranger.hear().await else { panic!("let in") };
    assert_eq!(error.code, "unknown-project");
    assert_eq!(stranger.hear().await, None);
    let mut nonsense = Connection::open(&ann, 0).await;
    nonsense.until(|c| !c.present.is_empty()).await;
    nonsense.socket.send(Message::text("{}")).await.unwrap();
    while nonsense.hear().await.is_some() {}
    let mut connection = Connection::open(&ann, 0).await;
    connection.until(|c| !c.present.is_empty()).await;
    let path = format!("/members/{}/leave", ann.joined.member);
    assert_eq!(owner.post(&path, &serde_json::json!({})).await.status(), 200);
    while connection.hear().await.is_some() {}
}
