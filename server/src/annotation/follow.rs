//! Open rooms follow what happens by itself: what other servers on the same database do, and leases that
//! end.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};

use super::Room;
use crate::store::{News, StoreError};

/// Rooms by project.
pub(super) type Open = Mutex<HashMap<String, Arc<Mutex<Room>>>>;

/// How often is looked who is still connected to a server that may have ended without a word.
const LOOK: Duration = Duration::from_secs(10);

/// How often is looked for leases that have ended.
const ENDED: Duration = Duration::from_secs(5);

/// What of a room may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changed {
    Project,
    Presence,
    Everything,
}

/// Keeps the rooms up to date for as long as they are there and the store is.
pub(super) async fn follow(open: Weak<Open>, mut news: Receiver<News>) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (project, changed) = tokio::select! {
            heard = news.recv() => match heard {
                Ok(News::Project(project)) => (Some(project), Changed::Project),
                Ok(News::Presence(project)) => (Some(project), Changed::Presence),
                Ok(News::Surveys) => continue,
                Ok(News::Anything) | Err(RecvError::Lagged(_)) => (None, Changed::Everything),
                Err(RecvError::Closed) => return,
            },
            _ = look.tick() => (None, Changed::Presence),
        };
        let Some(open) = open.upgrade() else { return };
        let rooms: Vec<_> = {
            let open = open.lock().await;
            match &project {
                Some(project) => open.get(project).cloned().into_iter().collect(),
                None => open.values().cloned().collect(),
            }
        };
        // Not held while waiting: the store may end.
        drop(open);
        for room in rooms {
            let mut room = room.lock().await;
            if let Err(error) = refresh(&mut room, changed).await {
                // Whoever acts in the room looks again first, and so does the next news.
                tracing::warn!(project = room.id, code = error.code(), "{error}");
            }
        }
    }
}

/// Tells who waits for an item when a lease has ended, for as long as the rooms are there: nobody does
/// anything then of which they would hear.
pub(super) async fn watch_leases(open: Weak<Open>) {
    let mut look = interval(ENDED);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let Some(open) = open.upgrade() else { return };
        let rooms: Vec<_> = open.lock().await.values().cloned().collect();
        drop(open);
        for room in rooms {
            room.lock().await.tell_of_ended_leases();
        }
    }
}

async fn refresh(room: &mut Room, changed: Changed) -> Result<(), StoreError> {
    if changed != Changed::Presence {
        room.refresh().await?;
    }
    if changed != Changed::Project {
        room.refresh_presence().await?;
    }
    Ok(())
}
