//! `polylogue generate | elicit | collect | tune | evaluate | pipeline | run`. Presets are read in
//! [`super::preset`]; a run once more is in [`super::reproduce`].

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use domain::culture::CultureCode;
use domain::filter::FilterRules;
use domain::instance::CollectionRule;
use domain::method::{AdapterTarget, Elicitation, Step, Tuning};
use domain::prompt::PromptStyle;
use domain::score::Metric;
use domain::training_set::{Accepted, Source};

use super::output;
use super::preset::PresetChoice;
use super::progress::Reporter;
use crate::annotation::Room;
use crate::config::{ModelArgs, StoreArgs, TemplateArgs};
use crate::experiments;
use crate::jobs::evaluate::EvaluationReport;
use crate::jobs::generate::GenerationCounts;
use crate::jobs::pipeline::StepDone;
use crate::jobs::tune::TunedAdapter;
use crate::jobs::{JobError, Method, MethodRequest, Opening, accepted, general};
use crate::starter::world::world;
use crate::store::Store;

/// Arguments of every step. Settings are fixed when a run begins; later steps take them from it.
#[derive(Debug, Args)]
pub struct MethodArgs {
    /// Name of the run; by default the latest unfinished one that these settings fit.
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Survey that gives seeds and evaluated questions; `starter` by default.
    #[arg(long, value_name = "ID")]
    survey: Option<String>,
    /// Seed of everything that is drawn; 7 by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Questions to generate per topic.
    #[arg(long, value_name = "N")]
    per_topic: Option<usize>,
    /// Questions of a topic, drawn by the seed, that new ones are written after; all by default, the
    /// paper also tries 1.
    #[arg(long, value_name = "N")]
    seeds_per_topic: Option<usize>,
    /// Codes such as `THA,KEN`; all of the survey by default.
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    cultures: Option<Vec<CultureCode>>,
    /// Adapters to tune: `joint`, and codes for specific ones; all by default.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    adapters: Option<Vec<AdapterTarget>>,
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
    /// Draws so many replies per question (the paper: 1); `off` (the default) reads option probabilities.
    #[arg(long, value_name = "K")]
    samples: Option<Elicitation>,
    /// When a pair of answers becomes an instance: `different` answers (the default), or a `shift` of
    /// the probabilities above the noise floor.
    #[arg(long, value_name = "RULE")]
    rule: Option<CollectionRule>,
    /// What is learnt: `inconsistent` pairs (the default), or as many `random` or `consistent` ones.
    #[arg(long, value_name = "SOURCE")]
    source: Option<Source>,
    /// Tunes only on what this annotation project has accepted of a run's instances, with that run's
    /// questions and answers.
    #[arg(long, value_name = "PROJECT")]
    accepted: Option<String>,
    /// Which share of the pairs is learnt, such as 0.5; all by default.
    #[arg(long, value_name = "SHARE")]
    share: Option<f64>,
    /// With `true` every culture learns only as many pairs as every source can give, so that sets of
    /// different sources have the same size.
    #[arg(long, value_name = "BOOL")]
    matched: Option<bool>,
    /// General conversations that are learnt beside, per pair, such as 0.25; none by default.
    #[arg(long, value_name = "RATIO")]
    general: Option<f64>,
    /// File that general conversations come from, one JSON object a line: `messages`, or `instruction` and
    /// `output`. Every second one may be learnt, the others guard general ability; the starter's own talk
    /// by default.
    #[arg(long, value_name = "FILE")]
    general_from: Option<PathBuf>,
    /// Other settings of tuning than the paper's, as in `rank=16,alpha=32,modules=q_proj+v_proj`, also
    /// `batch`, `warmup`, `cutoff`, `max-norm`, `schedule`, `weight-decay`, `beta1`, `beta2`,
    /// `epsilon`, `dropout`; `checkpointing=on` takes less memory.
    #[arg(long, value_name = "SETTINGS")]
    tuning: Option<Tuning>,
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

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct LookArgs {
    /// Evaluates the adapters that came with the model, whatever this data folder has tuned.
    #[arg(long, conflicts_with_all = ["run", "accepted"])]
    shipped: bool,
    /// Evaluates the run on another survey than the one that it learnt from, as far as that one knows its
    /// cultures.
    #[arg(long, value_name = "SURVEY", conflicts_with_all = ["shipped", "accepted"])]
    on: Option<String>,
    /// The rest.
    #[command(flatten)]
    evaluate: EvaluateArgs,
}

/// Arguments of `pipeline`, and of commands that have more.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The report as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// How closeness to people is measured.
    #[arg(long, default_value_t = Metric::Alignment)]
    metric: Metric,
    /// Also asks every culture's own adapter as every other culture: which adapter is closest to whom.
    #[arg(long)]
    cross: bool,
    /// Also asks with the options in other orders and under other numbers: how much of a score is the
    /// layout's.
    #[arg(long)]
    robust: bool,
    /// The run.
    #[command(flatten)]
    method: MethodArgs,
}

