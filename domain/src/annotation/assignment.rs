//! Who judges what next.
//!
//! An item has room for a member while its judgements and other members' leases together stay below
//! the overlap; so it never gets more judgements than the overlap, however many people work at once.
//! Gold items have room for everybody.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::error::AnnotationError;
use super::item::{ItemId, ItemInfo};
use super::lease::Leases;
use super::member::Member;
use super::project::ProjectSettings;
use super::state::State;
use crate::culture::CultureCode;

/// One gold item is given after this many others.
pub const GOLD_EVERY: usize = 10;

/// A project at a moment: everything that assignment depends on.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// What the project asks for.
    pub settings: &'a ProjectSettings,
    /// All items, in the project's order.
    pub items: &'a [ItemInfo],
    /// What has happened.
    pub state: &'a State,
    /// Who has which item.
    pub leases: &'a Leases,
    /// Milliseconds since 1970 (UTC).
    pub now: i64,
}

/// Up to `wanted` items for `member` to judge, in order: those they have already, then those that
/// others have begun, then new ones. Empty for those who may not judge.
pub fn next_items(moment: Moment<'_>, member: &Member, wanted: usize) -> Vec<ItemId> {
    if !member.role.judges() || member.left {
        return Vec::new();
    }
    let open = |item: &&ItemInfo| {
        let record = moment.state.record(&item.id);
        member.knows(item) && record.is_none_or(|record| record.word(&member.id).is_none())
    };
    let full = cultures_at_target(moment);
    let (mut gold, mut plain): (Vec<&ItemInfo>, Vec<&ItemInfo>) =
        moment.items.iter().filter(open).partition(|item| item.gold.is_some());
    plain.retain(|item| {
        let begun = moment.state.judged_by(&item.id) > 0;
        let held = moment.leases.holds(&item.id, &member.id, moment.now);
        has_room(moment, member, item) && (begun || held || !full.contains(&item.culture))
    });
    // The sorts are stable: within a rank, items keep the project's order.
    let not_held = |item: &&ItemInfo| !moment.leases.holds(&item.id, &member.id, moment.now);
    plain.sort_by_cached_key(|item| (not_held(item), Reverse(moment.state.judged_by(&item.id))));
    gold.sort_by_key(not_held);
    interleaved(moment, member, &plain, &gold, wanted)
}

/// Whether `member` may still judge `item`.
pub fn has_room(moment: Moment<'_>, member: &Member, item: &ItemInfo) -> bool {
    if item.gold.is_some() {
        return true;
    }
    let words = moment.state.record(&item.id).map(|record| record.words()).unwrap_or_default();
    let judged = moment.state.judged_by(&item.id);
    // Who has judged needs no lease any more.
    let leased = moment
        .leases
        .others(&item.id, &member.id, moment.now)
        .filter(|other| !words.contains_key(other));
    judged + leased.count() < moment.settings.overlap
}

/// Refuses a judgement of an item that `member` was never given, or that others have judged since
/// their lease ran out. Who has judged before may change their mind.
///
/// # Errors
/// [`AnnotationError::NotLeased`].
pub fn check_lease(
    moment: Moment<'_>,
    member: &Member,
    item: &ItemInfo,
) -> Result<(), AnnotationError> {
    let record = moment.state.record(&item.id);
    let judged = record.is_some_and(|record| record.word(&member.id).is_some());
    let holds = moment.leases.holds(&item.id, &member.id, moment.now);
    let held = moment.leases.held(&item.id, &member.id);
    if judged || holds || (held && has_room(moment, member, item)) {
        return Ok(());
    }
    Err(AnnotationError::NotLeased { item: item.id.clone() })
}

/// The cultures of which as many items are judged or begun as are wanted.
fn cultures_at_target(moment: Moment<'_>) -> BTreeSet<CultureCode> {
    let Some(target) = moment.settings.target else { return BTreeSet::new() };
    let mut begun: BTreeMap<CultureCode, usize> = BTreeMap::new();
    for item in moment.items.iter().filter(|item| item.gold.is_none()) {
        let leased = moment.leases.anybody(&item.id, moment.now);
        if leased || moment.state.judged_by(&item.id) > 0 {
            *begun.entry(item.culture).or_default() += 1;
        }
    }
    begun.into_iter().filter(|(_, begun)| *begun >= target).map(|(culture, _)| culture).collect()
}

/// Puts a gold item after every [`GOLD_EVERY`] others, counted over all that the member has judged.
fn interleaved(
    moment: Moment<'_>,
    member: &Member,
    plain: &[&ItemInfo],
    gold: &[&ItemInfo],
    wanted: usize,
) -> Vec<ItemId> {
    let judged = |is_gold: bool| {
        let items = moment.items.iter().filter(|item| item.gold.is_some() == is_gold);
        let by_member = |item: &&ItemInfo| {
            let record = moment.state.record(&item.id);
            record.is_some_and(|record| record.word(&member.id).is_some())
        };
        items.filter(by_member).count()
    };
    let (mut done, mut checked) = (judged(false), judged(true));
    let (mut plain, mut gold) = (plain.iter().peekable(), gold.iter().peekable());
    let mut next = Vec::with_capacity(wanted);
    while next.len() < wanted {
        let due = done >= (checked + 1) * GOLD_EVERY || plain.peek().is_none();
        if let Some(item) = gold.next_if(|_| due) {
            checked += 1;
            next.push(item.id.clone());
        } else if let Some(item) = plain.next() {
            done += 1;
            next.push(item.id.clone());
        } else {
            break;
        }
    }
    next
}
