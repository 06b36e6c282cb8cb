//! The one place that names concrete types: configuration → rooms → workers → server → stop.
//!
//! Start: the listener comes first, and answers that the process is running while the store is opened, which may
//! take as long as its migrations do. EM may be unreachable: the gateway starts, reports it in `/readyz`, and
//! accepts no action until the first complete observation. Stop: no new work, open requests and deliveries finish
//! within their limits, then all logon sessions are logged off.

pub mod audit;
pub mod check;
mod gauges;
mod opened;
mod reload;
mod service_manager;
mod shares;
mod signals;
pub mod store_copy;
pub mod survey;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::opened::Opened;
pub use self::opened::fetch_keys;
use self::reload::Reload;
pub use self::service_manager::ServiceManager;
use self::signals::{Signal, Signals};
use crate::auth;
use crate::catalogue::catalogue;
use crate::clock::{SharedClock, SystemClock};
use crate::config::Config;
use crate::http;
use crate::runtime::Tasks;
use crate::store::{self, Store};
use crate::telemetry;
use crate::upstream::{self, EmClient};

/// How long open requests may take to finish when the gateway stops.
const DRAIN: Duration = Duration::from_secs(20);
/// How long tracked work and workers may take after that.
const FINISH: Duration = Duration::from_secs(10);
/// How long logging off may take.
const LOGOFF: Duration = Duration::from_secs(5);

/// Why the gateway could not start or continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener.
    #[error(transparent)]
    Server(#[from] http::ServerError),
    /// The store.
    #[error("the store cannot be opened")]
    Store(#[from] store::Error),
    /// The client of EM.
    #[error("the connection to Enterprise Manager cannot be set up")]
    Upstream(#[from] upstream::SetupError),
    /// The client of an identity provider.
    #[error("tokens cannot be verified")]
    Auth(#[from] auth::SetupError),
    /// A worker ended unexpectedly.
    #[error("a worker of the gateway ended by itself; the log says which")]
    Worker,
    /// The server's task ended unexpectedly.
    #[error("the server ended by itself")]
    ServerEnded,
    /// A signal cannot be received.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
}

impl Error {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Server(_)
            | Self::Upstream(_)
            | Self::Auth(_)
            | Self::Worker
            | Self::ServerEnded
            | Self::Signals(_) => None,
        }
    }
}

/// A running gateway.
pub struct Gateway {
    addr: SocketAddr,
    em: EmClient,
    store: Store,
    tasks: Tasks,
    heartbeat: AbortOnDropHandle<()>,
    _notifications: AbortOnDropHandle<()>,
    reload: Reload,
    stop_serving: CancellationToken,
    server: AbortOnDropHandle<Result<(), http::ServerError>>,
}

/// A gateway that listens but does not accept work yet.
struct Starting {
    config: Config,
    addr: SocketAddr,
    /// The listener for metrics, if there is one.
    metrics_addr: Option<SocketAddr>,
    clock: SharedClock,
    startup: http::Startup,
    tasks: Tasks,
    reload: Reload,
    stop_serving: CancellationToken,
    server: AbortOnDropHandle<Result<(), http::ServerError>>,
}

impl Starting {
    /// Binds the address and answers that the process is running.
    #[expect(
        clippy::disallowed_methods,
        reason = "the server's task is held, and ended by stop"
    )]
    async fn listen(config: Config, clock: SharedClock) -> Result<Self, Error> {
        install_tls_provider();
        warm_up();
        telemetry::upkeep();
        let listener = http::bind(&config.server)?;
        let of_metrics = http::bind_metrics(&config.server)?;
        let addr_of = |listener: &TcpListener| listener.local_addr().map_err(http::ServerError::from);
        let addr = addr_of(&listener)?;
        let metrics_addr = of_metrics.as_ref().map(addr_of).transpose()?;
        let certificate = match &config.server.tls {
            Some(files) => Some(http::Certificate::load(files).await?),
            None => None,
        };
        let startup = http::Startup::new(&config.server, clock.clone());
        let stop_serving = CancellationToken::new();
        let (settings, stop) = (config.server.clone(), stop_serving.clone());
        let (router, metrics) = (startup.router(), http::metrics_router(&settings, clock.clone()));
        let tls = certificate.as_ref().map(http::Certificate::served);
        let scheme = if tls.is_some() { "https" } else { "http" };
        if let Some(addr) = metrics_addr {
            tracing::info!(listen = %addr, scheme, "metrics have a listener of their own");
        }
        let accepts = "probes until the store is open";
        tracing::info!(listen = %addr, scheme, accepts, "listening");
        let tasks = Tasks::new();
        let reload = Reload::drive(certificate, &tasks);
        let server = tokio::spawn(async move {
            let serving = http::serve(&settings, router, listener, tls.clone(), stop.clone(), DRAIN);
            let Some(of_metrics) = of_metrics else {
                return serving.await;
            };
            let beside = http::serve(&settings, metrics, of_metrics, tls, stop, DRAIN);
            tokio::try_join!(serving, beside).map(drop)
        });
        Ok(Self {
            config,
            addr,
            metrics_addr,
            clock,
            startup,
            tasks,
            reload,
            stop_serving,
            server: AbortOnDropHandle::new(server),
        })
    }

    /// Makes the gateway accept work. If it is dropped half way, the next start repairs what it left.
    async fn finish(mut self) -> Result<Gateway, Error> {
        let unfinished = self.tasks.stopping().drop_guard();
        let own = [Some(self.addr), self.metrics_addr]
            .into_iter()
            .flatten()
            .collect();
        let opened = tokio::select! {
            opened = Opened::open(self.config, own, self.clock, self.tasks.clone()) => opened?,
            ended = &mut self.server => return Err(ended_by_itself(ended)),
        };
        unfinished.disarm();
        self.startup.complete(&opened.state);
        tracing::info!("the store is open; requests are accepted");
        Ok(Gateway {
            addr: self.addr,
            em: opened.em,
            store: opened.store,
            tasks: opened.tasks,
            heartbeat: opened.heartbeat,
            _notifications: opened.notifications,
            reload: self.reload,
            stop_serving: self.stop_serving,
            server: self.server,
        })
    }
}

