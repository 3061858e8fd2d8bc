//! A run of the method: its settings, fixed when it begins, and which run a command goes on with.

use app::api::JobState;
use domain::culture::CultureCode;
use domain::filter::FilterRules;
use domain::prompt::{PromptStyle, PromptTemplates};
use domain::survey::Survey;
use domain::voice::Voice;
use serde::{Deserialize, Serialize};

use super::elicit::Elicitation;
use super::{JobError, ask};
use crate::engine::Engine;
use crate::store::{NewRun, Run, RunKind, Store, StoreError};

/// What a run of the method does; all its steps share them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodSettings {
    /// The survey that gives seeds and held-out questions.
    pub survey: String,
    /// The model, see [`Engine::model_id`].
    pub base_hash: String,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Questions to generate per topic.
    pub per_topic: usize,
    /// Cultures, in the survey's order.
    pub cultures: Vec<CultureCode>,
    /// Peak learning rate of tuning.
    pub learning_rate: f64,
    /// Passes over the instances.
    pub epochs: usize,
    /// Micro-batches per update.
    pub accumulation: usize,
    /// Which generated questions are kept.
    #[serde(default)]
    pub filter: FilterRules,
    /// The wording of all prompts, whole: the run can go on without the file it came from.
    #[serde(default)]
    pub templates: PromptTemplates,
    /// How the aware side of step 2 is told of its culture.
    #[serde(default = "aware")]
    pub style: PromptStyle,
    /// How answers of step 2 are read.
    #[serde(default)]
    pub elicitation: Elicitation,
}

fn aware() -> PromptStyle {
    PromptStyle::Aware
}

/// What a command says about the run it wants; `None` takes the run's own value, or the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MethodRequest {
    /// Name of the run.
    pub run: Option<String>,
    /// See [`MethodSettings::survey`]; `starter` by default.
    pub survey: Option<String>,
    /// See [`MethodSettings::seed`].
    pub seed: Option<u64>,
    /// See [`MethodSettings::per_topic`].
    pub per_topic: Option<usize>,
    /// See [`MethodSettings::cultures`]; all of the survey by default.
    pub cultures: Option<Vec<CultureCode>>,
    /// See [`MethodSettings::learning_rate`].
    pub learning_rate: Option<f64>,
    /// See [`MethodSettings::epochs`].
    pub epochs: Option<usize>,
    /// See [`MethodSettings::accumulation`].
    pub accumulation: Option<usize>,
    /// See [`MethodSettings::filter`].
    pub filter: Option<FilterRules>,
    /// See [`MethodSettings::templates`]; the built-in ones by default.
    pub templates: Option<PromptTemplates>,
    /// See [`MethodSettings::style`]; aware by default.
    pub style: Option<PromptStyle>,
    /// See [`MethodSettings::elicitation`]; probabilities by default.
    pub elicitation: Option<Elicitation>,
}

/// Which run a command is for when it names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// The latest unfinished one, else a new one.
    Begin,
    /// The latest unfinished one, else the latest; never a new one.
    GoOn,
    /// As [`Opening::GoOn`], but a new one where there is none: evaluation works with the
    /// adapters that came with the model, too.
    Look,
}

/// A run of the method with everything its steps need.
#[derive(Clone)]
pub struct Method {
    /// Where results are kept.
    pub store: Store,
    /// The base model.
    pub engine: Engine,
    /// The run's name.
    pub run: String,
    /// Its settings.
    pub settings: MethodSettings,
    /// The survey of its settings.
    pub survey: Survey,
}

impl Method {
    /// Finds or makes the run that `request` means.
    ///
    /// # Errors
    /// An unknown run, survey or culture; a named run with other settings or another base model.
    pub async fn open(
        store: &Store,
        engine: &Engine,
        request: &MethodRequest,
        opening: Opening,
    ) -> Result<Self, JobError> {
        check(request)?;
        let found = match &request.run {
            Some(name) => named(store, engine, request, name, opening).await?,
            None => latest(store, engine, request, opening).await?,
        };
        let run = match found {
            Some(run) => run,
            None if opening == Opening::GoOn => {
                return Err(JobError::refused(
                    "there is no run of the method for this model and these settings",
                    "Begin one with `polylogue generate` or `polylogue pipeline`.",
                ));
            }
            None => {
                let settings = new_settings(store, engine, request).await?;
                let new = NewRun {
                    id: request.run.as_deref(),
                    kind: RunKind::Method,
                    settings: &settings,
                    total: 0,
                };
                store.create_run(new).await?
            }
        };
        let settings: MethodSettings = run.settings()?;
        let survey = store.survey(&settings.survey).await?;
        Ok(Self { store: store.clone(), engine: engine.clone(), run: run.id, settings, survey })
    }

    /// Notes that the run is at work, done, stopped or failed.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn set_state(&self, ended: Option<Result<(), &JobError>>) -> Result<(), JobError> {
        let (state, error) = match ended {
            None => (JobState::Running, None),
            Some(Ok(())) => (JobState::Done, None),
            Some(Err(JobError::Cancelled)) => (JobState::Cancelled, None),
            Some(Err(error)) => (JobState::Failed, Some(error.to_string())),
        };
        Ok(self.store.set_state(&self.run, state, error.as_deref()).await?)
    }
}

