//! What every request passes, outermost first: request id and trace context with the access log and the writing of
//! problems, panics, the body's limit, the host, shedding, the deadline, the audit of refusals, authentication, then the handler.
//!
//! The order has reasons: the log is outside the deadline, so that a request that timed out leaves its line; problems
//! are written outside everything, so that each layer's refusal has the same shape as a handler's.

mod host;
mod limits;
mod observe;

use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderValue, Method};
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::cors::CorsLayer;

pub(super) use observe::ASK_AGAIN;

use super::headers::{self, REQUEST_ID, TRACEPARENT};
use super::{Config, HttpState, audit, auth};
use crate::clock::SharedClock;

/// Wraps the routes, fallbacks included.
pub(super) fn around(routes: Router, state: &HttpState) -> Router {
    // The last layer added is the outermost.
    let router = routes
        .layer(from_fn_with_state(state.clone(), auth::authenticate))
        .layer(from_fn_with_state(state.clone(), audit::refusals))
        .layer(from_fn_with_state(
            state.config().request_timeout,
            limits::deadline,
        ))
        .layer(from_fn_with_state(state.in_flight(), limits::shed));
    outer(router, state.config(), state.0.clock.clone())
}

/// The part that needs neither keys nor store.
pub(super) fn outer(routes: Router, config: &Config, clock: SharedClock) -> Router {
    let mut router = routes
        .layer(from_fn(host::one_host))
        .layer(from_fn_with_state(config.max_body, limits::body));
    if let Some(cors) = cors(&config.cors_origins) {
        router = router.layer(cors);
    }
    let observer = observe::Observer::new(config, clock);
    router
        .layer(CatchPanicLayer::custom(limits::panicked))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(Compressible)))
        .layer(from_fn_with_state(observer, observe::observe))
}

/// Marks an answer that must leave byte for byte, with the length that was announced for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoCompression;

/// Excludes answers with a strong entity tag, which names their bytes, and those marked [`NoCompression`].
#[derive(Debug, Clone, Copy)]
struct Compressible;

impl Predicate for Compressible {
    fn should_compress<B>(&self, response: &axum::http::Response<B>) -> bool
    where
        B: axum::body::HttpBody,
    {
        let names_bytes = |tag: &HeaderValue| !tag.as_bytes().starts_with(b"W/");
        !response.headers().get(ETAG).is_some_and(names_bytes)
            && response.extensions().get::<NoCompression>().is_none()
    }
}

fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            HeaderName::from_static("prefer"),
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            REQUEST_ID,
            TRACEPARENT,
            HeaderName::from_static("tracestate"),
        ])
        .expose_headers(headers::EXPOSED.to_vec())
        .max_age(std::time::Duration::from_mins(10));
    Some(layer)
}
