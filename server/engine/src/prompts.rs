//! Checks what is asked of the model and turns it into tokens, on the caller's thread.

use std::collections::HashMap;
use std::sync::Arc;

use domain::prompt::{Message, Role};

use super::asked::Asked;
use super::cache_memory::CacheMemory;
use super::error::EngineError;
use super::loading::LoadedModel;
use super::option_plan::OptionPlan;
use super::option_scorer::EncodedPrompt;
use super::request::{GenerateRow, ScorePrompt};
use super::row::{NewRow, Ticket};
use super::sampler::Sampler;

/// Checks one row and makes it ready to join the batch, where `caches` is the memory for all rows.
///
/// # Errors
/// See [`super::Engine::generate`].
pub fn encode_row(
    model: &LoadedModel,
    asked: &mut Asked<'_>,
    caches: CacheMemory,
    row: &GenerateRow,
    ticket: Ticket,
) -> Result<NewRow, EngineError> {
    let adapter = asked.find(model, &row.adapter)?;
    let sampler = Sampler::new(&row.sampling)?;
    check_messages(&row.messages)?;
    let tokens = model.tokenizer.encode_chat(&row.messages)?;
    let room = room(model, caches, tokens.len(), 1)?.min(caches.reply(tokens.len()));
    let max_tokens = row.sampling.max_tokens.min(room);
    Ok(NewRow { ticket, tokens, adapter, sampler, max_tokens, fresh: false, passed: 0 })
}

/// Checks prompts and makes them ready to be scored, where `caches` is the memory for the cache of
/// each.
///
/// # Errors
/// See [`super::Engine::score`].
pub fn encode_prompts(
    model: &LoadedModel,
    asked: &mut Asked<'_>,
    caches: CacheMemory,
    prompts: &[ScorePrompt],
) -> Result<Vec<EncodedPrompt>, EngineError> {
    let mut plans: HashMap<&[String], Arc<OptionPlan>> = HashMap::new();
    let mut encoded = Vec::with_capacity(prompts.len());
    for (index, prompt) in prompts.iter().enumerate() {
        let adapter = asked.find(model, &prompt.adapter)?;
        check_messages(&prompt.messages)?;
        let text = model.tokenizer.render(&prompt.messages, true)?;
        let tokens = model.tokenizer.encode(&text)?;
        let plan = match plans.get(prompt.options.as_slice()) {
            Some(plan) => Arc::clone(plan),
            None => {
                let options = encode_options(model, &text, &tokens, &prompt.options)?;
                let plan = Arc::new(OptionPlan::new(&options)?);
                plans.insert(&prompt.options, Arc::clone(&plan));
                plan
            }
        };
        let longest = plan.paths().iter().map(Vec::len).max().unwrap_or_default();
        room(model, caches, tokens.len(), longest)?;
        let system = prompt.messages.iter().find(|message| message.role == Role::System);
        encoded.push(EncodedPrompt {
            index,
            tokens,
            plan,
            adapter,
            persona: system.map(|message| message.content.clone()),
        });
    }
    Ok(encoded)
}

/// The tokens that each option adds to the prompt. Some tokenizers write a text differently at the
/// start than after other text, so it is encoded behind the prompt.
fn encode_options(
    model: &LoadedModel,
    text: &str,
    tokens: &[u32],
    options: &[String],
) -> Result<Vec<Vec<u32>>, EngineError> {
    let mut encoded = Vec::with_capacity(options.len());
    for option in options {
        let whole = model.tokenizer.encode(&format!("{text}{option}"))?;
        encoded.push(match whole.strip_prefix(tokens) {
            Some(added) => added.to_vec(),
            // The option's start has merged with the prompt's end.
            None => model.tokenizer.encode(option)?,
        });
    }
    Ok(encoded)
}

/// Tokens that fit behind a prompt, into the model's context and into memory; at least `needed`.
fn room(
    model: &LoadedModel,
    caches: CacheMemory,
    tokens: usize,
    needed: usize,
) -> Result<usize, EngineError> {
    let context = model.info.context;
    let limit = context.min(caches.tokens());
    let memory = (limit < context).then_some(caches.bytes());
    match limit.checked_sub(tokens) {
        Some(room) if room >= needed => Ok(room),
        _ => {
            let model = model.info.name.clone();
            Err(EngineError::ContextExceeded { tokens, limit, model, memory })
        }
    }
}

/// A conversation must end with something that the user said.
fn check_messages(messages: &[Message]) -> Result<(), EngineError> {
    let hint = "Write at least one word.";
    match messages.last() {
        None => Err(EngineError::invalid("a conversation must hold a message, and holds 0", hint)),
        Some(last) if last.role != Role::User => {
            let rule = format!("the last message must be the user's, not the {:?}'s", last.role);
            Err(EngineError::invalid(rule.to_lowercase(), "Put the user's message last."))
        }
        Some(last) if last.content.trim().is_empty() => Err(EngineError::invalid(
            "the user's last message must hold a word, and is empty",
            hint,
        )),
        Some(_) => Ok(()),
    }
}
