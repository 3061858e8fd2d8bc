//! Every address of the server, grouped by who calls.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::trace::TraceLayer;

use super::{MAX_BODY_BYTES, MAX_IMPORT_BYTES, chat, imports, pages, surveys, unknown_api, world};
use crate::state::AppState;

/// All addresses, ready to serve.
pub fn router(state: AppState) -> Router {
    Router::new()
        .nest("/api", api())
        .merge(pages::router(&state))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // Events must leave at once, so streams are never compressed.
        .layer(CompressionLayer::new().compress_when(
            SizeAbove::new(512).and(NotForContentType::SSE).and(NotForContentType::IMAGES),
        ))
        .layer(TraceLayer::new_for_http())
        .with_state(state)
}

fn api() -> Router<AppState> {
    Router::new()
        // Visitors who talk.
        .route("/world", get(world::show))
        .route("/chat", post(chat::stream))
        // Visitors and researchers who ask surveys.
        .route("/surveys/{id}", get(surveys::show))
        .route("/surveys/example.jsonl", get(imports::example_jsonl))
        .route("/surveys/example.csv", get(imports::example_csv))
        .route(
            "/surveys/import",
            post(imports::import).layer(DefaultBodyLimit::max(MAX_IMPORT_BYTES)),
        )
        .route("/survey-runs", get(surveys::list_runs).post(surveys::start_run))
        .route("/survey-runs/{id}", get(surveys::show_run))
        .route("/survey-runs/{id}/events", get(surveys::run_events))
        .route("/survey-runs/{id}/cancel", post(surveys::cancel_run))
        .fallback(unknown_api)
}
