//! One message to several voices; their replies come back as one stream of events.

use std::convert::Infallible;

use app::api::{ChatEvent, ChatRequest, ChatRow, ModelInfo, ReplyInfo, Sampling};
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use domain::prompt::{Message, PromptStyle, PromptTemplates, Role};
use domain::voice::Voice;
use futures::{Stream, StreamExt};

use super::client::Client;
use super::error::api_error;
use super::events;
use super::extract::Body;
use super::{HttpError, MAX_MESSAGE_BYTES, MAX_VOICES};
use crate::state::AppState;
use engine::{AdapterChoice, EngineError, GenerateRow, RowEvent};

/// `POST /api/chat`: a client that goes away drops the stream, which frees its rows.
pub async fn stream(
    State(state): State<AppState>,
    Client(client): Client,
    Body(request): Body<ChatRequest>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, HttpError> {
    let rows = checked_rows(&state, &request)?;
    let (model, seed) = (state.engine.info().clone(), request.sampling.seed);
    let engine = state.engine.for_client(client);
    let started = tokio::task::spawn_blocking(move || engine.generate(rows)).await;
    let rows = started.unwrap_or(Err(EngineError::Stopped))?;
    Ok(events::stream(&state, rows.map(move |event| chat_event(event, &model, seed))))
}

fn chat_event(event: RowEvent, model: &ModelInfo, seed: u64) -> ChatEvent {
    match event {
        RowEvent::Text { row, text } => ChatEvent::Text { row, text },
        RowEvent::Failed { row, error } => {
            ChatEvent::Failed { row, error: api_error(error.code(), &error) }
        }
        RowEvent::Done { row, tokens, seconds, finish, adapter } => {
            let reply = ReplyInfo {
                model: model.name.clone(),
                model_hash: model.hash.clone(),
                adapter,
                seed,
                tokens,
                tokens_per_second: match tokens {
                    2.. if seconds > 0.0 => (tokens - 1) as f64 / seconds,
                    _ => 0.0,
                },
                finish,
            };
            ChatEvent::Done { row, reply }
        }
    }
}

fn checked_rows(state: &AppState, request: &ChatRequest) -> Result<Vec<GenerateRow>, HttpError> {
    if request.rows.is_empty() || request.rows.len() > MAX_VOICES {
        return Err(HttpError::bad_request(
            "voice-count",
            format!("a message goes to 1 to {MAX_VOICES} voices, not to {}", request.rows.len()),
            "Add or remove voices and send it again.",
        ));
    }
    check_sampling(request.sampling)?;
    request.rows.iter().map(|row| checked_row(state, row, request.sampling)).collect()
}

fn checked_row(
    state: &AppState,
    row: &ChatRow,
    sampling: Sampling,
) -> Result<GenerateRow, HttpError> {
    check_voice(state, &row.voice)?;
    check_conversation(&row.messages)?;
    let culture = row.voice.culture.and_then(|code| state.culture(code));
    if !matches!(row.voice.style, PromptStyle::Unaware | PromptStyle::Aware) {
        return Err(HttpError::bad_request(
            "voice-style",
            format!("a chat takes the styles `unaware` and `aware`, not `{}`", row.voice.style),
            "The other styles need a survey's tables; ask them in a survey run.",
        ));
    }
    let persona = PromptTemplates::builtin().persona(row.voice.style, culture.as_ref(), None);
    let messages =
        std::iter::once(Message::new(Role::System, persona)).chain(row.messages.clone()).collect();
    Ok(GenerateRow { messages, adapter: adapter_of(row)?, sampling })
}

/// The voice's own adapter, or the row's blend. The engine knows the rules of blends.
fn adapter_of(row: &ChatRow) -> Result<AdapterChoice, HttpError> {
    match (&row.voice.adapter, row.blend.as_slice()) {
        (adapter, []) => Ok(adapter.clone().into()),
        (None, parts) => Ok(AdapterChoice::Blend(parts.to_vec())),
        (Some(adapter), _) => Err(HttpError::bad_request(
            "voice-and-blend",
            format!(
                "a row must have a voice with an adapter or a blend, not both `{adapter}` and a blend"
            ),
            "Leave the voice's adapter out and name it in the blend.",
        )),
    }
}

/// Refuses a voice that names an unknown culture or adapter, or a culture that its style ignores.
pub(super) fn check_voice(state: &AppState, voice: &Voice) -> Result<(), HttpError> {
    if let Some(code) = voice.culture.filter(|code| state.culture(*code).is_none()) {
        let cultures = state.cultures();
        let known: Vec<&str> = cultures.iter().map(|c| c.code.as_str()).collect();
        return Err(HttpError::not_found(
            "unknown-culture",
            format!("`{code}` is not a culture of this server"),
            &format!("Known cultures: {}.", known.join(", ")),
        ));
    }
    if voice.culture.is_some() != voice.style.has_culture() {
        return Err(HttpError::bad_request(
            "voice-style",
            format!("the style `{}` and the culture of a voice don't go together", voice.style),
            "Every style but `unaware` names a culture; `unaware` names none.",
        ));
    }
    let adapters = state.engine.adapters();
    match &voice.adapter {
        Some(name) if !adapters.iter().any(|adapter| adapter.name == *name) => {
            let known = adapters.into_iter().map(|adapter| adapter.name).collect();
            Err(EngineError::UnknownAdapter { name: name.clone(), known }.into())
        }
        _ => Ok(()),
    }
}

fn check_sampling(sampling: Sampling) -> Result<(), HttpError> {
    let refuse = |field: &str, rule: &str, value: String| {
        HttpError::bad_request(
            "sampling",
            format!("`{field}` must be {rule}, not {value}"),
            "The defaults are temperature 0.6, top_p 0.9, max_tokens 128.",
        )
    };
    if !(0.0..=2.0).contains(&sampling.temperature) {
        return Err(refuse("temperature", "between 0 and 2", sampling.temperature.to_string()));
    }
    if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
        return Err(refuse("top_p", "above 0 and at most 1", sampling.top_p.to_string()));
    }
    if sampling.max_tokens == 0 {
        return Err(refuse("max_tokens", "at least 1", "0".to_owned()));
    }
    Ok(())
}

fn check_conversation(messages: &[Message]) -> Result<(), HttpError> {
    for (index, message) in messages.iter().enumerate() {
        let expected = if index % 2 == 0 { Role::User } else { Role::Assistant };
        if message.role != expected {
            return Err(HttpError::bad_request(
                "message-order",
                format!(
                    "message {} must be the {expected:?}'s, not the {:?}'s",
                    index + 1,
                    message.role
                )
                .to_lowercase(),
                "Messages alternate, beginning and ending with the user's; the voice sets the persona.",
            ));
        }
        if message.content.len() > MAX_MESSAGE_BYTES {
            return Err(HttpError::refused(
                axum::http::StatusCode::PAYLOAD_TOO_LARGE,
                "message-too-long",
                format!(
                    "message {} has {} bytes, but at most {MAX_MESSAGE_BYTES} are taken",
                    index + 1,
                    message.content.len()
                ),
                "Shorten the message.",
            ));
        }
    }
    match messages.last() {
        Some(last) if last.role == Role::User && !last.content.trim().is_empty() => Ok(()),
        Some(last) if last.role == Role::User => Err(HttpError::bad_request(
            "empty-message",
            "the message is empty".to_owned(),
            "Write something and send it again.",
        )),
        _ => Err(HttpError::bad_request(
            "message-order",
            "a conversation must end with the user's message".to_owned(),
            "Add a message to answer.",
        )),
    }
}
