//! What pages read while the server renders them, without a detour over HTTP.

use app::api::{ApiError, MethodRun, MethodRunInfo, SurveyRun, SurveyRunInfo, World};
use app::backend::{Answer, Backend};
use domain::survey::Survey;

use super::{HttpError, world};
use crate::state::AppState;

/// Reads straight from the state.
pub struct LocalBackend(pub AppState);

impl Backend for LocalBackend {
    fn world(&self) -> Answer<World> {
        let state = self.0.clone();
        Box::pin(async move { world::load(&state).await.map_err(HttpError::into_api) })
    }

    fn survey(&self, id: String) -> Answer<Survey> {
        let state = self.0.clone();
        Box::pin(async move { state.store.survey(&id).await.map_err(told) })
    }

    fn survey_runs(&self) -> Answer<Vec<SurveyRunInfo>> {
        let state = self.0.clone();
        Box::pin(async move { state.survey_runs.list().await.map_err(told) })
    }

    fn survey_run(&self, id: String) -> Answer<SurveyRun> {
        let state = self.0.clone();
        Box::pin(async move { state.survey_runs.get(&id).await.map_err(told) })
    }

    fn method_runs(&self) -> Answer<Vec<MethodRunInfo>> {
        let state = self.0.clone();
        Box::pin(async move { state.method_runs.list().await.map_err(told) })
    }

    fn method_run(&self, id: String) -> Answer<MethodRun> {
        let state = self.0.clone();
        Box::pin(async move { state.method_runs.get(&id).await.map_err(told) })
    }
}

fn told(error: impl Into<HttpError>) -> ApiError {
    error.into().into_api()
}
