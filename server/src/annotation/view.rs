//! What a member gets to see of a room.

use std::collections::BTreeSet;

use app::api::annotation::{Numbered, Project};
use domain::annotation::state::Word;
use domain::annotation::visibility::{self, sees_others};
use domain::annotation::{Act, Item, ItemId, ItemInfo, Member, ProjectSettings, Record, verdict};
use domain::training_set::Accepted;

use super::{Room, RoomError};

impl Room {
    /// The project as `member` gets it. Who decides nothing must not know which items are attention
    /// checks, which no number counts: for them the list is without these.
    pub fn project(&self, member: &Member) -> Project {
        let listed = |info: &&ItemInfo| member.role.adjudicates() || info.gold.is_none();
        Project {
            id: self.id.clone(),
            settings: self.settings.clone(),
            source_run: self.source_run.clone(),
            items: self.infos.iter().filter(listed).cloned().collect(),
            members: self.members(),
            me: member.id.clone(),
            created: self.created.clone(),
        }
    }

    /// What the project asks for now.
    pub fn settings(&self) -> &ProjectSettings {
        &self.settings
    }

    /// What is accepted now, for a run that learns it.
    ///
    /// # Errors
    /// [`RoomError::Refused`] where the items are of no run, which alone has what tuning needs.
    pub fn accepted(&self) -> Result<Accepted, RoomError> {
        let source = self.source_run.as_deref().ok_or_else(|| {
            RoomError::refused(
                format!(
                    "the items of the project `{}` came from a file, and a file has no survey by \
                     which alignment could be measured",
                    self.id
                ),
                "Save the training set and tune on it elsewhere, or make a project from a run.",
            )
        })?;
        let instances = verdict::accepted(&self.settings, &self.state, &self.items);
        Ok(Accepted::new(&self.id, source, &instances))
    }

    /// Everybody who takes or took part.
    pub fn members(&self) -> Vec<Member> {
        self.members.clone()
    }

    /// An item, with the people's shares for those who have judged it or decide about it; who has
    /// skipped it may still judge it.
    ///
    /// # Errors
    /// [`RoomError::UnknownItem`].
    pub fn item(&self, member: &Member, item: &ItemId) -> Result<Item, RoomError> {
        let place = self.places.get(item);
        let found = place.and_then(|place| self.items.get(*place));
        let found = found.ok_or_else(|| RoomError::UnknownItem(item.clone()))?;
        let word = self.state.record(item).and_then(|record| record.word(&member.id));
        let judged = matches!(word, Some((_, Word::Judged(_))));
        Ok(found.clone().shown(judged || member.role.adjudicates()))
    }

    /// The number of the newest event.
    pub fn sequence(&self) -> u64 {
        self.events.last().map_or(0, |numbered| numbered.sequence)
    }

    /// The events after `since` as `member` sees them. Earlier events of an item that something has
    /// happened to since are sent again where they may be seen now: the client may have got them
    /// without their content.
    pub fn events_since(&self, member: &Member, since: u64) -> Vec<Numbered> {
        let start = self.events.partition_point(|numbered| numbered.sequence <= since);
        let new = &self.events[start..];
        let mut sequences: BTreeSet<u64> = new.iter().map(|numbered| numbered.sequence).collect();
        if self.settings.blind && !member.role.adjudicates() && start > 0 {
            let changed = new.iter().any(|known| matches!(known.event.act, Act::Changed(_)));
            let touched: BTreeSet<&ItemId> = match changed {
                // A smaller overlap completes items to which nothing has happened.
                true => self.state.records().map(|(item, _)| item).collect(),
                false => new.iter().filter_map(|numbered| numbered.event.item.as_ref()).collect(),
            };
            for item in touched.into_iter().filter(|item| self.sees(member, item)) {
                let events = self.state.record(item).into_iter().flat_map(Record::events);
                sequences.extend(events.filter_map(|event| self.sequences.get(&event.submission)));
            }
        }
        let numbered = |sequence: &u64| {
            let place = self.events.binary_search_by_key(sequence, |known| known.sequence).ok()?;
            self.events.get(place)
        };
        sequences.iter().filter_map(numbered).map(|known| self.shown(member, known)).collect()
    }

    fn sees(&self, member: &Member, item: &ItemId) -> bool {
        let info = self.places.get(item).and_then(|place| self.infos.get(*place));
        info.is_some_and(|info| sees_others(&self.settings, &self.state, info, member))
    }

    fn shown(&self, member: &Member, numbered: &Numbered) -> Numbered {
        let item = numbered.event.item.as_ref();
        let info = item.and_then(|item| self.infos.get(*self.places.get(item)?));
        let event = visibility::shown(&self.settings, &self.state, info, member, &numbered.event);
        Numbered { sequence: numbered.sequence, event }
    }
}
