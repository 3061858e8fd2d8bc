//! What this browser holds of a project while somebody works in it. No view here.
//!
//! What the member does shows at once and goes into the outbox; the outbox is handed in as long as it
//! takes ([`super::live`]). The fold of events takes the server's own event in place of ours when it
//! arrives, whatever the order.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::annotation::{
    Act, Event, Item, ItemId, ItemInfo, Judgement, Label, LabelId, Member, MemberId,
    ProjectSettings, SkipReason, State, SubmissionId,
};
use futures::channel::mpsc;
use leptos::prelude::*;

use super::outbox;
use crate::api::ApiError;
use crate::api::annotation::{ClientMessage, Outcome, Present, Project, Submission};
use crate::backend::annotation::{Annotation, Key, Speaker};
use crate::browser;

/// Items that are fetched ahead, so that the next one shows at once.
pub const AHEAD: usize = 10;

/// A project at work; a handle that can be copied.
#[derive(Clone, Copy)]
pub struct Desk {
    /// The project as it was when it was opened; settings, members and events change.
    pub project: StoredValue<Project>,
    /// What the project asks for.
    pub settings: Memo<ProjectSettings>,
    /// Everybody who takes or took part.
    pub members: RwSignal<Vec<Member>>,
    /// Who is here.
    pub present: RwSignal<Vec<Present>>,
    /// Where the project stands, as far as this browser knows.
    pub state: RwSignal<State>,
    /// Items to judge, the current one first.
    pub queue: RwSignal<VecDeque<Item>>,
    /// Whether the server had nothing more to judge.
    pub exhausted: RwSignal<bool>,
    /// What has still to be handed in.
    pub outbox: RwSignal<Vec<Submission>>,
    /// Whether the live connection stands.
    pub connected: RwSignal<bool>,
    /// What was refused, newest last.
    pub refusals: RwSignal<Vec<ApiError>>,
    /// The item whose judgement can be taken back.
    pub judged: RwSignal<Option<Item>>,
    pub(super) annotation: StoredValue<Arc<dyn Annotation>>,
    pub(super) key: StoredValue<Key>,
    pub(super) sequence: StoredValue<u64>,
    pub(super) speaker: StoredValue<Option<Speaker>>,
    waker: StoredValue<mpsc::UnboundedSender<()>>,
    number: StoredValue<u64>,
    shown_at: StoredValue<f64>,
}

impl Desk {
    /// A desk for `project`, and what tells that there is something to hand in.
    pub fn new(
        project: Project,
        key: Key,
        annotation: Arc<dyn Annotation>,
    ) -> (Self, mpsc::UnboundedReceiver<()>) {
        let (waker, woken) = mpsc::unbounded();
        let (state, first) = (RwSignal::new(State::default()), project.settings.clone());
        let desk = Self {
            members: RwSignal::new(project.members.clone()),
            project: StoredValue::new(project),
            settings: Memo::new(move |_| {
                let changed = state.with(|state| state.change().map(|(_, now)| now.clone()));
                changed.unwrap_or_else(|| first.clone())
            }),
            present: RwSignal::default(),
            state,
            queue: RwSignal::default(),
            exhausted: RwSignal::new(false),
            outbox: RwSignal::default(),
            connected: RwSignal::new(false),
            refusals: RwSignal::default(),
            judged: RwSignal::default(),
            annotation: StoredValue::new(annotation),
            key: StoredValue::new(key),
            sequence: StoredValue::new(0),
            speaker: StoredValue::new(None),
            waker: StoredValue::new(waker),
            number: StoredValue::new(browser::wall_clock().unsigned_abs()),
            shown_at: StoredValue::new(browser::milliseconds()),
        };
        desk.reload_outbox();
        (desk, woken)
    }

    /// Takes up what an earlier visit couldn't hand in.
    fn reload_outbox(self) {
        let kept = self.key.with_value(|key| outbox::load(&key.project));
        self.state.update(|state| {
            for submission in &kept {
                state.apply(&self.event_of(submission));
            }
        });
        self.outbox.set(kept);
        self.wake();
    }

    /// The labels to choose from. Tracks.
    pub fn labels(self) -> Vec<Label> {
        self.settings.with(|settings| settings.labels.clone())
    }

    /// All items without their texts. Tracks the settings.
    pub fn with_items<T>(self, read: impl FnOnce(&ProjectSettings, &[ItemInfo]) -> T) -> T {
        self.settings
            .with(|settings| self.project.with_value(|project| read(settings, &project.items)))
    }

    /// Who this browser is here.
    pub fn me(self) -> MemberId {
        self.project.with_value(|project| project.me.clone())
    }

    /// The member that this browser is. Tracks.
    pub fn member(self) -> Option<Member> {
        let me = self.me();
        self.members.with(|members| members.iter().find(|member| member.id == me).cloned())
    }

    /// What a member is called. Tracks.
    pub fn name_of(self, member: &MemberId) -> String {
        self.members.with(|members| {
            let known = members.iter().find(|known| known.id == *member);
            known.map_or_else(|| "Somebody".to_owned(), Member::shown_name)
        })
    }

