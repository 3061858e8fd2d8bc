//! What handlers take out of a request: JSON bodies whose faults are answered like every other
//! refusal, and who sends them.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::HttpError;
use engine::ClientId;

/// Who sends the request, as far as taking turns goes: the address at the other end of the
/// connection. A header that claims another one isn't believed, since anybody can send it; behind a
/// proxy all visitors share a client.
pub struct Client(pub ClientId);

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or_else(|| ClientId::new("unknown"), |peer| client_of(peer.0.ip()))))
    }
}

/// Of an IPv6 address only the first half counts: one visitor has all of the second.
fn client_of(address: IpAddr) -> ClientId {
    match address.to_canonical() {
        IpAddr::V4(address) => ClientId::new(&address.to_string()),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64;
            ClientId::new(&format!("{network:016x}::"))
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network_of_the_longer_kind() {
        let client = |address: &str| client_of(address.parse().unwrap());
        assert_ne!(client("10.0.0.1"), client("10.0.0.2"));
        assert_eq!(client("10.0.0.1"), client("::ffff:10.0.0.1"));
        assert_eq!(client("2001:db8:1:2::5"), client("2001:db8:1:2:9::"));
        assert_ne!(client("2001:db8:1:2::5"), client("2001:db8:1:3::5"));
    }
}
