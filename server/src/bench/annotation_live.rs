//! The live connections of the bench's annotators. Each is in the room as a browser is: it hears what all
//! do, says now and then that it is there, and comes back after a kill. So the server's work for everybody
//! who listens is part of what is measured.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use app::api::annotation::{ClientMessage, Numbered, RoomMessage};
use futures::{SinkExt, StreamExt};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant as Moment, interval_at, sleep};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::BenchError;
use super::annotation::failed;
use super::annotation_server::Client;

/// How often a browser says what its person looks at.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Pause before a connection is taken up again.
const PAUSE: Duration = Duration::from_millis(500);

/// Longest wait until all are connected, and until all have heard the last event.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one connection has heard.
#[derive(Debug, Default)]
struct Heard {
    /// Whether the room has answered.
    welcome: bool,
    /// Sequence numbers of the events.
    events: BTreeSet<u64>,
}

/// One connection per annotator; they end with it.
#[derive(Debug)]
pub(super) struct Listeners {
    runtime: Runtime,
    heard: Vec<Arc<Mutex<Heard>>>,
}

impl Listeners {
    /// Connects all of `clients` and waits until they are in their room.
    ///
    /// # Errors
    /// [`BenchError::Process`] where the server lets somebody wait too long.
    pub fn connect(clients: &[Client]) -> Result<Self, BenchError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| failed("start the live connections", error))?;
        let begin = |client: &Client| {
            let heard = Arc::<Mutex<Heard>>::default();
            runtime.spawn(stay(client.clone(), Arc::clone(&heard)));
            heard
        };
        let heard = clients.iter().map(begin).collect();
        let listeners = Self { runtime, heard };
        if listeners.wait(|heard| heard.welcome) {
            Ok(listeners)
        } else {
            Err(failed("connect the annotators", "the room is silent"))
        }
    }

    /// Waits until all have heard all of `events`, and ends the connections. Returns how many are missing,
    /// all connections together.
    pub fn close(self, events: &[Numbered]) -> usize {
        let missing = |heard: &Heard| {
            events.iter().filter(|event| !heard.events.contains(&event.sequence)).count()
        };
        self.wait(|heard| missing(heard) == 0);
        let unheard = self.heard.iter().map(|heard| missing(&lock(heard))).sum();
        self.runtime.shutdown_background();
        unheard
    }

    /// Whether something comes true for all connections in time.
    fn wait(&self, reached: impl Fn(&Heard) -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            if self.heard.iter().all(|heard| reached(&lock(heard))) {
                return true;
            }
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What was heard is whole whoever panicked.
fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that is taken up again whenever it ends.
async fn stay(client: Client, heard: Arc<Mutex<Heard>>) {
    let mut since = 0;
    loop {
        // A broken connection is what is expected of a server that was killed.
        let _ = listen(&client, &mut since, &heard).await;
        sleep(PAUSE).await;
    }
}

async fn listen(
    client: &Client,
    since: &mut u64,
    heard: &Mutex<Heard>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (mut socket, _) = connect_async(client.socket_url()).await?;
    let hello = ClientMessage::Hello { token: client.token().to_owned(), since: *since };
    socket.send(Message::text(serde_json::to_string(&hello)?)).await?;
    let mut beat = interval_at(Moment::now() + HEARTBEAT, HEARTBEAT);
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            _ = beat.tick() => {
                let here = ClientMessage::Looking { item: None, idle_seconds: 0 };
                socket.send(Message::text(serde_json::to_string(&here)?)).await?;
                continue;
            }
        };
        let Some(message) = message.transpose()? else { return Ok(()) };
        let Message::Text(text) = message else { continue };
        let message = serde_json::from_str(&text)?;
        let mut heard = lock(heard);
        heard.welcome = true;
        if let RoomMessage::Events { events, sequence } = message {
            heard.events.extend(events.iter().map(|event| event.sequence));
            *since = sequence;
        }
    }
}
