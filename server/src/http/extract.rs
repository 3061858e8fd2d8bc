//! What handlers take out of a request: JSON bodies whose faults are answered like every other refusal.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::HttpError;

/// A JSON body of type `T`.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(refusal(&rejection)),
        }
    }
}

fn refusal(rejection: &JsonRejection) -> HttpError {
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
            "the body of the request is larger than this address takes".to_owned(),
            "Send a shorter message or a smaller file.",
        ),
        _ => HttpError::bad_request("bad-body", rejection.body_text(), "Send the request again."),
    }
}
