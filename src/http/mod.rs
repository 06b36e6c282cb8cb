//! The HTTP interface: routes, tokens, what a request may look like, and every error as a problem
//! (docs/behaviour.md#requests, #errors).
//!
//! A handler extracts, calls one verb of `app` and wraps its answer; it decides nothing about failovers. The room
//! never runs SQL and never speaks to Enterprise Manager. Invariant: whatever goes wrong, in whichever layer, the
//! caller gets `application/problem+json` with the request's id. Tests: `tests/it/problems.rs`, `guard_auth.rs`,
//! `tests/it/guard_openapi`, and one file for each noun.

mod answers;
mod audit;
mod auth;
pub mod codes;
pub mod config;
mod console;
mod context;
mod extract;
mod failures;
mod handshake;
pub mod headers;
mod idle;
mod layers;
mod limiter;
mod listener;
mod metrics;
mod openapi;
pub mod problem;
mod register;
mod remembered;
mod routes;
mod routing;
mod server;
mod sse;
mod standing;
mod startup;
mod stream_slots;
mod tickets;
mod tls;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::auth::Verifier;
use crate::clock::SharedClock;
use crate::domain::links::Links;
pub use config::Config;
use limiter::Limiter;
pub use metrics::metrics_router;
pub use openapi::example_event;
use problem::{Code, Problem};
pub use server::{Error as ServerError, bind, bind_metrics, serve};
pub use startup::Startup;
use stream_slots::StreamSlots;
pub use tls::Certificate;

/// Requests worked on at a time, those that wait for an operation included; more are refused, not queued.
const MAX_IN_FLIGHT: usize = 1024;

/// What every handler and layer works with; clones share it.
#[derive(Clone)]
pub struct HttpState(Arc<Inner>);

struct Inner {
    app: App,
    config: Config,
    verifier: Verifier,
    clock: SharedClock,
    in_flight: Arc<Semaphore>,
    sampler: audit::Sampler,
    limiter: Arc<Limiter>,
    streams: StreamSlots,
    links: Links,
    console: Option<console::Pages>,
    answers: remembered::Answers,
    document: OnceLock<openapi::Document>,
}

impl HttpState {
    /// What the routes work with: the verbs, and who verifies the tokens of their callers.
    #[must_use]
    pub fn new(app: App, config: Config, verifier: Verifier, clock: SharedClock) -> Self {
        let links = config.links();
        let limiter = Limiter::new(&config.limits);
        let streams = StreamSlots::new(config.limits.streams);
        let console = config.console.enabled.then(|| console::Pages::new(&links));
        Self(Arc::new(Inner {
            app,
            config,
            verifier,
            clock,
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            sampler: audit::Sampler::new(),
            limiter: Arc::new(limiter),
            streams,
            links,
            console,
            answers: remembered::Answers::new(),
            document: OnceLock::new(),
        }))
    }

    fn app(&self) -> &App {
        &self.0.app
    }

    fn config(&self) -> &Config {
        &self.0.config
    }

    /// What verifies the tokens of callers.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.0.verifier
    }

    fn in_flight(&self) -> Arc<Semaphore> {
        self.0.in_flight.clone()
    }

    fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    fn sampler(&self) -> &audit::Sampler {
        &self.0.sampler
    }

    fn limiter(&self) -> &Arc<Limiter> {
        &self.0.limiter
    }

    fn streams(&self) -> &StreamSlots {
        &self.0.streams
    }

    /// The answers that are remembered.
    fn answers(&self) -> &remembered::Answers {
        &self.0.answers
    }

    /// Makes the addresses in answers.
    fn links(&self) -> &Links {
        &self.0.links
    }

    /// The files of the console, if there is one.
    fn console(&self) -> Option<&console::Pages> {
        self.0.console.as_ref()
    }

    /// The OpenAPI document, made at the first request.
    fn document(&self) -> &openapi::Document {
        let document = &self.0.document;
        document.get_or_init(|| openapi::Document::of(self.links()))
    }
}

/// The whole interface as one service.
pub fn router(state: &HttpState) -> Router {
    let console = state.console().map(|_| console::routes()).unwrap_or_default();
    let routes = routes::all()
        .into_router()
        .merge(routes::pages())
        .merge(console)
        .fallback(not_found)
        // Covers only the routes before it: it has to come last.
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state.clone());
    layers::around(routes, state)
}

/// The OpenAPI document of all routes: made anew, or where the program is built without that the one that is checked in.
///
/// # Errors
/// In theory, when it cannot be written as JSON.
pub fn document_json() -> Result<String, serde_json::Error> {
    if routing::DESCRIBES {
        openapi::document_json(routes::all().into_document())
    } else {
        Ok(openapi::checked_in())
    }
}

async fn not_found(request: Request) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is no resource at {}", request.uri().path()),
    )
}

/// The router adds `Allow` to whatever is answered here.
async fn method_not_allowed(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::new(
        Code::MethodNotAllowed,
        format!(
            "{} is not allowed here; the header Allow lists the allowed methods",
            request.method()
        ),
    )
    .into_response()
}
