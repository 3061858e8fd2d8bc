//! Leases: an item is given to a member for a while, so that overlap is exact while people work at
//! the same time, and nobody waits for somebody who left.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::item::ItemId;
use super::member::MemberId;

/// How long an item is kept for somebody, in milliseconds: longer than a thought and a dead spot of
/// the network, shorter than a lunch. It is renewed as long as they are at work ([`Attention`]).
pub const LEASE_MILLISECONDS: i64 = 10 * 60 * 1000;

/// A lease that ends later than this doesn't count, in milliseconds from now: it was given while the
/// clock ran ahead, and would keep an item from others for as long as that. Longer than a lease, so that a
/// clock that is set back a little takes nothing from anybody.
pub const FARTHEST_END: i64 = 2 * LEASE_MILLISECONDS;

/// How long somebody who does nothing counts as active, in milliseconds.
pub const ACTIVE_MILLISECONDS: i64 = 5 * 60 * 1000;

/// How long somebody who does nothing may still be reading what is on the screen, in milliseconds.
pub const READING_MILLISECONDS: i64 = 20 * 60 * 1000;

/// What can be thought of a connected member, by how long they have done nothing. A forgotten tab is
/// connected too, and must not keep items from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attention {
    /// They are at work: all that was given to them is kept.
    Active,
    /// They may be reading: only what is on the screen is kept.
    Reading,
    /// They are somewhere else: nothing is kept any longer.
    Away,
}

impl Attention {
    /// After doing nothing for so many milliseconds.
    pub fn after(idle: i64) -> Self {
        match idle {
            ..ACTIVE_MILLISECONDS => Self::Active,
            ACTIVE_MILLISECONDS..READING_MILLISECONDS => Self::Reading,
            _ => Self::Away,
        }
    }
}

/// What an act does to its author's lease of its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseChange {
    /// Nothing.
    None,
    /// The lease ends.
    End,
    /// It begins, or is renewed.
    Take(Lease),
}

/// An item that is kept for a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The item.
    pub item: ItemId,
    /// For whom.
    pub member: MemberId,
    /// Until when: milliseconds since 1970 (UTC), by the server's clock.
    pub until: i64,
}

impl Lease {
    /// One that begins `now`.
    pub fn new(item: &ItemId, member: &MemberId, now: i64) -> Self {
        Self { item: item.clone(), member: member.clone(), until: now + LEASE_MILLISECONDS }
    }
}

/// The leases of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    by_item: BTreeMap<ItemId, BTreeMap<MemberId, i64>>,
}

impl Leases {
    /// These leases.
    pub fn of(leases: impl IntoIterator<Item = Lease>) -> Self {
        let mut all = Self::default();
        leases.into_iter().for_each(|lease| all.put(lease));
        all
    }

    /// Adds a lease, in place of the one for the same item and member: it was given later.
    pub fn put(&mut self, Lease { item, member, until }: Lease) {
        self.by_item.entry(item).or_default().insert(member, until);
    }

    /// Keeps `item` for `member` from `now` on; a lease that is there already is renewed.
    pub fn take(&mut self, item: &ItemId, member: &MemberId, now: i64) -> Lease {
        let lease = Lease::new(item, member, now);
        self.put(lease.clone());
        lease
    }

    /// Ends the lease of `item` for `member`.
    pub fn release(&mut self, item: &ItemId, member: &MemberId) {
        if let Some(members) = self.by_item.get_mut(item) {
            members.remove(member);
            if members.is_empty() {
                self.by_item.remove(item);
            }
        }
    }

    /// Ends all leases of `member`.
    pub fn release_all(&mut self, member: &MemberId) {
        self.by_item.retain(|_, members| {
            members.remove(member);
            !members.is_empty()
        });
    }

    /// Whether `member` has `item` at `now`.
    pub fn holds(&self, item: &ItemId, member: &MemberId, now: i64) -> bool {
        self.until(item, member).is_some_and(|until| is_running(until, now))
    }

    /// Whether `member` has or once had `item`.
    pub fn held(&self, item: &ItemId, member: &MemberId) -> bool {
        self.until(item, member).is_some()
    }

    fn until(&self, item: &ItemId, member: &MemberId) -> Option<i64> {
        self.by_item.get(item)?.get(member).copied()
    }

    /// The members other than `member` who have `item` at `now`.
    pub fn others<'a>(
        &'a self,
        item: &ItemId,
        member: &'a MemberId,
        now: i64,
    ) -> impl Iterator<Item = &'a MemberId> {
        let of_item = self.by_item.get(item).into_iter().flatten();
        let others = of_item.filter(move |(who, until)| *who != member && is_running(**until, now));
        others.map(|(who, _)| who)
    }

    /// Whether a lease has ended after `since`, by `now`: an item may be free for others.
    pub fn ended(&self, since: i64, now: i64) -> bool {
        let mut ends = self.by_item.values().flat_map(BTreeMap::values);
        ends.any(|until| *until > since && *until <= now)
    }

    /// The items to be kept for `member` once more: those that they have at `now` and that their
    /// `attention` deserves, of which `looking` is on the screen. Only those whose lease is half over, or
    /// more: that saves writing the same again and again.
    pub fn to_renew(
        &self,
        member: &MemberId,
        attention: Attention,
        looking: Option<&ItemId>,
        now: i64,
    ) -> Vec<ItemId> {
        let half = now + LEASE_MILLISECONDS / 2;
        let wanes = |(item, members): (&ItemId, &BTreeMap<MemberId, i64>)| {
            let until = *members.get(member)?;
            let deserved = match attention {
                Attention::Active => true,
                Attention::Reading => looking == Some(item),
                Attention::Away => false,
            };
            (deserved && until > now && until <= half).then(|| item.clone())
        };
        self.by_item.iter().filter_map(wanes).collect()
    }
}

/// Whether a lease that ends at `until` counts at `now`.
fn is_running(until: i64, now: i64) -> bool {
    until > now && until <= now.saturating_add(FARTHEST_END)
}
