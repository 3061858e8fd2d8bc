//! Every address of the server, grouped by who calls.

use app::api::annotation::MAX_PROJECT_BYTES;
use axum::Router;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::trace::TraceLayer;

use super::extract::body_limit;
use super::{
    MAX_BODY_BYTES, MAX_IMPORT_BYTES, annotation, annotation_socket, chat, imports, method_runs,
    pages, surveys, unknown_api, world,
};
use crate::state::AppState;

/// All addresses, ready to serve.
pub fn router(state: AppState) -> Router {
    Router::new()
        .nest("/api", api())
        .merge(pages::router(&state))
        .layer(body_limit(MAX_BODY_BYTES))
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
        .route("/surveys/import", post(imports::import).layer(body_limit(MAX_IMPORT_BYTES)))
        .route(
            "/surveys/import/rejected",
            post(imports::rejected).layer(body_limit(MAX_IMPORT_BYTES)),
        )
        .route("/survey-runs", get(surveys::list_runs).post(surveys::start_run))
        .route("/survey-runs/{id}", get(surveys::show_run))
        .route("/survey-runs/{id}/events", get(surveys::run_events))
        .route("/survey-runs/{id}/cancel", post(surveys::cancel_run))
        .route("/survey-runs/{id}/resume", post(surveys::resume_run))
        // Researchers who run the method.
        .route("/method-runs", get(method_runs::list).post(method_runs::start))
        .route("/method-runs/{id}", get(method_runs::show))
        .route("/method-runs/{id}/events", get(method_runs::watch))
        .route("/method-runs/{id}/pause", post(method_runs::pause))
        .route("/method-runs/{id}/resume", post(method_runs::resume))
        .route("/method-runs/{id}/cancel", post(method_runs::cancel))
        .route("/method-runs/{id}/adapters/{name}", post(method_runs::open_adapter))
        .route("/method-runs/{id}/manifest", get(method_runs::manifest))
        .nest("/annotation", annotation_api())
        .fallback(unknown_api)
}

/// People who judge instances together.
fn annotation_api() -> Router<AppState> {
    use annotation as to;
    Router::new()
        .route("/sources", get(to::list_sources))
        .route("/projects", post(to::create).layer(body_limit(MAX_PROJECT_BYTES)))
        .route("/projects/{id}", get(to::show))
        .route("/projects/{id}/settings", post(to::change))
        .route("/projects/{id}/next", post(to::next))
        .route("/projects/{id}/submissions", post(to::submit))
        .route("/projects/{id}/items/{item}", get(to::item))
        .route("/projects/{id}/events", get(to::events))
        .route("/projects/{id}/cultures", post(to::know))
        .route("/projects/{id}/socket", get(annotation_socket::open))
        .route("/projects/{id}/invites", get(to::list_invites).post(to::invite))
        .route("/projects/{id}/invites/{invite}/revoke", post(to::revoke))
        .route("/projects/{id}/members/{member}/leave", post(to::leave))
        .route("/projects/{id}/method-runs", get(to::list_method_runs).post(to::start_method_run))
        .route("/projects/{id}/export/{format}", get(to::export))
        .route("/invites/{token}", get(to::invitation).post(to::join))
        .fallback(unknown_api)
}
