//! What the listener answers before the store is open: that the process lives, and that it is not ready yet.
//!
//! Migrations may take half an hour, and an orchestrator kills a process that does not answer its probes meanwhile. The
//! full router takes over on the same listener, request by request, so that no connection is dropped. A start usually
//! ends within a second, so a request that arrives before waits that long.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use futures_util::future::{BoxFuture, Either};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::config::{Config, PROBES};
use super::problem::{Code, Problem};
use super::{HttpState, MAX_IN_FLIGHT, layers, routes};
use crate::clock::SharedClock;

/// How long a request waits for the end of the start before it is refused.
const START_WAIT: Duration = Duration::from_secs(1);

/// Answers every request; clones share it.
#[derive(Clone)]
pub struct Startup(Arc<Inner>);

struct Inner {
    /// What answers until the start is over.
    early: Router,
    /// What answers from then on.
    proper: OnceLock<Router>,
    over: CancellationToken,
    waiting: Semaphore,
}

impl Startup {
    /// The start begins now.
    #[must_use]
    pub fn new(config: &Config, clock: SharedClock) -> Self {
        let since = clock.now();
        let readiness = move || std::future::ready(routes::not_ready("migrations", since));
        let probes = Router::new()
            .route("/healthz", get(routes::get_health))
            .route("/readyz", get(readiness))
            .fallback(async || refusal())
            .method_not_allowed_fallback(super::method_not_allowed);
        let probes = match config.metrics.listen {
            Some(_) => probes.route("/metrics", get(super::not_found)),
            None => probes.route("/metrics", get(routes::metrics)),
        };
        Self(Arc::new(Inner {
            early: layers::outer(probes, config, clock),
            proper: OnceLock::new(),
            over: CancellationToken::new(),
            waiting: Semaphore::new(MAX_IN_FLIGHT),
        }))
    }

    /// The start is over: from here on `state` answers.
    pub fn complete(&self, state: &HttpState) {
        let _ = self.0.proper.set(super::router(state));
        self.0.over.cancel();
    }

    /// Everything that the listener serves.
    pub fn router(&self) -> Router {
        Router::new().fallback_service(self.clone())
    }
}

fn refusal() -> Problem {
    Problem::new(
        Code::StoreUnavailable,
        "the gateway is starting: its store is being opened and migrated",
    )
}

impl Inner {
    fn now(&self) -> Router {
        self.proper.get().unwrap_or(&self.early).clone()
    }

    /// The routes that answer once the start is over or the wait has ended.
    async fn awaited(&self) -> Router {
        if let Ok(_permit) = self.waiting.try_acquire() {
            let _ = tokio::time::timeout(START_WAIT, self.over.cancelled()).await;
        }
        self.now()
    }
}

impl Service<Request> for Startup {
    type Response = Response;
    type Error = Infallible;
    type Future =
        Either<<Router as Service<Request>>::Future, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = &self.0;
        if inner.proper.get().is_some() || PROBES.contains(&request.uri().path()) {
            return Either::Left(inner.now().call(request));
        }
        let inner = inner.clone();
        Either::Right(Box::pin(async move { inner.awaited().await.call(request).await }))
    }
}
