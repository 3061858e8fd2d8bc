//! What is loaded and who can speak.

use app::api::World;
use axum::Json;
use axum::extract::State;

use super::{HttpError, MAX_MESSAGE_BYTES, MAX_VOICES};
use crate::state::AppState;

/// `GET /api/world`
pub async fn show(State(state): State<AppState>) -> Result<Json<World>, HttpError> {
    load(&state).await.map(Json)
}

/// The answer of `GET /api/world`; pages rendered here use it without the detour.
pub async fn load(state: &AppState) -> Result<World, HttpError> {
    Ok(World {
        model: state.engine.info().clone(),
        cultures: state.cultures().to_vec(),
        adapters: state.engine.adapters(),
        surveys: state.store.surveys().await?,
        templates: state.survey_runs.templates().list(),
        options: state.options.clone(),
        max_voices: MAX_VOICES,
        max_message_bytes: MAX_MESSAGE_BYTES,
    })
}
