//! Step 2 of the method: every generated question is asked once unaware and once per culture.
//! Both sides get the same prompt with options (method, fault 4) and differ in the persona only.

use std::collections::BTreeMap;

use domain::answer::most_probable;
use domain::instance::AnswerPair;
use domain::question::Question;
use domain::voice::Voice;

use super::work::{Watcher, Work};
use super::{JobError, Method, ask};
use crate::store::UnitKey;

pub(super) const STEP: &str = "elicit";

/// Prompts scored and stored together; one persona's questions stand beside each other, so that
/// the engine computes their shared beginning once.
const BATCH: usize = 64;

impl Method {
    /// Asks everything that isn't answered yet. Returns the number of answers.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] before questions were generated; see [`JobError`] for the rest.
    pub async fn elicit(&self, watcher: &mut Watcher<'_>) -> Result<usize, JobError> {
        let questions = self.questions().await?;
        let mut wanted = Vec::new();
        for voice in self.elicited_voices() {
            for question in &questions {
                let prompt = ask::score_prompt(&self.survey, &voice, question)?;
                wanted.push((key(&voice, question), prompt));
            }
        }
        let total = wanted.len();
        let work = Work { store: &self.store, run: &self.run, step: STEP, batch: BATCH };
        work.complete(wanted, watcher, |prompts| ask::probabilities(&self.engine, prompts)).await?;
        Ok(total)
    }

    /// The answers of both sides: the number of the most probable option.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] where an answer is missing.
    pub async fn answer_pairs(&self) -> Result<Vec<AnswerPair>, JobError> {
        let questions = self.questions().await?;
        let units: BTreeMap<UnitKey, Vec<f64>> = self.store.units(&self.run, STEP).await?;
        let chosen = |voice: &Voice, question: &Question| {
            let probabilities = units.get(&key(voice, question)).ok_or(JobError::StepMissing {
                run: self.run.clone(),
                what: "complete answers",
                step: "elicit",
            })?;
            Ok::<_, JobError>(most_probable(probabilities).map(|index| question.number_of(index)))
        };
        let mut pairs = Vec::new();
        for question in &questions {
            let unaware = chosen(&Voice::unaware(), question)?;
            for &culture in &self.settings.cultures {
                let aware = chosen(&Voice::aware(culture), question)?;
                pairs.push(AnswerPair { question: question.id.clone(), culture, unaware, aware });
            }
        }
        Ok(pairs)
    }

    /// The generated questions; an error where there are none yet.
    pub(super) async fn questions(&self) -> Result<Vec<Question>, JobError> {
        let questions = self.generated().await?.0;
        if questions.is_empty() {
            let run = self.run.clone();
            return Err(JobError::StepMissing { run, what: "questions", step: "generate" });
        }
        Ok(questions)
    }

    fn elicited_voices(&self) -> Vec<Voice> {
        let aware = self.settings.cultures.iter().map(|code| Voice::aware(*code));
        std::iter::once(Voice::unaware()).chain(aware).collect()
    }
}

pub(super) fn key(voice: &Voice, question: &Question) -> UnitKey {
    format!("{}/{}", question.id, voice.slug())
}
