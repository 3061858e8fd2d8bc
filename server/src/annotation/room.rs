//! One project while people work in it. The room is behind a lock: one act after the other.

use std::collections::{BTreeMap, HashMap};

use app::api::annotation::{MOST_NEXT, Numbered, Present, Submission};
use domain::annotation::assignment::{Moment, check_lease, next_items};
use domain::annotation::event::LONGEST_SUBMISSION;
use domain::annotation::{
    Act, Event, Item, ItemId, ItemInfo, Lease, Leases, Member, MemberId, ProjectSettings, State,
    SubmissionId, check_change,
};
use tokio::sync::broadcast;

use super::token::random_text;
use super::{RoomError, Token, now};
use crate::store::{LeaseChange, Store, StoreError, StoredMember, StoredProject};

/// Notices that a slow connection may be behind before it looks at everything again.
const NOTICES: usize = 256;

/// Something has changed; who listens asks the room what it means for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// Somebody has joined or left the project.
    Members,
    /// There are new events.
    Events,
    /// Somebody has come, gone or moved on.
    Presence,
}

/// A project in memory.
#[derive(Debug)]
pub struct Room {
    pub(super) id: String,
    pub(super) settings: ProjectSettings,
    pub(super) source_run: Option<String>,
    pub(super) created: String,
    pub(super) items: Vec<Item>,
    pub(super) infos: Vec<ItemInfo>,
    pub(super) places: HashMap<ItemId, usize>,
    pub(super) members: Vec<Member>,
    by_token: HashMap<String, MemberId>,
    pub(super) events: Vec<Numbered>,
    pub(super) sequences: HashMap<SubmissionId, u64>,
    pub(super) state: State,
    leases: Leases,
    /// Connections of each member, with the item that each looks at.
    present: BTreeMap<MemberId, BTreeMap<u64, Option<ItemId>>>,
    connections: u64,
    notices: broadcast::Sender<Notice>,
    pub(super) store: Store,
}

