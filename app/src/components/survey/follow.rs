//! How a survey run arrives: its raw answers, its survey, and progress until it ends.

use std::sync::Arc;

use domain::survey::Survey;
use futures::StreamExt;
use leptos::prelude::*;

use crate::api::{ApiError, JobState, SurveyRun, SurveyRunInfo};
use crate::backend::{Backend, Live};
use crate::components::following::{PAUSE, follow, pause};

/// What is known of the run that the page shows; a handle that can be copied.
#[derive(Clone, Copy, Default)]
pub struct Followed {
    /// Newest progress.
    pub info: RwSignal<Option<SurveyRunInfo>>,
    /// Survey and raw answers, once the run has ended.
    pub data: RwSignal<Option<(Arc<Survey>, Arc<SurveyRun>)>>,
    /// Why nothing can be shown.
    pub error: RwSignal<Option<ApiError>>,
    /// Counts how often following has begun anew.
    again: RwSignal<u32>,
}

impl Followed {
    /// Follows the run that `id` names, and the next one when it changes. Only in the browser.
    pub fn follow(self, id: Memo<Option<String>>) {
        let named = move || {
            self.again.track();
            id.get()
        };
        let reset = move || {
            // Begun anew, the same run stays in view.
            let same = self.info.with_untracked(|i| i.as_ref().map(|i| i.id.clone()));
            if same != id.get_untracked() {
                self.info.set(None);
                self.data.set(None);
            }
        };
        let watch = move |id, backend, live| self.watch(id, backend, live);
        follow(named, reset, self.error, watch);
    }

    /// Follows the same run anew: somebody has made it go on.
    pub fn again(self) {
        self.again.update(|count| *count += 1);
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
                pause(PAUSE).await;
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
