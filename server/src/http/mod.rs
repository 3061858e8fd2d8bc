//! The HTTP surface: the public API under `/api`, the rendered pages, the client's files.
//!
//! A handler checks, loads, acts and answers; everything longer lives where the work is done.
//! **Invariant:** axum stays here and in the state; no SQL and no candle.
//!
//! - [`serve`]: binds nothing itself, so that a test owns the port and the life time;
//! - `router`: every address, grouped by who calls;
//! - `error`: the only place where an error becomes a status.

use std::future::Future;
use std::net::SocketAddr;

use axum::extract::Request;
use axum::response::Response;
use tokio::net::TcpListener;

use crate::state::AppState;

mod annotation;
mod annotation_socket;
mod backend;
mod chat;
mod client;
mod error;
mod events;
mod extract;
mod imports;
mod method_runs;
mod pages;
mod router;
mod surveys;
mod world;

pub use client::Proxies;
pub use error::HttpError;
pub use router::router;

/// Largest body of a request, in bytes. Larger ones are refused before they are read whole.
pub const MAX_BODY_BYTES: usize = 512 * 1024;

/// Largest upload of a survey, all its files together, in bytes.
pub const MAX_IMPORT_BYTES: usize = 256 * 1024 * 1024;

/// Largest single chat message, in bytes of UTF-8.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// Most voices in one chat request, and so in one batch.
pub const MAX_VOICES: usize = 6;

/// Serves until `shutdown` resolves, then lets requests in flight finish.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    state: AppState,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let closing = state.closing.clone();
    let shutdown = async move {
        shutdown.await;
        closing.close();
    };
    let service = router(state).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown).await
}

/// The last resort for addresses that nothing else answers.
async fn unknown_api(request: Request) -> Response {
    let message = format!("there is nothing at `{}`", request.uri().path());
    HttpError::not_found("unknown-address", message, "The API is listed in `app/src/api.rs`.")
        .into()
}
