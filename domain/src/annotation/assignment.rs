//! Who judges what next, and who may judge what.
//!
//! An item has room for a member while others' judgements and leases together stay below the overlap; so
//! it never gets more judgements than the overlap, however many people work at once, skip, and take back.
//! Nor are more items of a culture begun than are wanted. Gold items have room for everybody.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::error::AnnotationError;
use super::event::{Act, SubmissionId};
use super::item::{ItemId, ItemInfo};
use super::lease::{Attention, Lease, LeaseChange, Leases};
use super::member::{Member, MemberId};
use super::project::ProjectSettings;
use super::state::{State, Word};
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

/// How an item stands to one member.
#[derive(Debug, Clone, Copy)]
struct Standing<'a> {
    info: &'a ItemInfo,
    /// Whether the member has judged or skipped it.
    said: bool,
    /// Whether the member has judged it.
    judged: bool,
    /// Others who have judged it.
    others_judged: usize,
    /// Others who have it and haven't judged it.
    others_leased: usize,
    /// Whether the member has it.
    holds: bool,
    /// Whether the member once had it, and kept it until the time was over.
    lapsed: bool,
}

impl<'a> Standing<'a> {
    fn of(moment: Moment<'a>, member: &MemberId, info: &'a ItemInfo) -> Self {
        let words = moment.state.record(&info.id).map(|record| record.words()).unwrap_or_default();
        let judged = |word: &Word<'_>| !matches!(word, Word::Skipped(_));
        let others_judged =
            words.iter().filter(|(who, (_, word))| **who != member && judged(word)).count();
        // Who has judged needs no lease any more.
        let needs = |who: &&MemberId| !words.get(who).is_some_and(|(_, word)| judged(word));
        let own = words.get(member);
        let holds = moment.leases.holds(&info.id, member, moment.now);
        Self {
            info,
            said: own.is_some(),
            judged: own.is_some_and(|(_, word)| judged(word)),
            others_judged,
            others_leased: moment.leases.others(&info.id, member, moment.now).filter(needs).count(),
            holds,
            lapsed: !holds && moment.leases.held(&info.id, member),
        }
    }

    fn is_gold(&self) -> bool {
        self.info.gold.is_some()
    }

    fn is_begun_by_others(&self) -> bool {
        self.others_judged + self.others_leased > 0
    }

    fn is_begun(&self) -> bool {
        self.is_begun_by_others() || self.judged || self.holds
    }
}

/// Up to `wanted` items for `member` to judge, in order: those they have already, then those that
/// others have begun, then new ones. Empty for those who may not judge. What was given to somebody and
/// went back because nothing happened isn't given to them again before they are active; and who is away
/// gets nothing new, or every forgotten tab in turn would keep the project's last items from others.
pub fn next_items(
    moment: Moment<'_>,
    member: &Member,
    attention: Attention,
    wanted: usize,
) -> Vec<ItemId> {
    if !member.role.judges() || member.left {
        return Vec::new();
    }
    let all: Vec<Standing<'_>> =
        moment.items.iter().map(|item| Standing::of(moment, &member.id, item)).collect();
    let open = |item: &&Standing<'_>| {
        let given = match attention {
            Attention::Active => true,
            Attention::Reading => !item.lapsed,
            Attention::Away => item.holds,
        };
        member.knows(item.info) && !item.said && given
    };
    let (mut gold, mut plain): (Vec<&Standing<'_>>, Vec<&Standing<'_>>) =
        all.iter().filter(open).partition(|item| item.is_gold());
    plain.retain(|item| item.others_judged + item.others_leased < moment.settings.overlap);
    // The sorts are stable: within a rank, items keep the project's order.
    plain.sort_by_key(|item| (!item.holds, !item.is_begun(), Reverse(item.others_judged)));
    gold.sort_by_key(|item| !item.holds);
    let mut begun = begun(moment, &all);
    plain.retain(|item| {
        let of_culture = begun.entry(item.info.culture).or_default();
        let given = item.is_begun() || moment.settings.target.is_none_or(|most| *of_culture < most);
        *of_culture += usize::from(given && !item.is_begun());
        given
    });
    interleaved(&all, &plain, &gold, wanted)
}

