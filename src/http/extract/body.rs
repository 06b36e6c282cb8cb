//! JSON bodies: what cannot be read is 400, what does not fit its type is 422 with a pointer.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::http::Edge;
use crate::http::layers::too_large;
use crate::http::problem::{Code, Problem};

/// A body that must be there.
pub struct JsonBody<T>(pub T);

/// A body that may be left out. An empty one, with or without `Content-Type`, is none.
pub struct OptionalJson<T> {
    /// The body, read into its type.
    pub typed: Option<T>,
    /// The body as a JSON value, null when there is none: what an idempotency key stands for.
    pub value: Value,
}

/// A body of which the bytes count: numbers of any size stay exact. It may be left out.
pub struct RawJson {
    /// The bytes, if there are any.
    pub bytes: Option<Bytes>,
    /// The body as a JSON value, null when there is none: what an idempotency key stands for.
    pub value: Value,
}

impl<T> OptionalJson<T> {
    /// The same body as another type.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> OptionalJson<U> {
        OptionalJson {
            typed: self.typed.map(into),
            value: self.value,
        }
    }
}

impl<T: DeserializeOwned> FromRequest<Edge> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &Edge) -> Result<Self, Problem> {
        let body = OptionalJson::from_request(request, edge).await?;
        body.typed
            .map(Self)
            .ok_or_else(|| Problem::fault("", "a JSON body is required"))
    }
}

impl<T: DeserializeOwned> FromRequest<Edge> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &Edge) -> Result<Self, Problem> {
        let Some(bytes) = collected(request, edge).await? else {
            return Ok(Self {
                typed: None,
                value: Value::Null,
            });
        };
        let (value, typed) = parse(&bytes)?;
        Ok(Self {
            typed: Some(typed),
            value,
        })
    }
}

impl FromRequest<Edge> for RawJson {
    type Rejection = Problem;

    async fn from_request(request: Request, edge: &Edge) -> Result<Self, Problem> {
        let bytes = collected(request, edge).await?;
        let value = match &bytes {
            Some(bytes) => value_of(bytes)?,
            None => Value::Null,
        };
        Ok(Self { bytes, value })
    }
}

/// The whole body; none when it is empty. Anything else must say that it is JSON.
async fn collected(request: Request, edge: &Edge) -> Result<Option<Bytes>, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = body
        .collect()
        .await
        .map_err(|error| {
            if error.into_inner().downcast_ref::<LengthLimitError>().is_some() {
                too_large(edge.config().max_body)
            } else {
                Problem::new(Code::MalformedRequest, "the body ended before it was complete")
            }
        })?
        .to_bytes();
    if bytes.is_empty() {
        return Ok(None);
    }
    check_type(&parts.headers)?;
    Ok(Some(bytes))
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

/// Two readings: the first sees whether it is JSON at all, so that a fault of syntax at the end is not hidden by a
/// fault of type at the beginning; the second reads the bytes themselves, so that a key that stands twice is noticed.
fn parse<T: DeserializeOwned>(bytes: &Bytes) -> Result<(Value, T), Problem> {
    let value = value_of(bytes)?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let typed = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Problem::fault(pointer(error.path()), plain(error.inner())))?;
    Ok((value, typed))
}

fn value_of(bytes: &Bytes) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(
            Code::MalformedRequest,
            format!("the body cannot be read as JSON: {error}"),
        )
    })
}

/// The message without the place, which the pointer tells better.
fn plain(error: &serde_json::Error) -> String {
    let full = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    full.strip_suffix(&place).unwrap_or(&full).to_owned()
}

/// The path as a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let part = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&part);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(default)]
        #[expect(dead_code, reason = "only its reading is of interest")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its reading is of interest")]
        number: i64,
    }

    fn refused(text: &str) -> Value {
        let problem = parse::<Outer>(&Bytes::copy_from_slice(text.as_bytes())).expect_err("refused");
        let code = problem.code().as_str();
        serde_json::json!([code, problem.faults().first().map(|fault| fault.pointer.clone())])
    }

    #[test]
    fn what_is_not_json_is_malformed_and_what_does_not_fit_is_invalid_with_its_place() {
        for (text, expected) in [
            ("{", serde_json::json!(["malformed-request", null])),
            (
                r#"{"inner":3} trailing"#,
                serde_json::json!(["malformed-request", null]),
            ),
            (
                "{\"inner\":\"\u{1}\"}",
                serde_json::json!(["malformed-request", null]),
            ),
            (r#"{"inner":3}"#, serde_json::json!(["invalid-request", "/inner"])),
            (
                r#"{"inner":[{"number":1},{"number":"x"}]}"#,
                serde_json::json!(["invalid-request", "/inner/1/number"]),
            ),
            (
                r#"{"inner":[{"number":1,"extra":2}]}"#,
                serde_json::json!(["invalid-request", "/inner/0/extra"]),
            ),
            (
                r#"{"other/one":1}"#,
                serde_json::json!(["invalid-request", "/other~1one"]),
            ),
            (
                r#"{"inner":[],"inner":[]}"#,
                serde_json::json!(["invalid-request", ""]),
            ),
        ] {
            assert_eq!(refused(text), expected, "{text}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let problem = parse::<Value>(&Bytes::from(deep)).expect_err("too deep");
        assert_eq!(problem.code(), Code::MalformedRequest);
    }

    #[test]
    fn only_json_in_utf_8_is_taken_as_a_body() {
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
