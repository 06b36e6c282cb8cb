//! Limits of a request: the size of its body, the number in flight, the time it may take, and the answer to a panic.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Frame, SizeHint};
use metrics::Gauge;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::http::context::RequestContext;
use crate::http::problem::{Code, Problem};
use crate::telemetry::names;

/// The answer to a request whose handler panicked; the process and the connection live on.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let message = panic.downcast::<String>().map_or_else(
        |panic| {
            panic
                .downcast_ref::<&str>()
                .copied()
                .unwrap_or("no message")
                .to_owned()
        },
        |text| *text,
    );
    tracing::error!(message, "a request's handler panicked");
    Problem::internal().into_response()
}

/// Refuses bodies that are declared too large, stops reading those that turn out to be, and drains a refused body: a
/// connection that is closed with unread bytes is reset, and the caller may then never see the answer.
pub(super) async fn body<F>(limit: usize, request: Request, inner: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    if request.body().is_end_stream() {
        return inner(request).await;
    }
    let declared = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // A caller that expects 100 has sent nothing yet, and reading would request it.
    let sends_at_once = !request.headers().contains_key(EXPECT);
    let (parts, body) = request.into_parts();
    let body = SharedBody(Arc::new(Mutex::new(body)));
    let fits = declared.is_none_or(|length| usize::try_from(length).is_ok_and(|length| length <= limit));
    let response = if fits {
        let limited = Body::new(Limited::new(body.clone(), limit));
        inner(Request::from_parts(parts, limited)).await
    } else {
        Problem::too_large(limit).into_response()
    };
    if sends_at_once && (response.status().is_client_error() || response.status().is_server_error()) {
        Box::pin(body.drain()).await;
    }
    response
}

/// Most bytes that are drained after a refusal, the longest time for it, and for which nothing may come.
const DRAIN_LIMIT: usize = 16 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(10);
const DRAIN_PAUSE: Duration = Duration::from_secs(1);

/// A body that can be drained after its reader has dropped it.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Body>>);

impl SharedBody {
    async fn drain(mut self) {
        let reading = async {
            let mut left = DRAIN_LIMIT;
            while let Ok(Some(Ok(frame))) = timeout(DRAIN_PAUSE, self.frame()).await {
                let read = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(read) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        };
        let _ = timeout(DRAIN_TIME, reading).await;
    }

    fn inner(&self) -> MutexGuard<'_, Body> {
        self.0.lock()
    }
}

impl HttpBody for SharedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.inner()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner().size_hint()
    }
}

/// The requests in flight: how many more there may be, and the gauge that shows them.
pub(super) struct InFlight {
    free: Arc<Semaphore>,
    gauge: Gauge,
}

impl InFlight {
    pub(super) fn new(free: Arc<Semaphore>) -> Self {
        let gauge = metrics::gauge!(names::HTTP_IN_FLIGHT);
        Self { free, gauge }
    }

    /// Refuses at once what exceeds the limit. Probes always pass, or load would look like a failure.
    pub(super) async fn shed(&self, is_probe: bool, inner: impl Future<Output = Response>) -> Response {
        if is_probe {
            return inner.await;
        }
        match self.free.try_acquire() {
            Ok(_permit) => {
                self.gauge.increment(1);
                let _counted = Counted(&self.gauge);
                inner.await
            }
            Err(_) => Problem::new(
                Code::Overloaded,
                "too many requests are in flight; this one was not processed",
            )
            .into_response(),
        }
    }
}

/// Ends the count of a request, also when its caller disconnects.
struct Counted<'g>(&'g Gauge);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Ends the wait for an answer. An operation continues in its own task, so that a failure after it was recorded
/// names it; otherwise a caller that retries would start it twice.
pub(super) async fn deadline(
    limit: Duration,
    context: &RequestContext,
    inner: impl Future<Output = Response>,
) -> Response {
    let mut response = match timeout(limit, inner).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            Code::GatewayTimeout,
            format!("no answer within {} s", limit.as_secs_f64()),
        )
        .into_response(),
    };
    if response.status().is_server_error()
        && let Some(operation) = context.operation().get()
        && let Some(problem) = response.extensions_mut().get_mut::<Problem>()
    {
        *problem = problem.clone().about_operation(operation);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;
    use crate::clock::SystemClock;

    fn code(response: &Response) -> Result<StatusCode, &'static str> {
        match response.extensions().get::<Problem>() {
            None => Ok(response.status()),
            Some(problem) => Err(problem.code().as_str()),
        }
    }

    #[tokio::test]
    async fn a_panic_is_answered_without_its_message() {
        async fn broken() -> StatusCode {
            assert!(std::hint::black_box(false), "a secret of the program's");
            StatusCode::OK
        }
        let router = Router::new()
            .route("/", get(broken))
            .layer(CatchPanicLayer::custom(panicked));
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("an answer");
        assert_eq!(code(&response), Err("internal"));
    }

    #[tokio::test]
    async fn requests_over_the_limit_are_refused_but_probes_pass() {
        let permits = Arc::new(Semaphore::new(1));
        let in_flight = InFlight::new(permits.clone());
        let answer = || std::future::ready(StatusCode::OK.into_response());
        assert_eq!(code(&in_flight.shed(false, answer()).await), Ok(StatusCode::OK));
        let held = permits.try_acquire().expect("a permit is free after the answer");
        assert_eq!(code(&in_flight.shed(false, answer()).await), Err("overloaded"));
        assert_eq!(code(&in_flight.shed(true, answer()).await), Ok(StatusCode::OK));
        drop(held);
        assert_eq!(code(&in_flight.shed(false, answer()).await), Ok(StatusCode::OK));
    }

    #[tokio::test]
    async fn the_deadline_ends_the_wait() {
        let context = RequestContext::new(
            &HeaderMap::new(),
            None,
            &SystemClock,
            &crate::telemetry::traces::Span::default(),
        );
        let response = deadline(Duration::from_millis(10), &context, std::future::pending()).await;
        assert_eq!(code(&response), Err("gateway-timeout"));
    }
}
