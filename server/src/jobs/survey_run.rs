//! Surveys asked from the survey page: started, watched, stopped, and resumed after a crash.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use app::api::{ApiError, JobState, SurveyRun, SurveyRunInfo, SurveyRunRequest};
use domain::answer::SurveyAnswer;
use domain::prompt::PromptTemplates;
use domain::survey::Survey;
use domain::voice::Voice;
use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tokio_stream::wrappers::WatchStream;

use super::work::{Progress, Work};
use super::{JobError, TemplateSets, ask};
use crate::engine::Engine;
use crate::store::{NewRun, Run, RunKind, Store, UnitKey};

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
}

impl Settings {
    /// Those of a run whose answers `model` gave elsewhere.
    pub(super) fn recorded(survey: &str, voices: Vec<Voice>, model: &str) -> Self {
        Self {
            survey: survey.to_owned(),
            voices,
            templates: PromptTemplates::default(),
            base_hash: String::new(),
            recorded: Some(model.to_owned()),
        }
    }
}

/// The survey runs of a server; clones share them.
#[derive(Clone)]
pub struct SurveyRuns {
    engine: Engine,
    store: Store,
    templates: TemplateSets,
    active: Arc<Mutex<HashMap<String, Active>>>,
}

/// A run at work in this process.
struct Active {
    progress: watch::Receiver<SurveyRunInfo>,
    stop: Arc<AtomicBool>,
}

type Live = HashMap<String, watch::Receiver<SurveyRunInfo>>;

impl SurveyRuns {
    /// No run is at work yet; see [`Self::resume`].
    pub fn new(engine: Engine, store: Store) -> Self {
        Self { engine, store, templates: TemplateSets::default(), active: Arc::default() }
    }

    /// Knows these prompt templates instead of the built-in ones alone.
    pub fn with_templates(self, templates: TemplateSets) -> Self {
        Self { templates, ..self }
    }

    /// The sets of prompt templates that a run can be asked in.
    pub fn templates(&self) -> &TemplateSets {
        &self.templates
    }

    /// Goes on with the runs that an earlier process left unfinished. Returns how many.
    ///
    /// # Errors
    /// A failure of the store. A run that can't go on becomes [`JobState::Failed`].
    pub async fn resume(&self) -> Result<usize, JobError> {
        let runs = self.store.runs(RunKind::Survey).await?;
        let unfinished: Vec<Run> =
            runs.into_iter().filter(|run| run.state == JobState::Running).collect();
        let count = unfinished.len();
        for run in unfinished {
            if let Err(error) = self.spawn(&run).await {
                self.finish(&run.id, &Err(error)).await?;
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
        };
        let new = NewRun { id: None, kind: RunKind::Survey, settings: &settings, total };
        let run = self.store.create_run(new).await?;
        self.spawn(&run).await?;
        info(&run)
    }

    /// All survey runs, newest first.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn list(&self) -> Result<Vec<SurveyRunInfo>, JobError> {
        let live = self.live().await;
        let runs = self.store.runs(RunKind::Survey).await?;
        runs.iter().map(|run| newest(run, &live)).collect()
    }

