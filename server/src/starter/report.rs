//! What the starter model has learned: readable survey answers, valid questions, whether it knows where
//! its persona comes from, the loss on held-out text, and conversations to read.
//! `polylogue starter report`.
//!
//! How close its answers are to people is another matter: [`domain::score`] and the evaluation job.

mod conversations;

use std::collections::BTreeMap;
use std::fmt;

use app::api::{ModelInfo, Sampling};
use domain::answer::{LARGEST_SCORED, first_integer};
use domain::culture::Culture;
use domain::filter::{DropReason, FilterRules};
use domain::generation;
use domain::prompt::{Message, Role, aware_persona, survey_prompt, unaware_persona};
use domain::question::Question;
use domain::random::SplitMix64;
use serde::Serialize;

use self::conversations::{ABOUT_LIFE, SCRIPTS};
use super::corpus::{self, Mix, Part, facts};
use super::train::feed::{self, FeedOptions};
use super::world::world;
use engine::error::EngineError;
use engine::handle::Engine;
use engine::request::{AdapterChoice, GenerateRow};
use engine::tuning::TuningError;
use engine::tuning::gradient::{Learner, Workers};
use engine::tuning::packing::Packed;

/// Rows in one request to the engine.
const ROWS: usize = 64;
/// Longest survey reply that is waited for, in tokens.
const ANSWER_TOKENS: usize = 8;
/// Sampling of survey answers (method, step 2).
const ELICIT: (f64, f64) = (0.6, 0.9);
/// Sampling of generated questions (method, step 1).
const GENERATE: (f64, f64) = (0.9, 0.95);
const GENERATE_TOKENS: usize = 256;

/// How much to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportOptions {
    /// Seed of sampling and of the drawn prompts.
    pub seed: u64,
    /// Held-out survey questions asked of every voice; more than there are asks all.
    pub questions: usize,
    /// Questions to generate.
    pub generations: usize,
    /// Held-out text, in tokens.
    pub held_out_tokens: usize,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self { seed: 7, questions: 60, generations: 200, held_out_tokens: 60_000 }
    }
}

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Those that hold.
    pub good: usize,
    /// All.
    pub of: usize,
}

impl Share {
    fn add(&mut self, good: bool) {
        self.good += usize::from(good);
        self.of += 1;
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.good as f64 / self.of.max(1) as f64;
        write!(f, "{percent:.1} % ({} of {})", self.good, self.of)
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The model.
    pub model: ModelInfo,
    /// Survey answers that name an option, at temperature 0.
    pub readable_greedy: Share,
    /// Survey answers that name an option, sampled as in step 2 of the method.
    pub readable_sampled: Share,
    /// Generated questions that are valid.
    pub valid_questions: Share,
    /// Why the others are not, by the code of [`generation::BadGeneration`].
    pub invalid_questions: BTreeMap<String, usize>,
    /// Of the dishes, towns, feasts and other facts that voices with a culture mention when asked
    /// about life, those of their own culture.
    pub own_facts: Share,
    /// Replies of the neutral voice to the same questions that mention no culture's facts.
    pub neutral_without_facts: Share,
    /// Perplexity per token of held-out conversations and generated questions by kind; personas are
    /// given, not predicted.
    pub perplexity: BTreeMap<String, f64>,
    /// Loss on held-out answers by kind.
    pub answers: BTreeMap<String, AnswerLoss>,
    /// Conversations, sampled as in the chat.
    pub conversations: Vec<Conversation>,
}

/// How well answers are learnt that are learnt with their shares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AnswerLoss {
    /// Cross-entropy with the shares, in nats per answer token, weighted as in training.
    pub loss: f64,
    /// The least that any model can have: the entropy of the shares.
    pub least: f64,
}

/// One conversation to read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conversation {
    /// `unaware`, or the culture's code.
    pub voice: String,
    /// Without the persona.
    pub messages: Vec<Message>,
}

