//! Step 1 of the method: the model writes new questions like the survey's own.

use std::collections::BTreeMap;

use app::api::Sampling;
use domain::filter::{DropReason, Filter, FilterCounts};
use domain::generation::{GeneratedQuestion, parse};
use domain::prompt::{Message, PromptTemplates, Role};
use domain::question::{Question, QuestionId, Topic};
use domain::random::SplitMix64;
use serde::{Deserialize, Serialize};

use super::work::{Estimate, Progress, Watcher, Work};
use super::{JobError, Method, ask};
use crate::store::UnitKey;
use engine::{AdapterChoice, Engine, GenerateRow};

const STEP: &str = "generate";

/// In-context examples of a prompt: three seeds and two questions generated earlier (method,
/// step 1), seeds alone while none are there.
const SEEDS: usize = 3;
const EARLIER: usize = 2;

/// Questions per topic that are written from the same earlier ones: prompts depend on whole rounds
/// only, so that a resumed run writes the same questions.
const ROUND: usize = 5;

/// Replies asked for until one holds a question.
const ATTEMPTS: u64 = 4;

/// Rows that are generated and stored together.
const BATCH: usize = 32;

/// What came of one question to generate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// The question, if a reply held one.
    pub question: Option<GeneratedQuestion>,
    /// Replies asked for.
    pub attempts: u64,
    /// Why the last unreadable reply was unreadable.
    pub fault: Option<String>,
}

/// What became of the generated questions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationCounts {
    /// Questions asked for.
    pub wanted: usize,
    /// Questions kept.
    pub kept: usize,
    /// Questions dropped, by reason; `unreadable` where no reply held one.
    pub dropped: BTreeMap<String, usize>,
    /// Questions kept with a change, by what was changed.
    #[serde(default)]
    pub rewritten: BTreeMap<String, usize>,
}

impl GenerationCounts {
    fn new(filtered: &FilterCounts, unreadable: usize) -> Self {
        let dropped = filtered.dropped.iter().map(|(reason, count)| (reason.code(), *count));
        let dropped = dropped.chain((unreadable > 0).then_some(("unreadable", unreadable)));
        let rewritten = filtered.rewritten.iter().map(|(change, count)| (change.code(), *count));
        Self {
            wanted: filtered.seen + unreadable,
            kept: filtered.kept,
            dropped: dropped.map(|(reason, count)| (reason.to_owned(), count)).collect(),
            rewritten: rewritten.map(|(change, count)| (change.to_owned(), count)).collect(),
        }
    }
}

/// One question to write.
#[derive(Debug, Clone)]
struct Task {
    topic: Topic,
    seeds: Vec<GeneratedQuestion>,
    earlier: Vec<GeneratedQuestion>,
    seed: u64,
}

impl Method {
    /// Writes the questions of this run that aren't written yet.
    ///
    /// # Errors
    /// See [`JobError`]; what was written before is kept.
    pub async fn generate(&self, watcher: &mut Watcher<'_>) -> Result<GenerationCounts, JobError> {
        let topics = self.survey.topics.len();
        let before = self.store.units::<Written>(&self.run, STEP).await?.len();
        let estimate = Estimate::start(STEP, before, topics * self.settings.per_topic);
        for start in (0..self.settings.per_topic).step_by(ROUND) {
            let indices = start..(start + ROUND).min(self.settings.per_topic);
            let written = self.store.units(&self.run, STEP).await?;
            let earlier = self.admitted(&written, start, &mut |_, _, _| {}).0;
            let work = Work { store: &self.store, run: &self.run, step: STEP, batch: BATCH };
            // The work knows of this round only; the watcher hears of all.
            let mut told = |progress: &Progress| {
                watcher(&estimate.at((start * topics + progress.done).max(before)))
            };
            let wanted = self.tasks(indices, &earlier);
            work.complete(wanted, &mut told, |tasks| {
                write(&self.engine, &self.settings.templates, tasks)
            })
            .await?;
        }
        Ok(self.generated().await?.1)
    }

