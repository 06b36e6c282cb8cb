//! JSON bodies: what cannot be read is 400, what does not fit its type is 422 with a pointer.
//!
//! Every body passes [`json::parse`], whichever reader comes after it, so that all of them accept and refuse the same.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::HttpState;
use crate::http::problem::{Code, Problem};
use crate::json;

/// A body that must be there.
pub struct JsonBody<T>(pub T);

/// A body that must be there, as the JSON value that it is.
pub struct JsonValue(pub Value);

/// A body that may be left out. An empty one, with or without `Content-Type`, is none.
pub struct OptionalJson<T> {
    /// The body, read into its type.
    pub typed: Option<T>,
    /// The body as a JSON value, null when there is none; an idempotency key names it.
    pub value: Value,
}

/// A body that is kept as its bytes, so that numbers of any size stay exact. It may be left out.
pub struct RawJson {
    /// The bytes, if there are any.
    pub bytes: Option<Bytes>,
    /// The body as a JSON value, null when there is none; an idempotency key names it.
    pub value: Value,
}

/// No body, or an object without members, which some clients always send.
pub struct NoBody;

impl FromRequest<HttpState> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let body = RawJson::from_request(request, state).await?;
        let is_empty = body.value.as_object().is_some_and(serde_json::Map::is_empty);
        if body.bytes.is_none() || is_empty {
            Ok(Self)
        } else {
            Err(Problem::fault("", "this request has no body"))
        }
    }
}

impl<T: DeserializeOwned> FromRequest<HttpState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let body = OptionalJson::from_request(request, state).await?;
        body.typed
            .map(Self)
            .ok_or_else(|| Problem::fault("", "a JSON body is required"))
    }
}

impl FromRequest<HttpState> for JsonValue {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let body = RawJson::from_request(request, state).await?;
        match body.bytes {
            Some(_) => Ok(Self(body.value)),
            None => Err(Problem::fault("", "a JSON body is required")),
        }
    }
}

impl<T: DeserializeOwned> FromRequest<HttpState> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let body = RawJson::from_request(request, state).await?;
        let typed = match body.bytes {
            Some(_) => {
                Some(json::read(&body.value).map_err(|fault| Problem::fault(fault.pointer, fault.detail))?)
            }
            None => None,
        };
        Ok(Self {
            typed,
            value: body.value,
        })
    }
}

impl FromRequest<HttpState> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let bytes = collected(request, state).await?;
        let value = match &bytes {
            Some(bytes) => json::parse(bytes)?,
            None => Value::Null,
        };
        Ok(Self { bytes, value })
    }
}

/// The whole body without a byte order mark; none when it is empty. Anything else must say that it is JSON.
async fn collected(request: Request, state: &HttpState) -> Result<Option<Bytes>, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body
        .collect()
        .await
        .map_err(|error| {
            if error.into_inner().downcast_ref::<LengthLimitError>().is_some() {
                Problem::too_large(state.config().max_body)
            } else {
                Problem::new(Code::MalformedRequest, "the body ended before it was complete")
            }
        })?
        .to_bytes();
    if bytes.is_empty() {
        return Ok(None);
    }
    check_type(&parts.headers)?;
    Ok(Some(bytes.slice_ref(json::without_mark(&bytes))))
}

/// JSON under any of its names (RFC 6839 `+json` included), in UTF-8, not compressed.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(Code::UnsupportedMediaType, detail));
    let text = |name| match headers.get(name) {
        None => Some(""),
        Some(value) => axum::http::HeaderValue::to_str(value).ok(),
    };
    match text(CONTENT_ENCODING) {
        Some(coding) if coding.is_empty() || coding.eq_ignore_ascii_case("identity") => {}
        _ => return refuse("compressed bodies are not accepted; send no Content-Encoding"),
    }
    let Some(full) = text(CONTENT_TYPE) else {
        return refuse("the Content-Type cannot be read; send application/json");
    };
    let mut parts = full.split(';').map(|part| part.trim().to_ascii_lowercase());
    let essence = parts.next().unwrap_or_default();
    let is_json = essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"));
    if !is_json {
        return refuse("the body must be sent with Content-Type: application/json");
    }
    let foreign = parts.any(|parameter| {
        parameter
            .strip_prefix("charset=")
            .is_some_and(|charset| !matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"))
    });
    if foreign {
        return refuse("JSON is UTF-8; send no other charset");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf_8_is_accepted_as_a_body() {
        let accepted = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(kind));
            check_type(&headers).is_ok()
        };
        assert!(accepted("application/json"));
        assert!(accepted("Application/JSON; charset=UTF-8"));
        assert!(accepted("application/merge-patch+json"));
        assert!(!accepted("text/plain"));
        assert!(!accepted("application/json; charset=iso-8859-1"));
        assert!(!accepted("application/x-www-form-urlencoded"));
        assert!(check_type(&HeaderMap::new()).is_err());
    }
}
