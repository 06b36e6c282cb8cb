//! The server: TCP or TLS, a bounded number of connections, limits for slow callers, and a graceful end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsConfig;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::config::Config;
use super::handshake::Tls;
use super::idle::{self, Watching};
use super::listener::{self, AcceptLog};

/// Connections at a time; one more is closed at once. Each costs some 18 KiB, a stream that it carries included. Streams may
/// have three quarters of them (`stream_slots`).
const MAX_CONNECTIONS: usize = 8192;
/// Largest headers of a request, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Requests at a time on a connection of HTTP/2.
const MAX_STREAMS: u32 = 128;
/// Streams that a caller may reset before they were taken up, and that may be reset for the caller's faults, until the
/// connection ends (CVE-2023-44487 and CVE-2025-8671).
const MAX_RESETS: usize = 20;
const MAX_FAULTY_STREAMS: usize = 64;

/// The server cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is in use, not of this machine, or not allowed.
    #[error("cannot listen on {address} ({key})")]
    Bind {
        /// The key of the configuration.
        key: &'static str,
        /// The configured address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Certificate and key cannot be used.
    #[error("cannot use the certificate and key of server.tls")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The listener failed.
    #[error("the listener failed")]
    Listener(#[from] io::Error),
}

/// Binds the address of `server.listen`. Connections queue from here on; port 0 is a port the system chose.
///
/// # Errors
/// [`Error::Bind`].
pub fn bind(config: &Config) -> Result<TcpListener, Error> {
    bind_to("server.listen", config.listen)
}

/// Binds the address of `metrics.listen`, if there is one.
///
/// # Errors
/// [`Error::Bind`].
pub fn bind_metrics(config: &Config) -> Result<Option<TcpListener>, Error> {
    let bind = |address| bind_to("metrics.listen", address);
    config.metrics.listen.map(bind).transpose()
}

fn bind_to(key: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    let refused = |source| Error::Bind { key, address, source };
    listener::bind(address).map_err(refused)
}

/// Serves until `stop`, then ends: no new connections, open requests get `drain` to finish.
///
/// # Errors
/// [`Error::Listener`] when the listener fails.
pub async fn serve(
    config: &Config,
    router: Router,
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    stop: CancellationToken,
    drain: Duration,
) -> Result<(), Error> {
    let handle = Handle::new();
    let log = Arc::new(AcceptLog::default());
    let refused = log.clone();
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle.clone())
        .first_request_timeout(config.head_timeout)
        .accept_error_handler(move |peer, error| match peer {
            None => refused.failed(error),
            Some(peer) => tracing::debug!(peer = %peer, error = %error, "a connection was not accepted"),
        });
    server.http_builder().http1().max_buf_size(MAX_HEAD);
    server
        .http_builder()
        .http2()
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_FAULTY_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));

    let make = router.into_make_service_with_connect_info::<SocketAddr>();
    let end = async {
        stop.cancelled().await;
        handle.graceful_shutdown(Some(drain));
        // Ends when the server does, which the select below sees first.
        std::future::pending::<()>().await;
    };
    let acceptor = Bounded {
        free: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        log,
    };
    let limits = idle::Limits {
        idle: config.idle_timeout,
        head: config.head_timeout,
        write: config.request_timeout,
    };
    let serving = async {
        match tls {
            Some(config) => {
                let acceptor = Tls { acceptor, config };
                server.acceptor(Watching { acceptor, limits }).serve(make).await
            }
            None => server.acceptor(Watching { acceptor, limits }).serve(make).await,
        }
    };
    tokio::select! {
        result = serving => result.map_err(Error::Listener),
        () = end => Ok(()),
    }
}

/// Accepts a connection only below the limit, handshakes included.
#[derive(Clone)]
struct Bounded {
    free: Arc<Semaphore>,
    log: Arc<AcceptLog>,
}

impl<S: Send + 'static> Accept<TcpStream, S> for Bounded {
    type Stream = TcpStream;
    type Service = Counted<S>;
    type Future = std::future::Ready<io::Result<(TcpStream, Counted<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(match self.free.clone().try_acquire_owned() {
            Ok(permit) => stream.set_nodelay(true).map(|()| {
                let service = Counted {
                    service,
                    _permit: Arc::new(permit),
                };
                (stream, service)
            }),
            Err(_) => {
                self.log.full(MAX_CONNECTIONS);
                Err(io::Error::other("too many connections"))
            }
        })
    }
}

/// A connection's service, which counts among the connections until it is dropped.
#[derive(Clone)]
struct Counted<S> {
    service: S,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl<S: Service<R>, R> Service<R> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.service.call(request)
    }
}