    /// The questions this run has written, filtered, in a fixed order with fixed identifiers.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn generated(&self) -> Result<(Vec<Question>, GenerationCounts), JobError> {
        let written = self.store.units(&self.run, STEP).await?;
        Ok(self.admitted(&written, self.settings.per_topic, &mut |_, _, _| {}))
    }

    /// As [`Self::generated`]; `judged` is told of every question with its topic, and why it was
    /// dropped if it was.
    ///
    /// # Errors
    /// A failure of the store.
    pub(super) async fn judged(
        &self,
        judged: &mut (dyn FnMut(&Topic, &Written, Option<&str>) + Send),
    ) -> Result<GenerationCounts, JobError> {
        let written = self.store.units(&self.run, STEP).await?;
        Ok(self.admitted(&written, self.settings.per_topic, judged).1)
    }

    /// Filters the first `per_topic` questions of every topic, index by index over the topics.
    fn admitted(
        &self,
        written: &BTreeMap<UnitKey, Written>,
        per_topic: usize,
        judged: &mut (dyn FnMut(&Topic, &Written, Option<&str>) + Send),
    ) -> (Vec<Question>, GenerationCounts) {
        let mut filter = Filter::new(&self.survey, self.settings.filter.clone());
        let mut questions = Vec::new();
        let mut unreadable = 0;
        for index in 0..per_topic {
            for topic in &self.survey.topics {
                let key = key(topic, index);
                let Some(written) = written.get(&key) else { continue };
                let verdict = match &written.question {
                    None => Err("unreadable"),
                    Some(question) => filter.admit(question).map_err(DropReason::code),
                };
                judged(topic, written, verdict.as_ref().err().copied());
                unreadable += usize::from(written.question.is_none());
                if let Ok(question) = verdict {
                    let id = QuestionId(format!("G/{key}"));
                    questions.push(question.into_question(id, topic.id.clone()));
                }
            }
        }
        (questions, GenerationCounts::new(filter.counts(), unreadable))
    }

    fn tasks(&self, indices: std::ops::Range<usize>, earlier: &[Question]) -> Vec<(UnitKey, Task)> {
        let seeds = self.topic_seeds();
        let mut tasks = Vec::new();
        for index in indices {
            for (place, topic) in self.survey.topics.iter().enumerate() {
                let of_topic = |question: &&Question| question.topic == topic.id;
                let seeds = seeds[place].iter().map(|question| (*question).into()).collect();
                // Every question has a stream of its own, whatever is written beside it.
                let stream = ((place as u64) << 32) + index as u64;
                let seed = SplitMix64::new(self.settings.seed).next_u64().wrapping_add(stream);
                tasks.push((
                    key(topic, index),
                    Task {
                        topic: topic.clone(),
                        seeds,
                        earlier: earlier.iter().filter(of_topic).map(Into::into).collect(),
                        seed: SplitMix64::new(seed).next_u64(),
                    },
                ));
            }
        }
        tasks
    }

    /// The questions of every topic that new ones are written after: all, or so many as are wanted,
    /// drawn by the run's seed.
    pub(super) fn topic_seeds(&self) -> Vec<Vec<&Question>> {
        let seeds = self.survey.seeds();
        let of_topic = |(place, topic): (usize, &Topic)| {
            let mut seeds: Vec<_> =
                seeds.iter().copied().filter(|question| question.topic == topic.id).collect();
            if let Some(wanted) = self.settings.seeds_per_topic {
                SplitMix64::new(self.settings.seed.wrapping_add(place as u64)).shuffle(&mut seeds);
                seeds.truncate(wanted);
            }
            seeds
        };
        self.survey.topics.iter().enumerate().map(of_topic).collect()
    }
}

fn key(topic: &Topic, index: usize) -> UnitKey {
    format!("{}/{index:04}", topic.id)
}

/// Asks for every task's question, and again where a reply holds none.
async fn write(
    engine: &Engine,
    templates: &PromptTemplates,
    tasks: Vec<Task>,
) -> Result<Vec<Written>, JobError> {
    let mut written = vec![Written { question: None, attempts: 0, fault: None }; tasks.len()];
    for attempt in 0..ATTEMPTS {
        let open: Vec<usize> =
            (0..tasks.len()).filter(|&index| written[index].question.is_none()).collect();
        if open.is_empty() {
            break;
        }
        let rows = open.iter().map(|&index| row(templates, &tasks[index], attempt)).collect();
        for (index, reply) in open.into_iter().zip(ask::replies(engine, rows).await?) {
            written[index].attempts = attempt + 1;
            match parse(&reply) {
                Ok(question) => written[index].question = Some(question),
                Err(fault) => written[index].fault = Some(fault.code().to_owned()),
            }
        }
    }
    Ok(written)
}

/// The prompt and the sampling of one attempt (method, step 1).
fn row(templates: &PromptTemplates, task: &Task, attempt: u64) -> GenerateRow {
    let mut random = SplitMix64::new(task.seed.wrapping_add(attempt));
    let mut earlier = task.earlier.clone();
    random.shuffle(&mut earlier);
    earlier.truncate(EARLIER);
    let mut examples = task.seeds.clone();
    random.shuffle(&mut examples);
    examples.truncate(SEEDS + EARLIER - earlier.len());
    examples.extend(earlier);
    random.shuffle(&mut examples);
    let examples: Vec<String> = examples.iter().map(GeneratedQuestion::to_json).collect();
    let prompt = templates.generation(&task.topic.name, &examples.join("\n"));
    GenerateRow {
        messages: vec![Message::new(Role::User, prompt)],
        adapter: AdapterChoice::Base,
        sampling: Sampling {
            temperature: 0.9,
            top_p: 0.95,
            seed: random.next_u64(),
            max_tokens: 256,
        },
    }
}
