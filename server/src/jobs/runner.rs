//! Runs at work in this process: started in the background, watched, and stopped.
//!
//! What kinds of runs share ([`super::survey_run`], [`super::method_run`]); what one does is theirs.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use app::api::{ApiError, JobState};
use futures::Stream;
use tokio::sync::{Mutex, watch};
use tokio_stream::wrappers::WatchStream;

use super::JobError;
use crate::store::Store;

/// What people see of a run while it is at work.
pub trait RunInfo: Clone + Send + Sync + 'static {
    /// Where it stands.
    fn state(&self) -> JobState;

    /// Notes that it has ended, and why it failed if it did.
    fn end(&mut self, state: JobState, error: Option<ApiError>);
}

/// The runs of one kind that are at work; clones share them.
pub struct Runner<T> {
    store: Store,
    active: Arc<Mutex<HashMap<String, Active<T>>>>,
}

impl<T> Clone for Runner<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), active: Arc::clone(&self.active) }
    }
}

/// A run at work in this process, or one whose end the store couldn't keep.
struct Active<T> {
    progress: watch::Receiver<T>,
    stop: Arc<Stop>,
}

impl<T: RunInfo> Active<T> {
    fn is_at_work(&self) -> bool {
        self.progress.borrow().state() == JobState::Running
    }
}

/// How a person has asked a run to stop, if one has.
#[derive(Debug, Default)]
struct Stop(AtomicU8);

const PAUSE: u8 = 1;
const CANCEL: u8 = 2;

/// Which kind of stop a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopKind {
    /// It goes on later.
    Pause,
    /// It is not wanted any more.
    Cancel,
}

/// The runs at work at one moment, with their progress.
pub struct Live<T>(HashMap<String, watch::Receiver<T>>);

impl<T: Clone> Live<T> {
    /// The newest progress of a run, if it is at work.
    pub fn get(&self, id: &str) -> Option<T> {
        self.0.get(id).map(|progress| progress.borrow().clone())
    }
}

impl<T: RunInfo> Live<T> {
    /// Whether a run is at work.
    pub fn is_at_work(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|progress| progress.borrow().state() == JobState::Running)
    }
}

/// What a run at work tells its progress to, and hears a stop from.
pub struct Handle<T> {
    progress: watch::Sender<T>,
    stop: Arc<Stop>,
}

impl<T> Handle<T> {
    /// Changes what people see.
    pub fn update(&self, change: impl FnOnce(&mut T)) {
        self.progress.send_modify(change);
    }

    /// A break once a person has asked it to stop.
    pub fn go_on(&self) -> ControlFlow<()> {
        match self.stop.0.load(Ordering::Relaxed) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

impl<T: RunInfo> Runner<T> {
    /// Nothing is at work yet; ends of runs will be kept in `store`.
    pub fn new(store: Store) -> Self {
        Self { store, active: Arc::default() }
    }

    /// The runs at work. Ask for them before the store: a run that ends in between is final in
    /// both, while the other order would show it at work for ever.
    pub async fn live(&self) -> Live<T> {
        let active = self.active.lock().await;
        Live(active.iter().map(|(id, active)| (id.clone(), active.progress.clone())).collect())
    }

    /// Starts `work` of run `id` in the background, where `info` is what people see at first. Does
    /// nothing if the run is at work already.
    ///
    /// # Errors
    /// A run of another server, or a failure of the store: then nothing was started.
    pub async fn start<F>(
        &self,
        id: &str,
        info: T,
        work: impl FnOnce(Arc<Handle<T>>) -> F,
    ) -> Result<(), JobError>
    where
        F: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let mut active = self.active.lock().await;
        if active.get(id).is_some_and(Active::is_at_work) {
            return Ok(());
        }
        self.store.begin_run(id, true).await?;
        let (sender, progress) = watch::channel(info);
        let stop = Arc::new(Stop::default());
        let handle = Arc::new(Handle { progress: sender, stop: Arc::clone(&stop) });
        active.insert(id.to_owned(), Active { progress, stop: Arc::clone(&stop) });
        drop(active);
        let (runner, id, work) = (self.clone(), id.to_owned(), work(Arc::clone(&handle)));
        tokio::spawn(async move {
            // In a task of its own, so that a panic ends this run and nothing else.
            let result = match tokio::spawn(work).await {
                Ok(result) => result,
                Err(panic) => Err(JobError::broken_off(&panic)),
            };
            let mut end = end_of(result.err().as_ref(), &handle.stop);
            let kept = runner.keep_end(&id, &end).await;
            if let Err(error) = &kept {
                tracing::error!(run = id, %error, "the end of a run can't be stored");
                end = end_of(Some(error), &handle.stop);
            }
            handle.update(|info| info.end(end.0, end.1));
            // Only now: until here whoever asks is told by the channel. An end that the store doesn't have
            // stays, until the run goes on or is cancelled.
            if kept.is_ok() {
                runner.forget(&id, &stop).await;
            }
        });
        Ok(())
    }

    /// Stops a run and waits until it has, which is after what is in flight. Returns whether it
    /// was at work.
    pub async fn stop(&self, id: &str, kind: StopKind) -> bool {
        let at_work = {
            let active = self.active.lock().await;
            let at_work = active.get(id).filter(|active| active.is_at_work());
            at_work.map(|active| (Arc::clone(&active.stop), active.progress.clone()))
        };
        let Some((stop, mut progress)) = at_work else { return false };
        let kind = if kind == StopKind::Pause { PAUSE } else { CANCEL };
        stop.0.store(kind, Ordering::Relaxed);
        // An error means that it has ended already.
        let _ = progress.wait_for(|info| info.state() != JobState::Running).await;
        true
    }

    /// Keeps where a run stands that is not at work.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn keep_state(&self, id: &str, state: JobState) -> Result<(), JobError> {
        self.store.set_state(id, state, None).await?;
        let mut active = self.active.lock().await;
        if active.get(id).is_some_and(|active| !active.is_at_work()) {
            active.remove(id);
        }
        Ok(())
    }

