//! `Prefer: wait=SECONDS` (RFC 7240 section 4.3): how long the caller is willing to wait for an end.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use crate::http::HttpState;
use crate::http::context::RequestContext;
use crate::http::headers::PREFERENCE_APPLIED;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What is left of the request's deadline for everything that is not waiting.
const MARGIN: Duration = Duration::from_secs(5);

/// The wait that was asked for, capped below the request's deadline; none when it was not asked for or unreadable.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    asked: Option<Duration>,
    started: Instant,
}

impl Wait {
    /// What is left of the wait, counted from the request's arrival, so that time spent at Enterprise Manager is not
    /// spent twice.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        let until = self.started + self.asked?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// The response with the wait that was granted.
    #[must_use]
    pub fn applied(self, response: Response) -> Response {
        let applied = self.asked.map(|asked| format!("wait={}", asked.as_secs()));
        (applied.map(|wait| [(PREFERENCE_APPLIED, wait)]), response).into_response()
    }
}

impl FromRequestParts<HttpState> for Wait {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Infallible> {
        let cap = state.config().request_timeout.saturating_sub(MARGIN);
        Ok(Self {
            asked: seconds(&parts.headers).map(|seconds| Duration::from_secs(seconds).min(cap)),
            started: RequestContext::of(&parts.extensions).map_or_else(Instant::now, RequestContext::started),
        })
    }
}

/// The first `wait` of all `Prefer` headers; preferences are separated by commas, their parameters by semicolons.
fn seconds(headers: &HeaderMap) -> Option<u64> {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .filter_map(|preference| preference.split(';').next()?.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, value)| value.trim().trim_matches('"').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wait_counts_and_an_unreadable_one_is_none() {
        for (header, expected) in [
            ("wait=10", Some(10)),
            ("respond-async, WAIT=\"7\"; foo=1, wait=9", Some(7)),
            ("wait = 3", Some(3)),
            ("wait=soon", None),
            ("wait=-1", None),
            ("wait", None),
            ("return=minimal", None),
            ("wait=99999999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(PREFER, header.parse().expect("a header value"));
            assert_eq!(seconds(&headers), expected, "{header}");
        }
    }
}
