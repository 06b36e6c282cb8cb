//! Bounds of a request: panics end here, bodies have a size, requests in flight a number, work a deadline.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use http_body_util::Limited;
use tokio::sync::Semaphore;

use crate::http::problem::{Code, Problem};
use crate::telemetry::names;

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
pub(super) async fn body(State(limit): State<usize>, request: Request, next: Next) -> Response {
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
pub(super) async fn shed(State(in_flight): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    if matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics") {
        return next.run(request).await;
    }
    match in_flight.try_acquire_owned() {
        Ok(_permit) => {
            metrics::gauge!(names::HTTP_IN_FLIGHT).increment(1);
            let _counted = Counted;
            next.run(request).await
        }
        Err(_) => Problem::new(
            Code::Overloaded,
            "too many requests are in flight; this one was not begun",
        )
        .into_response(),
    }
}

/// Counts a request out, also when its caller goes away.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(names::HTTP_IN_FLIGHT).decrement(1);
    }
}

/// Ends the wait for an answer. What changes something runs in a task of its own and goes on.
pub(super) async fn deadline(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Code::GatewayTimeout,
            format!("no answer within {} seconds", limit.as_secs_f64()),
        )
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::middleware::{from_fn, from_fn_with_state};
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn code(router: Router, path: &str) -> Result<StatusCode, &'static str> {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("an answer");
        match response.extensions().get::<Problem>() {
            None => Ok(response.status()),
            Some(problem) => Err(problem.code().as_str()),
        }
    }

    #[tokio::test]
    async fn a_panic_ends_in_a_problem_that_tells_nothing_of_it() {
        async fn broken() -> StatusCode {
            assert!(std::hint::black_box(false), "a secret of the program's");
            StatusCode::OK
        }
        let router = Router::new().route("/", get(broken)).layer(from_fn(panics));
        assert_eq!(code(router, "/").await, Err("internal"));
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away_but_probes_are_not() {
        let room = Arc::new(Semaphore::new(1));
        let router = Router::new()
            .route("/", get(|| async { "in" }))
            .route("/healthz", get(|| async { "alive" }))
            .layer(from_fn_with_state(room.clone(), shed));
        assert_eq!(code(router.clone(), "/").await, Ok(StatusCode::OK));
        let taken = room.try_acquire().expect("there is room again after the answer");
        assert_eq!(code(router.clone(), "/").await, Err("overloaded"));
        assert_eq!(code(router.clone(), "/healthz").await, Ok(StatusCode::OK));
        drop(taken);
        assert_eq!(code(router, "/").await, Ok(StatusCode::OK));
    }

    #[tokio::test]
    async fn the_deadline_ends_the_wait() {
        let router = Router::new()
            .route("/", get(std::future::pending::<StatusCode>))
            .layer(from_fn_with_state(Duration::from_millis(10), deadline));
        assert_eq!(code(router, "/").await, Err("gateway-timeout"));
    }
}
