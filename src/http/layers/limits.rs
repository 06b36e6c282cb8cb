//! Bounds of a request: panics end here, bodies have a size, requests in flight a number, work a deadline.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http_body_util::Limited;

use crate::http::Edge;
use crate::http::problem::{Code, Problem};

/// Turns a panic in a handler into a 500; the process and the connection live on.
pub(super) async fn panics(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let message = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("no message");
            tracing::error!(message, "a request's handler panicked");
            Problem::internal().into_response()
        }
    }
}

/// Refuses bodies that say they are too large, and stops reading those that turn out to be.
pub(super) async fn body(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let limit = edge.config().max_body;
    let declared = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
        return too_large(limit).into_response();
    }
    next.run(request.map(|body| Body::new(Limited::new(body, limit))))
        .await
}

/// The refusal of a body over `limit` bytes.
pub(in crate::http) fn too_large(limit: usize) -> Problem {
    Problem::new(
        Code::PayloadTooLarge,
        format!("the body is larger than {limit} bytes"),
    )
}

/// Refuses at once what would wait in a crowd; probes are always let through, or a crowd would look like a death.
pub(super) async fn shed(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    if matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics") {
        return next.run(request).await;
    }
    match edge.in_flight().try_acquire_owned() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::new(
            Code::Overloaded,
            "too many requests are in flight; this one was not begun",
        )
        .into_response(),
    }
}

/// Ends the wait for an answer. What changes something runs in a task of its own and goes on.
pub(super) async fn deadline(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let limit = edge.config().request_timeout;
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Code::GatewayTimeout,
            format!("no answer within {} seconds", limit.as_secs_f64()),
        )
        .into_response(),
    }
}
