//! How a run of the method arrives: progress as it is told, and what the steps have to show whenever
//! there is more of it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use leptos::prelude::*;

use crate::api::{ApiError, JobState, MethodRun, MethodRunInfo};
use crate::backend::{Backend, Live};
use crate::components::following::{PAUSE, follow, pause};

/// Shortest time between two looks at what there is to show: tuning makes many updates a second.
const BREATH: Duration = Duration::from_millis(400);

/// Time between two looks at a run that stands still.
const STILL: Duration = Duration::from_secs(5);

/// What is known of the run that the page shows; a handle that can be copied.
#[derive(Clone, Copy, Default)]
pub struct Followed {
    /// Newest progress.
    pub info: RwSignal<Option<MethodRunInfo>>,
    /// What the steps have to show.
    pub run: RwSignal<Option<MethodRun>>,
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
                self.run.set(None);
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
        let mut seen = self.look(&id, &backend).await?;
        while !self.is_done() {
            // A stream may break while the run goes on: the run itself says when it has ended.
            if let Ok(mut events) = live.method_run_events(id.clone()).await {
                while let Some(Ok(info)) = events.next().await {
                    // Events that waited while we looked are older than what we saw.
                    if info.revision < seen {
                        continue;
                    }
                    let more = info.revision > seen;
                    self.info.set(Some(info));
                    if more {
                        seen = self.look(&id, &backend).await?;
                        pause(BREATH).await;
                    }
                }
            }
            if self.is_running() {
                pause(PAUSE).await;
            }
            seen = self.look(&id, &backend).await?;
            // It stands still; somebody else may let it go on.
            while self.may_go_on() {
                pause(STILL).await;
                seen = self.look(&id, &backend).await?;
            }
        }
        Ok(())
    }

    /// Takes in the run as it is, and returns its revision.
    async fn look(self, id: &str, backend: &Arc<dyn Backend>) -> Result<u64, ApiError> {
        let run = backend.method_run(id.to_owned()).await?;
        let revision = run.info.revision;
        self.info.set(Some(run.info.clone()));
        self.run.set(Some(run));
        Ok(revision)
    }

    fn state(self) -> Option<JobState> {
        self.info.with_untracked(|info| info.as_ref().map(|info| info.state))
    }

    fn is_running(self) -> bool {
        self.state() == Some(JobState::Running)
    }

    fn is_done(self) -> bool {
        self.state() == Some(JobState::Done)
    }

    fn may_go_on(self) -> bool {
        !self.is_running() && !self.is_done()
    }
}
