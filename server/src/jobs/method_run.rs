//! Runs of the method from the studio: started, watched, paused, resumed, cancelled, and gone on
//! with after a crash. What the steps do is in [`super::pipeline`].

use std::sync::Arc;

use app::api::method_run::{MethodRun, MethodRunInfo, StepInfo};
use app::api::{AdapterInfo, ApiError, JobState};
use domain::method::{MethodRequest, MethodSettings, Step};
use domain::score::Metric;
use domain::training_set::Accepted;
use futures::Stream;

use super::manifest::Manifest;
use super::runner::{Handle, Live, RunInfo, Runner, StopKind, kept_error};
use super::work::Progress;
use super::{JobError, Method, Opening, TemplateSets, accepted, method, summary};
use crate::store::{Run, RunKind, Store, StoreError};
use engine::Engine;

impl RunInfo for MethodRunInfo {
    fn state(&self) -> JobState {
        self.state
    }

    fn end(&mut self, state: JobState, error: Option<ApiError>) {
        (self.state, self.error) = (state, error);
        self.revision += 1;
        for step in &mut self.steps {
            (step.remaining_seconds, step.whole) = (None, None);
        }
    }
}

/// The runs of the method of a server; clones share them.
#[derive(Clone)]
pub struct MethodRuns {
    engine: Engine,
    store: Store,
    templates: TemplateSets,
    runner: Runner<MethodRunInfo>,
}

impl MethodRuns {
    /// No run is at work yet; see [`Self::resume_all`].
    pub fn new(engine: Engine, store: Store) -> Self {
        let templates = TemplateSets::default();
        Self { engine, templates, runner: Runner::new(store.clone()), store }
    }

    /// The same with these sets of prompt templates.
    pub fn with_templates(self, templates: TemplateSets) -> Self {
        Self { templates, ..self }
    }

    /// Goes on with the runs that this server was at work on when it ended; returns how many. Those that a
    /// command left unfinished wait, paused: whoever began them may not want them any more.
    ///
    /// # Errors
    /// A failure of the store. A run that can't go on becomes [`JobState::Failed`].
    pub async fn resume_all(&self) -> Result<usize, JobError> {
        let runs = self.store.runs(RunKind::Method).await?;
        let ours = |run: &Run| run.state == JobState::Running && !run.elsewhere;
        let unfinished = runs.into_iter().filter(ours);
        let (served, left): (Vec<Run>, Vec<Run>) = unfinished.partition(|run| run.served);
        for run in left {
            tracing::info!(run = run.id, "left unfinished by a command; it waits to be resumed");
            let error = JobError::LeftUnfinished { run: run.id.clone() };
            self.runner.keep_pause(&run.id, &error).await?;
        }
        let count = served.len();
        for run in served {
            if let Err(error) = self.go_on(&run.id).await {
                self.runner.keep_failure(&run.id, &error).await?;
            }
        }
        Ok(count)
    }

    /// Starts a new run.
    ///
    /// # Errors
    /// A setting that breaks a rule, an unknown survey, culture or set of prompts, a name that is taken.
    pub async fn start(&self, request: MethodRequest) -> Result<MethodRunInfo, JobError> {
        request.check()?;
        let request = self.templates.resolve(request)?;
        if let Some(id) = &request.run {
            match self.store.run(id).await {
                Err(StoreError::UnknownRun { .. }) => {}
                found => {
                    let rule = format!("there is a run `{}` already", found?.id);
                    return Err(JobError::refused(
                        rule,
                        "Choose another name, or resume that one.",
                    ));
                }
            }
        }
        let method = Method::create(&self.store, &self.engine, &request).await?;
        self.spawn(method).await
    }

    /// Starts the run that learns what people accepted, or goes on with it; see [`accepted::open`].
    ///
    /// # Errors
    /// As there.
    pub async fn start_accepted(&self, accepted: Accepted) -> Result<MethodRunInfo, JobError> {
        let own = MethodRequest::default();
        let method = accepted::open(&self.store, &self.engine, accepted, own).await?;
        match self.find(&method.run).await?.state {
            JobState::Done => self.info(&method.run).await,
            _ => self.spawn(method).await,
        }
    }