/// The report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Held-out text could not be measured.
    #[error(transparent)]
    HeldOut(#[from] TuningError),
}

/// Measures the model that `engine` runs. `progress` hears the name of each part as it begins.
///
/// # Errors
/// Whatever the engine refuses or fails at.
pub async fn report(
    engine: &Engine,
    options: &ReportOptions,
    mut progress: impl FnMut(&str),
) -> Result<Report, ReportError> {
    progress("survey answers, greedy");
    let greedy =
        Sampling { temperature: 0.0, top_p: 1.0, ..sampling(options, ELICIT, ANSWER_TOKENS) };
    let readable_greedy = readable(engine, options, greedy).await?;
    progress("survey answers, sampled");
    let sampled = sampling(options, ELICIT, ANSWER_TOKENS);
    let readable_sampled = readable(engine, options, sampled).await?;
    progress("generated questions");
    let (valid_questions, invalid_questions) = generated(engine, options).await?;
    progress("facts of the persona's culture");
    let (own_facts, neutral_without_facts) = about_life(engine, options).await?;
    progress("held-out text");
    let HeldOut { perplexity, answers } = held_out(engine, options)?;
    progress("conversations");
    let conversations = converse(engine, options).await?;
    Ok(Report {
        model: engine.info().clone(),
        readable_greedy,
        readable_sampled,
        valid_questions,
        invalid_questions,
        own_facts,
        neutral_without_facts,
        perplexity,
        answers,
        conversations,
    })
}

fn sampling(
    options: &ReportOptions,
    (temperature, top_p): (f64, f64),
    max_tokens: usize,
) -> Sampling {
    Sampling { temperature, top_p, seed: options.seed, max_tokens }
}

/// Replies to all `rows`, some at a time; each row gets a seed of its own.
async fn replies(
    engine: &Engine,
    prompts: Vec<Vec<Message>>,
    sampling: Sampling,
) -> Result<Vec<String>, EngineError> {
    let row = |(index, messages)| GenerateRow {
        messages,
        adapter: AdapterChoice::Base,
        sampling: Sampling { seed: sampling.seed.wrapping_add(index as u64), ..sampling },
    };
    let rows: Vec<GenerateRow> = prompts.into_iter().enumerate().map(row).collect();
    let mut replies = Vec::with_capacity(rows.len());
    for rows in rows.chunks(ROWS) {
        replies.extend(engine.patient().generate(rows.to_vec())?.texts(rows.len()).await?);
    }
    Ok(replies)
}

/// Asks held-out questions of the neutral voice and of every culture.
async fn readable(
    engine: &Engine,
    options: &ReportOptions,
    sampling: Sampling,
) -> Result<Share, EngineError> {
    let survey = world().survey();
    let questions: Vec<&Question> =
        survey.evaluated().into_iter().take(options.questions).collect();
    let voices = std::iter::once(None).chain(survey.cultures.iter().map(Some));
    let asked: Vec<(Option<&Culture>, &Question)> =
        voices.flat_map(|voice| questions.iter().map(move |question| (voice, *question))).collect();
    let prompt = |(voice, question): &(Option<&Culture>, &Question)| {
        let persona = voice.map_or_else(unaware_persona, aware_persona);
        let ask = Message::new(Role::User, survey_prompt(question));
        vec![Message::new(Role::System, persona), ask]
    };
    let replies = replies(engine, asked.iter().map(prompt).collect(), sampling).await?;
    let mut share = Share::default();
    for ((_, question), reply) in asked.iter().zip(replies) {
        let answer = first_integer(&reply, LARGEST_SCORED);
        share.add(answer.is_some_and(|number| question.index_of(number).is_some()));
    }
    Ok(share)
}

