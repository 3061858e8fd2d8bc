//! Relations between cultures, in the model and among people.

use domain::score::{Movement, Relations, correlation_interval, movement};

use super::{Bench, METRIC};
use crate::experiments::section::{Entry, Section};
use crate::jobs::JobError;
use crate::jobs::evaluate::{CultureAnswers, VoiceKind};

impl Bench<'_> {
    /// How the model's matrix of cultures correlates with people's.
    pub(super) async fn relations(&self) -> Result<Section, JobError> {
        let method = self.base;
        let (survey, cultures) = (&method.survey, &method.settings.cultures);
        let asked = survey.evaluated().into_iter().map(|question| question.id.clone()).collect();
        let people = Relations::of_people(survey, cultures, METRIC, &asked);
        let mut entries = Vec::new();
        for (label, kind) in [
            ("aware", VoiceKind::Aware),
            ("joint adapter", VoiceKind::Joint),
            ("specific adapters", VoiceKind::Specific),
        ] {
            let answers = method.evaluated_answers(kind).await?;
            let lent: Vec<_> = answers.iter().map(|(code, a)| (*code, a.as_slice())).collect();
            let model = Relations::of_answers(survey, &lent, METRIC, &asked);
            let Some(correlation) = model.correlation(&people) else { continue };
            let interval = correlation_interval(survey, &lent, METRIC, &asked);
            let moved = self.moved(&answers).await?;
            entries.push(Entry {
                label: label.to_owned(),
                score: None,
                difference: correlation.r,
                interval,
                note: format!(
                    "p = {:.4} (Mantel); mean likeness {:.1}, people {:.1}; changed answers move {:.0} % \
                     toward people, {:.0} % away",
                    correlation.p_value,
                    100.0 * model.mean().unwrap_or(f64::NAN),
                    100.0 * people.mean().unwrap_or(f64::NAN),
                    percent(moved.toward, moved.changed()),
                    percent(moved.away, moved.changed()),
                ),
            });
        }
        Ok(Section {
            key: "relations",
            title: "Relations between cultures",
            measure: "How alike every two cultures answer, in the model and among people, and how both \
                      matrices correlate; in brackets the 95 % bootstrap interval over questions. A mean \
                      likeness above people's means that the model draws cultures together."
                .to_owned(),
            unit: "correlation with people's matrix",
            entries,
            claims: vec![],
        })
    }

    /// Which way answers move from the unaware voice.
    async fn moved(&self, answers: &CultureAnswers) -> Result<Movement, JobError> {
        let unaware = self.base.evaluated_answers(VoiceKind::Unaware).await?;
        let moved = unaware
            .iter()
            .zip(answers)
            .map(|((code, before), (_, after))| movement(&self.base.survey, *code, before, after));
        Ok(moved.fold(Movement::default(), Movement::plus))
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