    /// One run with its answers so far.
    ///
    /// # Errors
    /// [`crate::store::StoreError::UnknownRun`] where there is none.
    pub async fn get(&self, id: &str) -> Result<SurveyRun, JobError> {
        let live = self.live().await;
        let info = newest(&self.find(id).await?, &live)?;
        let units: BTreeMap<UnitKey, Vec<f64>> = self.store.units(id, ANSWERS).await?;
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
    /// [`crate::store::StoreError::UnknownRun`] where there is none.
    pub async fn cancel(&self, id: &str) -> Result<SurveyRunInfo, JobError> {
        self.find(id).await?;
        let at_work = self
            .active
            .lock()
            .await
            .get(id)
            .map(|active| (Arc::clone(&active.stop), active.progress.clone()));
        if let Some((stop, mut progress)) = at_work {
            stop.store(true, Ordering::Relaxed);
            // Ends with the batch in flight; an error means that it has ended already.
            let _ = progress.wait_for(|info| info.state != JobState::Running).await;
        }
        info(&self.find(id).await?)
    }

    /// Progress of a run: as it stands, then after every batch, until it ends.
    ///
    /// # Errors
    /// [`crate::store::StoreError::UnknownRun`] where there is none.
    pub async fn watch(
        &self,
        id: &str,
    ) -> Result<impl Stream<Item = SurveyRunInfo> + Send + use<>, JobError> {
        let live = self.live().await;
        let stored = info(&self.find(id).await?)?;
        let receiver = live.get(id).cloned().unwrap_or_else(|| watch::channel(stored).1);
        Ok(WatchStream::new(receiver))
    }

    async fn find(&self, id: &str) -> Result<Run, JobError> {
        Ok(self.store.run(id).await?)
    }

    /// The runs at work. Ask for them before the store: a run that ends in between is final in
    /// both, while the other order would show it at work for ever.
    async fn live(&self) -> Live {
        let active = self.active.lock().await;
        active.iter().map(|(id, active)| (id.clone(), active.progress.clone())).collect()
    }

    async fn spawn(&self, run: &Run) -> Result<(), JobError> {
        let settings: Settings = run.settings()?;
        let model = self.engine.model_id();
        if settings.base_hash != model {
            return Err(JobError::other_model(run.id.clone(), &settings.base_hash, &model));
        }
        let (sender, progress) = watch::channel(info(run)?);
        let stop = Arc::new(AtomicBool::new(false));
        let active = Active { progress, stop: Arc::clone(&stop) };
        self.active.lock().await.insert(run.id.clone(), active);
        let (runs, id) = (self.clone(), run.id.clone());
        tokio::spawn(async move {
            let result = runs.answer(&id, &settings, &sender, &stop).await;
            let ended = runs.finish(&id, &result).await;
            if let Err(error) = &ended {
                tracing::error!(run = id, %error, "the end of a survey run can't be stored");
            }
            let told = ended.and(result).err();
            sender.send_modify(|info| set_end(info, told.as_ref()));
            // Only now: until here whoever asks is told by the channel.
            runs.active.lock().await.remove(&id);
        });
        Ok(())
    }

    /// Asks everything that isn't answered yet.
    async fn answer(
        &self,
        id: &str,
        settings: &Settings,
        sender: &watch::Sender<SurveyRunInfo>,
        stop: &AtomicBool,
    ) -> Result<(), JobError> {
        let survey = self.store.survey(&settings.survey).await?;
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
            sender.send_modify(|info| {
                info.answered = progress.done;
                info.total = progress.total;
                info.remaining_seconds = progress.remaining_seconds;
            });
            match stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        work.complete(wanted, &mut watcher, |prompts| ask::probabilities(&self.engine, prompts))
            .await
    }

    async fn finish(&self, id: &str, result: &Result<(), JobError>) -> Result<(), JobError> {
        let (state, error) = end_of(result.as_ref().err());
        let error = error.and_then(|error| serde_json::to_string(&error).ok());
        Ok(self.store.set_state(id, state, error.as_deref()).await?)
    }
}

fn end_of(error: Option<&JobError>) -> (JobState, Option<ApiError>) {
    match error {
        None => (JobState::Done, None),
        Some(JobError::Cancelled) => (JobState::Cancelled, None),
        Some(error) => (JobState::Failed, Some(error.to_api())),
    }
}

fn set_end(info: &mut SurveyRunInfo, error: Option<&JobError>) {
    (info.state, info.error) = end_of(error);
    info.remaining_seconds = None;
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

/// What the store knows of a run, or what is newer.
fn newest(run: &Run, live: &Live) -> Result<SurveyRunInfo, JobError> {
    live.get(&run.id).map_or_else(|| info(run), |progress| Ok(progress.borrow().clone()))
}

fn info(run: &Run) -> Result<SurveyRunInfo, JobError> {
    let settings: Settings = run.settings()?;
    Ok(SurveyRunInfo {
        id: run.id.clone(),
        survey: settings.survey,
        voices: settings.voices,
        state: run.state,
        answered: run.answered,
        total: run.total,
        remaining_seconds: None,
        error: run.error.as_deref().and_then(|error| serde_json::from_str(error).ok()),
        created: run.created.clone(),
        recorded: settings.recorded,
    })
}
