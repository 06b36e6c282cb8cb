//! Logging in to the console at an identity provider (docs/behaviour.md#console-login): the way there, and the way back.
//!
//! What is needed at the end lies in the store, sealed, under the digest of the state: any replica ends a login, once. A second
//! cookie binds it to the browser that began it, so that nobody can log another in.

use axum::Extension;
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use url::form_urlencoded::parse;

use super::CONSOLE;
use super::origin;
use super::session::{cookie, opened, set};
use crate::auth::Refusal;
use crate::auth::login::{Login, LoginAttempt, LoginError, is_code};
use crate::http::HttpState;
use crate::http::context::RequestContext;
use crate::http::problem::Problem;
use crate::telemetry::chain;

/// What binds a login to the browser that began it. It comes back with the provider's redirect, so it cannot be strict.
const BOUND: &str = "__Host-emgate-login";
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Characters of the longest code and state that are looked at.
const LONGEST: usize = 4096;

/// How people may log in.
#[derive(Serialize)]
struct Options<'a> {
    token: bool,
    oidc: Oidc<'a>,
}

#[derive(Serialize)]
struct Oidc<'a> {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// How people may log in.
pub(super) async fn options(State(state): State<HttpState>) -> Response {
    let login = state.verifier().login();
    let options = Options {
        token: true,
        oidc: Oidc {
            enabled: login.is_some(),
            name: login.and_then(Login::name),
        },
    };
    ([(CACHE_CONTROL, NO_STORE)], Json(options)).into_response()
}

/// What a login is ended with.
#[derive(Serialize, Deserialize)]
struct Kept {
    nonce: String,
    verifier: String,
    redirect_uri: String,
    /// The view that was asked for, below `/console/`.
    to: String,
}

impl Kept {
    fn attempt<'a>(&'a self, state: &'a str) -> LoginAttempt<'a> {
        LoginAttempt {
            redirect_uri: &self.redirect_uri,
            state,
            nonce: &self.nonce,
            verifier: &self.verifier,
        }
    }
}

/// Why nobody is logged in, as the page is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// There is no provider.
    Unconfigured,
    /// Browsers would forget the cookie.
    TlsRequired,
    /// Unknown, ended, used before, or begun by another browser.
    State,
    /// The provider did not let them in.
    Denied,
    /// The provider failed, or is not the one that was asked.
    Provider,
    /// It did not take the code.
    Code,
    /// What it gave is not its own, not for the gateway, or not for this login.
    Token,
    /// The gateway does not accept them.
    Refused,
}

impl Reason {
    const fn word(self) -> &'static str {
        match self {
            Self::Unconfigured => "unconfigured",
            Self::TlsRequired => "tls-required",
            Self::State => "state",
            Self::Denied => "denied",
            Self::Provider => "provider",
            Self::Code => "code",
            Self::Token => "token",
            Self::Refused => "refused",
        }
    }
}

/// Sends the browser to the provider.
pub(super) async fn begin(
    State(state): State<HttpState>,
    RawQuery(query): RawQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(login) = state.verifier().login() else {
        return Ok(failed(&state, Reason::Unconfigured));
    };
    let Some(base) = origin::own_address(&state, &uri, &headers) else {
        return Ok(failed(&state, Reason::TlsRequired));
    };
    let to = parameter(query.as_deref(), "to").filter(|to| is_view(to));
    let kept = Kept {
        nonce: state.app().random_text(),
        verifier: state.app().random_text(),
        redirect_uri: format!("{base}/console/callback"),
        to: to.unwrap_or_else(|| CONSOLE.to_owned()),
    };
    let secrets = serde_json::to_string(&kept).map_err(|_| Problem::internal())?;
    let begun = state.app().begin_console_login(&secrets.into()).await?;
    let there = login.address(&kept.attempt(begun.state.expose_secret())).await;
    let there = match there {
        Ok(there) => there,
        Err(error) => return Ok(told(&state, Reason::Provider, &error)),
    };
    let seconds = i64::try_from(crate::app::console::LOGIN_LASTS.as_secs()).unwrap_or_default();
    let bound = set(BOUND, begun.browser.expose_secret(), "Lax", seconds);
    let mut response = redirect(there.as_str());
    response.headers_mut().append(SET_COOKIE, bound);
    Ok(response)
}

/// Takes the browser back from the provider.
pub(super) async fn end(
    State(state): State<HttpState>,
    Extension(request): Extension<RequestContext>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut response = match ended(&state, &request, query.as_deref(), &headers).await? {
        Ok((to, session)) => {
            let mut response = redirect(&state.links().to(&to));
            response.headers_mut().append(SET_COOKIE, session);
            response
        }
        Err(response) => response,
    };
    response
        .headers_mut()
        .append(SET_COOKIE, set(BOUND, "", "Lax", 0));
    Ok(response)
}

