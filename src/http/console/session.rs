//! The console's cookie: logging in with a token, who is logged in, logging out (docs/behaviour.md#console-sessions).
//!
//! The cookie stands for a token that the store keeps sealed, so that no script of the page ever has one. Whoever comes with it
//! is verified like the bearer of that token, at each request.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::origin::{self, Site};
use crate::api_types::identity::Me;
use crate::app::console::ConsoleKey;
use crate::app::{Channel, OpContext};
use crate::domain::access::{Caller, Tenancy};
use crate::http::HttpState;
use crate::http::context::RequestContext;
use crate::http::extract::{JsonBody, NoBody};
use crate::http::problem::{Code, Problem};

/// Where it is asked for, opened and ended.
pub(in crate::http) const PATH: &str = "/console/session";
/// The cookie. Browsers take one of this prefix only for the whole host, over TLS or on the machine itself.
const NAME: &str = "__Host-emgate";
/// What a request that changes something carries beside the cookie: no page of another origin can add it.
const MARK: HeaderName = HeaderName::from_static("x-emgate-console");
/// Characters of the longest token that is accepted: what fits into a header.
const LONGEST_TOKEN: usize = 64 * 1024;
/// Answers about sessions are nobody's to keep.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The console's cookie of a request without a token of its own.
pub(in crate::http) struct Presented {
    key: Option<ConsoleKey>,
    /// Why the request may not change anything.
    fault: Option<&'static str>,
}

/// The cookie that a request presents; a header `Authorization` goes before it.
pub(in crate::http) fn presented(
    state: &HttpState,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Presented> {
    if state.console().is_none() || headers.contains_key(axum::http::header::AUTHORIZATION) {
        return None;
    }
    let held = cookie(headers, NAME)?;
    let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    Some(Presented {
        key: ConsoleKey::of(held),
        fault: (!is_read).then(|| unproven(state, uri, headers)).flatten(),
    })
}

/// Whether the request is about the caller's own session, which takes the cookie like the API does.
pub(in crate::http) fn is_own(state: &HttpState, method: &Method, path: &str) -> bool {
    path == PATH && method != Method::POST && state.console().is_some()
}

/// The caller that the cookie stands for, by its token.
///
/// # Errors
/// 401 when the session has ended or its token counts no longer, 403 when the request does not show where it is from, 503 when
/// the store does not answer.
pub(in crate::http) async fn caller(
    state: &HttpState,
    context: &RequestContext,
    presented: Presented,
) -> Result<Arc<Caller>, Problem> {
    let token = match &presented.key {
        Some(key) => state.app().console_token(key).await?,
        None => None,
    };
    let (Some(token), Some(key)) = (token, presented.key) else {
        return Err(Problem::bad_token(
            "the session of the console has ended; log in again",
        ));
    };
    let caller = state.verifier().caller(token.expose_secret()).await?;
    context.set_console(key);
    context.set_caller(&caller);
    match presented.fault {
        Some(fault) => Err(Problem::new(Code::CrossSite, fault)),
        None => Ok(caller),
    }
}

/// Why a request that changes something does not show that the console's page sent it.
fn unproven(state: &HttpState, uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    if headers.get(MARK).is_none_or(|mark| mark != "1") {
        return Some(
            "a request with the console's cookie that changes something needs the header X-Emgate-Console: 1",
        );
    }
    match origin::site(state, uri, headers) {
        Site::Own { .. } => None,
        Site::Unnamed { .. } => {
            Some("a request with the console's cookie that changes something needs the header Origin")
        }
        Site::Other => Some("the header Origin names another site than the gateway's"),
    }
}

/// The body of a login.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    token: String,
}

/// Who is logged in.
#[derive(Serialize)]
struct Who {
    #[serde(flatten)]
    me: Me,
    /// The one tenant that the caller is confined to.
    tenant: Option<String>,
}

impl Who {
    fn answer(caller: &Caller) -> Response {
        let tenant = match &caller.tenancy {
            Tenancy::Only(tenants) if tenants.len() == 1 => tenants.first().cloned(),
            Tenancy::Only(_) | Tenancy::All => None,
        };
        let me = Me::new(caller);
        ([(CACHE_CONTROL, NO_STORE)], Json(Self { me, tenant })).into_response()
    }
}

