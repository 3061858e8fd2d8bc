//! Every culture's own adapter as every culture.

use domain::culture::CultureCode;

use super::{Bench, METRIC};
use crate::experiments::section::{Claim, Entry, Section};
use crate::jobs::JobError;
use crate::jobs::evaluate::VoiceKind;
use crate::jobs::work::Watcher;

impl Bench<'_> {
    /// Whether what a specific adapter has learnt belongs to its culture; `None` where fewer than two
    /// cultures have one.
    pub(super) async fn cross(
        &self,
        watcher: &mut Watcher<'_>,
    ) -> Result<Option<Section>, JobError> {
        if self.base.evaluated_answers(VoiceKind::Specific).await?.len() < 2 {
            return Ok(None);
        }
        let cross = self.base.cross(METRIC, watcher).await?;
        let entry = |(place, adapter): (usize, &CultureCode)| {
            let column = cross.cultures.iter().position(|code| code == adapter)?;
            let own = (*cross.values.get(place)?.get(column)?)?;
            let beyond = cross.home_gains.get(place).copied().flatten()?;
            let mean = own - beyond.gain;
            Some(Entry {
                label: format!("adapter of {adapter}"),
                score: Some(own),
                difference: beyond.gain,
                interval: beyond.interval,
                note: format!("{mean:.2} as the {} others", beyond.cultures),
            })
        };
        let claim = cross.own_gain.map(|own| {
            let text =
                "A culture's own adapter is closer to its people than other cultures' adapters.";
            Claim::above(0.0, text, own.gain, own.interval).expected()
        });
        Ok(Some(Section {
            key: "cross",
            title: "Adapters on other cultures",
            measure: "Every culture's own adapter asked as every culture and held against that \
                      culture's people: its score as its own culture, beside its mean as the others. \
                      Some cultures are closer to any voice than others are; the claim compares \
                      adapters on the same culture."
                .to_owned(),
            unit: "alignment x 100 beyond the mean as other cultures",
            entries: cross.adapters.iter().enumerate().filter_map(entry).collect(),
            claims: claim.into_iter().collect(),
        }))
    }
}
