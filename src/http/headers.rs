//! The headers that answers carry: one list, which CORS exposes to pages.
//!
//! A header that is not listed here is invisible to callers in a browser, so the client of the integration tests
//! refuses every answer with one.

use axum::http::HeaderName;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, DATE, ETAG, LINK,
    LOCATION, REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};

/// Names a request, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C trace context, in and out.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// `true` when an idempotency key was used before and nothing was sent again.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The preferences that were granted (RFC 7240).
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The position of the event log that a list includes.
pub const EVENT_ID: HeaderName = HeaderName::from_static("emgate-event-id");
/// Tells proxies to pass a stream on as it comes.
pub const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// What is left of the caller's limits (draft-ietf-httpapi-ratelimit-headers).
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The limits.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Which pages may embed an answer (the Fetch standard).
pub const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Every header that an answer may carry, without those that a page may read anyway ([`SAFELISTED`]) and those of the
/// connection and of CORS itself ([`is_transport`]).
pub static EXPOSED: [HeaderName; 24] = [
    ACCEL_BUFFERING,
    ACCEPT_RANGES,
    ALLOW,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_SECURITY_POLICY,
    CROSS_ORIGIN_RESOURCE_POLICY,
    DATE,
    ETAG,
    EVENT_ID,
    IDEMPOTENCY_REPLAYED,
    LINK,
    LOCATION,
    PREFERENCE_APPLIED,
    RATELIMIT,
    RATELIMIT_POLICY,
    REFERRER_POLICY,
    REQUEST_ID,
    RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY,
    TRACEPARENT,
    VARY,
    WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
];

/// What a page may read without an entry in `Access-Control-Expose-Headers` (the Fetch standard, CORS-safelisted response-header names).
pub const SAFELISTED: &[&str] = &[
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "expires",
    "last-modified",
    "pragma",
];

/// Whether a header is about the connection, cookies or CORS, which browsers deal with themselves.
#[must_use]
pub fn is_transport(name: &HeaderName) -> bool {
    name.as_str().starts_with("access-control-")
        || matches!(
            name.as_str(),
            "connection" | "keep-alive" | "set-cookie" | "transfer-encoding" | "upgrade"
        )
}

/// Whether a page of an allowed origin can read this header of an answer.
#[must_use]
pub fn is_readable(name: &HeaderName) -> bool {
    EXPOSED.contains(name) || SAFELISTED.contains(&name.as_str())
}
