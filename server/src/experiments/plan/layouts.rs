//! Order and numbers of the options.

use domain::prompt::PromptStyle;

use super::{Bench, METRIC, culture_parts};
use crate::experiments::section::{Entry, Section};
use crate::jobs::JobError;
use crate::jobs::evaluate::variants::Layout;
use crate::jobs::work::Watcher;

impl Bench<'_> {
    /// The same questions laid out in other ways.
    pub(super) async fn layouts(&self, watcher: &mut Watcher<'_>) -> Result<Section, JobError> {
        let joint = self.base.loaded_adapter("joint").await?;
        let mut entries = Vec::new();
        for layout in Layout::ALL {
            let voices = [("base", None), ("joint", joint.as_ref())];
            for (label, adapter) in voices.into_iter().filter(|(l, a)| *l == "base" || a.is_some())
            {
                let adapter = adapter.map(|(name, hash)| (name.as_str(), hash.as_str()));
                let style = PromptStyle::Aware;
                let asked = self.base.variant_answers(style, adapter, layout, watcher).await?;
                let parts = culture_parts(self.base, &asked);
                let beside = if label == "base" { &self.aware } else { &self.joint };
                let label = format!("{}, {label}", layout.as_str());
                entries.extend(Entry::closer(label, METRIC, &parts, beside, String::new()));
            }
        }
        Ok(Section {
            key: "layouts",
            title: "Order and numbers of the options",
            measure: "The evaluated questions with the options as written, in reverse order, shuffled, and \
                      numbered from 0 instead of 1 or the other way round. What changes beyond zero is \
                      no opinion."
                .to_owned(),
            unit: "alignment x 100 beyond the same voice, options as written",
            entries,
            claims: vec![],
        })
    }
}
