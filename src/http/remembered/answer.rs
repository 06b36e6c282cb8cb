//! An answer as bytes, with its entity tag and its compressed form, and what of a request decides which of these it gets.

use std::sync::OnceLock;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use flate2::Compression;
use serde::Serialize;
use tokio::time::Instant;

use crate::http::HttpState;
use crate::http::context::RequestContext;
use crate::http::extract::Conditions;
use crate::http::layers::gzipped;
use crate::http::problem::Problem;

/// What an answer costs beside its bytes.
const OVERHEAD: u64 = 512;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const BY_ENCODING: HeaderValue = HeaderValue::from_static("accept-encoding");

/// An answer with status 200 and JSON.
pub(in crate::http) struct Answer {
    pub(super) body: Bytes,
    tag: Option<HeaderValue>,
    cache_control: Option<HeaderValue>,
    /// The compressed form, made when it is first asked for; none for bytes that a strong entity tag names.
    gzip: OnceLock<Bytes>,
}

impl Answer {
    /// The JSON of a value.
    ///
    /// # Errors
    /// 500 when it cannot be written, which ours always can.
    pub(in crate::http) fn json(value: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value).map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "an answer could not be written as JSON"
            );
            Problem::internal()
        })?;
        Ok(Self::of(body.into()))
    }

    /// JSON that is there.
    pub(in crate::http) fn of(body: Bytes) -> Self {
        Self {
            body,
            tag: None,
            cache_control: None,
            gzip: OnceLock::new(),
        }
    }

    /// The same with a strong entity tag, which names its bytes.
    pub(in crate::http) fn tagged(self, tag: &str) -> Self {
        Self {
            tag: HeaderValue::from_str(tag).ok(),
            ..self
        }
    }

    /// The same for caches that do as they are told.
    pub(in crate::http) fn cached_as(self, cache_control: HeaderValue) -> Self {
        Self {
            cache_control: Some(cache_control),
            ..self
        }
    }

    /// What a caller gets who has no copy of it.
    pub(in crate::http) fn response(&self, asked: &Asked) -> Response {
        let mut response = Response::default();
        let headers = response.headers_mut();
        headers.reserve(20);
        headers.insert(CONTENT_TYPE, JSON);
        self.describe(headers);
        let body = if asked.takes_gzip && self.tag.is_none() && self.body.len() > 32 {
            headers.insert(CONTENT_ENCODING, GZIP);
            headers.insert(VARY, BY_ENCODING);
            self.gzip
                .get_or_init(|| gzipped(&self.body, Compression::default()))
                .clone()
        } else {
            self.body.clone()
        };
        *response.body_mut() = Body::from(body);
        response
    }

    /// What a caller gets: 304 for those who have it already.
    pub(in crate::http) fn unless_known(&self, conditions: &Conditions, asked: &Asked) -> Response {
        let tag = self.tag.as_ref().and_then(|tag| tag.to_str().ok());
        if !tag.is_some_and(|tag| conditions.know(tag)) {
            return self.response(asked);
        }
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().reserve(20);
        self.describe(response.headers_mut());
        response
    }

    fn describe(&self, headers: &mut HeaderMap) {
        if let Some(tag) = &self.tag {
            headers.insert(ETAG, tag.clone());
        }
        if let Some(cache_control) = &self.cache_control {
            headers.insert(CACHE_CONTROL, cache_control.clone());
        }
    }

    /// What it takes of the memory, its compressed form included.
    pub(super) fn bytes(&self) -> u64 {
        let forms = if self.tag.is_some() { 1 } else { 2 };
        self.body.len() as u64 * forms + OVERHEAD
    }
}

/// What of a request decides which form of an answer it gets, and where the answer is remembered.
pub(in crate::http) struct Asked {
    pub(super) uri: Uri,
    pub(super) takes_gzip: bool,
    pub(super) at: Instant,
}

impl FromRequestParts<HttpState> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &HttpState) -> Result<Self, Self::Rejection> {
        Ok(Self {
            uri: parts.uri.clone(),
            takes_gzip: takes_gzip(&parts.headers),
            at: RequestContext::of(&parts.extensions).map_or_else(Instant::now, RequestContext::started),
        })
    }
}

/// Whether a caller certainly takes gzip; one who weighs encodings is left to the library.
pub(in crate::http) fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(ACCEPT_ENCODING).iter();
    match (given.next().map(HeaderValue::to_str), given.next()) {
        (Some(Ok(text)), None) if !text.contains(';') => text
            .split(',')
            .any(|word| word.trim().eq_ignore_ascii_case("gzip")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["gzip"], true)]
    #[case(&["deflate, GZIP, br"], true)]
    #[case(&["br"], false)]
    #[case(&["gzip;q=0"], false)]
    #[case(&["identity;q=1, gzip;q=0.5"], false)]
    #[case(&["gzip", "br"], false)]
    #[case(&[], false)]
    fn who_weighs_encodings_is_left_to_the_library(#[case] given: &[&str], #[case] takes: bool) {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(ACCEPT_ENCODING, value.parse().expect("a header value"));
        }
        assert_eq!(takes_gzip(&headers), takes);
    }

    #[test]
    fn the_compressed_form_is_made_once() {
        let answer = Answer::of("[1,2,3]".repeat(100).into());
        let asked = Asked {
            uri: Uri::from_static("/api/v1/things"),
            takes_gzip: true,
            at: Instant::now(),
        };
        let response = answer.response(&asked);
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        let made = answer.gzip.get().expect("made").as_ptr();
        answer.response(&asked);
        assert_eq!(answer.gzip.get().expect("made").as_ptr(), made);
        let tagged = Answer::of(Bytes::from_static(b"[1]")).tagged("\"t\"");
        assert!(!tagged.response(&asked).headers().contains_key(CONTENT_ENCODING));
    }
}
