//! Surveys asked from the survey page: started, watched, stopped, and resumed after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use app::api::{ApiError, JobState, SurveyRun, SurveyRunInfo, SurveyRunRequest};
use domain::answer::SurveyAnswer;
use domain::prompt::{PromptStyle, PromptTemplates};
use domain::survey::Survey;
use domain::voice::Voice;
use futures::Stream;
use serde::{Deserialize, Serialize};

use super::runner::{Handle, RunInfo, Runner, StopKind, kept_error};
use super::work::{Progress, Work};
use super::{JobError, TemplateSets, ask};
use crate::store::{NewRun, Run, RunKind, Store, StoreError, UnitKey};
use engine::Engine;

/// Step under which a survey run keeps its answers.
pub(super) const ANSWERS: &str = "answers";

/// Prompts scored and stored together: small enough that people see it move and that a chat
/// beside it waits for little.
const BATCH: usize = 24;

/// Everything needed to go on with a survey run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    survey: String,
    voices: Vec<Voice>,
    /// The wording of what they are told.
    #[serde(default)]
    templates: PromptTemplates,
    /// The model, see [`Engine::model_id`].
    base_hash: String,
    /// Name of the model whose answers were recorded elsewhere; the run is finished from the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recorded: Option<String>,
    /// What was asked, see [`Survey::asked_hash`]; `None` in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_hash: Option<String>,
}

impl Settings {
    /// Those of a run whose answers `model` gave elsewhere.
    pub(super) fn recorded(survey: &Survey, voices: Vec<Voice>, model: &str) -> Self {
        Self {
            survey: survey.id.clone(),
            voices,
            templates: PromptTemplates::default(),
            base_hash: String::new(),
            recorded: Some(model.to_owned()),
            asked_hash: Some(survey.asked_hash()),
        }
    }

    /// Whether the survey's questions, which have `asked_hash` now, are others than were asked.
    fn is_outdated(&self, asked_hash: Option<&str>) -> bool {
        self.asked_hash.as_deref().is_some_and(|asked| Some(asked) != asked_hash)
    }
}

impl RunInfo for SurveyRunInfo {
    fn state(&self) -> JobState {
        self.state
    }

    fn end(&mut self, state: JobState, error: Option<ApiError>) {
        (self.state, self.error, self.remaining_seconds) = (state, error, None);
    }
}

/// The survey runs of a server; clones share them.
#[derive(Clone)]
pub struct SurveyRuns {
    engine: Engine,
    store: Store,
    templates: TemplateSets,
    runner: Runner<SurveyRunInfo>,
}

impl SurveyRuns {
    /// No run is at work yet; see [`Self::resume`].
    pub fn new(engine: Engine, store: Store) -> Self {
        let templates = TemplateSets::default();
        Self { engine, templates, runner: Runner::new(store.clone()), store }
    }

    /// Knows these prompt templates instead of the built-in ones alone.
    pub fn with_templates(self, templates: TemplateSets) -> Self {
        Self { templates, ..self }
    }

    /// The sets of prompt templates that a run can be asked in.
    pub fn templates(&self) -> &TemplateSets {
        &self.templates
    }

    /// Goes on with the runs that an earlier process of this server left unfinished. Returns how many.
    ///
    /// # Errors
    /// A failure of the store. A run that can't go on becomes [`JobState::Failed`].
    pub async fn resume(&self) -> Result<usize, JobError> {
        let runs = self.store.runs(RunKind::Survey).await?;
        let ours = |run: &Run| run.state == JobState::Running && !run.elsewhere;
        let unfinished: Vec<Run> = runs.into_iter().filter(ours).collect();
        let count = unfinished.len();
        for run in unfinished {
            if let Err(error) = self.spawn(&run).await {
                self.runner.keep_failure(&run.id, &error).await?;
            }
        }
        Ok(count)
    }

    /// Starts asking.
    ///
    /// # Errors
    /// An unknown survey or culture, no voice, the same voice twice.
    pub async fn start(&self, request: SurveyRunRequest) -> Result<SurveyRunInfo, JobError> {
        let survey = self.store.survey(&request.survey).await?;
        check(&survey, &request.voices)?;
        let total = survey.evaluated().len() * request.voices.len();
        let settings = Settings {
            survey: request.survey,
            voices: request.voices,
            templates: self.templates.get(request.templates.as_deref())?.clone(),
            base_hash: self.engine.model_id(),
            recorded: None,
            asked_hash: Some(survey.asked_hash()),
        };
        let new = NewRun { id: None, kind: RunKind::Survey, settings: &settings, total };
        let run = self.store.create_run(new).await?;
        self.spawn(&run).await?;
        self.info(&run).await
    }

