//! Where a project stands: a fold of its events.
//!
//! **Rules**, which make the order and the number of arrivals irrelevant:
//! - events are a set, keyed by their submission; of two different events under one submission (which
//!   the server never stores) the one with content is kept, then the lesser;
//! - an author's word on an item is, of their own acts of judging that no other of their acts on the
//!   item replaces, the one with the greatest time, then the greatest submission; so nobody's word
//!   replaces another's;
//! - an item's decision is found alike among all acts of adjudication, whoever made them;
//! - the project asks for what the latest change says, by time and then by submission.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::event::{Act, Event, HiddenKind, Judgement, SkipReason, SubmissionId};
use super::item::ItemId;
use super::member::MemberId;
use super::project::ProjectSettings;

/// A project's events by item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    records: BTreeMap<ItemId, Record>,
    left: BTreeSet<MemberId>,
    change: Option<Event>,
}

/// The events of one item.
///
/// Who says what follows from the events alone. It is worked out when an act of judging arrives and not
/// whenever it is asked for: pages ask it of thousands of items after every event of anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    events: BTreeMap<SubmissionId, Event>,
    /// Every member's standing act of judging.
    newest: BTreeMap<MemberId, SubmissionId>,
    /// How many of those are judgements, seen or not.
    judged: usize,
}

/// What one member says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word<'a> {
    /// A judgement.
    Judged(&'a Judgement),
    /// A judgement that isn't shown yet.
    Hidden,
    /// No judgement, for a reason.
    Skipped(SkipReason),
}

