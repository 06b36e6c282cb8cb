//! The listener that serves metrics and nothing else (`metrics.listen`), with a bearer token of its own where one is set.
//!
//! Its requests pass the same outer layers as others: an id, a line in the log, a problem for what it refuses.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use secrecy::{ExposeSecret as _, SecretString};

use super::auth::bearer;
use super::config::Config;
use super::problem::Problem;
use super::{layers, method_not_allowed, not_found, routes};
use crate::clock::SharedClock;

/// What the listener answers.
pub fn metrics_router(config: &Config, clock: SharedClock) -> Router {
    let mut routes = Router::new().route("/metrics", get(routes::metrics));
    if let Some(token) = &config.metrics.token {
        routes = routes.route_layer(from_fn_with_state(Arc::new(token.clone()), admit));
    }
    let routes = routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed);
    layers::outer(routes, config, clock)
}

async fn admit(
    axum::extract::State(expected): axum::extract::State<Arc<SecretString>>,
    request: Request,
    next: Next,
) -> Response {
    match bearer(request.headers()) {
        Ok(given) if is_equal(given, expected.expose_secret()) => next.run(request).await,
        Ok(_) => Problem::bad_token("the token is not that of metrics.token").into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Compares digests, so that neither content nor length shows in the time that it takes.
fn is_equal(given: &str, expected: &str) -> bool {
    let of = |text: &str| digest(&SHA256, text.as_bytes());
    verify_slices_are_equal(of(given).as_ref(), of(expected).as_ref()).is_ok()
}
