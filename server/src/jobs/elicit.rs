//! Step 2 of the method: every generated question is asked once unaware and once per culture.
//! Both sides get the same prompt with options (method, fault 4) and differ in the style only.

use std::collections::BTreeMap;

use app::api::Sampling;
use domain::answer::{LARGEST_COLLECTED, first_integer, most_probable};
use domain::culture::CultureCode;
use domain::instance::{AnswerPair, CollectionRule, Shift};
use domain::method::Elicitation;
use domain::prompt::{Message, Role};
use domain::question::Question;
use domain::random::SplitMix64;
use domain::survey::Survey;
use domain::voice::Voice;
use serde::{Deserialize, Serialize};

use super::work::{Watcher, Work};
use super::{JobError, Method, ask};
use crate::store::UnitKey;
use engine::{GenerateRow, ScorePrompt};

pub(super) const STEP: &str = "elicit";

/// Prompts answered and stored together; one persona's questions stand beside each other, so that
/// the engine computes their shared beginning once.
const BATCH: usize = 64;

/// New tokens of a sampled reply: an option's number, and a few words before it at most.
const REPLY_TOKENS: usize = 16;

/// What a voice answered to a question, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answered {
    /// Probability per option, in the question's order.
    Probabilities(Vec<f64>),
    /// The number that each drawn reply named.
    Numbers {
        /// `None` where a reply holds no number up to [`LARGEST_COLLECTED`].
        numbers: Vec<Option<u32>>,
    },
}

impl Answered {
    /// The option number that counts as the answer: the most probable one, or the one named most
    /// often; the first of equals. `None` where no reply was readable.
    pub fn chosen(&self, question: &Question) -> Option<u32> {
        let numbers = match self {
            Self::Probabilities(probabilities) => {
                return most_probable(probabilities).map(|index| question.number_of(index));
            }
            Self::Numbers { numbers } => numbers,
        };
        let mut best: Option<(u32, usize)> = None;
        for number in numbers.iter().flatten() {
            let times = numbers.iter().filter(|other| **other == Some(*number)).count();
            if best.is_none_or(|(_, most)| times > most) {
                best = Some((*number, times));
            }
        }
        best.map(|(number, _)| number)
    }

    /// This unaware answer and the `aware` one of a culture to the same question.
    fn paired(&self, aware: &Self, question: &Question, culture: CultureCode) -> AnswerPair {
        AnswerPair {
            question: question.id.clone(),
            topic: question.topic.clone(),
            culture,
            unaware: self.chosen(question),
            aware: aware.chosen(question),
            shift: self.shift(aware),
        }
    }

    /// How far another answer to the same question is from this one.
    fn shift(&self, other: &Self) -> Option<Shift> {
        match (self, other) {
            (Self::Probabilities(first), Self::Probabilities(second)) => Shift::new(first, second),
            (Self::Numbers { numbers: first }, Self::Numbers { numbers: second }) => {
                Shift::of_samples(first, second)
            }
            _ => None,
        }
    }
}

impl Method {
    /// Asks everything that isn't answered yet. Returns the number of answers.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] before questions were generated; see [`JobError`] for the rest.
    pub async fn elicit(&self, watcher: &mut Watcher<'_>) -> Result<usize, JobError> {
        let wanted = self.wanted().await?;
        let total = wanted.len();
        let work = Work { store: &self.store, run: &self.run, step: STEP, batch: BATCH };
        match self.settings.elicitation {
            Elicitation::Probabilities => {
                let ask = |prompts| ask::probabilities(&self.engine, prompts);
                work.complete(wanted, watcher, ask).await?;
            }
            Elicitation::Samples(count) => {
                let seeded = wanted.into_iter().enumerate().map(|(place, (key, prompt))| {
                    (key, (self.settings.seed ^ ((place as u64 + 1) << 20), prompt))
                });
                let ask = |prompts| self.sampled(prompts, count);
                work.complete(seeded.collect(), watcher, ask).await?;
            }
        }
        Ok(total)
    }

    /// All prompts of this step in their order.
    ///
    /// # Errors
    /// As [`Self::elicit`].
    pub async fn prompts(&self) -> Result<Vec<ScorePrompt>, JobError> {
        Ok(self.wanted().await?.into_iter().map(|(_, prompt)| prompt).collect())
    }

    /// All prompts of this step with the keys of their answers.
    async fn wanted(&self) -> Result<Vec<(UnitKey, ScorePrompt)>, JobError> {
        let questions = self.questions().await?;
        let survey = self.survey_with_neighbours(&questions);
        let mut wanted = Vec::new();
        for voice in self.elicited_voices() {
            for question in &questions {
                let prompt =
                    ask::score_prompt(&self.settings.templates, &survey, &voice, question)?;
                wanted.push((key(&voice, question), prompt));
            }
        }
        if let (CollectionRule::Shift, Some(persona)) =
            (self.settings.rule, self.settings.templates.unaware_again())
        {
            let unaware = Voice::unaware();
            for question in &questions {
                let mut prompt =
                    ask::score_prompt(&self.settings.templates, &survey, &unaware, question)?;
                prompt.messages[0] = Message::new(Role::System, persona);
                wanted.push((again(question), prompt));
            }
        }
        Ok(wanted)
    }

