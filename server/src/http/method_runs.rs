//! Runs of the method: started, watched, paused, resumed and cancelled; their adapters and manifests.

use std::convert::Infallible;

use app::api::{AdapterInfo, MethodRun, MethodRunInfo};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, Sse};
use domain::method::MethodRequest;
use futures::Stream;

use super::HttpError;
use super::events;
use super::extract::Body;
use crate::jobs::manifest::Manifest;
use crate::state::AppState;

/// `GET /api/method-runs`
pub async fn list(State(state): State<AppState>) -> Result<Json<Vec<MethodRunInfo>>, HttpError> {
    Ok(Json(state.method_runs.list().await?))
}

/// `POST /api/method-runs`
pub async fn start(
    State(state): State<AppState>,
    Body(request): Body<MethodRequest>,
) -> Result<(StatusCode, Json<MethodRunInfo>), HttpError> {
    Ok((StatusCode::CREATED, Json(state.method_runs.start(request).await?)))
}

/// `GET /api/method-runs/{id}`
pub async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<MethodRun>, HttpError> {
    Ok(Json(state.method_runs.get(&id).await?))
}

/// `GET /api/method-runs/{id}/events`
pub async fn watch(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, HttpError> {
    let progress = state.method_runs.watch(&id).await?;
    Ok(events::stream(&state, progress))
}

/// `POST /api/method-runs/{id}/pause`
pub async fn pause(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<MethodRunInfo>, HttpError> {
    Ok(Json(state.method_runs.pause(&id).await?))
}

/// `POST /api/method-runs/{id}/resume`
pub async fn resume(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<MethodRunInfo>, HttpError> {
    Ok(Json(state.method_runs.go_on(&id).await?))
}

/// `POST /api/method-runs/{id}/cancel`
pub async fn cancel(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<MethodRunInfo>, HttpError> {
    Ok(Json(state.method_runs.cancel(&id).await?))
}

/// `POST /api/method-runs/{id}/adapters/{name}`
pub async fn open_adapter(
    State(state): State<AppState>,
    Path((id, name)): Path<(String, String)>,
) -> Result<Json<AdapterInfo>, HttpError> {
    Ok(Json(state.method_runs.open_adapter(&id, &name).await?))
}

/// `GET /api/method-runs/{id}/manifest`: a file to keep.
pub async fn manifest(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<(HeaderMap, Json<Manifest>), HttpError> {
    let manifest = state.method_runs.manifest(&id).await?;
    let mut headers = HeaderMap::new();
    // The names of runs are those of folders, so they are safe in here.
    let file = format!("attachment; filename=\"{}.json\"", manifest.run);
    if let Ok(value) = HeaderValue::from_str(&file) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok((headers, Json(manifest)))
}
