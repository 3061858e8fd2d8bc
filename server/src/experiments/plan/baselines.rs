//! What answering without looking reaches. A score means little without it.

use std::collections::BTreeMap;

use domain::culture::CultureCode;
use domain::question::{Question, QuestionId};
use domain::score::{Baseline, Part, Parts, baseline_parts, baseline_score};

use super::{Bench, METRIC};
use crate::experiments::section::{CultureParts, Entry, joined, mean_score, over_some};

/// Whose people everybody is said to be like, as in the paper's domain.
const LIKE: &str = "USA";

impl Bench<'_> {
    /// Every baseline on the questions that the aware voice answered, beside that voice.
    pub(super) fn baselines(&self) -> Vec<Entry> {
        let like = LIKE.parse().ok();
        let like = like.filter(|usa| self.base.survey.culture(*usa).is_some()).map(Baseline::Like);
        let kinds = [Baseline::Random, Baseline::Middle].into_iter().chain(like);
        kinds.filter_map(|kind| self.baseline(kind)).collect()
    }

    fn baseline(&self, kind: Baseline) -> Option<Entry> {
        if kind == Baseline::Random {
            return self.drawn(kind);
        }
        // Nobody is said to be like themselves.
        let others = self.aware.iter().filter(|(code, _)| Baseline::Like(**code) != kind);
        let parts = |(code, aware): (&CultureCode, &Parts)| {
            let parts = self.parts_of(kind, *code, aware);
            (!parts.is_empty()).then_some((*code, parts))
        };
        let parts: CultureParts = others.filter_map(parts).collect();
        Entry::closer(kind.title(), METRIC, &parts, &self.aware, String::new())
    }

    /// One that is drawn has a score by this metric, and no part per question to resample.
    fn drawn(&self, kind: Baseline) -> Option<Entry> {
        let score = |(code, aware): (&CultureCode, &Parts)| {
            let questions: Vec<&Question> =
                self.asked(aware).map(|(_, question)| question).collect();
            baseline_score(kind, METRIC, &self.base.survey, *code, &questions)
        };
        let scores: BTreeMap<CultureCode, f64> =
            self.aware.iter().filter_map(|voice| Some((*voice.0, score(voice)?))).collect();
        let mean = 100.0 * scores.values().sum::<f64>() / scores.len() as f64;
        let same: CultureParts = self
            .aware
            .iter()
            .filter(|(code, _)| scores.contains_key(code))
            .map(|(code, parts)| (*code, parts.clone()))
            .collect();
        let aware = mean_score(METRIC, &same)?;
        let over = over_some(scores.len(), self.aware.len());
        Some(Entry {
            label: kind.title(),
            score: Some(mean),
            difference: mean - aware,
            interval: None,
            note: joined("mean of many draws".to_owned(), over),
        })
    }

    fn parts_of(&self, kind: Baseline, code: CultureCode, aware: &Parts) -> Parts {
        let part = |(id, question): (&QuestionId, &Question)| -> Option<(QuestionId, Part)> {
            let parts = baseline_parts(kind, METRIC, &self.base.survey, code, &[question]);
            Some((id.clone(), parts.into_iter().next()?))
        };
        self.asked(aware).filter_map(part).collect()
    }

    fn asked<'b>(
        &'b self,
        aware: &'b Parts,
    ) -> impl Iterator<Item = (&'b QuestionId, &'b Question)> {
        aware.keys().filter_map(|id| Some((id, self.base.survey.question(id)?)))
    }
}
