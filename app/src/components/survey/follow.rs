//! How a survey run arrives: its raw answers, its survey, and progress until it ends.

use std::sync::Arc;
use std::time::Duration;

use domain::survey::Survey;
use futures::StreamExt;
use futures::channel::oneshot;
use futures::future::{AbortHandle, Abortable};
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::api::{ApiError, JobState, SurveyRun, SurveyRunInfo};
use crate::backend::{Backend, Live, use_backend, use_live};

/// Pause before a broken progress stream is taken up again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of the run that the page shows; a handle that can be copied.
#[derive(Clone, Copy, Default)]
pub struct Followed {
    /// Newest progress.
    pub info: RwSignal<Option<SurveyRunInfo>>,
    /// Survey and raw answers, once the run has ended.
    pub data: RwSignal<Option<(Arc<Survey>, Arc<SurveyRun>)>>,
    /// Why nothing can be shown.
    pub error: RwSignal<Option<ApiError>>,
}

impl Followed {
    /// Follows the run that `id` names, and the next one when it changes. Only in the browser.
    pub fn follow(self, id: Memo<Option<String>>) {
        let backend = StoredValue::new(use_backend());
        let live = StoredValue::new(use_live());
        Effect::new(move |before: Option<Option<AbortHandle>>| {
            if let Some(before) = before.flatten() {
                before.abort();
            }
            self.info.set(None);
            self.data.set(None);
            self.error.set(None);
            let id = id.get()?;
            let (Ok(backend), Some(live)) = (backend.get_value(), live.get_value()) else {
                return None;
            };
            let (handle, registration) = AbortHandle::new_pair();
            let following = Abortable::new(self.watch(id, backend, live), registration);
            spawn_local(async move {
                if let Ok(Err(error)) = following.await {
                    self.error.set(Some(error));
                }
            });
            let stop = handle.clone();
            on_cleanup(move || stop.abort());
            Some(handle)
        });
    }

    async fn watch(
        self,
        id: String,
        backend: Arc<dyn Backend>,
        live: Arc<dyn Live>,
    ) -> Result<(), ApiError> {
        let mut run = backend.survey_run(id.clone()).await?;
        self.info.set(Some(run.info.clone()));
        let survey = Arc::new(backend.survey(run.info.survey.clone()).await?);
        while self.is_running() {
            // A stream may break while the run goes on: the run itself says when it has ended.
            if let Ok(mut events) = live.survey_run_events(id.clone()).await {
                while let Some(Ok(info)) = events.next().await {
                    self.info.set(Some(info));
                }
            }
            if self.is_running() {
                pause().await;
            }
            run = backend.survey_run(id.clone()).await?;
            self.info.set(Some(run.info.clone()));
        }
        self.data.set(Some((survey, Arc::new(run))));
        Ok(())
    }

    fn is_running(self) -> bool {
        let running = |info: &Option<SurveyRunInfo>| {
            info.as_ref().is_some_and(|info| info.state == JobState::Running)
        };
        self.info.with_untracked(running)
    }
}

async fn pause() {
    let (sender, receiver) = oneshot::channel::<()>();
    set_timeout(move || drop(sender), PAUSE);
    // Ends by the sender's drop; that is the signal.
    let _ = receiver.await;
}
