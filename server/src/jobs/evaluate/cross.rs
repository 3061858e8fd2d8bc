//! Adapter i on culture j: every culture's own adapter answers the held-out questions as every culture.

use std::collections::{BTreeMap, BTreeSet};

use domain::culture::CultureCode;
use domain::score::{CrossParts, CrossScores, Metric, parts};
use domain::voice::Voice;

use super::{JobError, Method, STEP as EVALUATED, specific_name};
use crate::jobs::work::Watcher;
use crate::store::UnitKey;

/// Not a step of the method: a run is complete without it, and its manifest doesn't count it.
const STEP: &str = "cross";

impl Method {
    /// Asks every culture's own adapter as every other culture, and scores that beside what the
    /// evaluation has stored of the adapters on their own cultures. Rows and columns are in the order
    /// of the run's cultures.
    ///
    /// # Errors
    /// A refusal for fewer than two specific adapters; see [`JobError`] for the rest. What was
    /// answered before is kept.
    pub async fn cross(
        &self,
        metric: Metric,
        watcher: &mut Watcher<'_>,
    ) -> Result<CrossScores, JobError> {
        self.load_adapters().await?;
        let tuned = self.tuned().await?;
        let adapters = self.evaluated_adapters(&tuned);
        let cultures = &self.settings.cultures;
        let own = |code: &&CultureCode| adapters.contains_key(&specific_name(**code));
        let owners: Vec<CultureCode> = cultures.iter().filter(own).copied().collect();
        if owners.len() < 2 {
            return Err(JobError::refused(
                format!(
                    "adapters can be asked as other cultures where at least 2 cultures have one of \
                     their own; in the run `{}` {} has",
                    self.run,
                    if owners.is_empty() { "none" } else { "only one" }
                ),
                "Tune specific adapters, as with `--adapters THA,KEN`, or leave `--cross` out.",
            ));
        }
        let voices = crossed(&owners, cultures);
        self.ask_held_out(STEP, &voices, (&tuned, &adapters), watcher).await?;
        let mut units: BTreeMap<UnitKey, Vec<f64>> =
            self.store.units(&self.run, &self.kept_as(EVALUATED)).await?;
        units.extend(self.store.units::<Vec<f64>>(&self.run, &self.kept_as(STEP)).await?);
        let of = |owner: CultureCode, code: CultureCode| {
            let voice = Voice::adapted(code, specific_name(owner));
            let answers = self.stored_answers(&voice, &adapters, &units);
            let parts = parts(&self.survey, code, &answers, metric, &BTreeSet::new());
            (!parts.is_empty()).then_some(((owner, code), parts))
        };
        let pairs =
            owners.iter().flat_map(|owner| cultures.iter().map(move |code| (*owner, *code)));
        let parts: CrossParts = pairs.filter_map(|(owner, code)| of(owner, code)).collect();
        let scores = CrossScores::new(metric, &owners, cultures, &parts);
        Ok(scores.with_home_gains(metric, &parts).in_percent())
    }
}

/// Every owner's adapter as every culture but its own, which the evaluation asks.
fn crossed(owners: &[CultureCode], cultures: &[CultureCode]) -> Vec<Voice> {
    let mut voices = Vec::new();
    for owner in owners {
        let others = cultures.iter().filter(|code| *code != owner);
        voices.extend(others.map(|code| Voice::adapted(*code, specific_name(*owner))));
    }
    voices
}
