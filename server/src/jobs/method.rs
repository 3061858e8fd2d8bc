//! A run of the method: the settings that a new one gets, and where it stands after its steps. Which
//! run a command goes on with is in [`super::opening`]; what settings there are and their rules is
//! [`domain::method`]'s.

use app::api::JobState;
use app::api::method_run::{StepInfo, StepState};
use domain::instance::CollectionRule;
use domain::method::{Inputs, MethodRequest, MethodSettings, Step, USUAL_SURVEY};
use domain::prompt::{PromptStyle, PromptTemplates};
use domain::survey::Survey;
use domain::training_set::Selection;

use super::opening::{self, Opening};
use super::{JobError, ask};
use crate::store::{NewRun, Run, RunKind, Store};
use engine::{ClientId, Engine};

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
        let run = match opening::find(store, engine, request, opening).await? {
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

    /// The run of this name as it is stored, to look at what it has: nothing is asked of the model, which
    /// may be another one by now.
    ///
    /// # Errors
    /// An unknown run or survey; a run of another kind.
    pub async fn stored(store: &Store, engine: &Engine, name: &str) -> Result<Self, JobError> {
        Self::of(store, engine, opening::of_the_method(store.run(name).await?)?).await
    }

    async fn of(store: &Store, engine: &Engine, run: Run) -> Result<Self, JobError> {
        let settings: MethodSettings = run.settings()?;
        let survey = store.survey(&settings.survey).await?;
        // A client of its own: runs side by side take turns.
        let engine = engine.for_client(ClientId::new(&format!("run {}", run.id))).repeatable();
        Ok(Self { store: store.clone(), engine, run: run.id, settings, survey })
    }

    /// What would open this very run.
    pub fn request(&self) -> MethodRequest {
        MethodRequest { run: Some(self.run.clone()), ..self.settings.request() }
    }

    /// Notes that nothing is at work, with steps left to do.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn pause(&self) -> Result<(), JobError> {
        Ok(self.store.set_state(&self.run, JobState::Paused, None).await?)
    }

    /// Notes that a command has ended `steps`, with the run as it was `before` them. The run is done where
    /// all of its steps are, or where it was begun only to evaluate the adapters that came with the model.
    /// An evaluation on the way changes nothing: whoever was about to go on with the run still can.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn settle(&self, steps: &[Step], before: &Run) -> Result<(), JobError> {
        let done = |info: &StepInfo| info.state == StepState::Done;
        let all = self.store.steps(&self.run).await?.iter().all(done);
        let (state, error) = match before.state {
            _ if all || self.is_only_evaluated().await? => (JobState::Done, None),
            // Killed at work, and nobody is at work on it now.
            JobState::Running => (JobState::Paused, None),
            _ if steps != [Step::Evaluate] => (JobState::Paused, None),
            state => (state, before.error.as_deref()),
        };
        Ok(self.store.set_state(&self.run, state, error).await?)
    }

    /// Whether the run has answers of an evaluation and has never begun anything else.
    async fn is_only_evaluated(&self) -> Result<bool, JobError> {
        let evaluated = self.store.content(&self.run, Step::Evaluate.as_str()).await?.units > 0;
        Ok(evaluated && opening::has_no_questions(&self.store, &self.run).await?)
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

/// The settings of a new run that `request` means.
///
/// # Errors
/// An unknown survey or culture; settings that can't go together.
pub(super) async fn new_settings(
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
    ask::check_cultures(&survey, &cultures, style)?;
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
            matched: request.matched.unwrap_or(false),
        },
        accepted: request.accepted.clone(),
        general: request.general.unwrap_or(0.0),
        general_from: request.general_from.clone(),
        tuning: request.tuning.clone().unwrap_or_default(),
    };
    settings.adapters = Some(settings.adapters().into_iter().map(|(_, target)| target).collect());
    Ok(settings)
}
