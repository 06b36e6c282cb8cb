//! The one table of problem codes (docs/behaviour.md#errors).
//!
//! It feeds the constructors of problems, the pages under `/problems/{code}`, and the error answers in the OpenAPI
//! document; a code that is not here cannot be answered.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

macro_rules! codes {
    ($($variant:ident = $word:literal, $status:ident, $title:literal, $happened:literal, $remedy:literal $(, retry after $seconds:literal s)?;)*) => {
        /// What went wrong, in one word that programs may compare.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $happened] $variant,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in `code` and at the end of `type`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The status it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// A short sentence, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What happened, for people.
            #[must_use]
            pub const fn happened(self) -> &'static str {
                match self { $(Self::$variant => $happened,)* }
            }

            /// What to do about it, for people.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }

            /// Seconds to wait before another try, sent as `Retry-After` unless a better value is known.
            #[must_use]
            pub const fn retry_after(self) -> Option<u64> {
                match self { $(Self::$variant => codes!(@seconds $($seconds)?),)* }
            }
        }
    };
    (@seconds) => { None };
    (@seconds $seconds:literal) => { Some($seconds) };
}

codes! {
    MalformedRequest = "malformed-request", BAD_REQUEST, "Malformed request",
        "The body is not JSON, is cut off, or is nested too deeply.",
        "Send UTF-8 JSON (RFC 8259). The detail says at which line and column reading stopped.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Unauthenticated",
        "The request has no bearer token, or one that is expired, not yet valid, issued for another audience, or not signed by a key that the gateway trusts.",
        "Send `Authorization: Bearer <JWT>` with a token of the configured issuer. `exp` is required.";
    InsufficientScope = "insufficient-scope", FORBIDDEN, "Insufficient scope",
        "The token is valid but lacks the scope that the request needs, or is confined to tenants and asks for the mirror.",
        "Use a token with the scope named in `WWW-Authenticate`. A token that is not confined to tenants needs `tenants:all` as well.";
    PolicyDenied = "policy-denied", FORBIDDEN, "Denied by a policy",
        "A policy of the gateway does not admit the caller, or has no open window now. Nothing was sent to Enterprise Manager.",
        "The detail names the policy; `nextWindow` says when it is open next, where the time is the reason.";
    SelfApproval = "self-approval", FORBIDDEN, "Own approval",
        "The caller requested the operation or has approved it already, or the token names no subject.",
        "Another holder of `plans:approve` has to decide.";
    CrossSite = "cross-site", FORBIDDEN, "Not from the console",
        "The request came with the console's cookie and changes something, and does not show that the console's own page sent it.",
        "Send `X-Emgate-Console: 1` from the page that the gateway served. Programs send a bearer token and no cookie. Behind a proxy `server.public_url` has to be the address that browsers see.";
    TlsRequired = "tls-required", FORBIDDEN, "TLS is missing",
        "A login to the console was tried over plain HTTP. Browsers send its cookie over TLS alone, or on the machine itself.",
        "Configure `server.tls`, or put a proxy with TLS in front and its address into `server.public_url`; or open the console as http://localhost on the machine of the gateway.";
    UpstreamForbidden = "upstream-forbidden", FORBIDDEN, "Forbidden by Enterprise Manager",
        "The gateway's account at Enterprise Manager lacks the required role.",
        "Assign the gateway's account a role in Enterprise Manager that allows the request.";
    NotFound = "not-found", NOT_FOUND, "Not found",
        "No resource with this path or id exists, or the caller may not see it.",
        "Check the path and the id; the lists show which ids exist.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "The path exists but does not support this method.",
        "Use a method listed in the header `Allow`.";
    PlanBusy = "plan-busy", CONFLICT, "Plan is busy",
        "An operation or a failover session of this plan has not finished. Nothing was sent to Enterprise Manager.",
        "Wait for the operation or session named in the problem, then try again.", retry after 5 s;
    PlanChanged = "plan-changed", CONFLICT, "Plan has changed",
        "The plan was changed or removed after the operation was requested. The operation has ended; nothing was sent to Enterprise Manager.",
        "Read the plan, then request the operation again.";
    OperationRunning = "operation-running", CONFLICT, "Operation not ended",
        "The operation, or the failover session, has not ended; there is no report of it yet.",
        "Wait for the end (`Prefer: wait`, or the event `recovery.report.ready`), and ask again.";
    OperationFinished = "operation-finished", CONFLICT, "Operation is past that point",
        "A finished operation cannot be cancelled, and one that does not wait for approval, or no longer, cannot be approved or rejected.",
        "Read the operation for its state and its result. A running one can be cancelled; to reverse one that has ended, request an undo.";
    OperationFailed = "operation-failed", CONFLICT, "Operation has failed",
        "The operation ended in one of the ways that `failOn` names. The request for its result changed nothing.",
        "`operation` in the problem has the result and why; the report of the failover has the machines.";
    NotCancellable = "not-cancellable", CONFLICT, "Not cancellable",
        "The operation has no task or session at Enterprise Manager yet, or never has one.",
        "Try again when the operation has a task.";
    UpstreamConflict = "upstream-conflict", CONFLICT, "Conflict at Enterprise Manager",
        "Enterprise Manager refused the request because of the object's current state.",
        "The detail quotes Enterprise Manager. Try again when the state allows it.";
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "The resource has changed",
        "The entity tag in `If-Match` is not the current one.",
        "Read the resource again, repeat the change, and send the new entity tag.";
    PayloadTooLarge = "payload-too-large", PAYLOAD_TOO_LARGE, "Payload too large",
        "The body is larger than the limit (`server.max_body`).",
        "Send a smaller body; the detail names the limit.";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type",
        "The body is not declared as JSON, is compressed, or is not in UTF-8.",
        "Send `Content-Type: application/json` and no `Content-Encoding`.";
    InvalidRequest = "invalid-request", UNPROCESSABLE_ENTITY, "Invalid request",
        "A field or parameter is unknown, missing, of the wrong type, or out of range.",
        "Each entry of `errors` names one fault and what is allowed.";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "Idempotency key reused",
        "The same key was sent earlier with another path or body.",
        "Use a new key for each new request; repeat a key only with the identical request.";
    UpstreamRejected = "upstream-rejected", UNPROCESSABLE_ENTITY, "Rejected by Enterprise Manager",
        "Enterprise Manager answered that the request is invalid.",
        "The detail quotes Enterprise Manager.";
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "Too many requests",
        "The caller has exceeded its rate limit, or has as many of something as it may: endpoints, jobs or open streams.",
        "Try again after the time in `Retry-After`. Where a number is limited, waiting alone may change nothing: the detail says what to give up first.", retry after 1 s;
    Internal = "internal", INTERNAL_SERVER_ERROR, "Internal error",
        "The gateway failed unexpectedly.",
        "Report the `requestId` to the operator; the log has the details.";
    UpstreamAuthFailed = "upstream-auth-failed", BAD_GATEWAY, "Enterprise Manager refused the gateway's credentials",
        "The logon with the configured account failed.",
        "Check the account's name and password; `emgate check` tries them.";
    UpstreamError = "upstream-error", BAD_GATEWAY, "Enterprise Manager failed",
        "Enterprise Manager answered with a server error.",
        "The detail quotes Enterprise Manager where it gave a message. A retry may succeed.";
    UpstreamInvalidResponse = "upstream-invalid-response", BAD_GATEWAY, "Invalid response from Enterprise Manager",
        "The response was not XML, was truncated, exceeded the size limit, or was not the requested document.",
        "Check that `upstream.url` leads to Enterprise Manager and not to a proxy's page.";
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, "Store unavailable",
        "The database does not answer, cannot be written to, or is still being opened after a start. Nothing was sent to Enterprise Manager that is not recorded.",
        "Try again later. Operators: check the disk and the database.", retry after 5 s;
    UpstreamUnavailable = "upstream-unavailable", SERVICE_UNAVAILABLE, "Enterprise Manager unavailable",
        "Enterprise Manager cannot be reached, is overloaded, or has not been observed completely since the gateway's first start.",
        "Try again after the time in `Retry-After`.", retry after 10 s;
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Overloaded",
        "Too many requests are in flight. This one was not processed.",
        "Try again after the time in `Retry-After`.", retry after 1 s;
    GatewayTimeout = "gateway-timeout", SERVICE_UNAVAILABLE, "Gateway timeout",
        "The request took longer than `server.request_timeout`. An operation that it recorded continues.",
        "Read `/api/v1/operations` before repeating an action.", retry after 5 s;
    UpstreamTimeout = "upstream-timeout", GATEWAY_TIMEOUT, "Enterprise Manager timeout",
        "Enterprise Manager did not answer a read within `upstream.request_timeout`.",
        "Try again later.", retry after 5 s;
}

