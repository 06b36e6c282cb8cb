//! Problems: every refusal and failure as `application/problem+json` (RFC 9457).
//!
//! A [`Problem`] is built from public text only. It becomes an answer without a body that carries the problem along;
//! the outermost layer, which knows the request, writes the body. Which error becomes which problem is in `failures`.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use super::codes::Code;
use crate::api_types::Moment;
use crate::api_types::operations::Operation;
use crate::domain::access::Scope;
use crate::domain::field_error::FieldError;
use crate::domain::links::Links;
use crate::domain::policy::window::Opening;

/// The media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A refusal or failure on its way to the caller. Small, since it travels in every `Result`.
#[derive(Debug, Clone)]
pub struct Problem(Box<Content>);

#[derive(Debug, Clone)]
struct Content {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    operation: Option<String>,
    session: Option<String>,
    next_window: Option<NextWindow>,
    document: Option<Operation>,
    headers: HeaderMap,
}

/// A time in which policies allow what they do not allow now.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct NextWindow {
    /// When it begins.
    pub from: Moment,
    /// When it is over.
    pub to: Moment,
}

impl PartialSchema for FieldError {
    fn schema() -> RefOr<Schema> {
        let text = |about: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some(about))
        };
        ObjectBuilder::new()
            .title(Some("Fault"))
            .description(Some("One fault in what was sent."))
            .property(
                "pointer",
                text("Where: a JSON pointer (RFC 6901) into the body, or the name of a parameter or header."),
            )
            .required("pointer")
            .property("detail", text("What is wrong, and what is allowed."))
            .required("detail")
            .into()
    }
}

impl ToSchema for FieldError {
    fn name() -> Cow<'static, str> {
        "Fault".into()
    }
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
    /// The request's id in the gateway's log; also in the header `x-request-id`.
    pub request_id: &'a str,
    /// The faults, where the request was not acceptable.
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    #[schema(required = false)]
    pub errors: &'a [FieldError],
    /// The operation concerned: the one that keeps the plan busy, that has ended, that records the refusal, or that
    /// continues although this request could not be answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub operation_id: Option<&'a str>,
    /// The failover session that keeps the plan busy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub session_id: Option<&'a str>,
    /// When the policy that denies the request allows it next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, inline)]
    pub next_window: Option<NextWindow>,
    /// The operation as it ended; in `operation-failed` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub operation: Option<&'a Operation>,
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
            next_window: None,
            document: None,
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
    pub fn faults(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// 404 for a kind of thing (`the plan`).
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("{what} was not found"))
    }

    /// 405 with the methods that Enterprise Manager's resource allows.
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
            format!("Enterprise Manager's resource supports only {allowed}"),
        )
        .with_header(ALLOW, &allowed)
    }

    /// 413 for a body over `limit` bytes.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            Code::PayloadTooLarge,
            format!("the body is larger than {limit} bytes"),
        )
    }

    /// 422 with the given faults.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
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
        Self::invalid(vec![FieldError::new(pointer, detail)])
    }

    /// 401 because there is no token at all: the challenge names no error (RFC 6750 section 3.1).
    #[must_use]
    pub fn no_token() -> Self {
        Self::new(
            Code::Unauthenticated,
            "the request needs a token: send the header Authorization: Bearer <JWT>",
        )
        .with_header(WWW_AUTHENTICATE, "Bearer realm=\"emgate\"")
    }

    /// 401 because of the token; `reason` says which check failed, without any of the token's content.
    #[must_use]
    pub fn bad_token(reason: &str) -> Self {
        Self::new(Code::Unauthenticated, reason).with_header(
            WWW_AUTHENTICATE,
            &format!("Bearer realm=\"emgate\", error=\"invalid_token\", error_description=\"{reason}\""),
        )
    }

    /// The same with one more parameter of its challenge, if it has one.
    #[must_use]
    pub fn challenge_with(self, name: &str, value: &str) -> Self {
        let challenge = self
            .header(&WWW_AUTHENTICATE)
            .and_then(|given| given.to_str().ok());
        match challenge.map(|given| format!("{given}, {name}=\"{value}\"")) {
            Some(longer) => self.with_header(WWW_AUTHENTICATE, &longer),
            None => self,
        }
    }

    /// 403 that no scope would lift.
    #[must_use]
    pub fn confined(detail: impl Into<String>) -> Self {
        Self::new(Code::InsufficientScope, detail).with_header(
            WWW_AUTHENTICATE,
            "Bearer realm=\"emgate\", error=\"insufficient_scope\"",
        )
    }

    /// 403 because the token lacks `scope`.
    #[must_use]
    pub fn needs_scope(scope: Scope, detail: impl Into<String>) -> Self {
        Self::confined(detail).challenge_with("scope", scope.as_str())
    }

    /// The same, naming the scopes, any one of which would do, in the detail as well.
    #[must_use]
    pub fn lacks_scopes(scopes: &[Scope]) -> Self {
        let names = |between: &str| {
            let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            names.join(between)
        };
        Self::confined(format!("the request needs the scope {}", names(" or ")))
            .challenge_with("scope", &names(" "))
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

    /// The same with the time when a policy allows the request next.
    #[must_use]
    pub fn with_next_window(mut self, opening: Option<&Opening>) -> Self {
        self.0.next_window = opening.map(|opening| NextWindow {
            from: opening.from.into(),
            to: opening.to.into(),
        });
        self
    }

    /// 409 for the end of an operation that the caller calls a failure; `word` is how it ended.
    #[must_use]
    pub fn failed_operation(operation: Operation, word: &str) -> Self {
        let why = operation
            .failure
            .as_ref()
            .map(|failure| format!(": {}", failure.message));
        let detail = format!(
            "operation {} ended as {word}{}",
            operation.id,
            why.unwrap_or_default()
        );
        let mut problem = Self::new(Code::OperationFailed, detail).about_operation(&operation.id);
        problem.0.document = Some(operation);
        problem
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

    /// The problem for a bare status that a library answered.
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

    /// The whole answer, for the request it belongs to.
    #[must_use]
    pub fn render(&self, links: &Links, request_id: &str, path: &str) -> Response {
        let code = self.0.code;
        let instance = links.to(path);
        let body = self.body(links, request_id, &instance);
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

    /// The body of the answer, for the request it belongs to; `instance` is the request's address.
    #[must_use]
    pub fn body<'a>(&'a self, links: &Links, request_id: &'a str, instance: &'a str) -> ProblemBody<'a> {
        let code = self.0.code;
        ProblemBody {
            kind: links.to(&code.uri()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: &self.0.detail,
            instance,
            code: code.as_str(),
            request_id,
            errors: &self.0.errors,
            operation_id: self.0.operation.as_deref(),
            session_id: self.0.session.as_deref(),
            next_window: self.0.next_window,
            operation: self.0.document.as_ref(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_repeats_a_single_fault() {
        let problem = Problem::fault("/callback/url", "is not an address");
        assert_eq!(problem.0.detail, "/callback/url: is not an address");
        assert_eq!(problem.0.errors.len(), 1);
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
