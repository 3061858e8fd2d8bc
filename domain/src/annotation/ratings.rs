//! Judgements as tables for [`crate::agreement`]: of all items, of a culture, a topic, or two members.

use std::collections::BTreeSet;

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

/// The judgements of those `items` that `wanted` lets through; every judgement that can be seen
/// counts, complete or not. Gold items are left out: what everybody is expected to say of them is no
/// agreement. Labels that the project doesn't have are left out.
pub fn tallies(
    settings: &ProjectSettings,
    state: &State,
    items: &[ItemInfo],
    wanted: impl Fn(&ItemInfo) -> bool,
) -> Tallies {
    let counts = |item: &&ItemInfo| item.gold.is_none() && wanted(item);
    let judged = items.iter().filter(counts).map(|item| {
        let judgements = state.record(&item.id).map(|record| record.judgements());
        judgements
            .into_iter()
            .flatten()
            .filter_map(|(_, judgement)| settings.label_index(&judgement.label))
            .collect::<Vec<usize>>()
    });
    // Indices of labels are below their number.
    Tallies::new(settings.labels.len(), judged)
        .unwrap_or_else(|| Tallies::none(settings.labels.len()))
}

/// What two members said about the items that both have judged, gold items aside.
pub fn pair(
    settings: &ProjectSettings,
    state: &State,
    items: &[ItemInfo],
    first: &MemberId,
    second: &MemberId,
) -> Option<Pair> {
    let both = items.iter().filter(|item| item.gold.is_none()).filter_map(|item| {
        let judgements = state.record(&item.id)?.judgements();
        let label = |member| settings.label_index(&judgements.get(member)?.label);
        Some((label(first)?, label(second)?))
    });
    Pair::new(settings.labels.len(), both)
}

/// Everybody who has judged something that can be seen.
pub fn judges(state: &State) -> BTreeSet<MemberId> {
    let members = state.records().flat_map(|(_, record)| record.judgements().into_keys());
    members.cloned().collect()
}
