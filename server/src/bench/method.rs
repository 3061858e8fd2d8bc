//! The method's own work: filtering, asking and asking again, collecting, comparing with people.

pub mod evaluating;
pub mod filtering;

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use domain::culture::CultureCode;
use domain::filter::FilterRules;
use domain::generation::GeneratedQuestion;
use domain::instance::{AnswerPair, CollectionRule, Shift, collect};
use domain::method::MethodRequest;
use domain::random::SplitMix64;
use serde::Serialize;
use tempfile::TempDir;

use self::evaluating::{Evaluating, evaluating};
use self::filtering::{Filtering, filtering};
use super::BenchError;
use super::ours::peak_megabytes;
use crate::jobs::generate::Written;
use crate::jobs::{Method, Opening, ask};
use crate::pages;
use crate::starter::world::world;
use crate::store::{Store, Unit};
use engine::{DeviceChoice, Engine, EngineConfig, ModelSource};

/// Questions that are asked per topic: 13 topics give as many as the paper evaluates, and one more.
const PER_TOPIC: usize = 20;
/// Candidate pairs of the paper's run: 12,847 questions by 18 cultures.
const PAIRS: usize = 231_246;

/// What to measure with.
#[derive(Debug, Clone)]
pub struct MethodOptions {
    /// The model that is asked.
    pub source: ModelSource,
    /// A copy of the paper's release, whose questions are filtered.
    pub release: Option<PathBuf>,
}

/// Asking, and asking again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Elicitation {
    /// Answers of both sides.
    pub prompts: usize,
    /// Prompts per second, everything stored.
    pub prompts_per_second: f64,
    /// Prompts per second of the engine alone, with the same prompts.
    pub engine_prompts_per_second: f64,
    /// Seconds of the second call, which finds everything in the store.
    pub again_seconds: f64,
}

/// Collecting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Collecting {
    /// Candidate pairs.
    pub pairs: usize,
    /// Instances among them.
    pub instances: usize,
    /// Seconds.
    pub seconds: f64,
}

/// The whole bench.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodBench {
    /// Step 1, its second half.
    pub filter: Filtering,
    /// Step 2.
    pub elicit: Elicitation,
    /// Step 3.
    pub collect: Collecting,
    /// Step 5.
    pub evaluate: Evaluating,
    /// Largest resident memory beyond that after loading the model, in megabytes.
    pub memory_beyond_model_mb: Option<f64>,
}

impl MethodBench {
    /// Measures one after the other; `progress` hears what comes next.
    ///
    /// # Errors
    /// A model that can't be run, a release that can't be read, a store that can't be written.
    pub async fn run(
        options: &MethodOptions,
        mut progress: impl FnMut(&str),
    ) -> Result<Self, BenchError> {
        progress("asking");
        let engine = start(&options.source)?;
        let loaded = peak_megabytes();
        let (method, asked, _folder) = elicitation(&engine).await?;
        progress("collecting");
        let collect = collecting();
        progress("comparing with people");
        let evaluate = evaluating();
        progress("filtering");
        let filter = filtering(options.release.as_deref())?;
        // Before there is a second model in memory.
        let beyond = peak_megabytes().zip(loaded).map(|(peak, loaded)| peak - loaded);
        progress("asking the engine alone");
        // Another engine, since this one has read the prompts before.
        let alone = alone(&method, &start(&options.source)?).await?;
        let elicit = Elicitation {
            prompts: asked.prompts,
            prompts_per_second: asked.prompts as f64 / asked.seconds,
            engine_prompts_per_second: asked.prompts as f64 / alone,
            again_seconds: asked.again_seconds,
        };
        Ok(Self { filter, elicit, collect, evaluate, memory_beyond_model_mb: beyond })
    }
}

/// What asking through the store took.
struct Asked {
    prompts: usize,
    seconds: f64,
    again_seconds: f64,
}

fn start(source: &ModelSource) -> Result<Engine, BenchError> {
    let config = EngineConfig::new(source.clone(), DeviceChoice::Cpu);
    pages::while_loading(|| Engine::start(config)).map_err(BenchError::method)
}

