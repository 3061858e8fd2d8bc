//! Scores the options of many prompts, a bounded chunk per step, so that replies beside it go on.
//!
//! Prompts with the same adapter and persona share the cache of their common start, which outlives
//! the request in [`super::prefixes`]. A prompt and all of its options are read in one pass. What is
//! scored per prompt is planned in [`super::option_plan`].

use std::sync::Arc;

use tokio::sync::oneshot;

use super::adapters::NamedAdapter;
use super::decoder::KvCache;
use super::error::EngineError;
use super::loading::LoadedModel;
use super::option_plan::OptionPlan;
use super::pass::{self, Part, Want};
use super::places::Place;
use super::prefixes::{Prefixes, SHORTEST, Start, common_start};
use super::scheduler::PATIENCE;
use super::turns::Turns;

/// Tokens per pass of a request whose passes are always the same: as few as beside replies, since
/// nobody knows beforehand whether there will be any. While there are none, a step has several passes.
const REPEATABLE: usize = Budget::BESIDE.tokens;

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

/// How much one pass may take. What can't be split may take more: the last token of a prompt, with
/// which all of its options are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Tokens of prompts and options.
    pub tokens: usize,
    /// Bytes of scores, of which only probabilities outlive the pass: so the number of prompts in a
    /// request doesn't matter.
    pub score_bytes: usize,
    /// Bytes of the prompts' caches in one pass, and of those that requests hold between their passes.
    /// A prompt that needs more by itself is refused before it gets here.
    pub cache_bytes: usize,
}

impl Budget {
    /// While nobody waits for a reply.
    pub const ALONE: Self = Self { tokens: 2048, score_bytes: 64 << 20, cache_bytes: 1 << 30 };
    /// While replies stream: few tokens, so that theirs keep coming.
    pub const BESIDE: Self = Self { tokens: 128, ..Self::ALONE };
}

