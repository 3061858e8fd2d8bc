//! The method's own work: filtering, asking and asking again, collecting, comparing with people.

use std::fmt;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use domain::culture::CultureCode;
use domain::filter::FilterRules;
use domain::generation::GeneratedQuestion;
use domain::instance::{AnswerPair, CollectionRule, Shift, collect};
use domain::method::MethodRequest;
use domain::random::SplitMix64;
use domain::score::{Metric, Part, Parts, mean_paired_interval_of};
use serde::Serialize;

use super::BenchError;
use super::ours::peak_megabytes;
use crate::jobs::culturespa::generated::read_generated;
use crate::jobs::generate::Written;
use crate::jobs::{Method, Opening, ask};
use crate::starter::world::world;
use crate::store::{Store, Unit};
use engine::{DeviceChoice, Engine, EngineConfig, ModelSource};

/// Questions that are asked per topic: 13 topics give as many as the paper evaluates, and one more.
const PER_TOPIC: usize = 20;
/// Candidate pairs of the paper's run: 12,847 questions by 18 cultures.
const PAIRS: usize = 231_246;
/// Resamples of the evaluation, and the questions that it compares.
const RESAMPLES: usize = 10_000;
const QUESTIONS: usize = 259;

/// What to measure with.
#[derive(Debug, Clone)]
pub struct MethodOptions {
    /// The model that is asked.
    pub source: ModelSource,
    /// A copy of the paper's release, whose questions are filtered.
    pub release: Option<PathBuf>,
}

/// Filtering.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Filtering {
    /// Questions seen.
    pub questions: usize,
    /// Questions kept by the paper's rules.
    pub kept: usize,
    /// Seconds with the paper's rules, reading the files aside.
    pub seconds: f64,
    /// Seconds with every rule.
    pub careful_seconds: f64,
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

/// Comparing with people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluating {
    /// Cultures.
    pub cultures: usize,
    /// Resamples.
    pub resamples: usize,
    /// Seconds for the interval of the mean gain.
    pub seconds: f64,
    /// Additions and multiplications a second, in billions.
    pub gflop_s: f64,
    /// What one core reaches in the same arithmetic without waiting for memory.
    pub peak_gflop_s: f64,
    /// The share of it.
    pub share_of_peak: f64,
}

/// The whole bench.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodBench {
    /// `null` without a copy of the release.
    pub filter: Option<Filtering>,
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
        let elicit = elicitation(&engine, &options.source).await?;
        progress("collecting");
        let collect = collecting();
        progress("comparing with people");
        let evaluate = evaluating();
        let filter = match &options.release {
            None => None,
            Some(release) => {
                progress("filtering");
                Some(filtering(release)?)
            }
        };
        let beyond = peak_megabytes().zip(loaded).map(|(peak, loaded)| peak - loaded);
        Ok(Self { filter, elicit, collect, evaluate, memory_beyond_model_mb: beyond })
    }
}

fn start(source: &ModelSource) -> Result<Engine, BenchError> {
    let config = EngineConfig::new(source.clone(), DeviceChoice::Cpu);
    Engine::start(config).map_err(BenchError::method)
}

fn filtering(release: &Path) -> Result<Filtering, BenchError> {
    let files = read_generated(release).map_err(BenchError::method)?;
    let timed = |rules: FilterRules| {
        let started = Instant::now();
        let (_, counts) = files.filtered(rules);
        (counts, started.elapsed().as_secs_f64())
    };
    let (counts, seconds) = timed(FilterRules::PAPER);
    let (_, careful_seconds) = timed(FilterRules::CAREFUL);
    Ok(Filtering { questions: files.questions.len(), kept: counts.kept, seconds, careful_seconds })
}

async fn elicitation(engine: &Engine, source: &ModelSource) -> Result<Elicitation, BenchError> {
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
    // Another engine, since this one has read the prompts before.
    let alone = alone(&method, &start(source)?).await?;
    Ok(Elicitation {
        prompts,
        prompts_per_second: prompts as f64 / seconds,
        engine_prompts_per_second: prompts as f64 / alone,
        again_seconds,
    })
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
        })
        .collect();
    let started = Instant::now();
    let collected = collect(&pairs, CollectionRule::Different, None);
    let seconds = started.elapsed().as_secs_f64();
    Collecting { pairs: pairs.len(), instances: collected.instances.len(), seconds }
}

fn evaluating() -> Evaluating {
    let cultures = world().survey().cultures.len();
    let mut random = SplitMix64::new(2);
    let mut voice = || -> Parts {
        let mut part = || Part { amount: random.unit(), scale: 1.0 };
        (0..QUESTIONS).map(|q| (format!("Q{q}").as_str().into(), part())).collect()
    };
    let voices: Vec<(Parts, Parts)> = (0..cultures).map(|_| (voice(), voice())).collect();
    let pairs: Vec<(&Parts, &Parts)> = voices.iter().map(|(a, b)| (a, b)).collect();
    let started = Instant::now();
    black_box(mean_paired_interval_of(Metric::Alignment, &pairs, RESAMPLES));
    let seconds = started.elapsed().as_secs_f64();
    // Amounts and scales of both voices: a product and a sum each.
    let operations = (RESAMPLES * cultures * QUESTIONS * 2 * 2 * 2) as f64;
    let (gflop_s, peak_gflop_s) = (operations / seconds / 1e9, peak());
    Evaluating {
        cultures,
        resamples: RESAMPLES,
        seconds,
        gflop_s,
        peak_gflop_s,
        share_of_peak: gflop_s / peak_gflop_s,
    }
}

/// Billions of f64 additions and multiplications a second of one core, on values that fit into its
/// registers.
fn peak() -> f64 {
    const ROUNDS: usize = 2_000_000;
    let seconds = (0..5).map(|_| {
        let started = Instant::now();
        let mut sums = [[0.0_f64; 8]; 8];
        let (values, factors) = black_box(([1.000_001_f64; 8], [0.999_999_f64; 8]));
        for _ in 0..ROUNDS {
            for sums in &mut sums {
                for ((sum, value), factor) in sums.iter_mut().zip(&values).zip(&factors) {
                    *sum = value.mul_add(*factor, *sum);
                }
            }
        }
        black_box(sums);
        started.elapsed().as_secs_f64()
    });
    (ROUNDS * 8 * 8 * 2) as f64 / seconds.fold(f64::INFINITY, f64::min) / 1e9
}

impl fmt::Display for MethodBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { filter, elicit, collect, evaluate, memory_beyond_model_mb } = self;
        match filter {
            Some(Filtering { questions, kept, seconds, careful_seconds }) => writeln!(
                f,
                "filtering {questions} questions: {kept} kept in {seconds:.2} s; {careful_seconds:.2} s \
                 with every rule"
            )?,
            None => {
                writeln!(f, "filtering: not measured; `--release DIR` names a copy of the release")?
            }
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
            "comparing {} cultures with {} resamples: {:.2} s, {:.1} GFLOP/s of one core's {:.1} ({:.0} %)",
            evaluate.cultures,
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
    fn four_of_five_drawn_pairs_differ_and_the_peak_is_not_passed() {
        let collected = collecting();
        let share = collected.instances as f64 / collected.pairs as f64;
        assert!(collected.pairs == PAIRS && (share - 0.8).abs() < 0.01, "{collected:?}");
        let evaluated = evaluating();
        assert_eq!((evaluated.cultures, evaluated.resamples), (18, RESAMPLES));
        assert!(evaluated.share_of_peak > 0.0, "{evaluated:?}");
    }
}
