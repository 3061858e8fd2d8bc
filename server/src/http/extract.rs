//! What handlers take out of a request: JSON bodies whose faults are answered like every other refusal.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::de::DeserializeOwned;

use super::HttpError;

/// Largest body of an address, in bytes; beside [`DefaultBodyLimit`], which doesn't tell.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(usize);

/// Refuses bodies of more than `bytes`, and says so.
pub fn body_limit(bytes: usize) -> (DefaultBodyLimit, Extension<BodyLimit>) {
    (DefaultBodyLimit::max(bytes), Extension(BodyLimit(bytes)))
}

/// A JSON body of type `T`.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        let limit = request.extensions().get::<BodyLimit>().copied();
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(refusal(&rejection, limit)),
        }
    }
}

fn refusal(rejection: &JsonRejection, limit: Option<BodyLimit>) -> HttpError {
    match rejection {
        JsonRejection::JsonSyntaxError(_) | JsonRejection::JsonDataError(_) => {
            HttpError::bad_request(
                "malformed-json",
                format!(
                    "the body of the request isn't what this address takes: {}",
                    rejection.body_text()
                ),
                "The fields are listed in `app/src/api.rs`.",
            )
        }
        JsonRejection::MissingJsonContentType(_) => HttpError::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-json",
            "the request doesn't say that its body is JSON".to_owned(),
            "Send the header `Content-Type: application/json`.",
        ),
        _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => HttpError::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            match limit {
                Some(BodyLimit(bytes)) => {
                    format!(
                        "the body of the request is larger than the {bytes} bytes this address takes"
                    )
                }
                None => "the body of the request is larger than this address takes".to_owned(),
            },
            "Send a shorter message or a smaller file.",
        ),
        _ => HttpError::bad_request("bad-body", rejection.body_text(), "Send the request again."),
    }
}