/// A request to score.
#[derive(Debug)]
pub struct ScoreJob {
    prompts: Vec<EncodedPrompt>,
    /// Per prompt in order: its group.
    groups: Vec<usize>,
    /// Per group: tokens that all of its prompts begin with.
    starts: Vec<usize>,
    /// The start of the group that is worked on, once it has been read.
    start: Option<(usize, Start)>,
    /// What has been read of the next prompt, if it is too long for one step.
    reading: Option<KvCache>,
    done: usize,
    /// How many requests came before it.
    number: u64,
    /// Whether its passes are the same whatever else there is, see [`super::Engine::repeatable`].
    repeatable: bool,
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
            starts.push(group_start(group));
        }
        let results = vec![Vec::new(); prompts.len()];
        Self {
            prompts,
            groups,
            starts,
            start: None,
            reading: None,
            done: 0,
            number: 0,
            repeatable: false,
            results,
            reply,
            place,
        }
    }

    /// The same request, whose passes are the same whatever else there is if `repeatable`.
    pub fn with_repeatable(self, repeatable: bool) -> Self {
        Self { repeatable, ..self }
    }

    /// Tokens that its caches may come to hold between two passes: the start of a group, and the prompt
    /// that is being read.
    fn longest(&self) -> usize {
        2 * self.prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or_default()
    }

    /// Whether it may hold caches.
    fn is_begun(&self) -> bool {
        self.done > 0 || self.reading.is_some()
    }

    /// Answers, after letting everything else go: whoever hears of the end finds place and memory free.
    /// A receiver that has gone away needs no answer.
    fn end(self, error: Option<EngineError>) {
        let Self { prompts, start, reading, results, reply, place, .. } = self;
        drop((prompts, start, reading, place));
        drop(reply.send(error.map_or(Ok(results), Err)));
    }

    /// Scores the next prompts within the budget, or reads on in a long one; one pass. Returns the
    /// number of tokens that were read.
    fn advance(
        &mut self,
        model: &LoadedModel,
        prefixes: &Prefixes,
        budget: Budget,
    ) -> Result<usize, EngineError> {
        let mut cache = match self.reading.take() {
            Some(cache) => cache,
            None => self.begin(model, self.start_of(prefixes, self.done))?,
        };
        let prompt = &self.prompts[self.done];
        let (unread, room) = (prompt.tokens.len() - cache.len(), budget.tokens.max(1));
        // The options go on from the prompt's last token, so that one is read together with them.
        if unread > 1 && unread + prompt.plan.tokens() > room {
            let portion = room.min(unread - 1);
            let part = Part {
                tokens: &prompt.tokens[cache.len()..cache.len() + portion],
                cache: &mut cache,
                adapter: prompt.adapter.as_ref(),
                want: Want::Nothing,
                paths: &[],
            };
            pass::run(&model.decoder, &mut [part])?;
            self.reading = Some(cache);
            return Ok(portion);
        }
        let mut caches = vec![cache];
        for start in self.beside(model, prefixes, budget, &caches[0]) {
            caches.push(self.begin(model, start)?);
        }
        let read = self.score(model, &mut caches)?;
        let last = caches.pop();
        self.keep_start(prefixes, last);
        Ok(read)
    }

    /// A cache that has read what is known of a prompt.
    fn begin(&self, model: &LoadedModel, start: Option<Start>) -> Result<KvCache, EngineError> {
        match start {
            Some(start) => start.fork().map_err(|error| pass::failed(&error.to_string())),
            None => Ok(model.decoder.new_cache()),
        }
    }

    /// What is known of the start of a prompt.
    fn start_of(&self, prefixes: &Prefixes, index: usize) -> Option<Start> {
        match &self.start {
            Some((group, start)) if *group == self.groups[index] => Some(start.clone()),
            _ if self.repeatable => None,
            _ => prefixes.find(self.prompts[index].adapter.as_ref(), &self.prompts[index].tokens),
        }
    }

    /// The starts of the prompts that are scored in the same pass as the next one, whose cache is
    /// `first`: as many as fit.
    fn beside(
        &self,
        model: &LoadedModel,
        prefixes: &Prefixes,
        budget: Budget,
        first: &KvCache,
    ) -> Vec<Option<Start>> {
        let most = budget.score_bytes / (model.decoder.config().vocab_size * size_of::<f32>());
        let cached = budget.cache_bytes / first.bytes_per_token().max(1);
        let (mut tokens, mut scores, mut all) = (0, 0, 0);
        let mut fits = |prompt: &EncodedPrompt, known: usize| {
            tokens += prompt.tokens.len() - known + prompt.plan.tokens();
            scores += 1 + prompt.plan.tokens();
            all += prompt.tokens.len();
            tokens <= budget.tokens && scores <= most && all <= cached
        };
        let mut beside = Vec::new();
        if !fits(&self.prompts[self.done], first.len()) {
            return beside;
        }
        for index in self.done + 1..self.prompts.len() {
            let start = self.start_of(prefixes, index);
            let known = start.as_ref().map_or(0, Start::len);
            // The group's first prompt is being read: with its start the others cost less.
            let early = self.groups[index] == self.groups[index - 1]
                && known < self.starts[self.groups[index]];
            if early || !fits(&self.prompts[index], known) {
                break;
            }
            beside.push(start);
        }
        beside
    }

    /// Scores the next prompts, one per cache, in one pass; returns the number of tokens read.
    fn score(&mut self, model: &LoadedModel, caches: &mut [KvCache]) -> Result<usize, EngineError> {
        let prompts = &self.prompts[self.done..self.done + caches.len()];
        let mut parts: Vec<Part<'_>> = prompts
            .iter()
            .zip(caches)
            .map(|(prompt, cache)| Part {
                tokens: &prompt.tokens[cache.len()..],
                cache,
                adapter: prompt.adapter.as_ref(),
                want: Want::Last,
                paths: prompt.plan.paths(),
            })
            .collect();
        let tokens =
            |part: &Part<'_>| part.tokens.len() + part.paths.iter().map(Vec::len).sum::<usize>();
        let read = parts.iter().map(tokens).sum();
        let scores = pass::run(&model.decoder, &mut parts)?;
        let mut next = 0;
        for prompt in prompts {
            let rows: Vec<&[f32]> =
                (next..=next + prompt.plan.tokens()).map(|row| scores.row(row)).collect();
            next += rows.len();
            self.results[prompt.index] =
                prompt.plan.probabilities(&rows, model.tokenizer.end_ids())?;
        }
        self.done += prompts.len();
        Ok(read)
    }

    /// Keeps the cache of the prompt that was scored last, if others of its group follow that can
    /// begin with it.
    fn keep_start(&mut self, prefixes: &Prefixes, cache: Option<KvCache>) {
        let (Some(mut cache), Some(last)) = (cache, self.done.checked_sub(1)) else { return };
        let group = self.groups[last];
        let known = self.start.as_ref().is_some_and(|(known, _)| *known == group);
        if known || self.starts[group] == 0 {
            return;
        }
        cache.shrink();
        let (cache, prompt) = (Arc::new(cache), &self.prompts[last]);
        prefixes.keep(prompt.adapter.as_ref(), prompt.tokens.clone(), Arc::clone(&cache));
        self.start = Some((group, Start::new(cache, self.starts[group])));
    }
}

