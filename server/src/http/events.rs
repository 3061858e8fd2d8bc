//! Progress as server-sent events.

use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use serde::Serialize;

use crate::state::AppState;

/// Each item as the JSON of one event, until there are no more or the server closes: a stream that
/// lasted as long as a run would keep it from ending.
pub fn stream<S>(
    state: &AppState,
    items: S,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<S>>
where
    S: Stream<Item: Serialize> + Send + 'static,
{
    let events = items.map(|item| {
        Ok(Event::default()
            .json_data(&item)
            .unwrap_or_else(|error| Event::default().event("error").data(error.to_string())))
    });
    let closing = state.closing.clone();
    Sse::new(events.take_until(async move { closing.closed().await }))
        .keep_alive(KeepAlive::default())
}