/// How many items of each culture are judged or in somebody's hands, gold items aside.
fn begun(moment: Moment<'_>, all: &[Standing<'_>]) -> BTreeMap<CultureCode, usize> {
    let mut begun = BTreeMap::new();
    if moment.settings.target.is_some() {
        for item in all.iter().filter(|item| !item.is_gold() && item.is_begun()) {
            *begun.entry(item.info.culture).or_default() += 1;
        }
    }
    begun
}

/// Whether `member` may still judge the item as far as others and the culture's target go. Their own
/// word on it doesn't count.
fn has_room(moment: Moment<'_>, member: &Member, item: Standing<'_>) -> bool {
    if item.is_gold() {
        return true;
    }
    if item.others_judged + item.others_leased >= moment.settings.overlap {
        return false;
    }
    let Some(target) = moment.settings.target else { return true };
    let begins = |info: &&ItemInfo| {
        let other = info.culture == item.info.culture && info.id != item.info.id;
        other && info.gold.is_none() && Standing::of(moment, &member.id, info).is_begun()
    };
    item.is_begun_by_others() || moment.items.iter().filter(begins).count() < target
}

/// Whether `member` may judge, skip or take back now: the act's content is checked elsewhere
/// ([`Act::check`]). Returns what the act does to their lease.
///
/// # Errors
/// - [`AnnotationError::NotLeased`] for an item that the member was never given, or that others have
///   taken since the lease ran out or the member skipped it. Who has judged may change their mind;
/// - [`AnnotationError::NothingToUndo`] where `replaces`, which the client names, isn't the member's own
///   word that stands: in another window they have said something else since. Nothing else is read of
///   `replaces`; what an act takes the place of is [`State::replaced_by`].
pub fn check_turn(
    moment: Moment<'_>,
    member: &Member,
    item: &ItemInfo,
    act: &Act,
    replaces: Option<&SubmissionId>,
) -> Result<LeaseChange, AnnotationError> {
    let standing = Standing::of(moment, &member.id, item);
    let room = || has_room(moment, member, standing);
    let not_leased = || AnnotationError::NotLeased { item: item.id.clone() };
    let lease = || LeaseChange::Take(Lease::new(&item.id, &member.id, moment.now));
    match act {
        Act::Judged(_) => {
            // A smaller overlap than when the item was given leaves no place for it.
            let free = standing.is_gold() || standing.others_judged < moment.settings.overlap;
            let given = standing.said || standing.lapsed;
            match standing.judged || (standing.holds && free) || (given && room()) {
                true => Ok(LeaseChange::End),
                false => Err(not_leased()),
            }
        }
        Act::Skipped { .. } => match standing.said || standing.holds || standing.lapsed {
            true => Ok(LeaseChange::End),
            false => Err(not_leased()),
        },
        Act::Undone => {
            let record = moment.state.record(&item.id);
            let word = record.and_then(|record| record.word(&member.id));
            if replaces.is_none() || word.map(|(event, _)| &event.submission) != replaces {
                return Err(AnnotationError::NothingToUndo { item: item.id.clone() });
            }
            // Who takes a judgement back has the item again, whose place it had. Who has only skipped
            // it left the place to others.
            match (room(), standing.judged) {
                (true, _) => Ok(lease()),
                (false, true) => Ok(LeaseChange::None),
                (false, false) => Err(not_leased()),
            }
        }
        _ => Ok(LeaseChange::None),
    }
}

/// Puts a gold item after every [`GOLD_EVERY`] others, counted over all that the member has judged or
/// skipped.
fn interleaved(
    all: &[Standing<'_>],
    plain: &[&Standing<'_>],
    gold: &[&Standing<'_>],
    wanted: usize,
) -> Vec<ItemId> {
    let said = |gold: bool| all.iter().filter(|item| item.said && item.is_gold() == gold).count();
    let (mut done, mut checked) = (said(false), said(true));
    let (mut plain, mut gold) = (plain.iter().peekable(), gold.iter().peekable());
    let mut next = Vec::with_capacity(wanted);
    while next.len() < wanted {
        let due = done >= (checked + 1) * GOLD_EVERY || plain.peek().is_none();
        if let Some(item) = gold.next_if(|_| due) {
            checked += 1;
            next.push(item.info.id.clone());
        } else if let Some(item) = plain.next() {
            done += 1;
            next.push(item.info.id.clone());
        } else {
            break;
        }
    }
    next
}