/// How an evaluation is done and told.
#[derive(Debug, Clone, Copy)]
struct Telling {
    metric: Metric,
    cross: bool,
    robust: bool,
    json: bool,
}

impl EvaluateArgs {
    fn parted(self) -> (MethodArgs, Telling) {
        let Self { json, metric, cross, robust, method } = self;
        (method, Telling { metric, cross, robust, json })
    }
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// `quick`, `paper`, or a TOML file with settings; options beside it go before it.
    #[arg(long, value_name = "PRESET")]
    preset: Option<PresetChoice>,
    /// The rest.
    #[command(flatten)]
    evaluate: EvaluateArgs,
}

type Outcome = Result<(), Box<dyn Error>>;

impl MethodArgs {
    pub(super) async fn open(self, opening: Opening) -> Result<Method, Box<dyn Error>> {
        self.open_with(None, opening).await
    }

    async fn open_with(
        self,
        preset: Option<PresetChoice>,
        opening: Opening,
    ) -> Result<Method, Box<dyn Error>> {
        // Before the model loads: a data folder in use or an unknown run is told at once.
        let store = self.store.open().await?;
        store.put_survey(world().survey()).await?;
        let sets = self.templates.read()?;
        let own = MethodRequest {
            run: self.run,
            survey: self.survey,
            seed: self.seed,
            per_topic: self.per_topic,
            seeds_per_topic: self.seeds_per_topic,
            cultures: self.cultures,
            adapters: self.adapters,
            learning_rate: self.learning_rate,
            epochs: self.epochs,
            accumulation: self.accumulation,
            filter: self.filter,
            prompts: self.prompts,
            templates: None,
            style: self.style,
            samples: self.samples,
            rule: self.rule,
            source: self.source,
            share: self.share,
            matched: self.matched,
            accepted: None,
            general: self.general,
            general_from: self.general_from.as_deref().map(general::file).transpose()?,
            tuning: self.tuning,
        };
        let request = match preset {
            Some(preset) => preset.complete(own, &store).await?,
            None => own,
        };
        request.check()?;
        let request = sets.resolve(request)?;
        if let Some(id) = &request.survey {
            store.survey(id).await?;
        }
        let accepted = match &self.accepted {
            Some(project) => Some(accepted_of(&store, project).await?),
            None => None,
        };
        if opening == Opening::Base {
            let whole = MethodRequest { accepted: accepted.clone(), ..request.clone() };
            experiments::check_base(&whole)?;
        }
        let engine = self.model.start().await?;
        if opening == Opening::Shipped && engine.adapters().is_empty() {
            return Err(Box::new(no_shipped(&engine.info().name)));
        }
        let method = match accepted {
            Some(accepted) => accepted::open(&store, &engine, accepted, request).await?,
            None => Method::open(&store, &engine, &request, opening).await?,
        };
        eprintln!("run `{}`, model {} `{}`", method.run, engine.info().name, engine.info().hash);
        Ok(method)
    }
}

/// Nothing came with the model that could be evaluated.
fn no_shipped(model: &str) -> JobError {
    JobError::refused(
        format!(
            "no adapters came with the model `{model}`, so `--shipped` has nothing to evaluate"
        ),
        "Leave `--model` out: the built-in one brings some. `polylogue pipeline` tunes some of your own.",
    )
}

/// What the annotation project of this identifier has accepted so far.
async fn accepted_of(store: &Store, project: &str) -> Result<Accepted, Box<dyn Error>> {
    let room = Room::open(store, project).await?.ok_or_else(|| {
        JobError::refused(
            format!("there is no annotation project `{project}` in this data folder"),
            "Take the identifier from the project's address, `/annotate/PROJECT`.",
        )
    })?;
    Ok(room.accepted()?)
}

