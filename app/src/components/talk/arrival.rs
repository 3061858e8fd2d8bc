//! How the events of a chat arrive in its replies.

use std::sync::Arc;

use futures::StreamExt;
use leptos::prelude::*;

use super::record::{Phase, Reply};
use crate::api::{ApiError, ChatEvent, ChatRequest};
use crate::backend::Live;
use crate::browser;

/// Sends `request` and writes what comes into `replies`, one per row, until all are complete.
///
/// # Errors
/// The server refused the request as a whole; nothing was said. A stream that breaks later fails the
/// replies that are still open instead.
pub async fn pump(
    live: Arc<dyn Live>,
    request: ChatRequest,
    replies: &[Reply],
) -> Result<(), ApiError> {
    let mut events = live.chat(request).await?;
    let mut end = ApiError {
        code: "ended-early".to_owned(),
        message: "the server ended the stream before this voice was done".to_owned(),
        hint: Some("Ask this voice again.".to_owned()),
        status: None,
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => apply(event, replies),
            Err(error) => {
                end = error;
                break;
            }
        }
    }
    replies.iter().for_each(|reply| reply.settle(Phase::Failed(end.clone())));
    Ok(())
}

fn apply(event: ChatEvent, replies: &[Reply]) {
    let row = match &event {
        ChatEvent::Text { row, .. }
        | ChatEvent::Done { row, .. }
        | ChatEvent::Failed { row, .. } => *row,
    };
    let Some(reply) = replies.get(row) else { return };
    reply.state.update(|state| match event {
        ChatEvent::Text { text, .. } => {
            state.text.push_str(&text);
            state.pace.arrive(browser::milliseconds());
        }
        ChatEvent::Done { reply, .. } => state.phase = Phase::Done(reply),
        ChatEvent::Failed { error, .. } => state.phase = Phase::Failed(error),
    });
}