    /// All survey runs, newest first.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn list(&self) -> Result<Vec<SurveyRunInfo>, JobError> {
        let live = self.runner.live().await;
        let runs = self.store.runs(RunKind::Survey).await?;
        let asked = self.store.asked_hashes().await?;
        let reference = self.reference_runs(&runs).await?;
        let info = |run: &Run| {
            let info = info(run, &asked, &reference)?;
            Ok::<_, JobError>(live.get(&run.id).unwrap_or(info))
        };
        runs.iter().map(info).collect()
    }

    /// One run with its answers so far; without any where the survey's questions have changed since,
    /// because they would be held against others than were asked.
    ///
    /// # Errors
    /// [`crate::store::StoreError::UnknownRun`] where there is none.
    pub async fn get(&self, id: &str) -> Result<SurveyRun, JobError> {
        let live = self.runner.live().await;
        let stored = self.info(&self.find(id).await?).await?;
        let info = live.get(id).unwrap_or(stored);
        let units: BTreeMap<UnitKey, Vec<f64>> = match info.outdated {
            true => BTreeMap::new(),
            false => self.store.units(id, ANSWERS).await?,
        };
        let survey = self.store.survey(&info.survey).await?;
        let answers = (0..info.voices.len())
            .map(|voice| {
                let questions = survey.evaluated().into_iter();
                questions
                    .filter_map(|question| {
                        let probabilities = units.get(&key(voice, question.id.as_str()))?.clone();
                        Some(SurveyAnswer { question: question.id.clone(), probabilities })
                    })
                    .collect()
            })
            .collect();
        Ok(SurveyRun { info, answers })
    }

    /// Stops a run; what was answered is kept. Stopping a finished one changes nothing.
    ///
    /// # Errors
    /// [`crate::store::StoreError::UnknownRun`] where there is none;
    /// [`crate::store::StoreError::OtherServer`] where another server is at work on it.
    pub async fn cancel(&self, id: &str) -> Result<SurveyRunInfo, JobError> {
        let run = self.find(id).await?;
        if run.elsewhere && run.state == JobState::Running {
            self.runner.stop_elsewhere(id, JobState::Cancelled).await?;
        }
        if !self.runner.stop(id, StopKind::Cancel).await
            && matches!(self.find(id).await?.state, JobState::Running | JobState::Paused)
        {
            self.runner.keep_state(id, JobState::Cancelled).await?;
        }
        self.info(&self.find(id).await?).await
    }

    /// Goes on with a run that was stopped, that had no room on the disk, or that failed. One that is at
    /// work or done stays as it is.
    ///
    /// # Errors
    /// [`crate::store::StoreError::UnknownRun`] where there is none; [`JobError::OtherModel`];
    /// [`crate::store::StoreError::OtherServer`] where another server is at work on it.
    pub async fn go_on(&self, id: &str) -> Result<SurveyRunInfo, JobError> {
        let at_work = self.runner.live().await.is_at_work(id);
        let run = self.find(id).await?;
        if !at_work && run.state != JobState::Done {
            self.spawn(&run).await?;
        }
        let live = self.runner.live().await;
        let stored = self.info(&self.find(id).await?).await?;
        Ok(live.get(id).unwrap_or(stored))
    }

    /// Progress of a run: as it stands, then after every batch, until it ends.
    ///
    /// # Errors
    /// [`crate::store::StoreError::UnknownRun`] where there is none.
    pub async fn watch(
        &self,
        id: &str,
    ) -> Result<impl Stream<Item = SurveyRunInfo> + Send + use<>, JobError> {
        let live = self.runner.live().await;
        let stored = self.info(&self.find(id).await?).await?;
        Ok(Runner::watch(&live, id, stored))
    }

    async fn find(&self, id: &str) -> Result<Run, JobError> {
        Ok(self.store.run_as(RunKind::Survey, id).await?)
    }

    async fn info(&self, run: &Run) -> Result<SurveyRunInfo, JobError> {
        let reference = self.reference_runs(std::slice::from_ref(run)).await?;
        info(run, &self.store.asked_hashes().await?, &reference)
    }

    /// Of the runs that tuned the adapters of these runs' voices those in which people's answers were part of
    /// the prompts (P3). What is looked up is the run: its settings never change, and its adapters' rows say
    /// nothing of prompts.
    async fn reference_runs(&self, runs: &[Run]) -> Result<BTreeSet<String>, JobError> {
        #[derive(Deserialize)]
        struct Tuned {
            #[serde(default)]
            style: Option<PromptStyle>,
        }
        let mut names = BTreeSet::new();
        for run in runs {
            let Settings { voices, .. } = run.settings()?;
            let adapters = voices.iter().filter_map(|voice| voice.adapter.as_deref());
            names.extend(adapters.filter_map(tuned_by).map(str::to_owned));
        }
        let mut found = BTreeSet::new();
        for name in names {
            // An adapter whose run is gone, or of no run, is known by its name alone.
            let run = match self.store.run(&name).await {
                Err(StoreError::UnknownRun { .. }) => continue,
                found => found?,
            };
            if run.kind == RunKind::Method
                && run.settings::<Tuned>()?.style.is_some_and(PromptStyle::uses_reference)
            {
                found.insert(name);
            }
        }
        Ok(found)
    }

    async fn spawn(&self, run: &Run) -> Result<(), JobError> {
        let settings: Settings = run.settings()?;
        let model = self.engine.model_id();
        if settings.base_hash != model {
            return Err(JobError::other_model(run.id.clone(), &settings.base_hash, &model));
        }
        let (runs, id) = (self.clone(), run.id.clone());
        let work = async move |handle: Arc<Handle<SurveyRunInfo>>| {
            runs.answer(&id, &settings, &handle).await
        };
        let mut info = self.info(run).await?;
        (info.state, info.error) = (JobState::Running, None);
        self.runner.start(&run.id, info, work).await
    }

    /// Asks everything that isn't answered yet.
    async fn answer(
        &self,
        id: &str,
        settings: &Settings,
        handle: &Handle<SurveyRunInfo>,
    ) -> Result<(), JobError> {
        let survey = self.store.survey(&settings.survey).await?;
        if settings.is_outdated(Some(&survey.asked_hash())) {
            let what = format!("other questions of the survey `{}`", survey.id);
            return Err(JobError::other_inputs(id, &what));
        }
        let mut wanted = Vec::new();
        // Question by question, so that an early look compares the voices on the same questions.
        for question in survey.evaluated() {
            for (voice, who) in settings.voices.iter().enumerate() {
                let prompt = ask::score_prompt(&settings.templates, &survey, who, question)?;
                wanted.push((key(voice, question.id.as_str()), prompt));
            }
        }
        let work = Work { store: &self.store, run: id, step: ANSWERS, batch: BATCH };
        let mut watcher = |progress: &Progress| {
            handle.update(|info| {
                info.answered = progress.done;
                info.total = progress.total;
                info.remaining_seconds = progress.remaining_seconds;
            });
            handle.go_on()
        };
        work.complete(wanted, &mut watcher, |prompts| ask::probabilities(&self.engine, prompts))
            .await
    }
}

