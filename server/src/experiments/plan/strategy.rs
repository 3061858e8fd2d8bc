//! One joint adapter or one per culture.

use super::{Bench, METRIC, culture_parts};
use crate::experiments::section::{Claim, CultureParts, Entry, Section};
use crate::jobs::JobError;
use crate::jobs::evaluate::VoiceKind;

impl Bench<'_> {
    /// The base run's own voices.
    pub(super) async fn strategy(&self) -> Result<Section, JobError> {
        let specific = self.base.evaluated_answers(VoiceKind::Specific).await?;
        let specific = culture_parts(self.base, &specific);
        let entry = |label: &str, voice: &CultureParts| {
            Entry::closer(label, METRIC, voice, &self.aware, String::new())
        };
        let claim = |text: &str, first, second| Claim::closer(text, METRIC, first, second);
        let voices = [
            entry("unaware", &self.unaware),
            entry("joint adapter", &self.joint),
            entry("specific adapters", &specific),
        ];
        let claims = [
            claim(
                "Naming a culture brings answers closer to its people.",
                &self.aware,
                &self.unaware,
            ),
            claim("A joint adapter brings them closer still.", &self.joint, &self.aware),
            claim("So do specific adapters.", &specific, &self.aware),
            claim("A joint adapter does more than specific ones.", &self.joint, &specific),
        ];
        Ok(Section {
            key: "strategy",
            title: "One joint adapter or one per culture",
            measure:
                "Voices on the evaluated questions beside the aware voice without an adapter, and \
                      what answering without looking reaches."
                    .to_owned(),
            unit: "alignment x 100 beyond the aware voice",
            entries: voices.into_iter().flatten().chain(self.baselines()).collect(),
            claims: claims.into_iter().flatten().collect(),
        })
    }
}
