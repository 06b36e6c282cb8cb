//! The one table of problem codes (contract section 4, "Errors").
//!
//! It feeds the constructors of problems, the pages under `/problems/{code}`, and the error answers in the OpenAPI
//! document; a code that is not here cannot be answered.

use axum::http::StatusCode;

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

            /// Seconds after which another try makes sense, told as `Retry-After` unless a better figure is known.
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
    MalformedRequest = "malformed-request", BAD_REQUEST, "The request cannot be read",
        "The body is not JSON, is cut off, or is nested too deeply.",
        "Send UTF-8 JSON (RFC 8259). The detail says at which line and column reading stopped.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid token is needed",
        "The request carries no bearer token, or one that is expired, not yet valid, meant for somebody else, or not signed by a key that the gateway trusts.",
        "Send `Authorization: Bearer <JWT>` with a token from the issuer the gateway is configured for. A token must carry `exp`.";
    InsufficientScope = "insufficient-scope", FORBIDDEN, "The token does not allow this",
        "The token is valid, but lacks the scope that the operation needs, or its confinement to tenants is not served.",
        "Ask for a token with the scope named in `WWW-Authenticate`. Tokens that are not confined to tenants carry `tenants:all`.";
    UpstreamForbidden = "upstream-forbidden", FORBIDDEN, "Enterprise Manager does not allow this",
        "The account with which the gateway logs on to Enterprise Manager lacks the right to do this.",
        "Give the gateway's account a role in Enterprise Manager that allows the action.";
    NotFound = "not-found", NOT_FOUND, "There is no such thing",
        "The path or the id names nothing, or nothing that this caller may see.",
        "Check the path and the id; lists show what there is.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The method does not fit the path",
        "The path exists, but does not take this method.",
        "Use one of the methods named in the header `Allow`.";
    PlanBusy = "plan-busy", CONFLICT, "The plan is running already",
        "An operation or a failover session of this plan has not ended. Nothing was sent to Enterprise Manager.",
        "Follow the operation or session named in the problem, and ask again when it has ended.";
    OperationFinished = "operation-finished", CONFLICT, "The operation has ended",
        "An operation that has ended cannot be cancelled.",
        "Read the operation for its result. An undo is an operation of its own.";
    NotCancellable = "not-cancellable", CONFLICT, "There is nothing that could be cancelled now",
        "It is not known yet which task or session of Enterprise Manager belongs to the operation, or it has none.",
        "Ask again when the operation has a task.";
    UpstreamConflict = "upstream-conflict", CONFLICT, "Enterprise Manager reports a conflict",
        "Enterprise Manager refused because of the state the object is in.",
        "Read the detail, which quotes Enterprise Manager, and try again when the state allows it.";
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "It has changed since it was read",
        "The entity tag in `If-Match` is not that of the present state.",
        "Read the object again, repeat the change on it, and send the new entity tag.";
    PayloadTooLarge = "payload-too-large", PAYLOAD_TOO_LARGE, "The body is too large",
        "The body is larger than the gateway accepts (`server.max_body`).",
        "Send less.";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body is of the wrong type",
        "The body is not declared as JSON, is compressed, or is in another character set than UTF-8.",
        "Send `Content-Type: application/json` and no `Content-Encoding`.";
    InvalidRequest = "invalid-request", UNPROCESSABLE_ENTITY, "The request is not acceptable",
        "The request can be read, but a field or a parameter is unknown, missing, of the wrong type or out of bounds.",
        "Each entry of `errors` points at one fault and says what is allowed.";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another request",
        "The same key came earlier with another path or body.",
        "Use a fresh key for each new request; repeat a key only with the very same request.";
    UpstreamRejected = "upstream-rejected", UNPROCESSABLE_ENTITY, "Enterprise Manager rejects the request",
        "Enterprise Manager understood the request and found it wrong.",
        "The detail quotes Enterprise Manager.";
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "Too many requests",
        "The caller sends more than its share.",
        "Wait as long as `Retry-After` says.", retry after 1 s;
    Internal = "internal", INTERNAL_SERVER_ERROR, "A fault of the gateway's own",
        "Something went wrong that should not have.",
        "Tell the operator the `requestId`; the log has the details under it.";
    UpstreamAuthFailed = "upstream-auth-failed", BAD_GATEWAY, "Enterprise Manager refuses the gateway's credentials",
        "The logon with the configured account failed.",
        "The operator checks the account's name and password; `emgate check` tries them.";
    UpstreamError = "upstream-error", BAD_GATEWAY, "Enterprise Manager failed",
        "Enterprise Manager answered with a fault of its own.",
        "The detail quotes Enterprise Manager where it said something. Another try may succeed.";
    UpstreamInvalidResponse = "upstream-invalid-response", BAD_GATEWAY, "Enterprise Manager's answer cannot be used",
        "The answer was not XML, cut off, larger than allowed, or not what was asked for.",
        "Check that `upstream.url` leads to Enterprise Manager and not to a proxy's page.";
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, "The gateway's store is not available",
        "The database does not answer, or is still being opened and brought up to date after a start. Nothing was acknowledged and nothing was sent that it does not know.",
        "Try again; the operator looks at disk and database.", retry after 5 s;
    UpstreamUnavailable = "upstream-unavailable", SERVICE_UNAVAILABLE, "Enterprise Manager is not available",
        "Enterprise Manager cannot be reached, is overloaded, or has not been observed completely since the gateway's first start.",
        "Wait as long as `Retry-After` says.", retry after 10 s;
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "The gateway is busy",
        "More requests are in flight than the gateway takes at once. This one was not begun.",
        "Wait as long as `Retry-After` says.", retry after 1 s;
    GatewayTimeout = "gateway-timeout", SERVICE_UNAVAILABLE, "The gateway's own deadline has passed",
        "The request took longer than `server.request_timeout`. What it began goes on: an operation that was recorded is followed to its end.",
        "Read `/api/v1/operations` before asking for an action again.", retry after 5 s;
    UpstreamTimeout = "upstream-timeout", GATEWAY_TIMEOUT, "Enterprise Manager is too slow",
        "Enterprise Manager did not answer a read within `upstream.request_timeout`.",
        "Try again later.", retry after 5 s;
}

impl Code {
    /// The problem's `type`: a reference to the page that explains it.
    #[must_use]
    pub fn uri(self) -> String {
        format!("/problems/{}", self.as_str())
    }
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
            assert!(seen.insert(word), "{word} stands twice");
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