    /// Judges the current item and goes on to the next.
    pub fn judge(self, label: LabelId, option: Option<u32>) {
        let Some(item) = self.queue.with_untracked(|queue| queue.front().cloned()) else { return };
        let since = browser::milliseconds() - self.shown_at.get_value();
        let milliseconds = since.clamp(0.0, f64::from(u32::MAX)) as u32;
        self.act(&item.id, Act::Judged(Judgement { label, option, milliseconds }));
        self.go_on(Some(item));
    }

    /// Skips the current item and goes on to the next.
    pub fn skip(self, reason: SkipReason) {
        let Some(item) = self.queue.with_untracked(|queue| queue.front().cloned()) else { return };
        self.act(&item.id, Act::Skipped { reason });
        self.go_on(Some(item));
    }

    /// Takes the last judgement or skip back: its item is the current one again.
    pub fn undo(self) {
        let Some(item) = self.judged.get_untracked() else { return };
        self.act(&item.id, Act::Undone);
        self.queue.update(|queue| queue.push_front(item));
        self.judged.set(None);
        self.exhausted.set(false);
        self.look();
    }

    fn go_on(self, judged: Option<Item>) {
        self.judged.set(judged);
        self.queue.update(|queue| {
            queue.pop_front();
        });
        self.look();
        self.wake();
    }

    /// Does something to an item: it shows at once, and is handed in.
    pub fn act(self, item: &ItemId, act: Act) {
        let replaces = self.state.with_untracked(|state| {
            let record = state.record(item)?;
            let last = match act {
                Act::Judged(_) | Act::Undone | Act::Skipped { .. } => record.last_act(&self.me()),
                Act::Adjudicated(_) | Act::Reopened => {
                    record.adjudication().map(|(event, _)| event)
                }
                _ => None,
            };
            last.map(|event| event.submission.clone())
        });
        let id = SubmissionId::from(browser::random_text().as_str());
        let submission = Submission { id, item: item.clone(), replaces, act };
        let number = self.number.try_update_value(|number| {
            *number += 1;
            *number
        });
        self.key.with_value(|key| outbox::keep(&key.project, number.unwrap_or(0), &submission));
        self.state.update(|state| {
            state.apply(&self.event_of(&submission));
        });
        self.outbox.update(|outbox| outbox.push(submission));
        self.wake();
    }

    /// What a submission becomes, as far as can be known before the server says so: its time is later
    /// than any, so that it gives way to the server's own event.
    fn event_of(self, submission: &Submission) -> Event {
        Event {
            submission: submission.id.clone(),
            author: self.me(),
            at: i64::MAX,
            item: Some(submission.item.clone()),
            replaces: submission.replaces.clone(),
            act: submission.act.clone(),
        }
    }

    /// Notes what became of a submission.
    pub(super) fn settle(self, submission: &Submission, outcome: Outcome) {
        self.key.with_value(|key| outbox::forget(&key.project, submission));
        self.outbox.update(|outbox| outbox.retain(|other| other.id != submission.id));
        self.state.update(|state| match &outcome {
            Outcome::Accepted { event } => {
                state.apply(&event.event);
            }
            Outcome::Refused { .. } => state.retract(&submission.item, &submission.id),
        });
        if let Outcome::Refused { error } = outcome {
            self.refuse(error);
        }
    }

    /// Shows a refusal, once where the same comes again and again.
    pub(super) fn refuse(self, error: ApiError) {
        if self.refusals.with_untracked(|refusals| refusals.last() != Some(&error)) {
            self.refusals.update(|refusals| refusals.push(error));
        }
    }

    /// Adds items to judge; those that are here or that the member has judged are left out.
    pub(super) fn refill(self, items: Vec<Item>) {
        let me = self.me();
        let fresh = |item: &Item| {
            let waiting =
                self.queue.with_untracked(|queue| queue.iter().any(|other| other.id == item.id));
            let judged = self.state.with_untracked(|state| {
                state.record(&item.id).is_some_and(|record| record.word(&me).is_some())
            });
            !waiting && !judged
        };
        let items: Vec<Item> = items.into_iter().filter(fresh).collect();
        let began = self.queue.with_untracked(VecDeque::is_empty) && !items.is_empty();
        self.exhausted.set(items.is_empty());
        if !items.is_empty() {
            self.queue.update(|queue| queue.extend(items));
        }
        if began {
            self.look();
        }
    }

    /// Tells the room which item is looked at now, and begins to measure the time.
    pub fn look(self) {
        self.shown_at.set_value(browser::milliseconds());
        self.renew();
    }

    /// Tells the room again, which renews what is kept for the member.
    pub(super) fn renew(self) {
        let item = self.queue.with_untracked(|queue| queue.front().map(|item| item.id.clone()));
        if let Some(speak) = self.speaker.get_value() {
            speak(ClientMessage::Looking { item });
        }
    }

    /// Lets what waits be looked at: the outbox, and whether items are to be fetched.
    pub(super) fn wake(self) {
        self.waker.with_value(|waker| {
            // Nobody listens once the page is left.
            let _ = waker.unbounded_send(());
        });
    }
}