/// Logs in with a token.
pub(super) async fn log_in(
    State(state): State<HttpState>,
    Extension(request): Extension<RequestContext>,
    uri: Uri,
    headers: HeaderMap,
    JsonBody(Login { token }): JsonBody<Login>,
) -> Result<Response, Problem> {
    let token = SecretString::from(token.trim());
    match origin::site(&state, &uri, &headers) {
        Site::Own { is_safe: true } | Site::Unnamed { is_safe: true } => {}
        Site::Own { .. } | Site::Unnamed { .. } => {
            return Err(Problem::new(
                Code::TlsRequired,
                "this page came over plain HTTP, and the console's cookie is sent over TLS alone, or on the machine itself",
            ));
        }
        Site::Other => {
            let detail = "the header Origin names another site than the gateway's";
            return Err(Problem::new(Code::CrossSite, detail));
        }
    }
    if token.expose_secret().len() > LONGEST_TOKEN {
        return Err(Problem::fault("/token", "is longer than a token may be"));
    }
    let caller = state.verifier().caller(token.expose_secret()).await?;
    let cookie = opened(&state, &request, &headers, &caller, &token, "token").await?;
    let mut response = Who::answer(&caller);
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// Opens a session for a caller whose token was verified, in the place of the one that the browser had; the cookie for it.
pub(super) async fn opened(
    state: &HttpState,
    request: &RequestContext,
    headers: &HeaderMap,
    caller: &Arc<Caller>,
    token: &SecretString,
    how: &'static str,
) -> Result<HeaderValue, Problem> {
    request.set_caller(caller);
    let context = OpContext {
        caller: caller.clone(),
        request_id: request.id().clone(),
        client: request.client(),
        operation: request.operation().clone(),
        channel: Channel::Console,
        traceparent: request.origin().map(Into::into),
    };
    let before = cookie(headers, NAME).and_then(ConsoleKey::of);
    let held = state
        .app()
        .open_console_session(&context, token, how, before.as_ref())
        .await?;
    Ok(kept(held.expose_secret(), caller.expires_at, state.clock().now()))
}

/// Who is logged in.
pub(super) async fn who(Extension(caller): Extension<Arc<Caller>>) -> Response {
    Who::answer(&caller)
}

/// Logs out.
pub(super) async fn log_out(
    State(state): State<HttpState>,
    Extension(request): Extension<RequestContext>,
    context: OpContext,
    NoBody: NoBody,
) -> Result<Response, Problem> {
    if let Some(key) = request.console() {
        state.app().end_console_session(&context, key).await?;
    }
    let gone = set(NAME, "", "Strict", 0);
    Ok((
        StatusCode::NO_CONTENT,
        [(SET_COOKIE, gone), (CACHE_CONTROL, NO_STORE)],
    )
        .into_response())
}

fn kept(held: &str, expires_at: Timestamp, now: Timestamp) -> HeaderValue {
    let seconds = expires_at.duration_since(now).as_secs().max(0);
    set(NAME, held, "Strict", seconds)
}

/// A cookie for the whole host that no script reads.
pub(super) fn set(name: &str, value: &str, same_site: &str, seconds: i64) -> HeaderValue {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={seconds}");
    // Names and values are of base64 and our own words.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// The value of a cookie; none where two of its name make it unclear which counts.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let pairs = all
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["__Host-emgate=abc"], Some("abc"))]
    #[case(&["theme=dark; __Host-emgate=abc"], Some("abc"))]
    #[case(&["theme=dark", "__Host-emgate=abc"], Some("abc"))]
    #[case(&["__Host-emgate=abc; __Host-emgate=def"], None)]
    #[case(&["emgate=abc; x__Host-emgate=abc"], None)]
    #[case(&[], None)]
    fn the_cookie_is_found_among_others(#[case] given: &[&str], #[case] expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(COOKIE, value.parse().expect("a header value"));
        }
        assert_eq!(cookie(&headers, NAME), expected);
    }

    #[test]
    fn the_cookie_lasts_as_long_as_its_token_and_no_script_reads_it() {
        let now = Timestamp::from_second(1_800_000_000).expect("a moment");
        let end = Timestamp::from_second(1_800_003_600).expect("a moment");
        assert_eq!(
            kept("abc", end, now),
            "__Host-emgate=abc; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=3600"
        );
    }
}
