//! What tuning costs in general ability, for the base run and every arm.

use super::{Bench, METRIC, culture_parts};
use crate::experiments::arm::Arm;
use crate::experiments::section::{Claim, Entry, Section};
use crate::jobs::JobError;
use crate::jobs::evaluate::VoiceKind;
use crate::jobs::work::Watcher;

/// Nats per token that tuning may cost and still count as no loss: 5 % more perplexity. An interval that
/// holds zero shows no loss only where it ends before this (non-inferiority).
const MARGIN: f64 = 0.05;

/// Mixes in general conversations.
pub(super) const GENERAL: Arm = Arm {
    key: "general",
    title: "one general conversation to four instances",
    change: |request| request.general = Some(0.25),
    same_answers: true,
};

impl Bench<'_> {
    /// Comes after all arms, whose adapters it measures too.
    pub(super) async fn ability(
        &mut self,
        watcher: &mut Watcher<'_>,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Section, JobError> {
        told(GENERAL.title);
        let general = GENERAL.run(self.base, watcher).await?;
        let parts = culture_parts(&general, &general.evaluated_answers(VoiceKind::Joint).await?);
        let beside = Entry::closer("", METRIC, &parts, &self.aware, String::new());
        self.done.push((GENERAL.title, general));
        let base = std::iter::once(("all instances", self.base));
        let arms = base.chain(self.done.iter().map(|(title, method)| (*title, method)));
        let mut entries = Vec::new();
        for (title, method) in arms {
            let Some(ability) = method.ability("joint").await? else { continue };
            let gained = beside.as_ref().filter(|_| title == GENERAL.title);
            let gained = gained.map_or_else(String::new, |gained| {
                format!("; alignment {:+.2} beyond the aware voice", gained.difference)
            });
            entries.push(Entry {
                label: title.to_owned(),
                score: None,
                difference: ability.after - ability.before,
                interval: ability.interval,
                note: format!(
                    "{:.3} to {:.3} nats a token, {} replies{gained}",
                    ability.before, ability.after, ability.replies
                ),
            });
        }
        let claims = entries.first().map(|entry| {
            let interval = entry.interval.map(|interval| interval.times(-1.0));
            let text =
                format!("Tuning doesn't cost general ability: no more than {MARGIN} nats a token.");
            Claim::above(-MARGIN, &text, -entry.difference, interval)
        });
        Ok(Section {
            key: "ability",
            title: "General ability",
            measure: "The loss on replies of ordinary conversations that no step has learnt, with the \
                      joint adapter beside the base model; above zero the adapter predicts them worse. A \
                      loss of up to 0.05 nats, 5 % more perplexity, counts as none."
                .to_owned(),
            unit: "nats per token beyond the base model",
            entries,
            claims: claims.into_iter().collect(),
        })
    }
}