async fn ended(
    state: &HttpState,
    request: &RequestContext,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Result<(String, HeaderValue), Response>, Problem> {
    let Some(login) = state.verifier().login() else {
        return Ok(Err(failed(state, Reason::Unconfigured)));
    };
    let (Some(named), Some(browser)) = (parameter(query, "state"), cookie(headers, BOUND)) else {
        return Ok(Err(failed(state, Reason::State)));
    };
    let Some(secrets) = state.app().take_console_login(&named, browser).await? else {
        return Ok(Err(failed(state, Reason::State)));
    };
    let Ok(kept) = serde_json::from_str::<Kept>(secrets.expose_secret()) else {
        return Ok(Err(failed(state, Reason::State)));
    };
    // Who answers must be the one that was asked (RFC 9207).
    if parameter(query, "iss").is_some_and(|iss| iss != login.issuer()) {
        return Ok(Err(failed(state, Reason::Provider)));
    }
    if let Some(error) = parameter(query, "error") {
        let word = if is_code(&error) {
            error.as_str()
        } else {
            "another error"
        };
        tracing::warn!(error = word, "the identity provider let nobody in to the console");
        let reason = if word == "access_denied" {
            Reason::Denied
        } else {
            Reason::Provider
        };
        return Ok(Err(failed(state, reason)));
    }
    let Some(code) = parameter(query, "code") else {
        return Ok(Err(failed(state, Reason::Code)));
    };
    let tokens = match login.exchange(&code, &kept.attempt(&named)).await {
        Ok(tokens) => tokens,
        Err(error) => {
            let reason = match &error {
                LoginError::Refused { .. } | LoginError::NoTokens => Reason::Code,
                LoginError::Discovery(_) | LoginError::Endpoint { .. } | LoginError::Unreachable(_) => {
                    Reason::Provider
                }
            };
            return Ok(Err(told(state, reason, &error)));
        }
    };
    if let Err(refusal) = state
        .verifier()
        .identity(tokens.id.expose_secret(), &kept.nonce)
        .await
    {
        return Ok(Err(told(state, Reason::Token, &refusal)));
    }
    // The token for the gateway, where it is one that the gateway reads; else the one that says who it is.
    let accepted = match &tokens.access {
        Some(access) => state
            .verifier()
            .caller(access.expose_secret())
            .await
            .map(|caller| (caller, access)),
        None => Err(Refusal::NotSigned),
    };
    let accepted = match accepted {
        Ok(accepted) => Ok(accepted),
        Err(of_access) => match state.verifier().caller(tokens.id.expose_secret()).await {
            Ok(caller) => Ok((caller, &tokens.id)),
            Err(_) if tokens.access.is_some() => Err(of_access),
            Err(of_id) => Err(of_id),
        },
    };
    match accepted {
        Ok((caller, token)) => {
            let session = opened(state, request, headers, &caller, token, "oidc").await?;
            Ok(Ok((kept.to, session)))
        }
        Err(refusal) => Ok(Err(told(state, Reason::Refused, &refusal))),
    }
}

/// Back to the page, which says why; the log has the rest.
fn told(state: &HttpState, reason: Reason, error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::warn!(
        reason = reason.word(),
        error = chain(error),
        "a login to the console failed"
    );
    failed(state, reason)
}

fn failed(state: &HttpState, reason: Reason) -> Response {
    redirect(
        &state
            .links()
            .to(&format!("{CONSOLE}?login=failed&reason={}", reason.word())),
    )
}

fn redirect(to: &str) -> Response {
    let Ok(to) = HeaderValue::from_str(to) else {
        return Problem::internal().into_response();
    };
    (StatusCode::SEE_OTHER, [(LOCATION, to), (CACHE_CONTROL, NO_STORE)]).into_response()
}

/// A view of the console and nothing else: no address of another site, however a browser would read it.
fn is_view(to: &str) -> bool {
    let rest = to.strip_prefix(CONSOLE);
    rest.is_some_and(|rest| {
        let plain = rest
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"'));
        plain && !rest.starts_with('/') && !rest.contains("..")
    })
}

/// The one value of a parameter.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut values = parse(query.unwrap_or_default().as_bytes()).filter(|(known, _)| known == name);
    let (_, value) = values.next()?;
    let fits = values.next().is_none() && !value.is_empty() && value.len() <= LONGEST;
    fits.then(|| value.into_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/console/", true)]
    #[case("/console/approvals?state=waiting", true)]
    #[case("/console/failovers/3f56fa52#log", true)]
    #[case("/docs", false)]
    #[case("//evil.example/console/", false)]
    #[case("/console//evil.example", false)]
    #[case("/console/../api/v1", false)]
    #[case("/console/\\evil.example", false)]
    #[case("https://evil.example/console/", false)]
    #[case("/console/a\r\nset-cookie: x=y", false)]
    fn a_login_ends_at_a_view_of_the_console_only(#[case] to: &str, #[case] expected: bool) {
        assert_eq!(is_view(to), expected);
    }
}
