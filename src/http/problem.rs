//! Problems: every refusal and failure as `application/problem+json` (RFC 9457).
//!
//! A [`Problem`] is built from public text only. It becomes an answer without a body that carries the problem along;
//! the outermost layer, which knows the request, writes the body. This is the one file that knows every room's errors.

use std::fmt::Display;
use std::time::Duration;

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub use super::codes::Code;
use crate::app;
use crate::app::error::{BusyWith, StoreError};
use crate::domain::access::Scope;
use crate::domain::links::Links;

/// The media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal or failure on its way to the caller. Small, since it travels in every `Result`.
#[derive(Debug, Clone)]
pub struct Problem(Box<Content>);

#[derive(Debug, Clone)]
struct Content {
    code: Code,
    detail: String,
    errors: Vec<Fault>,
    operation: Option<String>,
    session: Option<String>,
    headers: HeaderMap,
}

/// One fault in what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Fault")]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901) into the body, or the name of a parameter or header.
    pub pointer: String,
    /// What is wrong, and what is allowed.
    pub detail: String,
}

/// The body of every error answer (RFC 9457). Some codes add members of their own, such as `operationId`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// The page that explains the code.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    pub kind: String,
    /// The same sentence for every occurrence of the code.
    pub title: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, for people.
    pub detail: &'a str,
    /// The path of the request, below the public URL where there is one.
    pub instance: &'a str,
    /// What happened, for programs.
    pub code: &'a str,
    /// The id under which the gateway's log has the request; also in the header `x-request-id`.
    pub request_id: &'a str,
    /// The faults, where the request was not acceptable.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    #[schema(required = false)]
    pub errors: &'a [Fault],
    /// The operation concerned: the one that keeps the plan busy, that has ended, that records the refusal, or that goes
    /// on although this request could not be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub operation_id: Option<&'a str>,
    /// The failover session that keeps the plan busy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub session_id: Option<&'a str>,
}

