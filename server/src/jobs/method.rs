//! A run of the method: which run a command goes on with, and the settings that a new one gets.
//! What settings there are and their rules is [`domain::method`]'s.

use app::api::JobState;
use domain::instance::CollectionRule;
use domain::method::{GeneralFile, Inputs, MethodRequest, MethodSettings, USUAL_SURVEY};
use domain::prompt::{PromptStyle, PromptTemplates};
use domain::survey::Survey;
use domain::training_set::{Accepted, Selection};
use domain::voice::Voice;

use super::{JobError, ask};
use crate::store::{NewRun, Run, RunKind, Store, StoreError};
use engine::{ClientId, Engine};

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
        request.check()?;
        let found = match &request.run {
            Some(name) => named(store, engine, request, name, opening).await?,
            None => latest(store, engine, request, opening).await?,
        };
        let run = match found {
            Some(run) => run,
            None if opening == Opening::GoOn => {
                return Err(JobError::refused(
                    "there is no run of the method for this model and these settings",
                    "Begin one with `polylogue generate` or `polylogue run`.",
                ));
            }
            None => return Self::create(store, engine, request).await,
        };
        Self::of(store, engine, run).await
    }

    /// Makes the run that `request` means, which must be a new one or have these very settings.
    ///
    /// # Errors
    /// A setting that breaks a rule, an unknown survey or culture, a name that is taken.
    pub async fn create(
        store: &Store,
        engine: &Engine,
        request: &MethodRequest,
    ) -> Result<Self, JobError> {
        request.check()?;
        let settings = new_settings(store, engine, request).await?;
        let id = request.run.as_deref();
        let new = NewRun { id, kind: RunKind::Method, settings: &settings, total: 0 };
        let run = store.create_run(new).await?;
        Self::of(store, engine, run).await
    }

    async fn of(store: &Store, engine: &Engine, run: Run) -> Result<Self, JobError> {
        let settings: MethodSettings = run.settings()?;
        let survey = store.survey(&settings.survey).await?;
        // A client of its own: runs side by side take turns.
        let engine = engine.for_client(ClientId::new(&format!("run {}", run.id))).repeatable();
        Ok(Self { store: store.clone(), engine, run: run.id, settings, survey })
    }

    /// Notes that nothing is at work, with steps left to do.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn pause(&self) -> Result<(), JobError> {
        Ok(self.store.set_state(&self.run, JobState::Paused, None).await?)
    }

    /// Notes that a command is at work on the run, or that it is done, stopped until somebody goes on
    /// with it, or failed.
    ///
    /// # Errors
    /// [`StoreError::OtherServer`]; a failure of the store.
    pub async fn set_state(&self, ended: Option<Result<(), &JobError>>) -> Result<(), JobError> {
        let (state, error) = match ended {
            None => return Ok(self.store.begin_run(&self.run, false).await?),
            Some(Ok(())) => (JobState::Done, None),
            Some(Err(JobError::Cancelled)) => (JobState::Paused, None),
            Some(Err(error)) => (error.end_state(), serde_json::to_string(&error.to_api()).ok()),
        };
        Ok(self.store.set_state(&self.run, state, error.as_deref()).await?)
    }
}

/// What a run of the survey `id` that begins now begins with.
///
/// # Errors
/// A failure of the store.
pub async fn inputs(
    store: &Store,
    engine: &Engine,
    id: &str,
    templates: &PromptTemplates,
) -> Result<Inputs, JobError> {
    Ok(Inputs {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: engine.info().name.clone(),
        survey_hash: store.survey_hash(id).await?.unwrap_or_default(),
        prompts_hash: templates.hash().to_owned(),
    })
}

