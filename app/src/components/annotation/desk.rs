//! What this browser holds of a project while somebody works in it. No view here.
//!
//! What the member does shows at once and goes into the outbox; the outbox is handed in as long as it
//! takes ([`super::live`]). The fold of events takes the server's own event in place of ours when it
//! arrives, whatever the order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use domain::annotation::{
    Act, Attention, Event, Item, ItemId, ItemInfo, Judgement, Label, LabelId, Member, MemberId,
    ProjectSettings, SkipReason, State, SubmissionId,
};
use futures::channel::mpsc;
use leptos::prelude::*;

use super::draft::Draft;
use super::outbox::{self, Left, Owner as OutboxOwner, Refused};
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
    /// Whether this browser keeps all that has still to be handed in; some refuse, or have no room.
    pub kept: RwSignal<bool>,
    /// Comments that are being written, by item: they outlast the item's place on the screen.
    pub drafts: RwSignal<BTreeMap<ItemId, Draft>>,
    /// Whether the live connection stands.
    pub connected: RwSignal<bool>,
    /// What went wrong, newest last.
    pub refusals: RwSignal<Vec<ApiError>>,
    /// What the server didn't accept, until the person discards it.
    pub refused: RwSignal<Vec<Refused>>,
    /// The item whose judgement can be taken back.
    pub judged: RwSignal<Option<Item>>,
    pub(super) annotation: StoredValue<Arc<dyn Annotation>>,
    pub(super) key: StoredValue<Key>,
    pub(super) sequence: StoredValue<u64>,
    pub(super) speaker: StoredValue<Option<Speaker>>,
    waker: StoredValue<mpsc::UnboundedSender<()>>,
    number: StoredValue<u64>,
    shown_at: StoredValue<f64>,
    acted_at: StoredValue<f64>,
    /// Whether the items here may have gone to others while nothing was done.
    stale: StoredValue<bool>,
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
            kept: RwSignal::new(true),
            drafts: RwSignal::default(),
            connected: RwSignal::new(false),
            refusals: RwSignal::default(),
            refused: RwSignal::default(),
            judged: RwSignal::default(),
            annotation: StoredValue::new(annotation),
            key: StoredValue::new(key),
            sequence: StoredValue::new(0),
            speaker: StoredValue::new(None),
            waker: StoredValue::new(waker),
            number: StoredValue::new(0),
            shown_at: StoredValue::new(browser::milliseconds()),
            acted_at: StoredValue::new(browser::milliseconds()),
            stale: StoredValue::new(false),
        };
        desk.reload_outbox();
        (desk, woken)
    }

    /// Takes up what an earlier visit couldn't hand in.
    fn reload_outbox(self) {
        let owner = self.outbox_owner();
        let kept = outbox::load(&owner);
        // Later than all before, also where the clock was set back since.
        let number = browser::wall_clock().unsigned_abs().max(outbox::last_number(&owner));
        self.number.set_value(number);
        self.refused.set(outbox::load_refused(&owner));
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

    /// Notes what this member knows now, and asks for items of that.
    pub(super) fn knows_now(self, member: Member) {
        self.members.update(|members| {
            members.iter_mut().filter(|known| known.id == member.id).for_each(|known| {
                known.clone_from(&member);
            });
        });
        self.queue.update(|queue| {
            let front = queue.front().map(|item| item.id.clone());
            queue.retain(|item| {
                Some(&item.id) == front.as_ref() || member.cultures.contains(&item.culture)
            });
        });
        self.exhausted.set(false);
        self.wake();
    }

    /// What a member is called. Tracks.
    pub fn name_of(self, member: &MemberId) -> String {
        self.members.with(|members| {
            let known = members.iter().find(|known| known.id == *member);
            known.map_or_else(|| "Somebody".to_owned(), Member::shown_name)
        })
    }

    /// Judges the current item, says what was written about it, and goes on to the next.
    pub fn judge(self, label: LabelId, option: Option<u32>) {
        let Some(item) = self.queue.with_untracked(|queue| queue.front().cloned()) else { return };
        let since = browser::milliseconds() - self.shown_at.get_value();
        let milliseconds = since.clamp(0.0, f64::from(u32::MAX)) as u32;
        self.say_or_tell(&item.id);
        self.act(&item.id, Act::Judged(Judgement { label, option, milliseconds }));
        self.go_on(Some(item));
    }

    /// Skips the current item, says what was written about it, and goes on to the next.
    pub fn skip(self, reason: SkipReason) {
        let Some(item) = self.queue.with_untracked(|queue| queue.front().cloned()) else { return };
        self.say_or_tell(&item.id);
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

    fn outbox_owner(self) -> OutboxOwner {
        self.project.with_value(|project| OutboxOwner {
            project: project.id.clone(),
            member: project.me.clone(),
        })
    }

    /// How long nothing was done here, in seconds.
    pub(super) fn idle_seconds(self) -> u32 {
        let idle = (browser::milliseconds() - self.acted_at.get_value()) / 1000.0;
        idle.clamp(0.0, f64::from(u32::MAX)) as u32
    }

    /// Notes that the person is at work: whatever they do at this page shows it. Who comes back after a
    /// while has items that may have gone to others, so that the room is told and asked at once.
    pub(super) fn is_at_work(self) {
        let idle = i64::from(self.idle_seconds()) * 1000;
        self.acted_at.set_value(browser::milliseconds());
        if Attention::after(idle) != Attention::Active {
            self.stale.set_value(true);
            self.renew();
            self.wake();
        }
    }

    /// Whether items are to be asked for: there are few, or they may have gone to others.
    pub(super) fn needs_items(self) -> bool {
        let waiting = self.queue.with_untracked(VecDeque::len);
        waiting <= AHEAD / 2 || self.stale.get_value()
    }

    /// Does something to an item: it shows at once, and is handed in.
    pub fn act(self, item: &ItemId, act: Act) {
        self.is_at_work();
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
        let kept = outbox::keep(&self.outbox_owner(), number.unwrap_or(0), &submission);
        if !kept {
            self.kept.set(false);
        }
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

    /// Notes what became of a submission. What was refused stays where the person sees it.
    pub(super) fn settle(self, submission: &Submission, outcome: Outcome) {
        let kept = match &outcome {
            // First: between the two it is kept twice rather than nowhere.
            Outcome::Refused { error } => self.keep_refused(submission, error.clone()),
            Outcome::Accepted { .. } => true,
        };
        outbox::forget(&self.outbox_owner(), submission);
        self.outbox.update(|outbox| outbox.retain(|other| other.id != submission.id));
        if !kept {
            self.kept.set(false);
        } else if self.outbox.with_untracked(Vec::is_empty) {
            // Nothing is left that a closed page would lose.
            self.kept.set(true);
        }
        self.state.update(|state| match &outcome {
            Outcome::Accepted { event } => {
                state.apply(&event.event);
            }
            Outcome::Refused { .. } => state.retract(&submission.item, &submission.id),
        });
    }

    /// Returns whether what has to be kept of it is.
    fn keep_refused(self, submission: &Submission, error: ApiError) -> bool {
        if submission.act == Act::Undone {
            // It was to be judged again, and is others' now.
            self.queue.update(|queue| queue.retain(|item| item.id != submission.item));
        }
        match self.refused.with_untracked(|refused| outbox::left_of(submission, refused)) {
            Left::Nothing => true,
            Left::Reason => {
                self.refuse(error);
                true
            }
            Left::Content => {
                let refused = Refused { submission: submission.clone(), error };
                let kept = outbox::keep_refused(&self.outbox_owner(), &refused);
                self.refused.update(|all| all.push(refused));
                kept
            }
        }
    }

    /// Forgets what was refused, as the person wishes.
    pub fn discard(self, refused: &Refused) {
        outbox::forget_refused(&self.outbox_owner(), refused);
        self.refused.update(|all| all.retain(|other| other != refused));
    }

    /// Shows a refusal, once where the same comes again and again.
    pub(super) fn refuse(self, error: ApiError) {
        if self.refusals.with_untracked(|refusals| refusals.last() != Some(&error)) {
            self.refusals.update(|refusals| refusals.push(error));
        }
    }

    /// Adds items to judge; those that are here or that the member has judged are left out. After a while
    /// of doing nothing they take the place of those that are here, but for the one on the screen.
    pub(super) fn refill(self, items: Vec<Item>) {
        let me = self.me();
        if self.stale.get_value() {
            self.stale.set_value(false);
            let given = |item: &Item| items.iter().any(|given| given.id == item.id);
            self.queue.update(|queue| {
                let mut place = 0;
                queue.retain(|item| {
                    place += 1;
                    place == 1 || given(item)
                });
            });
        }
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
            speak(ClientMessage::Looking { item, idle_seconds: self.idle_seconds() });
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
