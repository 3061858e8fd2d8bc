//! Every address of the server, grouped by who calls.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::trace::TraceLayer;

use super::{
    MAX_BODY_BYTES, MAX_IMPORT_BYTES, chat, imports, method_runs, pages, surveys, unknown_api,
    world,
};
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
        // Researchers who run the method.
        .route("/method-runs", get(method_runs::list).post(method_runs::start))
        .route("/method-runs/{id}", get(method_runs::show))
        .route("/method-runs/{id}/events", get(method_runs::watch))
        .route("/method-runs/{id}/pause", post(method_runs::pause))
        .route("/method-runs/{id}/resume", post(method_runs::resume))
        .route("/method-runs/{id}/cancel", post(method_runs::cancel))
        .route("/method-runs/{id}/adapters/{name}", post(method_runs::open_adapter))
        .route("/method-runs/{id}/manifest", get(method_runs::manifest))
        .fallback(unknown_api)
}
