//! What an item's judgements come to, and the queue of disagreements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::item::{Item, ItemId, ItemInfo};
use super::label::LabelId;
use super::project::ProjectSettings;
use super::state::{Record, State};
use super::visibility::is_complete;
use crate::instance::Instance;

/// Why a verdict is what it is, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// An adjudicator decided.
    Adjudicated,
    /// All judgements are the same.
    Unanimous,
    /// More than half of the judgements are the same.
    Majority,
}

impl Basis {
    /// Name for people and exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adjudicated => "adjudicated",
            Self::Unanimous => "unanimous",
            Self::Majority => "majority",
        }
    }
}

/// What is held of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The label.
    pub label: LabelId,
    /// Number of the option that people of the culture would choose, where a decision or more than
    /// half of all judgements name the same.
    pub option: Option<u32>,
    /// Why.
    pub basis: Basis,
}

/// The verdict of an item; `None` where nothing is complete, where somebody's word can't be seen yet, or where
/// no label has more than half.
pub fn verdict(settings: &ProjectSettings, state: &State, item: &ItemInfo) -> Option<Verdict> {
    let record = state.record(&item.id)?;
    if let Some((_, decision)) = record.adjudication() {
        let (label, option) = (decision.label.clone(), decision.option);
        return Some(Verdict { label, option, basis: Basis::Adjudicated });
    }
    if !is_complete(settings, state, item) {
        return None;
    }
    let judgements = record.judgements();
    if judgements.len() < record.judged_by() {
        // Others' words are still to come: one's own doesn't speak for them.
        return None;
    }
    let (label, votes) = most(judgements.values().map(|judgement| &judgement.label))?;
    let basis = match votes {
        votes if votes == judgements.len() => Basis::Unanimous,
        votes if 2 * votes > judgements.len() => Basis::Majority,
        _ => return None,
    };
    let options = judgements.values().filter_map(|judgement| judgement.option);
    let option = most(options).filter(|(_, votes)| 2 * votes > judgements.len());
    Some(Verdict { label: label.clone(), option: option.map(|(option, _)| option), basis })
}

/// Whether an item's verdict puts it into the training set. Gold items are no instances.
pub fn is_accepted(settings: &ProjectSettings, state: &State, item: &ItemInfo) -> bool {
    let verdict = verdict(settings, state, item);
    let label = verdict.and_then(|verdict| settings.label(&verdict.label));
    item.gold.is_none() && label.is_some_and(|label| label.accepts)
}

/// The instances whose verdict puts them into the training set, in the project's order: the culture's
/// persona and the question, labelled with the aware answer.
pub fn accepted(settings: &ProjectSettings, state: &State, items: &[Item]) -> Vec<Instance> {
    let instance = |item: &Item| Instance {
        question: item.question.id.clone(),
        culture: item.culture,
        unaware: item.unaware,
        aware: item.aware,
    };
    let accepted = items.iter().filter(|item| is_accepted(settings, state, &item.info()));
    accepted.map(instance).collect()
}

/// The items that wait for a decision, those with the most different opinions first, then in the
/// project's order: complete, not unanimous, not decided.
pub fn disagreements(settings: &ProjectSettings, state: &State, items: &[ItemInfo]) -> Vec<ItemId> {
    let mut waiting: Vec<(usize, &ItemId)> = items
        .iter()
        .filter(|item| is_complete(settings, state, item))
        .filter_map(|item| {
            let record = state.record(&item.id)?;
            (record.adjudication().is_none() && !is_unanimous(record))
                .then(|| (agreeing_pairs(record), &item.id))
        })
        .collect();
    waiting.sort_by_key(|(agreeing, _)| *agreeing);
    waiting.into_iter().map(|(_, item)| item.clone()).collect()
}

fn is_unanimous(record: &Record) -> bool {
    let judgements = record.judgements();
    let mut labels = judgements.values().map(|judgement| &judgement.label);
    let first = labels.next();
    labels.all(|label| Some(label) == first)
}

/// Pairs of judgements with the same label; fewer means more disagreement.
fn agreeing_pairs(record: &Record) -> usize {
    let judgements = record.judgements();
    let mut votes: BTreeMap<&LabelId, usize> = BTreeMap::new();
    judgements.values().for_each(|judgement| *votes.entry(&judgement.label).or_default() += 1);
    votes.values().map(|votes| votes * (votes - 1) / 2).sum()
}

/// The most frequent value and how often it occurs; the first of equals.
fn most<T: Ord>(values: impl Iterator<Item = T>) -> Option<(T, usize)> {
    let mut votes: BTreeMap<T, usize> = BTreeMap::new();
    values.for_each(|value| *votes.entry(value).or_default() += 1);
    votes.into_iter().rev().max_by_key(|(_, votes)| *votes)
}
