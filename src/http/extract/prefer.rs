//! `Prefer` (RFC 7240): how long the caller is willing to wait for an end, and with which address an action that goes on is
//! answered (docs/behaviour.md#waiting).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use crate::auth::Asynchrony;
use crate::domain::access::Caller;
use crate::http::HttpState;
use crate::http::context::RequestContext;
use crate::http::headers::PREFERENCE_APPLIED;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What is left of the request's deadline for everything that is not waiting.
const MARGIN: Duration = Duration::from_secs(5);

/// What the caller prefers, as far as it is granted: a wait, capped below the request's deadline, and the address that an
/// action is answered with, by header or by `[[auth.clients]]`.
#[derive(Debug, Clone, Copy)]
pub struct Preferences {
    asked: Option<Duration>,
    started: Instant,
    asynchrony: Option<Asynchrony>,
}

impl Preferences {
    /// What is left of the wait, counted from the request's arrival, so that time spent at Enterprise Manager is not
    /// spent twice.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        let until = self.started + self.asked?;
        Some(until.saturating_duration_since(Instant::now()))
    }

    /// How an action that goes on is answered, where not with the address of its operation.
    #[must_use]
    pub const fn asynchrony(self) -> Option<Asynchrony> {
        self.asynchrony
    }

    /// The response with the wait that was granted.
    #[must_use]
    pub fn applied(self, response: Response) -> Response {
        self.with_applied(None, response)
    }

    /// The answer to an action with everything that was granted.
    #[must_use]
    pub fn applied_to_action(self, response: Response) -> Response {
        self.with_applied(self.asynchrony, response)
    }

    fn with_applied(self, asynchrony: Option<Asynchrony>, response: Response) -> Response {
        let answered = match asynchrony {
            None => None,
            Some(Asynchrony::Result) => Some("respond-async".to_owned()),
            Some(Asynchrony::Ticket) => Some("respond-async, ticket".to_owned()),
        };
        let waited = self.asked.map(|asked| format!("wait={}", asked.as_secs()));
        let applied: Vec<String> = [answered, waited].into_iter().flatten().collect();
        let applied = (!applied.is_empty()).then(|| [(PREFERENCE_APPLIED, applied.join(", "))]);
        (applied, response).into_response()
    }
}

impl FromRequestParts<HttpState> for Preferences {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Infallible> {
        let cap = state.config().request_timeout.saturating_sub(MARGIN);
        let configured = parts
            .extensions
            .get::<Arc<Caller>>()
            .and_then(|caller| state.verifier().preference_of(caller));
        let asynchrony = asynchrony(&parts.headers).or(configured);
        Ok(Self {
            asked: seconds(&parts.headers).map(|seconds| Duration::from_secs(seconds).min(cap)),
            started: RequestContext::of(&parts.extensions).map_or_else(Instant::now, RequestContext::started),
            asynchrony: match asynchrony {
                Some(Asynchrony::Ticket) if !state.verifier().gives_tickets() => Some(Asynchrony::Result),
                granted => granted,
            },
        })
    }
}

/// The preferences of all `Prefer` headers, without their parameters.
fn preferences(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .filter_map(|preference| preference.split(';').next())
        .map(str::trim)
}

/// The first `wait` of all `Prefer` headers; preferences are separated by commas, their parameters by semicolons.
fn seconds(headers: &HeaderMap) -> Option<u64> {
    preferences(headers)
        .filter_map(|preference| preference.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, value)| value.trim().trim_matches('"').parse().ok())
}

/// `respond-async`, and `ticket` beside it.
fn asynchrony(headers: &HeaderMap) -> Option<Asynchrony> {
    let has = |word: &str| preferences(headers).any(|preference| preference.eq_ignore_ascii_case(word));
    match (has("respond-async"), has("ticket")) {
        (false, _) => None,
        (true, false) => Some(Asynchrony::Result),
        (true, true) => Some(Asynchrony::Ticket),
    }
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

    #[test]
    fn respond_async_and_ticket_are_found_beside_others() {
        let given = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(PREFER, text.parse().expect("a header value"));
            asynchrony(&headers)
        };
        assert_eq!(given("wait=5"), None);
        assert_eq!(given("ticket"), None, "of no address");
        assert_eq!(given("Respond-Async"), Some(Asynchrony::Result));
        assert_eq!(given("respond-async, wait=5"), Some(Asynchrony::Result));
        assert_eq!(given("ticket, respond-async;x=1"), Some(Asynchrony::Ticket));
    }
}
