//! How a desk and the server keep in step: the live room, the outbox, the items fetched ahead.
//!
//! Each is a loop that ends when the page is left. A connection that breaks is taken up again after a
//! pause that grows; the room is told the number of the last event, and sends what came since. What a person
//! does at the page is heard here too: items are kept for who is at work.

use std::pin::Pin;
use std::time::Duration;

use domain::annotation::Act;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::{AbortHandle, Abortable, Either, join3, select};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::desk::{AHEAD, Desk};
use super::outbox::Batches;
use crate::api::ApiError;
use crate::api::annotation::{NextRequest, Outcome, RoomMessage};
use crate::backend::Events;
use crate::browser::{self, pause};

/// The shortest and the longest pause before another try.
pub const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// How often the room is told that the member is still here.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// So many times in a row nothing may come from the room before a connection counts as broken, whatever
/// the browser believes: it answers each time. Not a time, since a page out of sight counts slower.
const UNANSWERED: u32 = 3;

/// Keeps `desk` in step until the current owner is cleaned up. Only in the browser.
pub fn keep_in_step(desk: Desk, woken: mpsc::UnboundedReceiver<()>) {
    let (stop, registration) = AbortHandle::new_pair();
    let work = join3(follow(desk), hand_in(desk, woken), look_now_and_then(desk));
    spawn_local(async move {
        // Ends by the page's end only.
        let _ = Abortable::new(work, registration).await;
    });
    on_cleanup(move || stop.abort());
    hear_activity(desk);
}

