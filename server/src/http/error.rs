//! Which error becomes which status. Errors of a layer are mapped here and nowhere else; an error
//! that is the server's own fault is logged whole and told to the client by its kind only.

use app::api::ApiError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::annotation::RoomError;
use crate::jobs::JobError;
use crate::store::StoreError;
use engine::EngineError;

/// An answer with a 4xx or 5xx status.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    body: ApiError,
    retry_after_seconds: Option<u64>,
}

impl HttpError {
    /// A refusal of what the client asked for.
    pub fn refused(status: StatusCode, code: &str, message: String, hint: &str) -> Self {
        let body =
            ApiError { code: code.to_owned(), message, hint: Some(hint.to_owned()), status: None };
        Self::with_status(status, body)
    }

    fn with_status(status: StatusCode, body: ApiError) -> Self {
        Self { status, body, retry_after_seconds: None }
    }

    /// 400: the request breaks a rule.
    pub fn bad_request(code: &str, message: String, hint: &str) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, code, message, hint)
    }

    /// 404: the named thing isn't here.
    pub fn not_found(code: &str, message: String, hint: &str) -> Self {
        Self::refused(StatusCode::NOT_FOUND, code, message, hint)
    }

    /// What the client is told.
    pub fn into_api(self) -> ApiError {
        self.body
    }
}

/// Splits a layer's message at its first line break: what happened, then the way out.
pub(super) fn api_error(code: &str, error: &impl std::fmt::Display) -> ApiError {
    let text = error.to_string();
    let (message, hint) = match text.split_once('\n') {
        Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
        None => (text, None),
    };
    ApiError { code: code.to_owned(), message, hint, status: None }
}

impl From<EngineError> for HttpError {
    fn from(error: EngineError) -> Self {
        let status = match &error {
            EngineError::ContextExceeded { .. }
            | EngineError::InvalidRequest { .. }
            | EngineError::Tokenizer { .. }
            | EngineError::Template { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            EngineError::UnknownAdapter { .. } => StatusCode::NOT_FOUND,
            EngineError::Adapter { .. } => StatusCode::CONFLICT,
            EngineError::ClientBusy { .. } => StatusCode::TOO_MANY_REQUESTS,
            EngineError::Overloaded { .. } | EngineError::Stopped => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after_seconds = error.retry_after().map(|time| time.as_secs().max(1));
        Self { status, body: api_error(error.code(), &error), retry_after_seconds }
    }
}

impl From<JobError> for HttpError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Engine(error) => error.into(),
            JobError::Store(error) => error.into(),
            refusal if refusal.is_refusal() => {
                Self::with_status(StatusCode::UNPROCESSABLE_ENTITY, refusal.to_api())
            }
            failure => Self::with_status(StatusCode::INTERNAL_SERVER_ERROR, failure.to_api()),
        }
    }
}

impl From<RoomError> for HttpError {
    fn from(error: RoomError) -> Self {
        let status = match error {
            RoomError::Store(error) => return error.into(),
            RoomError::Job(error) => return error.into(),
            RoomError::UnknownProject(_)
            | RoomError::UnknownInvite
            | RoomError::UnknownItem(_)
            | RoomError::UnknownMember(_) => StatusCode::NOT_FOUND,
            RoomError::ExpiredInvite | RoomError::RevokedInvite => StatusCode::GONE,
            RoomError::Forbidden { .. } => StatusCode::FORBIDDEN,
            RoomError::LastOwner | RoomError::ChangedMeanwhile | RoomError::SubmissionTaken(_) => {
                StatusCode::CONFLICT
            }
            RoomError::Rule(_) | RoomError::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            RoomError::Random(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::with_status(status, api_error(error.code(), &error))
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        let status = match error.code() {
            "unknown-survey" | "unknown-run" => StatusCode::NOT_FOUND,
            "run-exists" | "recording-exists" | "other-server" => StatusCode::CONFLICT,
            "invalid-text" => StatusCode::UNPROCESSABLE_ENTITY,
            "database-unreachable" => StatusCode::SERVICE_UNAVAILABLE,
            "disk-full" => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::with_status(status, api_error(error.code(), &error))
    }
}

impl From<HttpError> for Response {
    fn from(error: HttpError) -> Self {
        if error.status.is_server_error() {
            tracing::error!(code = error.body.code, "{}", error.body.message);
        }
        let mut response = (error.status, Json(error.body)).into_response();
        if let Some(seconds) = error.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_full_queue_says_when_to_try_again() {
        let retry_after = Duration::from_millis(2500);
        let (limit, unit) = (3, "replies");
        for (error, status) in [
            (EngineError::Overloaded { retry_after, limit, unit }, 503),
            (EngineError::ClientBusy { retry_after, limit, unit }, 429),
        ] {
            let response = HttpError::from(error).into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        }
    }

    #[test]
    fn clients_try_again_while_the_store_is_in_trouble_only() {
        let database = || "postgres://db/x".to_owned();
        let unreachable = StoreError::Unreachable { database: database(), reason: "no".to_owned() };
        for (error, passing) in [
            (unreachable, true),
            (StoreError::Full { place: database() }, true),
            (StoreError::NulCharacter, false),
        ] {
            let code = error.code();
            let HttpError { status, body, .. } = error.into();
            let told = ApiError { status: Some(status.as_u16()), ..body };
            assert_eq!(told.is_passing(), passing, "{code}");
        }
    }

    #[test]
    fn an_engine_that_has_stopped_names_no_time() {
        let response = HttpError::from(EngineError::Stopped).into_response();
        assert_eq!(response.headers().get(header::RETRY_AFTER), None);
    }
}