impl Room {
    /// The room of a stored project; `None` where there is none.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn open(store: &Store, id: &str) -> Result<Option<Self>, StoreError> {
        let Some(project) = store.annotation_project(id).await? else { return Ok(None) };
        let events = store.annotation_events(id, 0).await?;
        let leases = Leases::of(store.annotation_leases(id).await?);
        Ok(Some(Self::of(store.clone(), id, project, events, leases)))
    }

    fn of(
        store: Store,
        id: &str,
        project: StoredProject,
        events: Vec<Numbered>,
        leases: Leases,
    ) -> Self {
        let infos: Vec<ItemInfo> = project.items.iter().map(Item::info).collect();
        let numbered = events.iter();
        let mut room = Self {
            id: id.to_owned(),
            settings: project.settings,
            source_run: project.source_run,
            created: project.created,
            places: infos.iter().enumerate().map(|(n, info)| (info.id.clone(), n)).collect(),
            infos,
            items: project.items,
            members: Vec::new(),
            by_token: HashMap::new(),
            sequences: numbered.map(|n| (n.event.submission.clone(), n.sequence)).collect(),
            state: State::of(events.iter().map(|numbered| &numbered.event)),
            events,
            leases,
            present: BTreeMap::new(),
            connections: 0,
            notices: broadcast::Sender::new(NOTICES),
            store,
        };
        if let Some((_, settings)) = room.state.change() {
            room.settings.clone_from(settings);
        }
        project.members.into_iter().for_each(|member| room.seat(member));
        room
    }

    fn seat(&mut self, StoredMember { member, token_hash }: StoredMember) {
        self.by_token.extend(token_hash.map(|hash| (hash, member.id.clone())));
        self.members.push(member);
    }

    /// The member whom `token` proves.
    ///
    /// # Errors
    /// [`RoomError::UnknownProject`], as for a project that isn't there.
    pub fn member(&self, token: &Token) -> Result<&Member, RoomError> {
        let id = self.by_token.get(&token.hash());
        id.and_then(|id| self.members.iter().find(|member| member.id == *id))
            .ok_or_else(|| RoomError::UnknownProject(self.id.clone()))
    }

    /// Adds a member.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn join(&mut self, member: StoredMember) -> Result<(), RoomError> {
        self.store.add_annotation_member(&self.id, &member).await?;
        self.seat(member);
        self.tell(Notice::Members);
        Ok(())
    }

    /// Up to `wanted` items for `member`, kept for them from now on.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn next(&mut self, member: &Member, wanted: usize) -> Result<Vec<Item>, RoomError> {
        let now = now();
        let given = next_items(self.moment(now), member, wanted.min(MOST_NEXT));
        let leases: Vec<_> =
            given.iter().map(|item| self.leases.take(item, &member.id, now)).collect();
        if !leases.is_empty() {
            self.store.put_annotation_leases(&self.id, &leases).await?;
        }
        let items = given.iter().filter_map(|item| self.items.get(*self.places.get(item)?));
        Ok(items.map(|item| item.clone().shown(false)).collect())
    }

    /// Stores what `member` did. The same submission again gives the event that it became.
    ///
    /// # Errors
    /// What [`Act::check`] and [`check_lease`] refuse; an item of another project; a failure of the
    /// store.
    pub async fn submit(
        &mut self,
        member: &Member,
        submission: Submission,
    ) -> Result<Numbered, RoomError> {
        if let Some(known) = self.known(&submission.id) {
            return match known.event.author == member.id {
                true => Ok(known.clone()),
                false => Err(RoomError::SubmissionTaken(submission.id)),
            };
        }
        check_identifier(&submission.id)?;
        let now = now();
        let unknown = || RoomError::UnknownItem(submission.item.clone());
        let place = *self.places.get(&submission.item).ok_or_else(unknown)?;
        submission.act.check(&self.settings, member, &self.items[place])?;
        if matches!(submission.act, Act::Judged(_) | Act::Skipped { .. }) {
            check_lease(self.moment(now), member, &self.infos[place])?;
        }
        let lease = match &submission.act {
            Act::Judged(_) | Act::Skipped { .. } => LeaseChange::End,
            // Who takes a judgement back has the item again.
            Act::Undone => LeaseChange::Take(Lease::new(&submission.item, &member.id, now)),
            _ => LeaseChange::None,
        };
        let event = Event {
            submission: submission.id,
            author: member.id.clone(),
            at: now,
            item: Some(submission.item),
            replaces: submission.replaces,
            act: submission.act,
        };
        let sequence = self.store.append_annotation_event(&self.id, &event, &lease).await?;
        match (lease, &event.item) {
            (LeaseChange::Take(lease), _) => self.leases.put(lease),
            (LeaseChange::End, Some(item)) => self.leases.release(item, &member.id),
            _ => {}
        }
        Ok(self.keep(Numbered { sequence, event }))
    }

    /// Changes what the project asks for from `from`, as the owner `who` knows it, to `to`.
    ///
    /// # Errors
    /// [`RoomError::ChangedMeanwhile`] where it asks for something else by now; what [`check_change`]
    /// refuses; a failure of the store.
    pub async fn change(
        &mut self,
        who: &MemberId,
        from: &ProjectSettings,
        to: ProjectSettings,
    ) -> Result<(), RoomError> {
        if to == self.settings {
            return Ok(());
        }
        if *from != self.settings {
            return Err(RoomError::ChangedMeanwhile);
        }
        check_change(from, &to, &self.state, &self.infos)?;
        // The fold takes the latest, so two changes never have the same time.
        let last = self.state.change().map_or(0, |(event, _)| event.at);
        let event = Event {
            submission: random_text(16)?.as_str().into(),
            author: who.clone(),
            at: now().max(last + 1),
            item: None,
            replaces: None,
            act: Act::Changed(to),
        };
        let sequence =
            self.store.append_annotation_event(&self.id, &event, &LeaseChange::None).await?;
        self.keep(Numbered { sequence, event });
        Ok(())
    }

    /// Lets a member leave for good: their name is forgotten, their judgements stay.
    ///
    /// # Errors
    /// [`RoomError::LastOwner`]; [`RoomError::UnknownMember`]; a failure of the store.
    pub async fn leave(&mut self, who: &MemberId) -> Result<Numbered, RoomError> {
        let here = |member: &&Member| member.id == *who && !member.left;
        let member = self.members.iter().find(here);
        let member = member.ok_or_else(|| RoomError::UnknownMember(who.clone()))?;
        let owners = self.members.iter().filter(|m| m.role.manages() && !m.left).count();
        if member.role.manages() && owners == 1 {
            return Err(RoomError::LastOwner);
        }
        let event = Event {
            submission: random_text(16)?.as_str().into(),
            author: who.clone(),
            at: now(),
            item: None,
            replaces: None,
            act: Act::Left,
        };
        let sequence = self.store.forget_annotation_member(&self.id, &event).await?;
        self.by_token.retain(|_, member| member != who);
        self.leases.release_all(who);
        for member in self.members.iter_mut().filter(|member| member.id == *who) {
            (member.left, member.name) = (true, String::new());
        }
        let numbered = self.keep(Numbered { sequence, event });
        self.tell(Notice::Members);
        Ok(numbered)
    }

    /// Notes that a member has connected. Returns the connection's number.
    pub fn arrive(&mut self, member: &MemberId) -> u64 {
        self.connections += 1;
        self.present.entry(member.clone()).or_default().insert(self.connections, None);
        self.tell(Notice::Presence);
        self.connections
    }

    /// Notes what a connected member looks at, and renews what is kept for them.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn look(
        &mut self,
        member: &MemberId,
        connection: u64,
        item: Option<ItemId>,
    ) -> Result<(), RoomError> {
        let item = item.filter(|item| self.places.contains_key(item));
        if let Some(place) = self.present.get_mut(member).and_then(|all| all.get_mut(&connection)) {
            let moved = *place != item;
            *place = item;
            if moved {
                self.tell(Notice::Presence);
            }
        }
        let now = now();
        let held = self.leases.half_over(member, now);
        let renewed: Vec<_> = held.iter().map(|item| self.leases.take(item, member, now)).collect();
        if !renewed.is_empty() {
            self.store.put_annotation_leases(&self.id, &renewed).await?;
        }
        Ok(())
    }

    /// Notes that a connection has ended.
    pub fn depart(&mut self, member: &MemberId, connection: u64) {
        if let Some(connections) = self.present.get_mut(member) {
            connections.remove(&connection);
            if connections.is_empty() {
                self.present.remove(member);
            }
        }
        self.tell(Notice::Presence);
    }

    /// Who is here. Of a member's connections the newest that looks at something counts.
    pub fn present(&self) -> Vec<Present> {
        let entry = |(member, connections): (&MemberId, &BTreeMap<u64, Option<ItemId>>)| Present {
            member: member.clone(),
            item: connections.values().rev().find_map(Clone::clone),
        };
        self.present.iter().map(entry).collect()
    }

    /// Notices from now on.
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    fn known(&self, submission: &SubmissionId) -> Option<&Numbered> {
        let sequence = *self.sequences.get(submission)?;
        let place = self.events.binary_search_by_key(&sequence, |known| known.sequence).ok()?;
        self.events.get(place)
    }

    fn keep(&mut self, numbered: Numbered) -> Numbered {
        self.state.apply(&numbered.event);
        if let Some((_, settings)) = self.state.change() {
            self.settings.clone_from(settings);
        }
        self.sequences.insert(numbered.event.submission.clone(), numbered.sequence);
        self.events.push(numbered.clone());
        self.tell(Notice::Events);
        numbered
    }

    fn tell(&self, notice: Notice) {
        // Nobody listening is fine.
        let _ = self.notices.send(notice);
    }

    fn moment(&self, now: i64) -> Moment<'_> {
        Moment {
            settings: &self.settings,
            items: &self.infos,
            state: &self.state,
            leases: &self.leases,
            now,
        }
    }
}

fn check_identifier(submission: &SubmissionId) -> Result<(), RoomError> {
    let text = submission.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=LONGEST_SUBMISSION).contains(&text.len()) && text.chars().all(plain) {
        return Ok(());
    }
    Err(RoomError::refused(
        format!(
            "a submission's identifier must be 1 to {LONGEST_SUBMISSION} letters, digits and `-`, \
             and has {} bytes",
            text.len()
        ),
        "Use 32 random hexadecimal digits.",
    ))
}
