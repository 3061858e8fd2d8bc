//! Judgements as tables for [`crate::agreement`]: of all items, of a culture, a topic, or two members.

use std::collections::{BTreeMap, BTreeSet};

use super::item::ItemInfo;
use super::member::MemberId;
use super::project::ProjectSettings;
use super::state::State;
use crate::agreement::{Coefficient, Pair, Tallies};
use crate::question::Scale;

/// The coefficients that make sense for the project's labels.
pub fn coefficients(settings: &ProjectSettings) -> Vec<Coefficient> {
    let ordered = settings.scale == Scale::Ordered;
    Coefficient::ALL.into_iter().filter(|c| ordered || !c.needs_order()).collect()
}

/// Who chose which label for which item, read from the state once: every table is made of this.
#[derive(Debug, Clone)]
pub struct Ratings<'a> {
    categories: usize,
    /// Everybody who has judged one of the items, in order.
    members: Vec<&'a MemberId>,
    rows: Vec<Row<'a>>,
}

/// An item with the place of each of its judges among the members, in order, and the place of their
/// label among the project's.
#[derive(Debug, Clone)]
struct Row<'a> {
    item: &'a ItemInfo,
    said: Vec<(usize, usize)>,
}

impl<'a> Ratings<'a> {
    /// All judgements of `items` that can be seen, of complete items or not. Gold items are left out:
    /// what everybody is expected to say of them is no agreement. Labels that the project doesn't have
    /// are left out.
    pub fn of(settings: &ProjectSettings, state: &'a State, items: &'a [ItemInfo]) -> Self {
        let read = |item: &'a ItemInfo| {
            let judgements = state.record(&item.id)?.judgements().into_iter();
            let said = judgements.filter_map(|(member, judgement)| {
                Some((member, settings.label_index(&judgement.label)?))
            });
            Some((item, said.collect::<Vec<_>>()))
        };
        let plain = items.iter().filter(|item| item.gold.is_none());
        let read: Vec<(&ItemInfo, Vec<(&MemberId, usize)>)> = plain.filter_map(read).collect();
        let members: BTreeSet<&MemberId> =
            read.iter().flat_map(|(_, said)| said.iter().map(|(member, _)| *member)).collect();
        let members: Vec<&MemberId> = members.into_iter().collect();
        let row = |(item, said): (&'a ItemInfo, Vec<(&MemberId, usize)>)| {
            let place = |(member, label)| Some((members.binary_search(&member).ok()?, label));
            Row { item, said: said.into_iter().filter_map(place).collect() }
        };
        let rows = read.into_iter().map(row).collect();
        Self { categories: settings.labels.len(), members, rows }
    }

    /// The judgements of all items.
    pub fn all(&self) -> Tallies {
        self.tallies(self.rows.iter())
    }

    /// The judgements of the items with the same key, for every key: of each culture, of each topic.
    pub fn by<K: Ord>(&self, key: impl Fn(&'a ItemInfo) -> K) -> BTreeMap<K, Tallies> {
        let mut parts: BTreeMap<K, Vec<&Row<'a>>> = BTreeMap::new();
        for row in &self.rows {
            parts.entry(key(row.item)).or_default().push(row);
        }
        parts.into_iter().map(|(key, rows)| (key, self.tallies(rows.into_iter()))).collect()
    }

    fn tallies<'r>(&self, rows: impl Iterator<Item = &'r Row<'a>>) -> Tallies
    where
        'a: 'r,
    {
        let labels = rows.map(|row| row.said.iter().map(|(_, label)| *label));
        // Indices of labels are below their number.
        Tallies::new(self.categories, labels).unwrap_or_else(|| Tallies::none(self.categories))
    }

    /// Every two members who have judged the same items, with the number of those: the most first, then
    /// in order. The steps are as many as there are pairs of judgements of one item, not of members.
    pub fn co_judges(&self) -> Vec<(&'a MemberId, &'a MemberId, usize)> {
        let mut shared: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for Row { said, .. } in &self.rows {
            for (place, (first, _)) in said.iter().enumerate() {
                for (second, _) in &said[place + 1..] {
                    *shared.entry((*first, *second)).or_default() += 1;
                }
            }
        }
        let named = |((first, second), items)| (self.members[first], self.members[second], items);
        let mut pairs: Vec<_> = shared.into_iter().map(named).collect();
        pairs.sort_by_key(|(.., items)| std::cmp::Reverse(*items));
        pairs
    }

    /// What two members said about the items that both have judged.
    pub fn pair(&self, first: &MemberId, second: &MemberId) -> Option<Pair> {
        let place = |member| self.members.binary_search(&member).ok();
        let places = place(first).zip(place(second));
        let label = |row: &Row<'_>, member: usize| {
            let at = row.said.binary_search_by_key(&member, |(place, _)| *place).ok()?;
            Some(row.said[at].1)
        };
        let both = self.rows.iter().filter_map(|row| {
            let (first, second) = places?;
            Some((label(row, first)?, label(row, second)?))
        });
        Pair::new(self.categories, both)
    }
}

/// The judgements of those `items` that `wanted` lets through, as [`Ratings::of`] reads them.
pub fn tallies(
    settings: &ProjectSettings,
    state: &State,
    items: &[ItemInfo],
    wanted: impl Fn(&ItemInfo) -> bool,
) -> Tallies {
    let ratings = Ratings::of(settings, state, items);
    let rows = ratings.rows.iter().filter(|row| wanted(row.item));
    ratings.tallies(rows)
}

/// Everybody who has judged something that can be seen.
pub fn judges(state: &State) -> BTreeSet<MemberId> {
    let members = state.records().flat_map(|(_, record)| record.judgements().into_keys());
    members.cloned().collect()
}