/// Runs steps with their progress on the terminal, notes how they ended (see [`Method::settle`]), and
/// hands every step's result to `done`.
async fn run_steps(
    method: &Method,
    steps: &[Step],
    metric: Metric,
    done: &mut (dyn FnMut(&StepDone) + Send),
) -> Result<(), Box<dyn Error>> {
    let mut reporter = Reporter::start();
    let before = method.store.run(&method.run).await?;
    method.set_state(None).await?;
    let result =
        method.run_steps(steps, metric, &mut |p| reporter.tell(p), &mut |_| {}, done).await;
    match &result {
        Ok(()) => method.settle(steps, &before).await?,
        Err(error) => method.set_state(Some(Err(error))).await?,
    }
    Ok(result?)
}

async fn one_step(method: &Method, step: Step) -> Outcome {
    run_steps(method, &[step], Metric::Alignment, &mut |done| println!("{}", StepLine(done))).await
}

pub(super) async fn generate(args: MethodArgs) -> Outcome {
    one_step(&args.open(Opening::Begin).await?, Step::Generate).await
}

pub(super) async fn elicit(args: MethodArgs) -> Outcome {
    one_step(&args.open(Opening::GoOn).await?, Step::Elicit).await
}

pub(super) async fn collect(args: MethodArgs) -> Outcome {
    one_step(&args.open(Opening::GoOn).await?, Step::Collect).await
}

pub(super) async fn tune(args: MethodArgs) -> Outcome {
    let method = args.open(Opening::GoOn).await?;
    let mut each = |done: &StepDone| {
        if let StepDone::Tuned(adapters) = done {
            adapters.iter().for_each(|adapter| println!("{}", tuned(adapter)));
        }
    };
    run_steps(&method, &[Step::Tune], Metric::Alignment, &mut each).await
}

pub(super) async fn evaluate(args: LookArgs) -> Outcome {
    let (method, telling) = args.evaluate.parted();
    if let Some(survey) = &args.on {
        return report_on(&method.open(Opening::GoOn).await?, survey, telling).await;
    }
    let opening = if args.shipped { Opening::Shipped } else { Opening::Look };
    report(&method.open(opening).await?, &[Step::Evaluate], telling).await
}

pub(super) async fn pipeline(args: EvaluateArgs) -> Outcome {
    let (method, telling) = args.parted();
    report(&method.open(Opening::Begin).await?, &Step::ALL, telling).await
}

pub(super) async fn run(args: RunArgs) -> Outcome {
    let (method, telling) = args.evaluate.parted();
    report(&method.open_with(args.preset, Opening::Begin).await?, &Step::ALL, telling).await
}

/// Runs steps of which the last is the evaluation, and prints what that came to.
async fn report(method: &Method, steps: &[Step], telling: Telling) -> Outcome {
    let mut report = None;
    let mut each = |done: &StepDone| match done {
        StepDone::Evaluated(evaluated) => report = Some(evaluated.clone()),
        other => eprintln!("{}", StepLine(other)),
    };
    run_steps(method, steps, telling.metric, &mut each).await?;
    match report {
        Some(report) => tell(method, *report, telling).await,
        None => Ok(()),
    }
}

/// Evaluates a run on another survey and prints what that came to. The run's own steps stay as they are.
async fn report_on(method: &Method, survey: &str, telling: Telling) -> Outcome {
    let method = method.on(survey).await?;
    let mut reporter = Reporter::start();
    let report = method.evaluate(telling.metric, &mut |p| reporter.tell(p)).await?;
    tell(&method, report, telling).await
}

/// Prints a report, with what else is to be asked for it.
async fn tell(method: &Method, mut report: EvaluationReport, telling: Telling) -> Outcome {
    if telling.cross {
        let mut reporter = Reporter::start();
        report.cross = Some(method.cross(telling.metric, &mut |p| reporter.tell(p)).await?);
    }
    if telling.robust {
        let mut reporter = Reporter::start();
        report.robustness = method.robustness(telling.metric, &mut |p| reporter.tell(p)).await?;
    }
    match telling.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => println!("{}", output::table(&report)),
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
            StepDone::Evaluated(report) => write!(f, "{} cultures compared", report.rows.len()),
        }
    }
}