impl Code {
    /// The problem's `type`: a reference to the page that explains it.
    #[must_use]
    pub fn uri(self) -> String {
        format!("/problems/{}", self.as_str())
    }

    /// The content of that page.
    #[must_use]
    pub const fn meaning(self) -> ProblemMeaning {
        ProblemMeaning {
            code: self.as_str(),
            status: self.status().as_u16(),
            title: self.title(),
            description: self.happened(),
            remedy: self.remedy(),
        }
    }
}

/// What a problem code means.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "code": "rate-limited",
    "status": 429,
    "title": "Too many requests",
    "description": "The caller has exceeded its rate limit, or has as many of something as it may: endpoints, jobs or open streams.",
    "remedy": "Try again after the time in `Retry-After`. Where a number is limited, waiting alone may change nothing: the detail says what to give up first.",
}))]
pub struct ProblemMeaning {
    /// The code.
    pub code: &'static str,
    /// The HTTP status it is answered with.
    pub status: u16,
    /// The title of every such problem.
    pub title: &'static str,
    /// What happened.
    pub description: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// The word is not a problem code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a problem code")]
pub struct UnknownCode;

impl std::str::FromStr for Code {
    type Err = UnknownCode;

    fn from_str(word: &str) -> Result<Self, UnknownCode> {
        let mut all = Self::ALL.iter().copied();
        all.find(|code| code.as_str() == word).ok_or(UnknownCode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_lower_case_unique_and_an_error() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let word = code.as_str();
            assert!(seen.insert(word), "{word} is there twice");
            assert!(
                word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{word}"
            );
            assert!(
                code.status().is_client_error() || code.status().is_server_error(),
                "{word}"
            );
            assert_eq!(word.parse(), Ok(*code));
        }
    }

    #[test]
    fn every_503_tells_when_to_come_back() {
        for code in Code::ALL
            .iter()
            .filter(|code| code.status() == StatusCode::SERVICE_UNAVAILABLE)
        {
            assert!(code.retry_after().is_some(), "{}", code.as_str());
        }
    }
}