    /// Lets go of a run, unless it has been started again since.
    async fn forget(&self, id: &str, stop: &Arc<Stop>) {
        let mut active = self.active.lock().await;
        if active.get(id).is_some_and(|active| Arc::ptr_eq(&active.stop, stop)) {
            active.remove(id);
        }
    }

    /// Stops a run that another server left unfinished, which makes it this one's.
    ///
    /// # Errors
    /// [`StoreError::OtherServer`](crate::store::StoreError::OtherServer) while that one is there, or
    /// has the run's files.
    pub async fn stop_elsewhere(&self, id: &str, state: JobState) -> Result<(), JobError> {
        self.store.begin_run(id, true).await?;
        Ok(self.store.set_state(id, state, None).await?)
    }

    /// Progress of a run: as it stands, then after every change, until it ends. `stored` is what
    /// the store says of it, asked for after `live`.
    pub fn watch(live: &Live<T>, id: &str, stored: T) -> impl Stream<Item = T> + Send + use<T> {
        let receiver = live.0.get(id).cloned();
        WatchStream::new(receiver.unwrap_or_else(|| watch::channel(stored).1))
    }

    /// Keeps an end that came before any work, or that of a run that is not at work.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn keep_failure(&self, id: &str, error: &JobError) -> Result<(), JobError> {
        self.keep_end(id, &(JobState::Failed, Some(error.to_api()))).await
    }

    /// Keeps that a run waits, and why.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn keep_pause(&self, id: &str, error: &JobError) -> Result<(), JobError> {
        self.keep_end(id, &(JobState::Paused, Some(error.to_api()))).await
    }

    async fn keep_end(
        &self,
        id: &str,
        (state, error): &(JobState, Option<ApiError>),
    ) -> Result<(), JobError> {
        let error = error.as_ref().and_then(|error| serde_json::to_string(error).ok());
        Ok(self.store.set_state(id, *state, error.as_deref()).await?)
    }
}

fn end_of(error: Option<&JobError>, stop: &Stop) -> (JobState, Option<ApiError>) {
    match error {
        None => (JobState::Done, None),
        Some(JobError::Cancelled) if stop.0.load(Ordering::Relaxed) == PAUSE => {
            (JobState::Paused, None)
        }
        Some(JobError::Cancelled) => (JobState::Cancelled, None),
        Some(error) => (error.end_state(), Some(error.to_api())),
    }
}

/// The error that was kept with a failed run.
pub fn kept_error(error: Option<&str>) -> Option<ApiError> {
    serde_json::from_str(error?).ok()
}