    /// All runs of the method, newest first.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn list(&self) -> Result<Vec<MethodRunInfo>, JobError> {
        let live = self.runner.live().await;
        let mut infos = Vec::new();
        for run in self.store.runs(RunKind::Method).await? {
            infos.push(self.newest(run, &live).await?);
        }
        Ok(infos)
    }

    /// One run with what its steps have to show.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] where there is none.
    pub async fn get(&self, id: &str) -> Result<MethodRun, JobError> {
        let info = self.info(id).await?;
        // A survey that is gone takes only the samples with it.
        let survey = self.store.survey(&info.settings.survey).await.ok();
        Ok(MethodRun {
            generate: self.store.summary(id, Step::Generate).await?,
            elicit: self.store.summary(id, Step::Elicit).await?,
            collect: self.store.summary(id, Step::Collect).await?,
            tune: summary::tune(&self.store, id, &info.settings, survey.as_ref()).await?,
            evaluate: self.store.summary(id, Step::Evaluate).await?,
            info,
        })
    }

    /// Stops a run that is meant to go on later. One that is not at work stays as it is.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] where there is none; [`StoreError::OtherServer`].
    pub async fn pause(&self, id: &str) -> Result<MethodRunInfo, JobError> {
        let run = self.find(id).await?;
        if run.elsewhere && run.state == JobState::Running {
            self.runner.stop_elsewhere(id, JobState::Paused).await?;
        }
        if !self.runner.stop(id, StopKind::Pause).await
            && self.find(id).await?.state == JobState::Running
        {
            // By the store only: its end couldn't be kept.
            self.runner.keep_state(id, JobState::Paused).await?;
        }
        self.info(id).await
    }

    /// Stops a run that isn't wanted any more; what it has done is kept. One that is done stays so.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] where there is none; [`StoreError::OtherServer`].
    pub async fn cancel(&self, id: &str) -> Result<MethodRunInfo, JobError> {
        let run = self.find(id).await?;
        if run.elsewhere && !matches!(run.state, JobState::Done | JobState::Cancelled) {
            self.runner.stop_elsewhere(id, JobState::Cancelled).await?;
        }
        if !self.runner.stop(id, StopKind::Cancel).await {
            let run = self.find(id).await?;
            if !matches!(run.state, JobState::Done | JobState::Cancelled) {
                self.runner.keep_state(id, JobState::Cancelled).await?;
            }
        }
        self.info(id).await
    }

    /// Goes on with a run that was paused or cancelled, or that failed. One that is at work or done
    /// stays as it is.
    ///
    /// # Errors
    /// An unknown run; one whose model, survey or prompts are no longer those it began with.
    pub async fn go_on(&self, id: &str) -> Result<MethodRunInfo, JobError> {
        let at_work = self.runner.live().await.is_at_work(id);
        if at_work || self.find(id).await?.state == JobState::Done {
            return self.info(id).await;
        }
        let request = MethodRequest { run: Some(id.to_owned()), ..MethodRequest::default() };
        let method = Method::open(&self.store, &self.engine, &request, Opening::GoOn).await?;
        self.spawn(method).await
    }

    /// Progress of a run: as it stands, then after every change, until it ends.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] where there is none.
    pub async fn watch(
        &self,
        id: &str,
    ) -> Result<impl Stream<Item = MethodRunInfo> + Send + use<>, JobError> {
        let live = self.runner.live().await;
        let stored = self.newest(self.find(id).await?, &live).await?;
        Ok(Runner::watch(&live, id, stored))
    }

    /// What went in and what has come out so far.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`] where there is none.
    pub async fn manifest(&self, id: &str) -> Result<Manifest, JobError> {
        Manifest::of(&self.store, id).await
    }

    /// See [`Method::open_adapter`].
    ///
    /// # Errors
    /// As there; also a run whose model is not the loaded one.
    pub async fn open_adapter(&self, id: &str, name: &str) -> Result<AdapterInfo, JobError> {
        self.find(id).await?;
        self.store.check_owner(id).await?;
        let request = MethodRequest { run: Some(id.to_owned()), ..MethodRequest::default() };
        let method = Method::open(&self.store, &self.engine, &request, Opening::GoOn).await?;
        method.open_adapter(name).await
    }

    async fn spawn(&self, method: Method) -> Result<MethodRunInfo, JobError> {
        let id = method.run.clone();
        let mut info = self.stored(self.find(&id).await?).await?;
        (info.state, info.error) = (JobState::Running, None);
        let work = async move |handle: Arc<Handle<MethodRunInfo>>| {
            let mut watcher = |_: &Progress| handle.go_on();
            let mut recorded = |step: &StepInfo| show(&handle, step);
            let metric = Metric::Alignment;
            method.run_steps(&Step::ALL, metric, &mut watcher, &mut recorded, &mut |_| {}).await
        };
        self.runner.start(&id, info, work).await?;
        self.info(&id).await
    }

    /// The run of this name, if it is one of the method.
    async fn find(&self, id: &str) -> Result<Run, JobError> {
        Ok(self.store.run_as(RunKind::Method, id).await?)
    }

    async fn info(&self, id: &str) -> Result<MethodRunInfo, JobError> {
        let live = self.runner.live().await;
        self.newest(self.find(id).await?, &live).await
    }

    /// What the store knows of a run, or what is newer.
    async fn newest(
        &self,
        run: Run,
        live: &Live<MethodRunInfo>,
    ) -> Result<MethodRunInfo, JobError> {
        match live.get(&run.id) {
            Some(info) => Ok(info),
            None => self.stored(run).await,
        }
    }

    async fn stored(&self, run: Run) -> Result<MethodRunInfo, JobError> {
        let settings: MethodSettings = run.settings()?;
        let mut error = kept_error(run.error.as_deref());
        // Told before anybody tries: only what isn't done could go on.
        let at_work_elsewhere = run.elsewhere && run.state == JobState::Running;
        if run.state != JobState::Done && !at_work_elsewhere {
            let obstacle = method::obstacle(&self.store, &self.engine, &run.id, &settings).await?;
            error = obstacle.map(|obstacle| obstacle.to_api()).or(error);
        }
        Ok(MethodRunInfo {
            steps: self.store.steps(&run.id).await?,
            id: run.id,
            settings,
            state: run.state,
            revision: 0,
            error,
            created: run.created,
        })
    }
}

/// Shows where a step stands, and that there is more to see of it.
fn show(handle: &Handle<MethodRunInfo>, step: &StepInfo) {
    handle.update(|info| {
        if let Some(shown) = info.steps.iter_mut().find(|shown| shown.step == step.step) {
            shown.clone_from(step);
        }
        info.revision += 1;
    });
}

#[cfg(test)]
mod tests;
