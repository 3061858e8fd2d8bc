//! A question, put to a voice: the prompt, and the engine's answer however busy it is.

use domain::culture::{Culture, CultureCode};
use domain::prompt::{Message, PromptStyle, PromptTemplates, Role};
use domain::question::Question;
use domain::survey::Survey;
use domain::voice::Voice;

use super::JobError;
use engine::{Engine, GenerateRow, ScorePrompt};

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
/// The sides of a comparison differ in what the style says of culture and in nothing else.
///
/// # Errors
/// [`JobError::UnknownCulture`] if the voice's culture isn't one of `survey`; a refusal where the
/// survey lacks what the voice's style needs.
pub fn messages(
    templates: &PromptTemplates,
    survey: &Survey,
    voice: &Voice,
    question: &Question,
) -> Result<Vec<Message>, JobError> {
    let culture = check_style(survey, voice)?;
    let kin = culture.and_then(|culture| survey.kin(culture.code));
    let examples = match culture {
        Some(culture) if voice.uses_reference() => survey.examples(culture.code, &question.id),
        _ => Vec::new(),
    };
    Ok(vec![
        Message::new(Role::System, templates.persona(voice.style, culture, kin.as_ref())),
        Message::new(Role::User, templates.question_after(&examples, question)),
    ])
}

/// Whether every one of these cultures can be asked in a style.
///
/// # Errors
/// As [`messages`].
pub fn check_cultures(
    survey: &Survey,
    codes: &[CultureCode],
    style: PromptStyle,
) -> Result<(), JobError> {
    codes.iter().try_for_each(|code| check_style(survey, &Voice::styled(*code, style)).map(|_| ()))
}

/// The culture of a voice, once it is sure that the survey has what the voice's style needs.
///
/// # Errors
/// As [`messages`].
pub fn check_style<'a>(survey: &'a Survey, voice: &Voice) -> Result<Option<&'a Culture>, JobError> {
    if voice.culture.is_some() != voice.style.has_culture() {
        return Err(JobError::refused(
            format!("the style `{}` and the culture of a voice don't go together", voice.style),
            "Every style but `unaware` names a culture; `unaware` names none.",
        ));
    }
    let Some(code) = voice.culture else { return Ok(None) };
    let culture = culture(survey, code)?;
    let lacks = |what: &str, hint: &str| {
        let rule = format!(
            "the style `{}` can't be asked as `{code}`: the survey `{}` {what}",
            voice.style, survey.id
        );
        Err(JobError::refused(rule, hint))
    };
    if voice.style.persona() == PromptStyle::CrossCulture && survey.kin(code).is_none() {
        return lacks(
            "doesn't say which cultures are like it",
            "Add a similarity table, or people's answers of at least three cultures.",
        );
    }
    if voice.uses_reference() && survey.reference.get(&code).is_none_or(|people| people.is_empty())
    {
        return lacks(
            "has no answers of its people",
            "Add them to the survey and import it again.",
        );
    }
    Ok(Some(culture))
}

/// The prompt that asks `voice` this question and wants the probability of every option.
///
/// # Errors
/// As [`messages`].
pub fn score_prompt(
    templates: &PromptTemplates,
    survey: &Survey,
    voice: &Voice,
    question: &Question,
) -> Result<ScorePrompt, JobError> {
    let options = (0..question.options.len()).map(|i| question.number_of(i).to_string()).collect();
    let messages = messages(templates, survey, voice, question)?;
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

/// Lets voices reply, waiting while the engine is busy. Returns every row's text.
///
/// # Errors
/// Whatever the engine refuses or fails at, except being busy.
pub async fn replies(engine: &Engine, rows: Vec<GenerateRow>) -> Result<Vec<String>, JobError> {
    loop {
        match engine.patient().generate(rows.clone()) {
            Err(error) => match error.retry_after() {
                Some(time) => tokio::time::sleep(time).await,
                None => return Err(error.into()),
            },
            Ok(stream) => return Ok(stream.texts(rows.len()).await?),
        }
    }
}