#[cfg(test)]
thread_local! {
    /// How often all words of an item were read in this thread: what pages with many people and items
    /// cost, without a clock.
    pub(super) static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl State {
    /// The state after `events`.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// Adds an event. Returns whether it changed anything.
    pub fn apply(&mut self, event: &Event) -> bool {
        match &event.item {
            None => match event.act {
                Act::Left => self.left.insert(event.author.clone()),
                Act::Changed(_) => self.apply_change(event),
                _ => false,
            },
            Some(item) => match self.records.get_mut(item) {
                Some(record) => record.apply(event),
                None => self.records.entry(item.clone()).or_default().apply(event),
            },
        }
    }

    fn apply_change(&mut self, event: &Event) -> bool {
        // Of two under one submission and time, which the server never stores, the lesser is kept.
        let newer = self
            .change
            .as_ref()
            .is_none_or(|known| (later(known), Reverse(known)) < (later(event), Reverse(event)));
        if newer {
            self.change = Some(event.clone());
        }
        newer
    }

    /// The latest change of what the project asks for; `None` where it asks for what it began with.
    pub fn change(&self) -> Option<(&Event, &ProjectSettings)> {
        match &self.change {
            Some(event @ Event { act: Act::Changed(settings), .. }) => Some((event, settings)),
            _ => None,
        }
    }

    /// Whether anything was ever judged or decided, taken back or not.
    pub fn is_judged(&self) -> bool {
        let says = |event: &Event| matches!(event.act, Act::Judged(_) | Act::Adjudicated(_));
        self.records.values().flat_map(Record::events).any(says)
    }

    /// Takes back an event that the server never stored.
    pub fn retract(&mut self, item: &ItemId, submission: &SubmissionId) {
        if let Some(record) = self.records.get_mut(item) {
            record.events.remove(submission);
            record.work_out();
        }
    }

    /// The record of `item`; `None` where nothing has happened to it.
    pub fn record(&self, item: &ItemId) -> Option<&Record> {
        self.records.get(item)
    }

    /// All items to which something has happened.
    pub fn records(&self) -> impl Iterator<Item = (&ItemId, &Record)> {
        self.records.iter()
    }

    /// Whether `member` has left for good.
    pub fn has_left(&self, member: &MemberId) -> bool {
        self.left.contains(member)
    }

    /// What an act of `author` on `item` takes the place of: their own act of judging, or the act of
    /// adjudication that stands. The server says so, and no client: whoever could name any act there
    /// could bring a word back that was taken back.
    pub fn replaced_by(
        &self,
        item: &ItemId,
        author: &MemberId,
        act: &Act,
    ) -> Option<&SubmissionId> {
        let record = self.record(item)?;
        let last = match act {
            act if act.is_judging() => record.last_act(author),
            act if act.is_adjudicating() => record.last_adjudicating(),
            _ => None,
        };
        last.map(|event| &event.submission)
    }

    /// How many members have judged `item`.
    pub fn judged_by(&self, item: &ItemId) -> usize {
        self.record(item).map_or(0, Record::judged_by)
    }
}

impl Record {
    fn apply(&mut self, event: &Event) -> bool {
        let rank = |event: &Event| matches!(event.act, Act::Hidden { .. });
        let judging = match self.events.get_mut(&event.submission) {
            None => {
                self.events.insert(event.submission.clone(), event.clone());
                event.act.is_judging()
            }
            Some(known) if (rank(event), event) < (rank(known), known) => {
                let judging = event.act.is_judging() || known.act.is_judging();
                *known = event.clone();
                judging
            }
            Some(_) => return false,
        };
        if judging {
            self.work_out();
        }
        true
    }

    /// Finds every member's standing act of judging anew.
    fn work_out(&mut self) {
        let mut newest: BTreeMap<&MemberId, &Event> = BTreeMap::new();
        for event in self.standing(Act::is_judging, |old, new| old.author == new.author) {
            let place = newest.entry(&event.author).or_insert(event);
            if later(place) < later(event) {
                *place = event;
            }
        }
        let judged = |event: &&&Event| matches!(event.act, Act::Judged(_) | Act::Hidden { .. });
        let count = newest.values().filter(judged).count();
        let owned =
            |(member, event): (&MemberId, &Event)| (member.clone(), event.submission.clone());
        (self.newest, self.judged) = (newest.into_iter().map(owned).collect(), count);
    }

    /// All events, by submission.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.values()
    }

    /// Whether this act has arrived.
    pub fn holds(&self, submission: &SubmissionId) -> bool {
        self.events.contains_key(submission)
    }

    /// The word of every member who has one, with its event.
    pub fn words(&self) -> BTreeMap<&MemberId, (&Event, Word<'_>)> {
        #[cfg(test)]
        LOOKS.set(LOOKS.get() + 1);
        let word = |(author, submission)| {
            let event = self.events.get(submission)?;
            Some((author, (event, word_of(event)?)))
        };
        self.newest.iter().filter_map(word).collect()
    }

    /// The act by which a member last judged, skipped or took back: what their next one replaces.
    pub fn last_act(&self, member: &MemberId) -> Option<&Event> {
        self.events.get(self.newest.get(member)?)
    }

    /// The word of one member, with its event.
    pub fn word(&self, member: &MemberId) -> Option<(&Event, Word<'_>)> {
        let event = self.last_act(member)?;
        Some((event, word_of(event)?))
    }

    /// The judgements that can be seen, by member.
    pub fn judgements(&self) -> BTreeMap<&MemberId, &Judgement> {
        let seen = self.words().into_iter().filter_map(|(member, (_, word))| match word {
            Word::Judged(judgement) => Some((member, judgement)),
            _ => None,
        });
        seen.collect()
    }

    /// How many members have judged, seen or not.
    pub fn judged_by(&self) -> usize {
        self.judged
    }

    /// The decision that stands, with its event.
    pub fn adjudication(&self) -> Option<(&Event, &Judgement)> {
        let newest = self.last_adjudicating()?;
        match &newest.act {
            Act::Adjudicated(judgement) => Some((newest, judgement)),
            _ => None,
        }
    }

    /// The act by which the item was last decided or opened again.
    fn last_adjudicating(&self) -> Option<&Event> {
        self.standing(Act::is_adjudicating, |_, _| true).max_by_key(|event| later(event))
    }

    /// Every judgement, skip and decision there has been, with what took them back, oldest first: also those
    /// that no longer stand.
    pub fn history(&self) -> Vec<&Event> {
        let decides = |act: &Act| match act {
            Act::Judged(_) | Act::Skipped { .. } | Act::Undone => true,
            Act::Adjudicated(_) | Act::Reopened => true,
            Act::Commented { .. } | Act::Hidden { .. } | Act::Changed(_) | Act::Left => false,
        };
        let mut events: Vec<&Event> = self.events().filter(|event| decides(&event.act)).collect();
        events.sort_by_key(|event| later(event));
        events
    }

    /// The comments, oldest first.
    pub fn comments(&self) -> Vec<&Event> {
        let mut comments: Vec<&Event> =
            self.events.values().filter(|event| is_comment(event)).collect();
        comments.sort_by_key(|event| later(event));
        comments
    }

    /// The comments as threads: each that answers none, oldest first, followed by everything that
    /// answers it, directly or not. The flag says which are answers.
    pub fn threads(&self) -> Vec<(&Event, bool)> {
        let comments = self.comments();
        let mut threads = Vec::with_capacity(comments.len());
        for root in comments.iter().filter(|comment| self.root(comment) == comment.submission) {
            threads.push((*root, false));
            let answers = comments.iter().filter(|comment| {
                comment.submission != root.submission && self.root(comment) == root.submission
            });
            threads.extend(answers.map(|answer| (*answer, true)));
        }
        threads
    }

    /// The comment with which the thread of `comment` begins. One that answers what isn't here, or
    /// itself in the end, begins a thread of its own.
    fn root(&self, comment: &Event) -> SubmissionId {
        let (mut current, mut steps) = (comment, 0);
        while let Act::Commented { answers: Some(answered), .. } = &current.act {
            match self.events.get(answered).filter(|before| is_comment(before)) {
                None => break,
                Some(before) if steps < self.events.len() => (current, steps) = (before, steps + 1),
                Some(_) => return comment.submission.clone(),
            }
        }
        current.submission.clone()
    }

    /// The acts of a kind that no other act of that kind replaces, where `may_replace(old, new)`.
    fn standing(
        &self,
        kind: impl Fn(&Act) -> bool,
        may_replace: impl Fn(&Event, &Event) -> bool,
    ) -> impl Iterator<Item = &Event> {
        let replaced: BTreeSet<&SubmissionId> = self
            .events
            .values()
            .filter(|new| kind(&new.act))
            .filter_map(|new| {
                let old = self.events.get(new.replaces.as_ref()?)?;
                let replaces = kind(&old.act) && may_replace(old, new) && old != new;
                replaces.then_some(&old.submission)
            })
            .collect();
        let stands = move |event: &&Event| !replaced.contains(&event.submission);
        self.events.values().filter(move |event| kind(&event.act)).filter(stands)
    }
}

/// What decides between two acts that don't know of each other.
fn later(event: &Event) -> (i64, &SubmissionId) {
    (event.at, &event.submission)
}

fn is_comment(event: &Event) -> bool {
    let hidden = Act::Hidden { kind: HiddenKind::Commented };
    matches!(event.act, Act::Commented { .. }) || event.act == hidden
}

fn word_of(event: &Event) -> Option<Word<'_>> {
    match &event.act {
        Act::Judged(judgement) => Some(Word::Judged(judgement)),
        Act::Hidden { .. } => Some(Word::Hidden),
        Act::Skipped { reason } => Some(Word::Skipped(*reason)),
        _ => None,
    }
}
