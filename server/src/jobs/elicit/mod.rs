//! Step 2 of the method: every generated question is asked once unaware and once per culture.
//! Both sides get the same prompt with options (method, fault 4) and differ in the style only. Where answers
//! are drawn, the unaware side is drawn twice: how often it contradicts itself is the noise floor. What
//! was answered is read back in [`answers`].

mod answers;

use app::api::Sampling;
use domain::answer::{LARGEST_COLLECTED, first_integer};
use domain::instance::{AnswerPair, CollectionRule};
use domain::method::Elicitation;
use domain::prompt::{Message, Role};
use domain::question::Question;
use domain::random::SplitMix64;
use domain::survey::Survey;
use domain::voice::Voice;

pub use self::answers::Answered;
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

/// A prompt of this step.
struct Wanted {
    /// Its place among all that there could be; what is drawn follows from it.
    place: usize,
    /// Under which its answer is stored.
    key: UnitKey,
    prompt: ScorePrompt,
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
                let keyed = wanted.into_iter().map(|wanted| (wanted.key, wanted.prompt));
                work.complete(keyed.collect(), watcher, ask).await?;
            }
            Elicitation::Samples(count) => {
                let seeded = wanted.into_iter().map(|Wanted { place, key, prompt }| {
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
        Ok(self.wanted().await?.into_iter().map(|wanted| wanted.prompt).collect())
    }

    /// All prompts of this step.
    async fn wanted(&self) -> Result<Vec<Wanted>, JobError> {
        let questions = self.questions().await?;
        let survey = self.survey_with_neighbours(&questions);
        let voices = self.elicited_voices();
        let mut wanted = Vec::new();
        let mut want = |place, key, prompt| wanted.push(Wanted { place, key, prompt });
        let asked = questions.len();
        for (turn, voice) in voices.iter().enumerate() {
            for (index, question) in questions.iter().enumerate() {
                let prompt = ask::score_prompt(&self.settings.templates, &survey, voice, question)?;
                want(turn * asked + index, key(voice, question), prompt);
            }
        }
        if let (CollectionRule::Shift, Some(persona)) =
            (self.settings.rule, self.settings.templates.unaware_again())
        {
            let unaware = Voice::unaware();
            for (index, question) in questions.iter().enumerate() {
                let mut prompt =
                    ask::score_prompt(&self.settings.templates, &survey, &unaware, question)?;
                prompt.messages[0] = Message::new(Role::System, persona);
                want(voices.len() * asked + index, again(question), prompt);
            }
        }
        if let Elicitation::Samples(_) = self.settings.elicitation {
            // The same prompt with another seed, which comes from its place: behind those of the persona in
            // other words, also where these aren't asked, so that a run draws the same under every rule.
            let unaware = Voice::unaware();
            for (index, question) in questions.iter().enumerate() {
                let prompt =
                    ask::score_prompt(&self.settings.templates, &survey, &unaware, question)?;
                want((voices.len() + 1) * asked + index, twice(question), prompt);
            }
        }
        Ok(wanted)
    }

    /// The answers of both sides.
    ///
    /// # Errors
    /// [`JobError::StepMissing`] where an answer is missing.
    pub async fn answer_pairs(&self) -> Result<Vec<AnswerPair>, JobError> {
        self.elicited().await?.pairs()
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

/// Of the unaware answer drawn a second time in the same words: the noise floor of drawn answers.
fn twice(question: &Question) -> UnitKey {
    format!("{}/unaware-twice", question.id)
}
