//! A question, put to a voice, as a prompt to score.

use domain::culture::{Culture, CultureCode};
use domain::prompt::{self, Message, Role};
use domain::question::Question;
use domain::survey::Survey;
use domain::voice::Voice;

use super::JobError;
use crate::engine::{Engine, ScorePrompt};

/// The culture of `survey` with this code.
///
/// # Errors
/// [`JobError::UnknownCulture`] where the survey has none.
pub fn culture(survey: &Survey, code: CultureCode) -> Result<&Culture, JobError> {
    survey.culture(code).ok_or_else(|| JobError::UnknownCulture {
        culture: code.to_string(),
        survey: survey.id.clone(),
        known: survey.cultures.iter().map(|c| c.code.to_string()).collect::<Vec<_>>().join(", "),
    })
}

/// The messages that ask `voice` this question: its persona, then the question with its options.
/// Aware and unaware sides differ in the persona only.
///
/// # Errors
/// [`JobError::UnknownCulture`] if the voice's culture isn't one of `survey`.
pub fn messages(
    survey: &Survey,
    voice: &Voice,
    question: &Question,
) -> Result<Vec<Message>, JobError> {
    let culture = voice.culture.map(|code| culture(survey, code)).transpose()?;
    Ok(vec![
        Message::new(Role::System, prompt::persona(voice.style, culture)),
        Message::new(Role::User, prompt::survey_prompt(question)),
    ])
}

/// The prompt that asks `voice` this question and wants the probability of every option.
///
/// # Errors
/// As [`messages`].
pub fn score_prompt(
    survey: &Survey,
    voice: &Voice,
    question: &Question,
) -> Result<ScorePrompt, JobError> {
    let options = (0..question.options.len()).map(|i| question.number_of(i).to_string()).collect();
    let messages = messages(survey, voice, question)?;
    Ok(ScorePrompt { messages, options, adapter: voice.adapter.clone().into() })
}

/// Scores prompts, waiting while the engine is busy: a job has time, people in a chat don't.
///
/// # Errors
/// Whatever the engine refuses or fails at, except being busy.
pub async fn probabilities(
    engine: &Engine,
    prompts: Vec<ScorePrompt>,
) -> Result<Vec<Vec<f64>>, JobError> {
    loop {
        match engine.score(prompts.clone()).await {
            Err(error) => match error.retry_after() {
                Some(time) => tokio::time::sleep(time).await,
                None => return Err(error.into()),
            },
            Ok(probabilities) => return Ok(probabilities),
        }
    }
}
