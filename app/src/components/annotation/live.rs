//! How a desk and the server keep in step: the live room, the outbox, the items fetched ahead.
//!
//! Each is a loop that ends when the page is left. A connection that breaks is taken up again after a
//! pause that grows; the room is told the number of the last event, and sends what came since.

use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::{AbortHandle, Abortable, join3};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::{AHEAD, Desk};
use crate::api::ApiError;
use crate::api::annotation::{MOST_SUBMISSIONS, NextRequest, RoomMessage};
use crate::browser::pause;

/// The shortest and the longest pause before another try.
pub const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// How often the room is told that the member is still here.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Keeps `desk` in step until the current owner is cleaned up. Only in the browser.
pub fn keep_in_step(desk: Desk, woken: mpsc::UnboundedReceiver<()>) {
    let (stop, registration) = AbortHandle::new_pair();
    let work = join3(follow(desk), hand_in(desk, woken), heartbeat(desk));
    spawn_local(async move {
        // Ends by the page's end only.
        let _ = Abortable::new(work, registration).await;
    });
    on_cleanup(move || stop.abort());
}

/// The live room.
async fn follow(desk: Desk) {
    let mut wait = PAUSES.0;
    loop {
        let (annotation, key) = (desk.annotation.get_value(), desk.key.get_value());
        if let Ok((mut messages, speaker)) = annotation.enter(key, desk.sequence.get_value()).await
        {
            desk.speaker.set_value(Some(speaker));
            desk.renew();
            while let Some(Ok(message)) = messages.next().await {
                if !desk.connected.get_untracked() {
                    desk.connected.set(true);
                    wait = PAUSES.0;
                }
                if let Some(refusal) = take_in(desk, message) {
                    desk.refuse(refusal);
                    desk.connected.set(false);
                    return;
                }
            }
        }
        desk.speaker.set_value(None);
        desk.connected.set(false);
        desk.present.set(Vec::new());
        pause(wait).await;
        wait = (wait * 2).min(PAUSES.1);
    }
}

/// Takes a message in. Returns why the room doesn't let this browser in, if so.
fn take_in(desk: Desk, message: RoomMessage) -> Option<ApiError> {
    match message {
        RoomMessage::Events { events, sequence } => {
            desk.state.update(|state| {
                for numbered in &events {
                    state.apply(&numbered.event);
                }
            });
            desk.sequence.set_value(sequence);
        }
        RoomMessage::Members { members } => desk.members.set(members),
        RoomMessage::Presence { present } => desk.present.set(present),
        RoomMessage::Items if desk.exhausted.get_untracked() => desk.wake(),
        RoomMessage::Items | RoomMessage::Heard => {}
        RoomMessage::Refused { error } => return Some(error),
    }
    None
}

/// Hands in what is in the outbox, and fetches items ahead, each time there may be something to do.
async fn hand_in(desk: Desk, woken: mpsc::UnboundedReceiver<()>) {
    // Many reasons to look are one.
    let mut woken = woken.ready_chunks(64);
    let mut wait = PAUSES.0;
    while woken.next().await.is_some() {
        while let Err(error) = step(desk).await {
            if !is_passing(&error) {
                desk.refuse(error);
                break;
            }
            pause(wait).await;
            wait = (wait * 2).min(PAUSES.1);
        }
        wait = PAUSES.0;
    }
}

/// Whether trying again may help: the network or the server is in trouble, not the request.
pub fn is_passing(error: &ApiError) -> bool {
    let codes = ["unreachable", "database", "disk-full", "http-502", "http-503", "http-504"];
    codes.contains(&error.code.as_str())
}

async fn step(desk: Desk) -> Result<(), ApiError> {
    let (annotation, key) = (desk.annotation.get_value(), desk.key.get_value());
    loop {
        let batch: Vec<_> =
            desk.outbox.with_untracked(|o| o.iter().take(MOST_SUBMISSIONS).cloned().collect());
        if batch.is_empty() {
            break;
        }
        let outcomes = annotation.submit(key.clone(), batch.clone()).await?;
        for (submission, outcome) in batch.iter().zip(outcomes) {
            desk.settle(submission, outcome);
        }
    }
    let may_judge = untrack(|| desk.member()).is_some_and(|member| member.role.judges());
    if may_judge && desk.needs_items() {
        let request = NextRequest { wanted: AHEAD, idle_seconds: desk.idle_seconds() };
        desk.refill(annotation.next(key, request).await?);
    }
    Ok(())
}

/// Says now and then that the member is still here; and looks for items that have become free.
async fn heartbeat(desk: Desk) {
    loop {
        pause(HEARTBEAT).await;
        desk.renew();
        desk.wake();
    }
}