impl Gateway {
    /// Starts the gateway: it accepts work when this returns.
    ///
    /// # Errors
    /// [`Error`]: a part that cannot be started. An unreachable EM is no error.
    pub fn start(config: Config) -> impl Future<Output = Result<Self, Error>> {
        Self::start_at(config, SystemClock::shared())
    }

    /// The same on a clock of the caller's.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_at(config: Config, clock: SharedClock) -> Result<Self, Error> {
        let starting = Starting::listen(config, clock).await?;
        Box::pin(starting.finish()).await
    }

    /// The address that it listens on.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resolves when the gateway cannot continue.
    async fn broken(&mut self) -> Error {
        tokio::select! {
            () = self.tasks.worker_failed() => Error::Worker,
            // The heartbeat, which runs until this is dropped.
            _ = &mut self.heartbeat => Error::Worker,
            ended = &mut self.server => ended_by_itself(ended),
        }
    }

    /// Stops in order: no new work, open work finishes, logon sessions are logged off.
    ///
    /// # Errors
    /// [`Error::Server`] when the listener had failed.
    pub async fn stop(self) -> Result<(), Error> {
        let stopping = self.tasks.stopping();
        // Callers who wait for an operation get its current state; readiness becomes unavailable; workers end after
        // their turn.
        stopping.cancel();
        self.stop_serving.cancel();
        let served = if self.server.is_finished() {
            Ok(Ok(()))
        } else {
            self.server.await
        };
        if !self.tasks.stop(FINISH).await {
            tracing::warn!(
                "some work did not end in time; its state is in the store and it continues at the next start"
            );
        }
        self.em.shutdown(LOGOFF).await;
        drop(self.heartbeat);
        self.store.close().await;
        tracing::info!("stopped");
        match served {
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }
}

/// Runs the gateway until it is asked to stop (SIGTERM or SIGINT; a second one ends it at once). SIGHUP
/// never ends it. The service manager is told of each step.
///
/// # Errors
/// [`Error`].
pub async fn serve(config: Config, manager: ServiceManager) -> Result<(), Error> {
    let _alive = manager.keep_alive();
    let outcome = Box::pin(serve_watched(config, &manager)).await;
    if let Err(error) = &outcome {
        manager.status(&error.to_string()).await;
    }
    outcome
}

async fn serve_watched(config: Config, manager: &ServiceManager) -> Result<(), Error> {
    let mut signals = Signals::new().map_err(Error::Signals)?;
    let starting = Starting::listen(config, SystemClock::shared()).await?;
    manager
        .status("opens the store; migrations may take some time")
        .await;
    let mut reload = starting.reload.clone();
    let mut gateway = {
        let finish = manager.patiently(starting.finish());
        tokio::pin!(finish);
        loop {
            tokio::select! {
                gateway = &mut finish => break gateway?,
                signal = signals.next() => match signal {
                    Signal::Stop(signal) => {
                        tracing::info!(signal, "stopped during the start");
                        manager.stopping("stopped during the start").await;
                        return Ok(());
                    }
                    // Of a reload the service manager hears nothing now: its end would be taken for that of the start.
                    Signal::Reload => reload.now().await,
                },
            }
        }
    };
    manager.ready(gateway.addr).await;
    let outcome = loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Stop(signal) => {
                    tracing::info!(signal, "stopping");
                    break Ok(());
                }
                Signal::Reload => {
                    manager.reloading().await;
                    gateway.reload.now().await;
                    manager.ready(gateway.addr).await;
                }
            },
            error = gateway.broken() => break Err(error),
        }
    };
    manager
        .stopping("finishes the requests and deliveries in progress")
        .await;
    let at_once = async {
        loop {
            if let Signal::Stop(signal) = signals.next().await {
                break signal;
            }
        }
    };
    tokio::select! {
        stopped = manager.patiently(gateway.stop()) => outcome.and(stopped),
        signal = at_once => {
            tracing::warn!(signal, "stopped immediately, without waiting for the work in progress");
            outcome
        }
    }
}

/// What the unexpected end of the server's task means.
fn ended_by_itself(ended: Result<Result<(), http::ServerError>, JoinError>) -> Error {
    match ended {
        Ok(Err(error)) => Error::Server(error),
        Ok(Ok(())) | Err(_) => Error::ServerEnded,
    }
}

/// One provider of cryptography for TLS in and out. A second call finds it installed already.
pub fn install_tls_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Reads Enterprise Manager's vocabulary beside the opening of the store, after which it would be waited for.
fn warm_up() {
    tokio::task::spawn_blocking(|| {
        let _ = catalogue();
    });
}