/// The folder goes away when it is dropped, with the store in it.
async fn elicitation(engine: &Engine) -> Result<(Method, Asked, TempDir), BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::method)?;
    let store = Store::open(folder.path()).await.map_err(BenchError::method)?;
    store.put_survey(world().survey()).await.map_err(BenchError::method)?;
    let request = MethodRequest {
        run: Some("bench".to_owned()),
        per_topic: Some(PER_TOPIC),
        filter: Some(FilterRules { duplicates: false, ..FilterRules::PAPER }),
        ..MethodRequest::default()
    };
    let method = Method::open(&store, engine, &request, Opening::Begin);
    let method = method.await.map_err(BenchError::method)?;
    store
        .record_units("bench", "generate", &questions(&method))
        .await
        .map_err(BenchError::method)?;
    let timed = async || {
        let started = Instant::now();
        let answers = method.elicit(&mut |_| ControlFlow::Continue(())).await;
        Ok::<_, BenchError>((answers.map_err(BenchError::method)?, started.elapsed().as_secs_f64()))
    };
    let (prompts, seconds) = timed().await?;
    let (_, again_seconds) = timed().await?;
    Ok((method, Asked { prompts, seconds, again_seconds }, folder))
}

/// Questions of the survey in other words, as a model would have written them.
fn questions(method: &Method) -> Vec<Unit<Written>> {
    let mut units = Vec::new();
    for topic in &method.survey.topics {
        let of_topic: Vec<_> =
            method.survey.questions.iter().filter(|q| q.topic == topic.id).collect();
        for index in 0..PER_TOPIC {
            let question = of_topic[index % of_topic.len()];
            let text = format!("Once more, in round {}: {}", index / of_topic.len(), question.text);
            let question = GeneratedQuestion { question: text, options: question.options.clone() };
            let result = Written { question: Some(question), attempts: 1, fault: None };
            units.push(Unit { key: format!("{}/{index:04}", topic.id), result });
        }
    }
    units
}

/// Seconds of the engine for the prompts of step 2, nothing stored.
async fn alone(method: &Method, engine: &Engine) -> Result<f64, BenchError> {
    let prompts = method.prompts().await.map_err(BenchError::method)?;
    let started = Instant::now();
    for chunk in prompts.chunks(64) {
        ask::probabilities(engine, chunk.to_vec()).await.map_err(BenchError::method)?;
    }
    Ok(started.elapsed().as_secs_f64())
}

fn collecting() -> Collecting {
    let mut random = SplitMix64::new(1);
    let cultures: Vec<CultureCode> = world().survey().cultures.iter().map(|c| c.code).collect();
    let pairs: Vec<AnswerPair> = (0..PAIRS)
        .map(|number| AnswerPair {
            question: format!("Q{}", number / cultures.len()).as_str().into(),
            topic: format!("topic-{}", number % 13).as_str().into(),
            culture: cultures[number % cultures.len()],
            unaware: Some(random.below(5) as u32),
            aware: Some(random.below(5) as u32),
            shift: Some(Shift { distance: random.unit(), differ: 0.5, noise: 0.25 }),
            redrawn: None,
        })
        .collect();
    let started = Instant::now();
    let collected = collect(&pairs, CollectionRule::Different, None);
    let seconds = started.elapsed().as_secs_f64();
    Collecting { pairs: pairs.len(), instances: collected.instances.len(), seconds }
}

impl fmt::Display for MethodBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { filter, elicit, collect, evaluate, memory_beyond_model_mb } = self;
        let Filtering { questions, kept, instead, seconds, careful_seconds } = filter;
        write!(f, "filtering {questions} questions: ")?;
        if let Some(kept) = kept {
            write!(f, "{kept} kept, ")?;
        }
        writeln!(f, "{seconds:.2} s; {careful_seconds:.2} s with every rule")?;
        if let Some(instead) = instead {
            writeln!(f, "  ({instead})")?;
        }
        writeln!(
            f,
            "asking {} prompts: {:.1} a second, the engine alone {:.1}; again from the store {:.2} s",
            elicit.prompts,
            elicit.prompts_per_second,
            elicit.engine_prompts_per_second,
            elicit.again_seconds
        )?;
        writeln!(
            f,
            "collecting {} pairs: {} instances in {:.2} s",
            collect.pairs, collect.instances, collect.seconds
        )?;
        write!(
            f,
            "comparing {} cultures, {} intervals of {} resamples: {:.2} s, {:.1} GFLOP/s of one core's \
             {:.1} ({:.0} %)",
            evaluate.cultures,
            evaluate.intervals,
            evaluate.resamples,
            evaluate.seconds,
            evaluate.gflop_s,
            evaluate.peak_gflop_s,
            100.0 * evaluate.share_of_peak
        )?;
        match memory_beyond_model_mb {
            Some(megabytes) => write!(f, "\nmemory beyond the loaded model: {megabytes:.0} MB"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_of_five_drawn_pairs_differ() {
        let collected = collecting();
        let share = collected.instances as f64 / collected.pairs as f64;
        assert!(collected.pairs == PAIRS && (share - 0.8).abs() < 0.01, "{collected:?}");
    }
}