fn check(request: &MethodRequest) -> Result<(), JobError> {
    let name_fits = |name: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !name.is_empty() && !name.starts_with('.') && name.len() <= 64 && name.chars().all(allowed)
    };
    if let Some(name) = request.run.as_deref().filter(|name| !name_fits(name)) {
        return Err(JobError::refused(
            format!("`{name}` can't name a run: it becomes a folder's name"),
            "Use 1 to 64 letters, digits, `-`, `_` and `.`, not beginning with `.`.",
        ));
    }
    let samples = match request.elicitation {
        Some(Elicitation::Samples(count)) => Some(count),
        _ => None,
    };
    let zeros = [
        ("--per-topic", request.per_topic),
        ("--epochs", request.epochs),
        ("--accumulation", request.accumulation),
        ("--samples", samples),
    ];
    if let Some((name, _)) = zeros.iter().find(|(_, value)| *value == Some(0)) {
        return Err(JobError::refused(format!("`{name}` must be at least 1, not 0"), "Raise it."));
    }
    if request.style == Some(PromptStyle::Unaware) {
        return Err(JobError::refused(
            "`--style` must name a culture, not `unaware`: both sides would be the same",
            "Use `aware` or `cross-culture`.",
        ));
    }
    match request.learning_rate {
        Some(rate) if !(rate > 0.0 && rate.is_finite()) => Err(JobError::refused(
            format!("`--learning-rate` must be above 0, not {rate}"),
            "Use a value such as 1e-4.",
        )),
        _ => Ok(()),
    }
}

async fn named(
    store: &Store,
    engine: &Engine,
    request: &MethodRequest,
    name: &str,
    opening: Opening,
) -> Result<Option<Run>, JobError> {
    let run = match store.run(name).await {
        Err(StoreError::UnknownRun { .. }) if opening == Opening::Begin => return Ok(None),
        found => found?,
    };
    if run.kind != RunKind::Method {
        let difference = format!("it is a {} run", run.kind);
        return Err(StoreError::RunExists { id: run.id, difference }.into());
    }
    let settings: MethodSettings = run.settings()?;
    if settings.base_hash != engine.model_id() {
        return Err(JobError::other_model(run.id, &settings.base_hash, &engine.model_id()));
    }
    match difference(&settings, request) {
        Some(difference) => Err(StoreError::RunExists { id: run.id, difference }.into()),
        None => Ok(Some(run)),
    }
}

async fn latest(
    store: &Store,
    engine: &Engine,
    request: &MethodRequest,
    opening: Opening,
) -> Result<Option<Run>, JobError> {
    let mut finished = None;
    for run in store.runs(RunKind::Method).await? {
        let settings: MethodSettings = run.settings()?;
        if settings.base_hash != engine.model_id() || difference(&settings, request).is_some() {
            continue;
        }
        if run.state != JobState::Done {
            return Ok(Some(run));
        }
        finished = finished.or(Some(run));
    }
    Ok(finished.filter(|_| opening != Opening::Begin))
}

/// The first setting that the request names otherwise, with both values.
fn difference(settings: &MethodSettings, request: &MethodRequest) -> Option<String> {
    fn differs<T: PartialEq + std::fmt::Debug>(
        name: &str,
        stored: &T,
        asked: &Option<T>,
    ) -> Option<String> {
        let asked = asked.as_ref().filter(|asked| *asked != stored)?;
        Some(format!("`{name}` is {stored:?}, not {asked:?}"))
    }
    differs("--survey", &settings.survey, &request.survey)
        .or_else(|| differs("--seed", &settings.seed, &request.seed))
        .or_else(|| differs("--per-topic", &settings.per_topic, &request.per_topic))
        .or_else(|| differs("--cultures", &settings.cultures, &request.cultures))
        .or_else(|| differs("--learning-rate", &settings.learning_rate, &request.learning_rate))
        .or_else(|| differs("--epochs", &settings.epochs, &request.epochs))
        .or_else(|| differs("--accumulation", &settings.accumulation, &request.accumulation))
        .or_else(|| differs("--filter", &settings.filter, &request.filter))
        .or_else(|| {
            let hash = |templates: &PromptTemplates| templates.hash().to_owned();
            let asked = request.templates.as_ref().map(hash);
            differs("--prompts", &hash(&settings.templates), &asked)
        })
        .or_else(|| differs("--style", &settings.style, &request.style))
        .or_else(|| differs("--samples", &settings.elicitation, &request.elicitation))
}

async fn new_settings(
    store: &Store,
    engine: &Engine,
    request: &MethodRequest,
) -> Result<MethodSettings, JobError> {
    let id = request.survey.clone().unwrap_or_else(|| "starter".to_owned());
    let survey = store.survey(&id).await?;
    let cultures = match &request.cultures {
        None => survey.cultures.iter().map(|culture| culture.code).collect(),
        Some(codes) => {
            for code in codes {
                ask::culture(&survey, *code)?;
            }
            codes.clone()
        }
    };
    let style = request.style.unwrap_or_else(aware);
    for &code in &cultures {
        ask::check_style(&survey, &Voice::styled(code, style))?;
    }
    Ok(MethodSettings {
        survey: id,
        base_hash: engine.model_id(),
        seed: request.seed.unwrap_or(7),
        per_topic: request.per_topic.unwrap_or(30),
        cultures,
        learning_rate: request.learning_rate.unwrap_or(1e-4),
        epochs: request.epochs.unwrap_or(1),
        accumulation: request.accumulation.unwrap_or(32),
        filter: request.filter.clone().unwrap_or_default(),
        templates: request.templates.clone().unwrap_or_default(),
        style,
        elicitation: request.elicitation.unwrap_or_default(),
    })
}
