//! Surveys, and runs that ask voices a survey.

use std::convert::Infallible;

use app::api::{SurveyRun, SurveyRunInfo, SurveyRunRequest};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use domain::survey::Survey;
use futures::Stream;

use super::HttpError;
use super::events;
use super::extract::Body;
use crate::state::AppState;

/// `GET /api/surveys/{id}`
pub async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Survey>, HttpError> {
    Ok(Json(state.store.survey(&id).await?))
}

/// `GET /api/survey-runs`
pub async fn list_runs(
    State(state): State<AppState>,
) -> Result<Json<Vec<SurveyRunInfo>>, HttpError> {
    Ok(Json(state.survey_runs.list().await?))
}

/// `POST /api/survey-runs`
pub async fn start_run(
    State(state): State<AppState>,
    Body(request): Body<SurveyRunRequest>,
) -> Result<(StatusCode, Json<SurveyRunInfo>), HttpError> {
    for voice in &request.voices {
        super::chat::check_voice(&state, voice)?;
    }
    Ok((StatusCode::CREATED, Json(state.survey_runs.start(request).await?)))
}

/// `GET /api/survey-runs/{id}`
pub async fn show_run(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<SurveyRun>, HttpError> {
    Ok(Json(state.survey_runs.get(&id).await?))
}

/// `POST /api/survey-runs/{id}/cancel`
pub async fn cancel_run(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<SurveyRunInfo>, HttpError> {
    Ok(Json(state.survey_runs.cancel(&id).await?))
}

/// `POST /api/survey-runs/{id}/resume`
pub async fn resume_run(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<SurveyRunInfo>, HttpError> {
    Ok(Json(state.survey_runs.go_on(&id).await?))
}

/// `GET /api/survey-runs/{id}/events`
pub async fn run_events(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, HttpError> {
    let progress = state.survey_runs.watch(&id).await?;
    Ok(events::stream(&state, progress))
}