/// Why a run with these settings can't go on here and now, if it can't.
///
/// # Errors
/// A failure of the store.
pub async fn obstacle(
    store: &Store,
    engine: &Engine,
    run: &str,
    settings: &MethodSettings,
) -> Result<Option<JobError>, JobError> {
    if settings.base_hash != engine.model_id() {
        let (begun, loaded) = (&settings.base_hash, engine.model_id());
        return Ok(Some(JobError::other_model(run.to_owned(), begun, &loaded)));
    }
    let Some(begun) = &settings.inputs else { return Ok(None) };
    // The wording of its prompts is part of the settings, so it can't have changed.
    let now = store.survey_hash(&settings.survey).await?.unwrap_or_default();
    let what = format!("another version of the survey `{}`", settings.survey);
    Ok((begun.survey_hash != now).then(|| JobError::other_inputs(run, &what)))
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
    if let Some(obstacle) = obstacle(store, engine, &run.id, &settings).await? {
        return Err(obstacle);
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
    let runs = store.runs(RunKind::Method).await?;
    // Another server's run is gone on with only by its name.
    for run in runs.into_iter().filter(|run| !run.elsewhere) {
        let settings: MethodSettings = run.settings()?;
        let other = difference(&settings, request).is_some();
        if other || obstacle(store, engine, &run.id, &settings).await?.is_some() {
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
pub(super) fn difference(settings: &MethodSettings, request: &MethodRequest) -> Option<String> {
    fn differs<T: PartialEq + std::fmt::Debug>(
        name: &str,
        stored: &T,
        asked: &Option<T>,
    ) -> Option<String> {
        let asked = asked.as_ref().filter(|asked| *asked != stored)?;
        Some(format!("`{name}` is {stored:?}, not {asked:?}"))
    }
    let adapters = settings.adapters().into_iter().map(|(_, target)| target).collect::<Vec<_>>();
    differs("survey", &settings.survey, &request.survey)
        .or_else(|| differs("seed", &settings.seed, &request.seed))
        .or_else(|| differs("per_topic", &settings.per_topic, &request.per_topic))
        .or_else(|| {
            let asked = request.seeds_per_topic.map(Some);
            differs("seeds_per_topic", &settings.seeds_per_topic, &asked)
        })
        .or_else(|| differs("cultures", &settings.cultures, &request.cultures))
        .or_else(|| differs("adapters", &adapters, &request.adapters))
        .or_else(|| differs("learning_rate", &settings.learning_rate, &request.learning_rate))
        .or_else(|| differs("epochs", &settings.epochs, &request.epochs))
        .or_else(|| differs("accumulation", &settings.accumulation, &request.accumulation))
        .or_else(|| differs("filter", &settings.filter, &request.filter))
        .or_else(|| {
            let hash = |templates: &PromptTemplates| templates.hash().to_owned();
            let asked = request.templates.as_ref().map(hash);
            differs("prompts", &hash(&settings.templates), &asked)
        })
        .or_else(|| differs("style", &settings.style, &request.style))
        .or_else(|| {
            let stored = settings.elicitation.to_string();
            differs("samples", &stored, &request.samples.map(|asked| asked.to_string()))
        })
        .or_else(|| differs("rule", &settings.rule, &request.rule))
        .or_else(|| differs("source", &settings.selection.source, &request.source))
        .or_else(|| differs("share", &settings.selection.share, &request.share))
        .or_else(|| {
            let named = |accepted: &Accepted| format!("{}@{}", accepted.project, accepted.hash());
            let stored = settings.accepted.as_ref().map_or_else(|| "nothing".to_owned(), named);
            differs("accepted", &stored, &request.accepted.as_ref().map(named))
        })
        .or_else(|| differs("general", &settings.general, &request.general))
        .or_else(|| {
            let named = |file: &GeneralFile| format!("{}@{}", file.path, file.short_hash());
            let stored = settings.general_from.as_ref().map_or_else(|| "nothing".to_owned(), named);
            differs("general_from", &stored, &request.general_from.as_ref().map(named))
        })
        .or_else(|| differs("tuning", &settings.tuning, &request.tuning))
}

async fn new_settings(
    store: &Store,
    engine: &Engine,
    request: &MethodRequest,
) -> Result<MethodSettings, JobError> {
    let id = request.survey.clone().unwrap_or_else(|| USUAL_SURVEY.to_owned());
    let survey = store.survey(&id).await?;
    let cultures: Vec<_> = match &request.cultures {
        None => survey.cultures.iter().map(|culture| culture.code).collect(),
        Some(codes) => {
            for code in codes {
                ask::culture(&survey, *code)?;
            }
            codes.clone()
        }
    };
    // Once more, for adapters of cultures that only the survey names.
    let whole = MethodRequest { cultures: Some(cultures.clone()), ..request.clone() };
    whole.check()?;
    let style = request.style.unwrap_or(PromptStyle::Aware);
    for &code in &cultures {
        ask::check_style(&survey, &Voice::styled(code, style))?;
    }
    let templates = request.templates.clone().unwrap_or_default();
    if request.rule == Some(CollectionRule::Shift) && templates.unaware_again().is_none() {
        return Err(JobError::refused(
            format!(
                "`rule` can't be `shift`: the prompts `{}` have no `unaware-again`",
                templates.id()
            ),
            "Add the unaware persona in other words to the set, or use the rule `different`.",
        ));
    }
    let mut settings = MethodSettings {
        inputs: Some(inputs(store, engine, &id, &templates).await?),
        survey: id,
        base_hash: engine.model_id(),
        seed: request.seed.unwrap_or(7),
        per_topic: request.per_topic.unwrap_or(30),
        seeds_per_topic: request.seeds_per_topic,
        cultures,
        adapters: request.adapters.clone(),
        learning_rate: request.learning_rate.unwrap_or(1e-4),
        epochs: request.epochs.unwrap_or(1),
        accumulation: request.accumulation.unwrap_or(32),
        filter: request.filter.clone().unwrap_or_default(),
        templates,
        style,
        elicitation: request.samples.unwrap_or_default(),
        rule: request.rule.unwrap_or_default(),
        selection: Selection {
            source: request.source.unwrap_or_default(),
            share: request.share.unwrap_or(1.0),
            seed: request.seed.unwrap_or(7),
        },
        accepted: request.accepted.clone(),
        general: request.general.unwrap_or(0.0),
        general_from: request.general_from.clone(),
        tuning: request.tuning.clone().unwrap_or_default(),
    };
    settings.adapters = Some(settings.adapters().into_iter().map(|(_, target)| target).collect());
    Ok(settings)
}