impl EncodedPrompt {
    /// What prompts that begin alike have in common.
    fn kind(&self) -> (Option<u64>, Option<&str>) {
        (self.adapter.as_ref().map(|named| named.generation), self.persona.as_deref())
    }
}

/// Tokens that a sorted group begins with; at least one is left of every prompt.
fn group_start(group: &[EncodedPrompt]) -> usize {
    let ([first, .., last], Some(shortest)) = (group, group.iter().map(|p| p.tokens.len()).min())
    else {
        return 0;
    };
    let start = common_start(&first.tokens, &last.tokens).min(shortest.saturating_sub(1));
    if start < SHORTEST { 0 } else { start }
}

/// Requests that take turns, a chunk each: first their clients, then each client's own.
#[derive(Debug, Default)]
pub struct ScoreQueue {
    jobs: Turns<ScoreJob>,
    /// Requests that have come so far.
    came: u64,
}

impl ScoreQueue {
    /// Takes a request in.
    pub fn push(&mut self, job: ScoreJob) {
        self.put_back(ScoreJob { number: self.came, ..job });
        self.came += 1;
    }

    fn put_back(&mut self, job: ScoreJob) {
        let client = job.place.client().clone();
        self.jobs.push(&client, job);
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Scores one chunk of the request whose turn it is, and returns the number of tokens read for
    /// it. Requests that nobody waits for any more are dropped.
    pub fn step(&mut self, model: &LoadedModel, prefixes: &Prefixes, budget: Budget) -> usize {
        drop(self.jobs.extract(|job| job.reply.is_closed()));
        let Some(mut job) = self.next(model, budget) else { return 0 };
        let tokens = if job.repeatable { REPEATABLE } else { budget.tokens };
        let mut read = 0;
        loop {
            match pass::guard(|| job.advance(model, prefixes, Budget { tokens, ..budget })) {
                Ok(tokens) => read += tokens,
                Err(error) => {
                    // What was kept may be why it failed.
                    prefixes.clear();
                    job.end(Some(error));
                    return read;
                }
            }
            if job.done == job.prompts.len() {
                job.end(None);
                return read;
            }
            // How many passes a step has changes nothing in them.
            if !job.repeatable || read + REPEATABLE > budget.tokens {
                self.put_back(job);
                return read;
            }
        }
    }

    /// The request whose turn it is. One that hasn't begun waits until those that have leave memory for
    /// its caches; so many that came later may begin before it.
    fn next(&mut self, model: &LoadedModel, budget: Budget) -> Option<ScoreJob> {
        let room = budget.cache_bytes / model.decoder.new_cache().bytes_per_token().max(1);
        let held: usize = self.jobs.all().filter(|job| job.is_begun()).map(ScoreJob::longest).sum();
        let waiting = self.jobs.all().filter(|job| !job.is_begun());
        let oldest = waiting.map(|job| job.number).min().unwrap_or_default();
        let fits = |job: &ScoreJob| {
            job.number < oldest + PATIENCE as u64
                && (held == 0 || held.saturating_add(job.longest()) <= room)
        };
        self.jobs.take_first(|job| job.is_begun() || fits(job))
    }
}

#[cfg(test)]
impl ScoreQueue {
    /// Number of requests that may hold caches.
    pub fn begun(&self) -> usize {
        self.jobs.all().filter(|job| job.is_begun()).count()
    }
}
