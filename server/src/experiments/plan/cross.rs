//! Every culture's own adapter as every culture.

use super::{Bench, METRIC};
use crate::experiments::section::{Claim, Entry, Section, Verdict};
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
        let entry = |(adapter, row): (&_, &Vec<Option<f64>>)| {
            let named = cross.cultures.iter().zip(row);
            let own = named.clone().find(|(code, _)| *code == adapter).and_then(|(_, own)| *own)?;
            let others: Vec<f64> = named
                .filter(|(code, _)| *code != adapter)
                .filter_map(|(_, other)| *other)
                .collect();
            let mean = others.iter().sum::<f64>() / others.len().max(1) as f64;
            Some(Entry {
                label: format!("adapter of {adapter}"),
                score: Some(own),
                difference: own - mean,
                interval: None,
                note: format!("{mean:.2} as the {} others", others.len()),
            })
        };
        let claim = cross.own_gain.map(|own| Claim {
            text: "A culture's own adapter is closer to its people than other cultures' adapters."
                .to_owned(),
            difference: own.gain,
            interval: own.interval,
            verdict: Verdict::above_zero(own.interval),
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
            entries: cross.adapters.iter().zip(&cross.values).filter_map(entry).collect(),
            claims: claim.into_iter().collect(),
        }))
    }
}
