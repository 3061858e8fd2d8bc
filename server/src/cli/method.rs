//! `polylogue generate | elicit | collect | tune | evaluate | pipeline`.

use std::error::Error;

use clap::Args;
use domain::culture::CultureCode;
use domain::filter::FilterRules;
use domain::prompt::PromptStyle;
use domain::score::Metric;

use super::output;
use super::progress::Reporter;
use crate::config::{ModelArgs, StoreArgs, TemplateArgs};
use crate::jobs::elicit::Elicitation;
use crate::jobs::evaluate::EvaluationReport;
use crate::jobs::generate::GenerationCounts;
use crate::jobs::pipeline::StepDone;
use crate::jobs::tune::TunedAdapter;
use crate::jobs::{JobError, Method, MethodRequest, Opening, Progress};
use crate::starter::world::world;

/// Arguments of every step. Settings are fixed when a run begins; later steps take them from it.
#[derive(Debug, Args)]
pub struct MethodArgs {
    /// Name of the run; by default the latest unfinished one.
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Survey that gives seeds and held-out questions; `starter` by default.
    #[arg(long, value_name = "ID")]
    survey: Option<String>,
    /// Seed of everything that is drawn; 7 by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Questions to generate per topic.
    #[arg(long, value_name = "N")]
    per_topic: Option<usize>,
    /// Codes such as `THA,KEN`; all of the survey by default.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    cultures: Option<Vec<CultureCode>>,
    /// Peak learning rate of tuning.
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Passes over the instances.
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Batches of 4 examples per update.
    #[arg(long, value_name = "N")]
    accumulation: Option<usize>,
    /// Which questions are kept: `careful` (the default) or `paper`, then rules that differ, as in
    /// `careful,near-duplicates=0.8,most-options=off`.
    #[arg(long, value_name = "RULES")]
    filter: Option<FilterRules>,
    /// How the aware side is told of its culture: `aware`, `cross-culture`, `self-alignment`,
    /// `aware-self-alignment` or `cross-culture-self-alignment`.
    #[arg(long, value_name = "STYLE")]
    style: Option<PromptStyle>,
    /// Draws so many replies per question (the paper: 1) instead of reading option probabilities.
    #[arg(long, value_name = "K")]
    samples: Option<usize>,
    /// Set of prompt templates, as `id` or `id@version`; the built-in one by default.
    #[arg(long, value_name = "ID")]
    prompts: Option<String>,
    /// Prompt templates.
    #[command(flatten)]
    templates: TemplateArgs,
    /// The model.
    #[command(flatten)]
    model: ModelArgs,
    /// The data folder.
    #[command(flatten)]
    store: StoreArgs,
}

/// Arguments of `evaluate` and `pipeline`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The report as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// How closeness to people is measured.
    #[arg(long, default_value_t = Metric::Alignment)]
    metric: Metric,
    /// The run.
    #[command(flatten)]
    method: MethodArgs,
}

type Outcome = Result<(), Box<dyn Error>>;

impl MethodArgs {
    async fn open(self, opening: Opening) -> Result<Method, Box<dyn Error>> {
        // Before the model loads: a data folder in use or an unknown run is told at once.
        let store = self.store.open().await?;
        store.put_survey(world().survey()).await?;
        if let Some(id) = &self.survey {
            store.survey(id).await?;
        }
        let sets = self.templates.read()?;
        let templates = match &self.prompts {
            Some(name) => Some(sets.get(Some(name))?.clone()),
            None => None,
        };
        let engine = self.model.start().await?;
        let request = MethodRequest {
            run: self.run,
            survey: self.survey,
            seed: self.seed,
            per_topic: self.per_topic,
            cultures: self.cultures,
            learning_rate: self.learning_rate,
            epochs: self.epochs,
            accumulation: self.accumulation,
            filter: self.filter,
            templates,
            style: self.style,
            elicitation: self.samples.map(Elicitation::Samples),
        };
        let method = Method::open(&store, &engine, &request, opening).await?;
        eprintln!("run `{}`, model {} `{}`", method.run, engine.info().name, engine.info().hash);
        Ok(method)
    }
}