impl Problem {
    /// A problem of this code; `detail` is for people and must be fit for every caller's eyes.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = code.retry_after() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        Self(Box::new(Content {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            operation: None,
            session: None,
            headers,
        }))
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// One of its headers.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0.headers.get(name)
    }

    /// The faults it names.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.0.errors
    }

    /// 404 for a kind of thing (`the plan`).
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("{what} was not found"))
    }

    /// 405 with the methods that Enterprise Manager's resource takes.
    #[must_use]
    pub fn no_such_method(methods: &[crate::catalogue::Method]) -> Self {
        let mut allowed = Vec::new();
        for method in methods {
            allowed.push(method.as_str());
            if *method == crate::catalogue::Method::Get {
                allowed.push("HEAD");
            }
        }
        let allowed = allowed.join(", ");
        Self::new(
            Code::MethodNotAllowed,
            format!("Enterprise Manager's resource takes {allowed} only"),
        )
        .with_header(ALLOW, &allowed)
    }

    /// 422 with the given faults.
    #[must_use]
    pub fn invalid(errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [only] if only.pointer.is_empty() => only.detail.clone(),
            [only] => format!("{}: {}", only.pointer, only.detail),
            many => format!("{} faults were found, see `errors`", many.len()),
        };
        let mut problem = Self::new(Code::InvalidRequest, detail);
        problem.0.errors = errors;
        problem
    }

    /// 422 with a single fault.
    #[must_use]
    pub fn fault(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![Fault {
            pointer: pointer.into(),
            detail: detail.into(),
        }])
    }

    /// 401 because there is no token at all: the challenge names no error (RFC 6750 section 3.1).
    #[must_use]
    pub fn no_token() -> Self {
        Self::new(
            Code::Unauthenticated,
            "this needs a token: send the header Authorization: Bearer <JWT>",
        )
        .with_header(WWW_AUTHENTICATE, "Bearer realm=\"emgate\"")
    }

    /// 401 because of the token; `reason` says which check failed, without any of the token's content.
    #[must_use]
    pub fn bad_token(reason: &'static str) -> Self {
        Self::new(Code::Unauthenticated, reason).with_header(
            WWW_AUTHENTICATE,
            &format!("Bearer realm=\"emgate\", error=\"invalid_token\", error_description=\"{reason}\""),
        )
    }

    /// 403 because the token lacks `scope`.
    #[must_use]
    pub fn needs_scope(scope: Scope, detail: impl Into<String>) -> Self {
        Self::new(Code::InsufficientScope, detail).with_header(
            WWW_AUTHENTICATE,
            &format!("Bearer realm=\"emgate\", error=\"insufficient_scope\", scope=\"{scope}\""),
        )
    }

    /// 500. What went wrong belongs into the log, where it was found.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            Code::Internal,
            "the gateway failed; its log has the details under the request id",
        )
    }

    /// The same, naming the operation concerned.
    #[must_use]
    pub fn about_operation(mut self, id: impl Display) -> Self {
        self.0.operation = Some(id.to_string());
        self
    }

    /// The same, naming the failover session concerned.
    #[must_use]
    pub fn about_session(mut self, id: impl Display) -> Self {
        self.0.session = Some(id.to_string());
        self
    }

    /// The same with a header; a value that no header can hold is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        }
        self
    }

    /// The same with a better figure for `Retry-After`, rounded up to seconds.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        if let Some(wait) = wait {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            self.0.headers.insert(RETRY_AFTER, seconds.max(1).into());
        }
        self
    }

    /// The problem that stands for a bare status which some library answered.
    #[must_use]
    pub fn from_status(status: StatusCode, headers: &HeaderMap) -> Self {
        let code = match status.as_u16() {
            401 => Code::Unauthenticated,
            403 => Code::InsufficientScope,
            404 => Code::NotFound,
            405 => Code::MethodNotAllowed,
            413 => Code::PayloadTooLarge,
            415 => Code::UnsupportedMediaType,
            422 => Code::InvalidRequest,
            429 => Code::RateLimited,
            503 => Code::Overloaded,
            504 => Code::UpstreamTimeout,
            400..=499 => Code::MalformedRequest,
            _ => Code::Internal,
        };
        let mut problem = Self::new(code, code.happened());
        if let Some(allow) = headers.get(ALLOW) {
            problem.0.headers.insert(ALLOW, allow.clone());
        }
        problem
    }

    /// What an action that failed is answered with: never 504, which would leave open whether it was done. Of a plan's
    /// actions a time-out comes here only before anything was sent; one that comes later is answered 202.
    #[must_use]
    pub fn of_action(error: app::Error) -> Self {
        let mut problem = Self::from(error);
        if problem.0.code == Code::UpstreamTimeout {
            let unavailable = Self::new(
                Code::UpstreamUnavailable,
                "Enterprise Manager did not answer in time",
            );
            problem.0.code = unavailable.0.code;
            problem.0.detail = unavailable.0.detail;
            problem.0.headers = unavailable.0.headers;
        }
        problem
    }

    /// The whole answer, for the request it belongs to.
    #[must_use]
    pub fn render(&self, links: &Links, request_id: &str, path: &str) -> Response {
        let code = self.0.code;
        let instance = links.to(path);
        let body = ProblemBody {
            kind: links.to(&code.uri()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: &self.0.detail,
            instance: &instance,
            code: code.as_str(),
            request_id,
            errors: &self.0.errors,
            operation_id: self.0.operation.as_deref(),
            session_id: self.0.session.as_deref(),
        };
        let mut response = match serde_json::to_vec(&body) {
            Ok(body) => (code.status(), body).into_response(),
            Err(_) => code.status().into_response(),
        };
        let headers = response.headers_mut();
        headers.extend(self.0.headers.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.code.status().into_response();
        *response.headers_mut() = self.0.headers.clone();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<app::Error> for Problem {
    fn from(error: app::Error) -> Self {
        use app::Error as E;
        match error {
            E::NotFound { what } => Self::not_found(what),
            E::NoSuchMethod(methods) => Self::no_such_method(&methods),
            E::Invalid(faults) => Self::invalid(
                faults
                    .into_iter()
                    .map(|fault| Fault {
                        pointer: fault.pointer,
                        detail: fault.detail,
                    })
                    .collect(),
            ),
            E::PlanBusy(BusyWith::Operation(id)) => Self::new(
                Code::PlanBusy,
                format!("operation {id} of this plan has not ended"),
            )
            .about_operation(id),
            E::PlanBusy(BusyWith::Session(id)) => Self::new(
                Code::PlanBusy,
                format!("failover session {id} of this plan has not stopped"),
            )
            .about_session(id),
            E::KeyReused => Self::new(
                Code::IdempotencyKeyReused,
                "the key came with another request before; use a fresh key for a new request",
            ),
            E::NotReady => Self::new(
                Code::UpstreamUnavailable,
                "what runs at Enterprise Manager has not been observed completely yet, so nothing may be started",
            ),
            E::PreconditionFailed => Self::new(
                Code::PreconditionFailed,
                "the entity tag in If-Match is not that of the present state",
            ),
            E::OperationFinished(id) => {
                Self::new(Code::OperationFinished, format!("operation {id} has ended")).about_operation(id)
            }
            E::NeedsScope(scope) => Self::needs_scope(scope, format!("this needs the scope {scope}")),
            E::NotCancellable { reason } => Self::new(Code::NotCancellable, reason),
            E::Refused { operation, source } => Self::from(E::Upstream(source)).about_operation(operation),
            E::Upstream(error) => upstream(&error),
            E::Store(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                if matches!(error, StoreError::RefusedValue { .. }) {
                    return Self::new(
                        Code::InvalidRequest,
                        "the request has text that the store cannot hold, such as the character U+0000",
                    );
                }
                // To repeat it changes nothing, and the store is well.
                if error.is_about_the_row() || error.is_unreadable() {
                    return Self::internal();
                }
                let detail = match error {
                    // Whatever else the store holds is there; to ask again changes nothing.
                    error if error.is_unreadable() => return Self::internal(),
                    StoreError::Refused { refusal, .. } => {
                        format!("the gateway's store cannot be written to: {}", refusal.reason())
                    }
                    _ => "the gateway's store did not answer".to_owned(),
                };
                Self::new(Code::StoreUnavailable, detail)
            }
            E::Internal(what) => {
                tracing::error!(what, "a fault of the gateway's own");
                Self::internal()
            }
        }
    }
}

/// What Enterprise Manager's answer, or its silence, means to the caller (docs/upstream-faults.md). Only its own
/// words are quoted, which the room below has cut to size; never an address, a path or a stack trace.
fn upstream(error: &app::UpstreamError) -> Problem {
    use app::UpstreamFault as F;
    let saying = |text: &str, message: &Option<String>| match message {
        Some(message) => format!("{text}: {message}"),
        None => text.to_owned(),
    };
    let (code, detail) = match error.kind() {
        F::Refused { status, message } => {
            let code = match status {
                403 => Code::UpstreamForbidden,
                404 => Code::NotFound,
                409 => Code::UpstreamConflict,
                _ => Code::UpstreamRejected,
            };
            (code, saying("Enterprise Manager refused the request", message))
        }
        F::CredentialsRefused { message, .. } => (
            Code::UpstreamAuthFailed,
            saying("Enterprise Manager refuses the gateway's credentials", message),
        ),
        F::Failed { status, message } => (
            Code::UpstreamError,
            saying(
                &format!("Enterprise Manager failed with status {status}"),
                message,
            ),
        ),
        F::InvalidResponse { .. } => (
            Code::UpstreamInvalidResponse,
            "Enterprise Manager's answer is not a document that can be trusted".to_owned(),
        ),
        F::TooLarge { limit } => (
            Code::UpstreamInvalidResponse,
            format!("Enterprise Manager's answer is larger than {limit} bytes"),
        ),
        F::ConnectionLost { .. } => (
            Code::UpstreamError,
            "the connection to Enterprise Manager broke before the answer was complete".to_owned(),
        ),
        F::TimedOut => (
            Code::UpstreamTimeout,
            "Enterprise Manager did not answer in time".to_owned(),
        ),
        F::Overloaded { message, .. } => (
            Code::UpstreamUnavailable,
            saying("Enterprise Manager is overloaded or in maintenance", message),
        ),
        F::Unreachable { .. } => (
            Code::UpstreamUnavailable,
            "Enterprise Manager cannot be reached".to_owned(),
        ),
        F::CircuitOpen { .. } => (
            Code::UpstreamUnavailable,
            "Enterprise Manager has not answered for a while and is not asked until it may have recovered"
                .to_owned(),
        ),
        F::NoFreeLogon => (
            Code::UpstreamUnavailable,
            "all logon sessions at Enterprise Manager are in use".to_owned(),
        ),
        F::DeadlinePassed => (
            Code::UpstreamUnavailable,
            "the gateway was held up for so long that the request was not sent to Enterprise Manager any more".to_owned(),
        ),
        F::ShuttingDown => (Code::UpstreamUnavailable, "the gateway is stopping".to_owned()),
        F::NotEncodable { .. } => (
            Code::InvalidRequest,
            "the request cannot be written as a document of Enterprise Manager".to_owned(),
        ),
    };
    let problem = Problem::new(code, detail);
    if code.status().is_server_error() {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            code = code.as_str(),
            "Enterprise Manager did not do what was asked"
        );
    }
    if matches!(code, Code::UpstreamUnavailable | Code::UpstreamAuthFailed) {
        problem.retry_after(error.retry_after())
    } else {
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_fault_is_told_in_the_detail_too() {
        let problem = Problem::fault("/callback/url", "is not an address");
        assert_eq!(problem.0.detail, "/callback/url: is not an address");
        assert_eq!(problem.0.errors.len(), 1);
    }

    #[test]
    fn a_value_is_the_requests_fault_and_an_unreadable_row_the_gateways() {
        for (error, code) in [
            (StoreError::RefusedValue { source: None }, Code::InvalidRequest),
            (StoreError::Corrupt { what: "events.body" }, Code::Internal),
            (StoreError::TooSlow, Code::StoreUnavailable),
        ] {
            let problem = Problem::from(app::Error::Store(error));
            assert_eq!(problem.code(), code);
        }
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let problem =
            Problem::new(Code::UpstreamUnavailable, "x").retry_after(Some(Duration::from_millis(1500)));
        assert_eq!(problem.0.headers[RETRY_AFTER], "2");
    }

    #[test]
    fn a_challenge_names_the_missing_scope() {
        let problem = Problem::needs_scope(Scope::PlansTest, "x");
        assert_eq!(
            problem.0.headers[WWW_AUTHENTICATE],
            "Bearer realm=\"emgate\", error=\"insufficient_scope\", scope=\"plans:test\""
        );
    }
}
