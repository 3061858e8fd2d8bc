//! One annotator's work.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::item::ItemInfo;
use super::label::LabelId;
use super::member::MemberId;
use super::project::ProjectSettings;
use super::state::{State, Word};
use super::verdict::verdict;

/// What one member has done, and how it stands to the others' work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnnotatorReport {
    /// Items judged, gold items aside.
    pub judged: usize,
    /// Items skipped, gold items aside.
    pub skipped: usize,
    /// How often each label was chosen, gold items aside.
    pub labels: BTreeMap<LabelId, usize>,
    /// Median milliseconds per judgement, by the client's own measure, gold items aside.
    pub median_milliseconds: Option<u32>,
    /// Judged items that have a verdict.
    pub with_verdict: usize,
    /// Those of them whose verdict is the member's label.
    pub as_verdict: usize,
    /// Gold items judged.
    pub gold: usize,
    /// Those of them judged as expected.
    pub gold_right: usize,
}

/// The report of `member`.
pub fn annotator_report(
    settings: &ProjectSettings,
    state: &State,
    items: &[ItemInfo],
    member: &MemberId,
) -> AnnotatorReport {
    let mut report = AnnotatorReport::default();
    let mut times = Vec::new();
    for item in items {
        let Some(record) = state.record(&item.id) else { continue };
        let judgement = match record.word(member) {
            Some((_, Word::Judged(judgement))) => judgement,
            Some((_, Word::Skipped(_))) => {
                report.skipped += usize::from(item.gold.is_none());
                continue;
            }
            _ => continue,
        };
        if let Some(gold) = &item.gold {
            report.gold += 1;
            report.gold_right += usize::from(*gold == judgement.label);
            continue;
        }
        if judgement.milliseconds > 0 {
            times.push(judgement.milliseconds);
        }
        report.judged += 1;
        *report.labels.entry(judgement.label.clone()).or_default() += 1;
        if let Some(verdict) = verdict(settings, state, item) {
            report.with_verdict += 1;
            report.as_verdict += usize::from(verdict.label == judgement.label);
        }
    }
    times.sort_unstable();
    report.median_milliseconds = times.get(times.len() / 2).copied();
    report
}
