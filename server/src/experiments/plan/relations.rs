//! Relations between cultures, in the model and among people.

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::culture::CultureCode;
use domain::score::{Movement, Relations, correlation_interval, movement};

use super::{Bench, METRIC};
use crate::experiments::section::{Entry, Section, joined, over_some};
use crate::jobs::JobError;
use crate::jobs::evaluate::{CultureAnswers, VoiceKind};

impl Bench<'_> {
    /// How the model's matrix of cultures correlates with people's.
    pub(super) async fn relations(&self) -> Result<Section, JobError> {
        let method = self.base;
        let (survey, cultures) = (&method.survey, &method.settings.cultures);
        let asked = survey.evaluated().into_iter().map(|question| question.id.clone()).collect();
        let mut entries = Vec::new();
        let mut measure =
            "How alike every two cultures answer, in the model and among people, and how both \
             matrices correlate; in brackets the 95 % bootstrap interval over questions. A mean \
             likeness above people's means that the model draws cultures together."
                .to_owned();
        for (label, kind) in [
            ("aware", VoiceKind::Aware),
            ("joint adapter", VoiceKind::Joint),
            ("specific adapters", VoiceKind::Specific),
        ] {
            let answers = method.evaluated_answers(kind).await?;
            let lent: Vec<_> = answers.iter().map(|(code, a)| (*code, a.as_slice())).collect();
            let model = Relations::of_answers(survey, &lent, METRIC, &asked);
            // Of the cultures that have such a voice.
            let codes: Vec<CultureCode> = answers.iter().map(|(code, _)| *code).collect();
            let people = Relations::of_people(survey, &codes, METRIC, &asked);
            let over = over_some(codes.len(), cultures.len());
            let Some(correlation) = model.correlation(&people) else {
                let over = over.unwrap_or_else(|| format!("over {} cultures", codes.len()));
                let _ = write!(measure, " Not measured {over}: {label}.");
                continue;
            };
            let interval = correlation_interval(survey, &lent, METRIC, &asked);
            let moved = self.moved(&answers).await?;
            entries.push(Entry {
                label: label.to_owned(),
                score: None,
                difference: correlation.r,
                interval,
                note: joined(format!(
                    "p = {:.4} (Mantel); mean likeness {:.1}, people {:.1}; changed answers move {:.0} % \
                     toward people, {:.0} % away",
                    correlation.p_value,
                    100.0 * model.mean().unwrap_or(f64::NAN),
                    100.0 * people.mean().unwrap_or(f64::NAN),
                    percent(moved.toward, moved.changed()),
                    percent(moved.away, moved.changed()),
                ), over),
            });
        }
        Ok(Section {
            key: "relations",
            title: "Relations between cultures",
            measure,
            unit: "correlation with people's matrix",
            entries,
            claims: vec![],
        })
    }

    /// Which way answers move from the unaware voice.
    async fn moved(&self, answers: &CultureAnswers) -> Result<Movement, JobError> {
        let unaware = self.base.evaluated_answers(VoiceKind::Unaware).await?;
        let unaware: BTreeMap<_, _> = unaware.iter().map(|(code, given)| (code, given)).collect();
        let moved = answers.iter().filter_map(|(code, after)| {
            Some(movement(&self.base.survey, *code, unaware.get(code)?, after))
        });
        Ok(moved.fold(Movement::default(), Movement::plus))
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