/// Asks for new questions as step 1 of the method does, with the corpus's prompts for a seed that
/// training does not use.
async fn generated(
    engine: &Engine,
    options: &ReportOptions,
) -> Result<(Share, BTreeMap<String, usize>), EngineError> {
    let mut random = SplitMix64::new(!options.seed);
    let prompt = |_| {
        let mut messages = corpus::generation::document(&mut random, world()).messages;
        messages.pop();
        messages
    };
    let prompts = (0..options.generations).map(prompt).collect();
    let sampling = sampling(options, GENERATE, GENERATE_TOKENS);
    let (mut share, mut invalid) = (Share::default(), BTreeMap::new());
    for reply in replies(engine, prompts, sampling).await? {
        let fault = match generation::parse(&reply) {
            Err(error) => Some(error.code()),
            // What the filter would drop for its options alone is no valid question.
            Ok(question) => {
                FilterRules::CAREFUL.check_options(&question.options).err().map(DropReason::code)
            }
        };
        share.add(fault.is_none());
        if let Some(code) = fault {
            *invalid.entry(code.to_owned()).or_default() += 1;
        }
    }
    Ok((share, invalid))
}

/// Asks every voice about its life, and counts whose facts it mentions.
async fn about_life(
    engine: &Engine,
    options: &ReportOptions,
) -> Result<(Share, Share), EngineError> {
    let voices = std::iter::once(None).chain(world().cultures().iter().map(Some));
    let asked: Vec<(Option<&Culture>, &str)> =
        voices.flat_map(|voice| ABOUT_LIFE.map(|question| (voice, question))).collect();
    let prompt = |(voice, question): &(Option<&Culture>, &str)| {
        let persona = voice.map_or_else(unaware_persona, aware_persona);
        vec![Message::new(Role::System, persona), Message::new(Role::User, *question)]
    };
    let sampling = Sampling { seed: options.seed, ..Sampling::default() };
    let replies = replies(engine, asked.iter().map(prompt).collect(), sampling).await?;
    let (mut own, mut neutral) = (Share::default(), Share::default());
    for ((voice, _), reply) in asked.into_iter().zip(replies) {
        let mentions = facts::mentions(&reply);
        match voice {
            Some(culture) => {
                mentions.iter().for_each(|m| own.add(m.cultures.contains(&culture.code)))
            }
            None => neutral.add(mentions.is_empty()),
        }
    }
    Ok((own, neutral))
}

/// Measures on the corpus's held-out part.
#[derive(Default)]
struct HeldOut {
    /// Of what users and assistants say, by kind.
    perplexity: BTreeMap<String, f64>,
    /// Of answers, by kind.
    answers: BTreeMap<String, AnswerLoss>,
}

fn held_out(engine: &Engine, options: &ReportOptions) -> Result<HeldOut, TuningError> {
    let model = engine.model();
    let documents = corpus::documents(!options.seed, Part::HeldOut, Mix::default());
    let feed_options = FeedOptions {
        step_tokens: 0,
        micro_tokens: 1024,
        context: model.decoder.config().max_position_embeddings,
        skip: 0,
    };
    let tokenizer = model.tokenizer.inner();
    let held_out =
        feed::held_out(Box::new(documents), tokenizer, options.held_out_tokens, feed_options)?;
    let learner = Learner { decoder: &model.decoder, adapters: &[], checkpointing: false };
    let workers = Workers::new(0, &model.device)?;
    let HeldOut { mut perplexity, mut answers } = HeldOut::default();
    for (kind, mut batches) in held_out {
        let entropy: f64 = batches.iter().map(Packed::entropy).sum();
        if entropy > 0.0 {
            let weight: f64 = batches.iter().map(Packed::weight).sum();
            let loss = learner.evaluate(&batches, &workers)?;
            answers.insert(kind.as_str().to_owned(), AnswerLoss { loss, least: entropy / weight });
        } else {
            // Perplexity counts all words alike.
            batches.iter_mut().for_each(|batch| batch.weights.fill(1.0));
            perplexity
                .insert(kind.as_str().to_owned(), learner.evaluate(&batches, &workers)?.exp());
        }
    }
    Ok(HeldOut { perplexity, answers })
}