/// Whatever somebody does at the page: they may read for long before they judge, or wait for an item.
fn hear_activity(desk: Desk) {
    for name in ["pointerdown", "pointermove", "keydown", "visibilitychange"] {
        let at_work = move |_| {
            if browser::is_visible() {
                desk.is_at_work();
            }
        };
        let listener = window_event_listener_untyped(name, at_work);
        on_cleanup(move || listener.remove());
    }
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
            let mut pulse = Pulse::default();
            let beat = || Box::pin(pause(HEARTBEAT)) as Beat;
            let renew = || desk.renew();
            while let Some(message) = pulse.next(&mut messages, beat, renew).await {
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

/// Runs out when the room is to be told again that the member is here.
type Beat = Pin<Box<dyn Future<Output = ()>>>;

/// The signs of life of one connection, both ways.
#[derive(Default)]
struct Pulse {
    /// What is left of the pause between two signs.
    beat: Option<Beat>,
    unanswered: u32,
}

impl Pulse {
    /// The next message; until it comes `renew` gives a sign of life after each `beat`. `None` where the
    /// connection has ended or nothing answers any more.
    async fn next(
        &mut self,
        messages: &mut Events<RoomMessage>,
        beat: impl Fn() -> Beat,
        renew: impl Fn(),
    ) -> Option<RoomMessage> {
        loop {
            let pause = self.beat.take().unwrap_or_else(&beat);
            match select(messages.next(), pause).await {
                Either::Left((message, pause)) => {
                    (self.beat, self.unanswered) = (Some(pause), 0);
                    return message?.ok();
                }
                Either::Right(_) if self.unanswered == UNANSWERED => return None,
                Either::Right(_) => {
                    self.unanswered += 1;
                    renew();
                }
            }
        }
    }
}

/// Takes a message in. Returns why the room doesn't let this browser in, if so.
fn take_in(desk: Desk, message: RoomMessage) -> Option<ApiError> {
    match message {
        RoomMessage::Events { events, sequence } => {
            let frees = events.iter().any(|numbered| may_free_items(&numbered.event.act));
            desk.state.update(|state| {
                for numbered in &events {
                    state.apply(&numbered.event);
                }
            });
            desk.sequence.set_value(sequence);
            if frees {
                look_for_items(desk);
            }
        }
        RoomMessage::Members { members } => {
            desk.members.set(members);
            look_for_items(desk);
        }
        RoomMessage::Presence { present } => desk.present.set(present),
        RoomMessage::Items => look_for_items(desk),
        RoomMessage::Heard => {}
        RoomMessage::Refused { error } => return Some(error),
    }
    None
}

/// Whether somebody else may have an item to judge now that this was done. Judgements are most of what
/// happens, and free none: each of them would else let everybody who waits ask at once.
fn may_free_items(act: &Act) -> bool {
    match act {
        Act::Undone | Act::Skipped { .. } | Act::Reopened | Act::Changed(_) | Act::Left => true,
        Act::Judged(_) | Act::Commented { .. } | Act::Adjudicated(_) | Act::Hidden { .. } => false,
    }
}

/// Asks for items at once, where there were none before.
fn look_for_items(desk: Desk) {
    if desk.exhausted.get_untracked() {
        desk.wake();
    }
}

/// Hands in what is in the outbox, and fetches items ahead, each time there may be something to do.
async fn hand_in(desk: Desk, woken: mpsc::UnboundedReceiver<()>) {
    // Many reasons to look are one.
    let mut woken = woken.ready_chunks(64);
    let mut wait = PAUSES.0;
    while woken.next().await.is_some() {
        while let Err(error) = step(desk).await {
            if !error.is_passing() {
                desk.refuse(error);
                break;
            }
            pause(wait).await;
            wait = (wait * 2).min(PAUSES.1);
        }
        wait = PAUSES.0;
    }
}

async fn step(desk: Desk) -> Result<(), ApiError> {
    let (annotation, key) = (desk.annotation.get_value(), desk.key.get_value());
    let mut batches = Batches::default();
    loop {
        let batch = desk.outbox.with_untracked(|waiting| batches.next(waiting));
        let Some(first) = batch.first().cloned() else { break };
        let size = batch.len();
        match annotation.submit(key.clone(), batch.clone()).await {
            Ok(outcomes) => {
                batches.went(size);
                for (submission, outcome) in batch.iter().zip(outcomes) {
                    desk.settle(submission, outcome);
                }
            }
            Err(error) if error.is_about_content() => {
                if !batches.was_refused(size) {
                    desk.settle(&first, Outcome::Refused { error });
                }
            }
            Err(error) => return Err(error),
        }
    }
    let may_judge = untrack(|| desk.member()).is_some_and(|member| member.role.judges());
    if may_judge && desk.needs_items() {
        let request = NextRequest { wanted: AHEAD, idle_seconds: desk.idle_seconds() };
        desk.refill(annotation.next(key, request).await?);
    }
    Ok(())
}

/// Looks for items that have become free, and hands in what is left, also where nothing told of it.
async fn look_now_and_then(desk: Desk) {
    loop {
        pause(HEARTBEAT).await;
        desk.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use domain::annotation::{Judgement, SkipReason};
    use futures::executor::block_on;
    use futures::{future, stream};

    #[test]
    fn a_room_that_answers_nothing_any_more_is_left_and_one_that_speaks_is_not() {
        let said = Cell::new(0);
        let renew = || said.set(said.get() + 1);
        let at_once = || Box::pin(future::ready(())) as Beat;
        let mut silent: Events<RoomMessage> = Box::pin(stream::pending());
        let mut pulse = Pulse::default();
        assert_eq!(block_on(pulse.next(&mut silent, at_once, renew)), None);
        assert_eq!(said.get(), UNANSWERED, "it was asked before");
        // Each message is a sign of life: the count begins anew.
        let heard = stream::iter([Ok(RoomMessage::Heard), Ok(RoomMessage::Items)]);
        let mut speaking: Events<RoomMessage> = Box::pin(heard.chain(stream::pending()));
        let mut pulse = Pulse { beat: None, unanswered: UNANSWERED };
        for expect in [RoomMessage::Heard, RoomMessage::Items] {
            assert_eq!(block_on(pulse.next(&mut speaking, at_once, renew)), Some(expect));
            assert_eq!(pulse.unanswered, 0);
        }
        let mut ended: Events<RoomMessage> = Box::pin(stream::empty());
        assert_eq!(block_on(Pulse::default().next(&mut ended, at_once, renew)), None);
        assert_eq!(said.get(), UNANSWERED);
    }

    #[test]
    fn only_trouble_on_the_way_or_at_the_server_passes() {
        let error = |code: &str, status| ApiError {
            code: code.to_owned(),
            message: "no".to_owned(),
            hint: None,
            status,
        };
        for (code, status, passing, about_content) in [
            ("unreachable", None, true, false),
            ("no-key", None, false, false),
            ("database", Some(500), true, false),
            ("database-unreachable", Some(503), true, false),
            ("disk-full", Some(507), true, false),
            ("http-502", Some(502), true, false),
            ("busy", Some(429), true, false),
            ("role", Some(403), false, false),
            ("unknown-project", Some(404), false, false),
            ("invalid-json", Some(400), false, true),
            ("http-413", Some(413), false, true),
            ("comment-length", Some(422), false, true),
        ] {
            let error = error(code, status);
            let found = (error.is_passing(), error.is_about_content());
            assert_eq!(found, (passing, about_content), "{code}");
        }
    }

    #[test]
    fn who_waits_asks_when_an_item_may_be_free_and_not_at_every_judgement() {
        let judgement = Judgement::of("right".into());
        for (act, frees) in [
            (Act::Skipped { reason: SkipReason::Undecided }, true),
            (Act::Undone, true),
            (Act::Left, true),
            (Act::Judged(judgement.clone()), false),
            (Act::Adjudicated(judgement), false),
        ] {
            assert_eq!(may_free_items(&act), frees, "{act:?}");
        }
    }
}
