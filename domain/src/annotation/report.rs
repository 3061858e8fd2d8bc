//! What each annotator has done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::Judgement;
use super::item::ItemInfo;
use super::label::LabelId;
use super::member::MemberId;
use super::project::ProjectSettings;
use super::state::{State, Word};
use super::verdict::{Verdict, verdict};

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

/// The reports of everybody who has judged or skipped something, in one pass over the items.
pub fn annotator_reports(
    settings: &ProjectSettings,
    state: &State,
    items: &[ItemInfo],
) -> BTreeMap<MemberId, AnnotatorReport> {
    let mut found: BTreeMap<&MemberId, (AnnotatorReport, Vec<u32>)> = BTreeMap::new();
    for item in items {
        let Some(record) = state.record(&item.id) else { continue };
        // The same for all who have judged it.
        let verdict = verdict(settings, state, item);
        for (member, (_, word)) in record.words() {
            let (report, times) = found.entry(member).or_default();
            match word {
                Word::Judged(judgement) => {
                    report.count(item, judgement, verdict.as_ref());
                    if item.gold.is_none() && judgement.milliseconds > 0 {
                        times.push(judgement.milliseconds);
                    }
                }
                Word::Skipped(_) => report.skipped += usize::from(item.gold.is_none()),
                Word::Hidden => {}
            }
        }
    }
    let finished = |(member, (mut report, mut times)): (&MemberId, (AnnotatorReport, Vec<u32>))| {
        times.sort_unstable();
        report.median_milliseconds = times.get(times.len() / 2).copied();
        (member.clone(), report)
    };
    found.into_iter().map(finished).collect()
}

impl AnnotatorReport {
    fn count(&mut self, item: &ItemInfo, judgement: &Judgement, verdict: Option<&Verdict>) {
        if let Some(gold) = &item.gold {
            self.gold += 1;
            self.gold_right += usize::from(*gold == judgement.label);
            return;
        }
        self.judged += 1;
        *self.labels.entry(judgement.label.clone()).or_default() += 1;
        if let Some(verdict) = verdict {
            self.with_verdict += 1;
            self.as_verdict += usize::from(verdict.label == judgement.label);
        }
    }
}