/// Speaks the fixed conversations, turn by turn, all at once.
async fn converse(
    engine: &Engine,
    options: &ReportOptions,
) -> Result<Vec<Conversation>, EngineError> {
    let cultures = &world().survey().cultures;
    let persona = |code: Option<&str>| {
        let culture = cultures.iter().find(|culture| Some(culture.code.as_str()) == code);
        Message::new(Role::System, culture.map_or_else(unaware_persona, aware_persona))
    };
    let mut spoken: Vec<Vec<Message>> =
        SCRIPTS.iter().map(|script| vec![persona(script.culture)]).collect();
    let longest = SCRIPTS.iter().map(|script| script.says.len()).max().unwrap_or(0);
    let sampling = Sampling { seed: options.seed, ..Sampling::default() };
    for turn in 0..longest {
        let speaking: Vec<usize> =
            (0..SCRIPTS.len()).filter(|index| turn < SCRIPTS[*index].says.len()).collect();
        for index in &speaking {
            spoken[*index].push(Message::new(Role::User, SCRIPTS[*index].says[turn]));
        }
        let prompts = speaking.iter().map(|index| spoken[*index].clone()).collect();
        for (index, reply) in speaking.into_iter().zip(replies(engine, prompts, sampling).await?) {
            spoken[index].push(Message::new(Role::Assistant, reply));
        }
    }
    let conversation = |(script, mut messages): (&conversations::Script, Vec<Message>)| {
        messages.remove(0);
        Conversation { voice: script.culture.unwrap_or("unaware").to_owned(), messages }
    };
    Ok(SCRIPTS.iter().zip(spoken).map(conversation).collect())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ModelInfo { name, hash, parameters, .. } = &self.model;
        writeln!(f, "{name} {hash}, {parameters} parameters\n")?;
        writeln!(f, "readable survey answers, greedy   {}", self.readable_greedy)?;
        writeln!(f, "readable survey answers, sampled  {}", self.readable_sampled)?;
        writeln!(f, "valid generated questions         {}", self.valid_questions)?;
        for (code, count) in &self.invalid_questions {
            writeln!(f, "  {code}: {count}")?;
        }
        writeln!(f, "facts of the persona's culture    {}", self.own_facts)?;
        writeln!(f, "neutral replies without a culture {}", self.neutral_without_facts)?;
        writeln!(f, "\nperplexity on held-out text")?;
        for (kind, perplexity) in &self.perplexity {
            writeln!(f, "  {kind:<11} {perplexity:.2}")?;
        }
        writeln!(f, "loss on held-out answers, in nats (least possible)")?;
        for (kind, AnswerLoss { loss, least }) in &self.answers {
            writeln!(f, "  {kind:<11} {loss:.3} ({least:.3})")?;
        }
        for (index, conversation) in self.conversations.iter().enumerate() {
            writeln!(f, "\n{}. {}", index + 1, conversation.voice)?;
            for message in &conversation.messages {
                let mark = if message.role == Role::User { ">" } else { " " };
                writeln!(f, "{mark} {}", message.content)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_cover_both_personas_and_known_cultures() {
        let survey = world().survey();
        for script in SCRIPTS {
            assert!(!script.says.is_empty());
            if let Some(code) = script.culture {
                assert!(survey.culture(code.parse().unwrap()).is_some(), "{code}");
            }
        }
        assert!(SCRIPTS.iter().any(|script| script.culture.is_none()));
    }

    #[test]
    fn shares_read_as_percent() {
        let mut share = Share::default();
        assert_eq!(share.to_string(), "0.0 % (0 of 0)");
        (0..8).for_each(|index| share.add(index != 0));
        assert_eq!(share.to_string(), "87.5 % (7 of 8)");
    }
}
