//! One project while people work in it. The room is behind a lock, and whoever acts takes a turn on the
//! stored project: one act after the other, on all servers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use app::api::annotation::{MOST_NEXT, NextRequest, Numbered, Submission};
use domain::annotation::assignment::{Moment, check_turn, next_items};
use domain::annotation::event::LONGEST_SUBMISSION;
use domain::annotation::{
    Act, Attention, Event, Item, ItemId, ItemInfo, Lease, LeaseChange, Leases, Member, MemberId,
    ProjectSettings, State, SubmissionId, check_change,
};
use domain::culture::CultureCode;
use tokio::sync::broadcast;

use super::clock::Clock;
use super::presence::Presence;
use super::token::random_text;
use super::{RoomError, Token};
use crate::store::{ProjectChanges, ProjectTurn, Store, StoreError, StoredMember};

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
    /// A lease has ended without a word: its item may be free.
    Items,
}

/// A project in memory.
#[derive(Debug)]
pub struct Room {
    pub(super) id: String,
    pub(super) settings: ProjectSettings,
    pub(super) source_run: Option<String>,
    pub(super) created: String,
    pub(super) items: Arc<[Item]>,
    pub(super) infos: Vec<ItemInfo>,
    pub(super) places: HashMap<ItemId, usize>,
    pub(super) members: Vec<Member>,
    by_token: HashMap<String, MemberId>,
    pub(super) events: Vec<Numbered>,
    pub(super) sequences: HashMap<SubmissionId, u64>,
    pub(super) state: State,
    pub(super) leases: Leases,
    pub(super) presence: Presence,
    pub(super) clock: Clock,
    /// When it was last looked for leases that have ended.
    looked: i64,
    /// The time of the latest event.
    latest: i64,
    /// How often the stored project had changed when this was what is stored.
    revision: u64,
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
        let infos: Vec<ItemInfo> = project.items.iter().map(Item::info).collect();
        let now = store.clock().await?;
        let mut room = Self {
            id: id.to_owned(),
            settings: project.settings,
            source_run: project.source_run,
            created: project.created,
            places: infos.iter().enumerate().map(|(n, info)| (info.id.clone(), n)).collect(),
            infos,
            items: project.items.into(),
            members: Vec::new(),
            by_token: HashMap::new(),
            events: Vec::new(),
            sequences: HashMap::new(),
            state: State::default(),
            leases: Leases::default(),
            presence: Presence::default(),
            clock: Clock::read(now),
            looked: now,
            latest: 0,
            revision: 0,
            notices: broadcast::Sender::new(NOTICES),
            store: store.clone(),
        };
        room.refresh().await?;
        room.refresh_presence().await?;
        Ok(Some(room))
    }

    /// Takes in what has been stored since by others.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn refresh(&mut self) -> Result<(), StoreError> {
        let (revision, sequence) = (self.revision, self.sequence());
        let changes = self.store.annotation_changes(&self.id, revision, sequence).await?;
        if let Some(changes) = changes {
            self.absorb(changes);
        }
        Ok(())
    }

    fn absorb(&mut self, changes: ProjectChanges) {
        let (members, events) = (!changes.members.is_empty(), !changes.events.is_empty());
        if let Some(settings) = changes.settings {
            self.settings = settings;
        }
        changes.members.into_iter().for_each(|member| self.seat(member));
        for numbered in changes.events {
            let Event { act, item, author, .. } = &numbered.event;
            match (act, item) {
                (Act::Judged(_) | Act::Skipped { .. }, Some(item)) => {
                    self.leases.release(item, author)
                }
                (Act::Left, _) => self.leases.release_all(author),
                _ => {}
            }
            self.keep(numbered);
        }
        changes.leases.into_iter().for_each(|lease| self.leases.put(lease));
        self.revision = changes.revision;
        for (changed, notice) in [(members, Notice::Members), (events, Notice::Events)] {
            if changed {
                self.tell(notice);
            }
        }
    }

    /// Has the stored project alone from now on, and knows all that is true of it.
    pub(super) async fn turn(&mut self) -> Result<ProjectTurn, RoomError> {
        let turn = self.store.take_annotation_turn(&self.id).await?;
        let mut turn = turn.ok_or_else(|| RoomError::UnknownProject(self.id.clone()))?;
        self.clock = Clock::read(turn.now());
        if turn.revision() != self.revision + 1 {
            let changes = turn.changes(self.revision, self.sequence()).await?;
            self.absorb(changes);
        }
        Ok(turn)
    }

    /// Stores what was done in a turn. Only then it is true in the room as well.
    pub(super) async fn end(&mut self, turn: ProjectTurn) -> Result<(), RoomError> {
        let revision = turn.revision();
        turn.commit().await?;
        self.revision = revision;
        Ok(())
    }

    /// Adds a member, or changes the one who is there.
    fn seat(&mut self, StoredMember { member, token_hash }: StoredMember) {
        self.by_token.retain(|_, known| *known != member.id);
        self.by_token.extend(token_hash.map(|hash| (hash, member.id.clone())));
        match self.members.iter_mut().find(|known| known.id == member.id) {
            Some(known) => *known = member,
            None => self.members.push(member),
        }
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

    /// The member as they are now; refused once they have left.
    fn still(&self, member: &MemberId) -> Result<&Member, RoomError> {
        let here = |known: &&Member| known.id == *member && !known.left;
        let found = self.members.iter().find(here);
        found.ok_or_else(|| RoomError::UnknownProject(self.id.clone()))
    }

    /// Adds a member.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn join(&mut self, member: StoredMember) -> Result<(), RoomError> {
        let mut turn = self.turn().await?;
        turn.add_member(&member).await?;
        self.end(turn).await?;
        self.seat(member);
        self.tell(Notice::Members);
        Ok(())
    }

    /// Notes which cultures a member knows from now on. Returns the member.
    ///
    /// # Errors
    /// [`RoomError::UnknownProject`] once they have left; a failure of the store.
    pub async fn know(
        &mut self,
        who: &MemberId,
        cultures: BTreeSet<CultureCode>,
    ) -> Result<Member, RoomError> {
        let mut turn = self.turn().await?;
        let cultures = cultures.into_iter().collect();
        let member = Member { cultures, ..self.still(who)?.clone() };
        turn.put_cultures(&member).await?;
        self.end(turn).await?;
        if let Some(known) = self.members.iter_mut().find(|known| known.id == *who) {
            known.clone_from(&member);
        }
        self.tell(Notice::Members);
        Ok(member)
    }

    /// Items for `member`, kept for them from now on. Those that they have already are kept longer only
    /// where they are at work.
    ///
    /// # Errors
    /// [`RoomError::UnknownProject`] once they have left; a failure of the store.
    pub async fn next(
        &mut self,
        member: &Member,
        NextRequest { wanted, idle_seconds }: NextRequest,
    ) -> Result<Vec<Item>, RoomError> {
        let turn = self.turn().await?;
        let (moment, member) = (self.moment(turn.now()), self.still(&member.id)?);
        let attention = attention(idle_seconds);
        let given = next_items(moment, member, attention, wanted.min(MOST_NEXT));
        let kept = |item: &&ItemId| {
            attention == Attention::Active || !self.leases.holds(item, &member.id, turn.now())
        };
        let lease = |item: &ItemId| Lease::new(item, &member.id, turn.now());
        let leases: Vec<Lease> = given.iter().filter(kept).map(lease).collect();
        self.take(turn, leases).await?;
        let items = given.iter().filter_map(|item| self.items.get(*self.places.get(item)?));
        Ok(items.map(|item| item.clone().shown(false)).collect())
    }

    /// Ends a turn in which these leases were taken or renewed, perhaps none.
    pub(super) async fn take(
        &mut self,
        mut turn: ProjectTurn,
        leases: Vec<Lease>,
    ) -> Result<(), RoomError> {
        if leases.is_empty() {
            return Ok(turn.give_back().await?);
        }
        for lease in &leases {
            turn.put_lease(lease).await?;
        }
        self.end(turn).await?;
        leases.into_iter().for_each(|lease| self.leases.put(lease));
        Ok(())
    }

    /// Stores what `member` did. The same submission again gives the event that it became. What it takes
    /// the place of is what stands, whatever the client says: `replaces` only tells which word somebody
    /// means to take back.
    ///
    /// # Errors
    /// What [`Act::check`] and [`check_turn`] refuse; an item of another project; a failure of the
    /// store.
    pub async fn submit(
        &mut self,
        member: &Member,
        submission: Submission,
    ) -> Result<Numbered, RoomError> {
        if let Some(known) = self.known(member, &submission.id)? {
            return Ok(known);
        }
        check_identifier(&submission.id)?;
        let mut turn = self.turn().await?;
        // It may have come to another server meanwhile.
        let checked = self.known(member, &submission.id).and_then(|known| match known {
            Some(known) => Ok(Err(known)),
            None => self.check(member, &submission, turn.now()).map(Ok),
        });
        let lease = match checked {
            Ok(Ok(lease)) => lease,
            Ok(Err(known)) => {
                turn.give_back().await?;
                return Ok(known);
            }
            Err(refusal) => {
                turn.give_back().await?;
                return Err(refusal);
            }
        };
        let Submission { id, item, act, .. } = submission;
        let replaces = self.state.replaced_by(&item, &member.id, &act).cloned();
        let event = Event {
            submission: id,
            author: member.id.clone(),
            at: self.event_time(&turn),
            item: Some(item),
            replaces,
            act,
        };
        let sequence = turn.append(&event, &lease).await?;
        self.end(turn).await?;
        match (lease, &event.item) {
            (LeaseChange::Take(lease), _) => self.leases.put(lease),
            (LeaseChange::End, Some(item)) => self.leases.release(item, &member.id),
            _ => {}
        }
        Ok(self.keep_and_tell(Numbered { sequence, event }))
    }

    fn check(
        &self,
        member: &Member,
        submission: &Submission,
        now: i64,
    ) -> Result<LeaseChange, RoomError> {
        let member = self.still(&member.id)?;
        let unknown = || RoomError::UnknownItem(submission.item.clone());
        let place = *self.places.get(&submission.item).ok_or_else(unknown)?;
        let Submission { act, replaces, .. } = submission;
        act.check(&self.settings, member, &self.items[place])?;
        let (moment, info) = (self.moment(now), &self.infos[place]);
        Ok(check_turn(moment, member, info, act, replaces.as_ref())?)
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
        let submission = random_text(16)?;
        let mut turn = self.turn().await?;
        if to == self.settings {
            return Ok(turn.give_back().await?);
        }
        let checked = match *from == self.settings {
            true => check_change(from, &to, &self.state, &self.infos).map_err(RoomError::from),
            false => Err(RoomError::ChangedMeanwhile),
        };
        if let Err(refusal) = checked {
            turn.give_back().await?;
            return Err(refusal);
        }
        let event = Event {
            submission: submission.as_str().into(),
            author: who.clone(),
            at: self.event_time(&turn),
            item: None,
            replaces: None,
            act: Act::Changed(to),
        };
        let sequence = turn.append(&event, &LeaseChange::None).await?;
        self.end(turn).await?;
        self.keep_and_tell(Numbered { sequence, event });
        Ok(())
    }

    /// Lets a member leave for good: their name is forgotten, their judgements stay.
    ///
    /// # Errors
    /// [`RoomError::LastOwner`]; [`RoomError::UnknownMember`]; a failure of the store.
    pub async fn leave(&mut self, who: &MemberId) -> Result<Numbered, RoomError> {
        let mut turn = self.turn().await?;
        if let Err(refusal) = self.may_leave(who) {
            turn.give_back().await?;
            return Err(refusal);
        }
        let event = Event {
            submission: random_text(16)?.as_str().into(),
            author: who.clone(),
            at: self.event_time(&turn),
            item: None,
            replaces: None,
            act: Act::Left,
        };
        let sequence = turn.forget(&event).await?;
        self.end(turn).await?;
        self.by_token.retain(|_, member| member != who);
        self.leases.release_all(who);
        for member in self.members.iter_mut().filter(|member| member.id == *who) {
            (member.left, member.name) = (true, String::new());
        }
        let numbered = self.keep_and_tell(Numbered { sequence, event });
        self.tell(Notice::Members);
        Ok(numbered)
    }

    fn may_leave(&self, who: &MemberId) -> Result<(), RoomError> {
        let member = self.still(who).map_err(|_| RoomError::UnknownMember(who.clone()))?;
        let owners = self.members.iter().filter(|m| m.role.manages() && !m.left).count();
        match member.role.manages() && owners == 1 {
            true => Err(RoomError::LastOwner),
            false => Ok(()),
        }
    }

    /// The time of an event of `turn`. The fold takes the latest of what doesn't replace each other, so no
    /// two have the same time, and a clock that is set back makes none earlier than those before.
    fn event_time(&self, turn: &ProjectTurn) -> i64 {
        turn.now().max(self.latest.saturating_add(1))
    }

    /// Tells who waits for an item of leases that have ended since this was last called.
    pub(super) fn tell_of_ended_leases(&mut self) {
        let now = self.clock.now();
        if self.leases.ended(self.looked, now) {
            self.tell(Notice::Items);
        }
        self.looked = now;
    }

    /// Notices from now on.
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// The event that a submission became, if it did.
    fn known(
        &self,
        member: &Member,
        submission: &SubmissionId,
    ) -> Result<Option<Numbered>, RoomError> {
        let Some(sequence) = self.sequences.get(submission) else { return Ok(None) };
        let place = self.events.binary_search_by_key(sequence, |known| known.sequence);
        match place.ok().and_then(|place| self.events.get(place)) {
            Some(known) if known.event.author != member.id => {
                Err(RoomError::SubmissionTaken(submission.clone()))
            }
            known => Ok(known.cloned()),
        }
    }

    fn keep(&mut self, numbered: Numbered) {
        self.state.apply(&numbered.event);
        if let Some((_, settings)) = self.state.change() {
            self.settings.clone_from(settings);
        }
        self.latest = self.latest.max(numbered.event.at);
        self.sequences.insert(numbered.event.submission.clone(), numbered.sequence);
        self.events.push(numbered);
    }

    fn keep_and_tell(&mut self, numbered: Numbered) -> Numbered {
        self.keep(numbered.clone());
        self.tell(Notice::Events);
        numbered
    }

    pub(super) fn tell(&self, notice: Notice) {
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

/// What can be thought of somebody whose browser says that they have done nothing for so long.
pub(super) fn attention(idle_seconds: u32) -> Attention {
    Attention::after(i64::from(idle_seconds) * 1000)
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