pub(super) fn check(survey: &Survey, voices: &[Voice]) -> Result<(), JobError> {
    if voices.is_empty() {
        return Err(JobError::refused(
            "a survey run needs at least 1 voice, not 0",
            "Add a voice.",
        ));
    }
    let mut seen = BTreeSet::new();
    for voice in voices {
        ask::check_style(survey, voice)?;
        if !seen.insert(voice) {
            let rule = format!("the voice `{}` is named twice", voice.slug());
            return Err(JobError::refused(rule, "Name every voice once."));
        }
    }
    Ok(())
}

pub(super) fn key(voice: usize, question: &str) -> UnitKey {
    format!("{voice}/{question}")
}

/// The run that tuned an adapter of this name; `None` for one that came with the model.
fn tuned_by(adapter: &str) -> Option<&str> {
    Some(adapter.split_once('/')?.0)
}

/// What the store knows of a run; `asked` are the surveys' questions as they are now, `reference` the runs
/// whose adapters learnt answers that were given after seeing people's.
fn info(
    run: &Run,
    asked: &BTreeMap<String, String>,
    reference: &BTreeSet<String>,
) -> Result<SurveyRunInfo, JobError> {
    let settings: Settings = run.settings()?;
    let adapters: BTreeSet<&String> =
        settings.voices.iter().filter_map(|voice| voice.adapter.as_ref()).collect();
    let learnt = |name: &&&String| tuned_by(name).is_some_and(|run| reference.contains(run));
    let uses_reference = adapters.iter().filter(learnt).map(|name| (*name).clone()).collect();
    Ok(SurveyRunInfo {
        id: run.id.clone(),
        outdated: settings.is_outdated(asked.get(&settings.survey).map(String::as_str)),
        uses_reference,
        survey: settings.survey,
        voices: settings.voices,
        state: run.state,
        answered: run.answered,
        total: run.total,
        remaining_seconds: None,
        error: kept_error(run.error.as_deref()),
        created: run.created.clone(),
        recorded: settings.recorded,
    })
}