/// Notes in the run that a step is at work, and how it failed.
async fn step<T>(
    method: &Method,
    work: impl Future<Output = Result<T, JobError>>,
) -> Result<T, JobError> {
    method.set_state(None).await?;
    let result = work.await;
    if let Err(error) = &result {
        method.set_state(Some(Err(error))).await?;
    }
    result
}

pub(super) async fn generate(args: MethodArgs) -> Outcome {
    let method = args.open(Opening::Begin).await?;
    let mut reporter = Reporter::start();
    let counts = step(&method, method.generate(&mut |p| reporter.tell(p))).await?;
    println!("{}", generated(&counts));
    Ok(())
}

pub(super) async fn elicit(args: MethodArgs) -> Outcome {
    let method = args.open(Opening::GoOn).await?;
    let mut reporter = Reporter::start();
    let answers = step(&method, method.elicit(&mut |p| reporter.tell(p))).await?;
    println!("{answers} answers");
    Ok(())
}

pub(super) async fn collect(args: MethodArgs) -> Outcome {
    let method = args.open(Opening::GoOn).await?;
    let counts = step(&method, method.collect()).await?.counts;
    println!("{}", StepLine(&StepDone::Collected(counts)));
    Ok(())
}

pub(super) async fn tune(args: MethodArgs) -> Outcome {
    let method = args.open(Opening::GoOn).await?;
    let mut reporter = Reporter::start();
    let adapters = step(&method, method.tune(&mut |p| reporter.tell(p))).await?;
    for adapter in &adapters {
        println!("{}", tuned(adapter));
    }
    Ok(())
}

pub(super) async fn evaluate(args: EvaluateArgs) -> Outcome {
    let method = args.method.open(Opening::Look).await?;
    let mut reporter = Reporter::start();
    let mut tell = |p: &Progress| reporter.tell(p);
    let work = method.evaluate(args.metric, &mut tell);
    let report = step(&method, work).await?;
    method.set_state(Some(Ok(()))).await?;
    print(&report, args.json)
}

pub(super) async fn pipeline(args: EvaluateArgs) -> Outcome {
    let method = args.method.open(Opening::Begin).await?;
    let mut reporter = Reporter::start();
    let report = method
        .pipeline(args.metric, &mut |p| reporter.tell(p), &mut |done| {
            eprintln!("{}", StepLine(done));
        })
        .await?;
    print(&report, args.json)
}

fn print(report: &EvaluationReport, json: bool) -> Outcome {
    match json {
        true => println!("{}", serde_json::to_string_pretty(report)?),
        false => println!("{}", output::table(report)),
    }
    Ok(())
}

fn generated(counts: &GenerationCounts) -> String {
    let dropped: Vec<String> =
        counts.dropped.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let dropped = if dropped.is_empty() { "none".to_owned() } else { dropped.join(", ") };
    format!("{} questions of {} kept; dropped: {dropped}", counts.kept, counts.wanted)
}

fn tuned(adapter: &TunedAdapter) -> String {
    let TunedAdapter { name, instances, hash, .. } = adapter;
    match hash.as_deref().and_then(|hash| hash.get(..12)) {
        Some(hash) => format!("{name} `{hash}`: {instances} instances"),
        None => format!("{name}: no instance to learn from, so no adapter"),
    }
}

/// What a step came to, in one line.
struct StepLine<'a>(&'a StepDone);

impl std::fmt::Display for StepLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            StepDone::Generated(counts) => f.write_str(&generated(counts)),
            StepDone::Elicited(answers) => write!(f, "{answers} answers"),
            StepDone::Collected(counts) => write!(
                f,
                "{} instances of {} pairs; {} consistent, {} unreadable",
                counts.inconsistent, counts.pairs, counts.consistent, counts.unreadable
            ),
            StepDone::Tuned(adapters) => {
                let done = adapters.iter().filter(|adapter| adapter.hash.is_some()).count();
                write!(f, "{done} adapters tuned")
            }
        }
    }
}
