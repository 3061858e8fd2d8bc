//! Prompt styles before and after tuning.

use domain::prompt::PromptStyle;

use super::{Bench, METRIC, culture_parts};
use crate::experiments::section::{Claim, Entry, Section};
use crate::jobs::JobError;
use crate::jobs::evaluate::variants::Layout;
use crate::jobs::work::Watcher;

impl Bench<'_> {
    /// Every style that the survey can be asked in.
    pub(super) async fn styles(&self, watcher: &mut Watcher<'_>) -> Result<Section, JobError> {
        let joint = self.base.loaded_adapter("joint").await?;
        let (mut entries, mut claims) = (Vec::new(), Vec::new());
        let styles = PromptStyle::ALL.into_iter().filter(|style| style.has_culture());
        for style in styles.filter(|style| self.can_ask(*style)) {
            let note = if style.uses_reference() { "shows people's answers" } else { "" };
            let mut of = async |adapter| {
                let layout = Layout::AsWritten;
                let asked = self.base.variant_answers(style, adapter, layout, watcher).await?;
                Ok::<_, JobError>(culture_parts(self.base, &asked))
            };
            let before = of(None).await?;
            let label = format!("{style}, base");
            entries.extend(Entry::closer(label, METRIC, &before, &self.aware, note.to_owned()));
            let Some((name, hash)) = &joint else { continue };
            let after = of(Some((name, hash))).await?;
            let label = format!("{style}, joint");
            entries.extend(Entry::closer(label, METRIC, &after, &self.aware, note.to_owned()));
            if style == PromptStyle::CrossCulture {
                let text = "Tuning helps under a stronger prompt (P2), too.";
                claims.extend(Claim::closer(text, METRIC, &after, &before));
            }
        }
        Ok(Section {
            key: "styles",
            title: "Prompt styles before and after tuning",
            measure:
                "The evaluated questions asked in every style, of the base model and with the joint \
                      adapter (tuned on P1 prompts). Styles with self-alignment (P3) show people's \
                      answers to neighbouring questions, so they are no fair test of the model."
                    .to_owned(),
            unit: "alignment x 100 beyond the aware voice (P1, base)",
            entries,
            claims,
        })
    }
}
