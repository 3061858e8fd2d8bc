//! Scores the options of many prompts, a bounded chunk per step, so that replies beside it go on.
//!
//! Prompts with the same adapter and persona share the cache of their common start. What is scored
//! per prompt is planned in [`super::option_plan`].

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::adapters::NamedAdapter;
use super::decoder::KvCache;
use super::error::EngineError;
use super::loading::LoadedModel;
use super::option_plan::OptionPlan;
use super::pass::{self, Part, Want};
use super::places::Place;
use super::turns::Turns;

/// Shorter common starts cost more to copy than to compute.
const SHORTEST_START: usize = 8;

/// One prompt, ready to be scored.
#[derive(Debug)]
pub struct EncodedPrompt {
    /// Index into the request.
    pub index: usize,
    /// The prompt.
    pub tokens: Vec<u32>,
    /// How its options are scored.
    pub plan: Arc<OptionPlan>,
    /// Its adapter.
    pub adapter: Option<Arc<NamedAdapter>>,
    /// Its persona; prompts with the same one begin alike.
    pub persona: Option<String>,
}

/// A request to score.
#[derive(Debug)]
pub struct ScoreJob {
    prompts: Vec<EncodedPrompt>,
    /// Per prompt in order: its group.
    groups: Vec<usize>,
    /// Per group: tokens that all of its prompts begin with.
    starts: Vec<usize>,
    /// Caches of the starts of groups that are being worked on.
    caches: HashMap<usize, KvCache>,
    done: usize,
    results: Vec<Vec<f64>>,
    reply: oneshot::Sender<Result<Vec<Vec<f64>>, EngineError>>,
    place: Place,
}

impl ScoreJob {
    /// Sorts the prompts so that those which begin alike are neighbours.
    pub fn new(
        mut prompts: Vec<EncodedPrompt>,
        reply: oneshot::Sender<Result<Vec<Vec<f64>>, EngineError>>,
        place: Place,
    ) -> Self {
        prompts.sort_by(|a, b| a.kind().cmp(&b.kind()).then_with(|| a.tokens.cmp(&b.tokens)));
        let mut groups: Vec<usize> = Vec::with_capacity(prompts.len());
        let mut starts = Vec::new();
        for group in prompts.chunk_by(|a, b| a.kind() == b.kind()) {
            groups.extend(std::iter::repeat_n(starts.len(), group.len()));
            starts.push(common_start(group));
        }
        let results = vec![Vec::new(); prompts.len()];
        Self { prompts, groups, starts, caches: HashMap::new(), done: 0, results, reply, place }
    }

    /// Answers, after giving the place back. A receiver that has gone away needs no answer.
    fn end(self, error: Option<EngineError>) {
        drop(self.place);
        drop(self.reply.send(error.map_or(Ok(self.results), Err)));
    }

    /// Prompts that fit into `budget` tokens from the next one on; at least one.
    fn chunk(&self, budget: usize) -> usize {
        let mut tokens = 0;
        let rest = self.prompts[self.done..].iter().zip(&self.groups[self.done..]);
        let fitting = rest.take_while(|(prompt, group)| {
            tokens += prompt.tokens.len() - self.starts[**group] + prompt.plan.tokens();
            tokens <= budget
        });
        fitting.count().max(1)
    }

    /// Scores the next chunk.
    fn advance(&mut self, model: &LoadedModel, budget: usize) -> Result<(), EngineError> {
        let range = self.done..self.done + self.chunk(budget);
        self.fill_starts(model, range.clone())?;
        let mut caches = Vec::with_capacity(range.len());
        for group in &self.groups[range.clone()] {
            caches.push(match self.caches.get(group) {
                Some(start) => start.fork().map_err(|error| compute(&error))?,
                None => model.decoder.new_cache(),
            });
        }
        let prompts = &self.prompts[range.clone()];
        let mut parts: Vec<Part<'_>> = prompts
            .iter()
            .zip(&mut caches)
            .map(|(prompt, cache)| Part {
                tokens: &prompt.tokens[cache.len()..],
                cache,
                adapter: prompt.adapter.as_ref(),
                want: Want::Last,
            })
            .collect();
        let first = pass::run(&model.decoder, &mut parts)?;
        let after = score_paths(model, prompts, caches)?;
        let mut next = 0;
        for (row, prompt) in prompts.iter().enumerate() {
            let paths = next..next + prompt.plan.tokens();
            next = paths.end;
            let rows: Vec<&[f32]> =
                std::iter::once(first.row(row)).chain(paths.map(|row| after.row(row))).collect();
            self.results[prompt.index] =
                prompt.plan.probabilities(&rows, model.tokenizer.end_ids())?;
        }
        self.done = range.end;
        let current = self.groups.get(self.done);
        self.caches.retain(|group, _| current == Some(group));
        Ok(())
    }

