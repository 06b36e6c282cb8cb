//! `Idempotency-Key`: read here, checked by the verb (docs/behaviour.md#idempotency).

use axum::extract::{FromRequestParts, Request};
use axum::http::HeaderName;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use crate::app::idempotency::{IdempotencyKey, IdempotentRequest};
use crate::http::HttpState;
use crate::http::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How faults name the header.
const POINTER: &str = "Idempotency-Key";

/// The request's key, if it has one, with the line of the request it belongs to.
pub struct Idempotency {
    key: Option<IdempotencyKey>,
    method: String,
    path: String,
}

impl Idempotency {
    /// The request that the key names; `body` is the JSON value of the request's body.
    #[must_use]
    pub fn of(self, body: Value) -> Option<IdempotentRequest> {
        Some(IdempotentRequest {
            key: self.key?,
            method: self.method,
            path: self.path,
            body,
        })
    }

    /// The same key for a request whose query counts as well; `target` is path and query.
    #[must_use]
    pub fn on(mut self, target: String) -> Self {
        self.path = target;
        self
    }
}

impl FromRequestParts<HttpState> for Idempotency {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &HttpState) -> Result<Self, Problem> {
        let mut given = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = match (given.next(), given.next()) {
            (None, _) => None,
            (Some(_), Some(_)) => return Err(Problem::fault(POINTER, "is given more than once")),
            (Some(header), None) => {
                let text = std::str::from_utf8(header.as_bytes()).unwrap_or_default();
                Some(
                    text.parse()
                        .map_err(|error| Problem::fault(POINTER, format!("{error}")))?,
                )
            }
        };
        Ok(Self {
            key,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
        })
    }
}

/// Refuses a key where it would have no effect: a caller relies on it.
pub async fn no_idempotency_key(request: Request, next: Next) -> Response {
    if request.headers().contains_key(IDEMPOTENCY_KEY) {
        Problem::fault(
            POINTER,
            "is not supported here; only requests that create operations accept one",
        )
        .into_response()
    } else {
        next.run(request).await
    }
}