    /// The answers of both sides.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] where an answer is missing.
    pub async fn answer_pairs(&self) -> Result<Vec<AnswerPair>, JobError> {
        let questions = self.questions().await?;
        let units: BTreeMap<UnitKey, Answered> = self.store.units(&self.run, STEP).await?;
        let answer = |voice: &Voice, question: &Question| {
            units.get(&key(voice, question)).ok_or(JobError::StepMissing {
                run: self.run.clone(),
                what: "complete answers",
                step: "elicit",
            })
        };
        let mut pairs = Vec::new();
        for question in &questions {
            let unaware = answer(&Voice::unaware(), question)?;
            for &culture in &self.settings.cultures {
                let aware = answer(&Voice::styled(culture, self.settings.style), question)?;
                pairs.push(unaware.paired(aware, question, culture));
            }
        }
        Ok(pairs)
    }

    /// How far the unaware voice's answers shift between two wordings of its persona, by question;
    /// empty where it was asked in one only.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn unaware_shifts(&self) -> Result<Vec<f64>, JobError> {
        let units: BTreeMap<UnitKey, Answered> = self.store.units(&self.run, STEP).await?;
        let questions = self.questions().await?;
        let shift = |question: &Question| {
            let first = units.get(&key(&Voice::unaware(), question))?;
            Some(first.shift(units.get(&again(question))?)?.distance)
        };
        Ok(questions.iter().filter_map(shift).collect())
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
        let styled = |code: &_| Voice::styled(*code, self.settings.style);
        std::iter::once(Voice::unaware()).chain(self.settings.cultures.iter().map(styled)).collect()
    }

    /// The survey, in which generated questions have neighbours too if the style shows any.
    fn survey_with_neighbours(&self, questions: &[Question]) -> Survey {
        let mut survey = self.survey.clone();
        if self.settings.style.uses_reference() {
            survey.add_neighbours_of(questions);
        }
        survey
    }

    /// Draws `count` replies to every prompt. A prompt's seed depends on its place in the run, so
    /// that a resumed run draws the same.
    async fn sampled(
        &self,
        prompts: Vec<(u64, ScorePrompt)>,
        count: usize,
    ) -> Result<Vec<Answered>, JobError> {
        let row = |(seed, prompt): &(u64, ScorePrompt), sample: usize| GenerateRow {
            messages: prompt.messages.clone(),
            adapter: prompt.adapter.clone(),
            sampling: Sampling {
                seed: SplitMix64::new(seed.wrapping_add(sample as u64)).next_u64(),
                max_tokens: REPLY_TOKENS,
                ..Sampling::default()
            },
        };
        let mut answered = Vec::with_capacity(prompts.len());
        // The engine takes so many rows at once, however many replies a prompt wants.
        for chunk in prompts.chunks((BATCH / count.max(1)).max(1)) {
            let rows: Vec<GenerateRow> = chunk
                .iter()
                .flat_map(|prompt| (0..count).map(move |sample| (prompt, sample)))
                .map(|(prompt, sample)| row(prompt, sample))
                .collect();
            let mut replies = Vec::with_capacity(rows.len());
            for rows in rows.chunks(BATCH) {
                replies.extend(ask::replies(&self.engine, rows.to_vec()).await?);
            }
            answered.extend(replies.chunks(count.max(1)).map(|replies| Answered::Numbers {
                numbers: replies.iter().map(|r| first_integer(r, LARGEST_COLLECTED)).collect(),
            }));
        }
        Ok(answered)
    }
}

pub(super) fn key(voice: &Voice, question: &Question) -> UnitKey {
    format!("{}/{}", question.id, voice.slug())
}

/// Of the unaware answer under the second wording of its persona.
fn again(question: &Question) -> UnitKey {
    format!("{}/unaware-again", question.id)
}

#[cfg(test)]
mod tests {
    use domain::generation::GeneratedQuestion;

    use super::*;

    #[test]
    fn the_number_named_most_often_is_the_answer() {
        let question = GeneratedQuestion {
            question: "Well?".to_owned(),
            options: vec!["Yes".to_owned(), "No".to_owned()],
        };
        let question = question.into_question("G1".into(), "t".into());
        for (numbers, expect) in [
            (vec![Some(2)], Some(2)),
            (vec![Some(1), Some(2), Some(2)], Some(2)),
            (vec![None, Some(2), Some(1)], Some(2)),
            (vec![Some(12)], Some(12)),
            (vec![None], None),
            (vec![], None),
        ] {
            let answered = Answered::Numbers { numbers };
            assert_eq!(answered.chosen(&question), expect, "{answered:?}");
        }
        assert_eq!(Answered::Probabilities(vec![0.2, 0.8]).chosen(&question), Some(2));
    }

    #[test]
    fn answers_are_stored_as_before() {
        for (json, answered) in [
            ("[0.25,0.75]", Answered::Probabilities(vec![0.25, 0.75])),
            (r#"{"numbers":[3,null]}"#, Answered::Numbers { numbers: vec![Some(3), None] }),
        ] {
            assert_eq!(serde_json::from_str::<Answered>(json).unwrap(), answered);
            assert_eq!(serde_json::to_string(&answered).unwrap(), json);
        }
    }
}
