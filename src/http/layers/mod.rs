//! What every request passes, outermost first: request id and trace context with the access log and the writing of
//! problems, compression, panics, CORS, the body's limit, the host, shedding, the deadline, the audit of refusals, authentication, then
//! the handler.
//!
//! The order has reasons: the log is outside the deadline, so that a request that timed out leaves its line; problems
//! are written outside everything, so that each step's refusal has the same shape as a handler's. All steps are one layer of
//! the router: each layer of its own would copy, for every request, all that are below it.

mod compress;
mod host;
mod limits;
mod observe;

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::CorsLayer;

pub(super) use compress::{NoCompression, gzipped, inflated};
pub(super) use observe::ASK_AGAIN;

use super::config::PROBES;
use super::context::RequestContext;
use super::headers::{self, REQUEST_ID, TRACEPARENT};
use super::problem::{Code, Problem};
use super::{Config, HttpState, audit, auth};
use crate::clock::SharedClock;

/// What the steps work with.
struct Steps {
    observer: observe::Observer,
    cors: Option<CorsLayer>,
    max_body: usize,
    /// For the steps that need keys and store; none before these are there.
    guards: Option<Guards>,
}

struct Guards {
    state: HttpState,
    in_flight: limits::InFlight,
}

/// Wraps the routes, fallbacks included.
pub(super) fn around(routes: Router, state: &HttpState) -> Router {
    let guards = Guards {
        in_flight: limits::InFlight::new(state.in_flight()),
        state: state.clone(),
    };
    wrapped(routes, state.config(), state.0.clock.clone(), Some(guards))
}

/// The part that needs neither keys nor store.
pub(super) fn outer(routes: Router, config: &Config, clock: SharedClock) -> Router {
    wrapped(routes, config, clock, None)
}

fn wrapped(routes: Router, config: &Config, clock: SharedClock, guards: Option<Guards>) -> Router {
    let steps = Steps {
        observer: observe::Observer::new(config, clock),
        cors: cors(&config.cors_origins),
        max_body: config.max_body,
        guards,
    };
    routes.layer(from_fn_with_state(Arc::new(steps), pass))
}

/// All steps, from the arrival of a request to its answer.
///
/// What a step is given to wait for is pinned where it is made: by value each step would hold it twice and copy it, so that a
/// request took 13 KB instead of 6.
async fn pass(State(steps): State<Arc<Steps>>, mut request: Request, next: Next) -> Response {
    let line = steps.observer.begin(&mut request);
    let accepted = compress::Accepted::by(request.headers());
    let context = line.context().clone();
    let answering = pin!(async {
        let handling = pin!(steps.with_cors(&context, request, next));
        let answer = AssertUnwindSafe(handling).catch_unwind().await;
        accepted.compressed(answer.unwrap_or_else(limits::panicked)).await
    });
    let response = line.around(answering).await;
    steps.observer.complete(line, response)
}

impl Steps {
    async fn with_cors(&self, context: &RequestContext, request: Request, next: Next) -> Response {
        let Some(cors) = &self.cors else {
            return self.bounded(context, request, next).await;
        };
        let inner = service_fn(|request| {
            let answering = self.bounded(context, request, next.clone());
            async { Ok::<_, std::convert::Infallible>(answering.await) }
        });
        match Box::pin(cors.layer(inner).oneshot(request)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn bounded(&self, context: &RequestContext, request: Request, next: Next) -> Response {
        let inner =
            async |request: Request| match host::fault(request.version(), request.uri(), request.headers()) {
                Some(detail) => Problem::new(Code::MalformedRequest, detail).into_response(),
                None => self.guarded(context, request, next).await,
            };
        limits::body(self.max_body, request, inner).await
    }

    async fn guarded(&self, context: &RequestContext, request: Request, next: Next) -> Response {
        let Some(Guards { state, in_flight }) = &self.guards else {
            return next.run(request).await;
        };
        let is_probe = PROBES.contains(&request.uri().path());
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answering = pin!(async {
            let handling = pin!(async {
                let response = auth::authenticate(state, context, request, next).await;
                audit::refusals(state, context, &method, uri.path(), response).await
            });
            limits::deadline(state.config().request_timeout, context, handling).await
        });
        in_flight.shed(is_probe, answering).await
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