    /// Computes the common starts of the groups in `range` that have none yet.
    fn fill_starts(
        &mut self,
        model: &LoadedModel,
        range: std::ops::Range<usize>,
    ) -> Result<(), EngineError> {
        let mut fresh: Vec<(usize, usize, KvCache)> = Vec::new();
        for index in range {
            let group = self.groups[index];
            let known = self.caches.contains_key(&group) || fresh.iter().any(|(g, ..)| *g == group);
            if self.starts[group] > 0 && !known {
                fresh.push((group, index, model.decoder.new_cache()));
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let mut parts: Vec<Part<'_>> = fresh
            .iter_mut()
            .map(|(group, index, cache)| Part {
                tokens: &self.prompts[*index].tokens[..self.starts[*group]],
                cache,
                adapter: self.prompts[*index].adapter.as_ref(),
                want: Want::Nothing,
            })
            .collect();
        pass::run(&model.decoder, &mut parts)?;
        self.caches.extend(fresh.into_iter().map(|(group, _, cache)| (group, cache)));
        Ok(())
    }
}

impl EncodedPrompt {
    /// What prompts that begin alike have in common.
    fn kind(&self) -> (Option<u64>, Option<&str>) {
        (self.adapter.as_ref().map(|named| named.generation), self.persona.as_deref())
    }
}

fn compute(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Compute { reason: error.to_string().lines().next().unwrap_or_default().to_owned() }
}

/// Tokens that a sorted group begins with; at least one is left of every prompt.
fn common_start(group: &[EncodedPrompt]) -> usize {
    let ([first, .., last], Some(shortest)) = (group, group.iter().map(|p| p.tokens.len()).min())
    else {
        return 0;
    };
    let common = first.tokens.iter().zip(&last.tokens).take_while(|(a, b)| a == b).count();
    let start = common.min(shortest.saturating_sub(1));
    if start < SHORTEST_START { 0 } else { start }
}

/// Feeds every path of every prompt, each behind its own copy of the prompt's cache.
fn score_paths(
    model: &LoadedModel,
    prompts: &[EncodedPrompt],
    caches: Vec<KvCache>,
) -> Result<pass::Logits, EngineError> {
    let mut copies = Vec::new();
    for (prompt, cache) in prompts.iter().zip(caches) {
        for _ in 1..prompt.plan.paths().len() {
            copies.push(cache.fork().map_err(|error| compute(&error))?);
        }
        copies.push(cache);
    }
    let paths = prompts
        .iter()
        .flat_map(|prompt| prompt.plan.paths().iter().map(move |path| (prompt, path)));
    let mut parts: Vec<Part<'_>> = paths
        .zip(&mut copies)
        .map(|((prompt, path), cache)| Part {
            tokens: path,
            cache,
            adapter: prompt.adapter.as_ref(),
            want: Want::All,
        })
        .collect();
    pass::run(&model.decoder, &mut parts)
}

/// Requests that take turns, a chunk each: first their clients, then each client's own.
#[derive(Debug, Default)]
pub struct ScoreQueue {
    jobs: Turns<ScoreJob>,
}

impl ScoreQueue {
    /// Takes a request in.
    pub fn push(&mut self, job: ScoreJob) {
        let client = job.place.client().clone();
        self.jobs.push(&client, job);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Scores one chunk of about `budget` tokens of the request whose turn it is. Requests that
    /// nobody waits for any more are dropped.
    pub fn step(&mut self, model: &LoadedModel, budget: usize) {
        drop(self.jobs.extract(|job| job.reply.is_closed()));
        let Some(mut job) = self.jobs.take(0) else { return };
        match pass::guard(|| job.advance(model, budget)) {
            Err(error) => job.end(Some(error)),
            Ok(()) if job.done == job.prompts.len() => job.end(None),
            Ok(()) => self.push(job),
        }
    }
}
