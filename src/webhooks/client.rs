//! One request to a receiver: addresses vetted, dialled and checked, TLS, HTTP/1.1, and a bounded read of the answer.
//!
//! A connection serves one request and is closed: nothing is sent twice unseen, and every dial is vetted anew. A proxy is asked
//! for the address that was vetted. No redirects, no decompression, no variables of the environment. One deadline holds from the name to the status line, where success is
//! decided; what follows is a courtesy of 1 KiB or a second. Nothing here reads a secret or writes a row.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::answer::Answer;
use super::egress::{EgressPolicy, ResolveError};
use super::head::{Noted, Seen};
use super::request::request;
use super::tls::{self, TlsConfigs};
use super::{Config, dial};
use crate::domain::webhook::AttemptError;
use crate::domain::webhook::connection::{Connection, Proxy, TIMEOUT_MOST};
use crate::domain::webhook::exchange::Exchange;
use crate::domain::webhook::target::TargetUrl;
use crate::telemetry::x509;

/// The largest head of an answer that is parsed whole.
const HEAD_LIMIT: usize = 16 * 1024;
/// The most fields in it.
const FIELDS_LIMIT: usize = 100;
/// How much of a body is read.
pub(super) const BODY_LIMIT: usize = 1024;
/// What a receiver answers to end deliveries (docs/behaviour.md#deliveries).
const CONTROL: HeaderName = HeaderName::from_static("webhook-delivery");
/// How long is waited for it.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// Sends requests; clones share what they need.
#[derive(Clone)]
pub struct Client {
    guard: EgressPolicy,
    timeout: Duration,
    max_timeout: Duration,
    proxy: Option<Proxy>,
    tls: Arc<TlsConfigs>,
}

/// How a request is sent.
#[derive(Debug, Clone)]
pub struct Manner<'a> {
    /// Its method.
    pub method: Method,
    /// How much of the answer's body is read.
    pub read_limit: usize,
    /// How the receiver is reached.
    pub connection: &'a Connection,
}

impl<'a> Manner<'a> {
    /// A delivery's.
    #[must_use]
    pub const fn post(connection: &'a Connection) -> Self {
        Self {
            method: Method::POST,
            read_limit: BODY_LIMIT,
            connection,
        }
    }
}

/// What came of a request.
#[derive(Debug)]
pub struct Report {
    /// The answer, or why there is none.
    pub result: Result<Answer, AttemptError>,
    /// How long it took until that was known.
    pub duration: Duration,
    /// What was seen of the connection.
    pub exchange: Exchange,
    /// Until when the receiver's certificate is valid.
    pub certificate_not_after: Option<Timestamp>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What is known of an attempt while it runs, so that a deadline leaves it behind.
#[derive(Default)]
struct Progress {
    exchange: Exchange,
    certificate_not_after: Option<Timestamp>,
}

impl Client {
    /// A client that trusts the platform's roots.
    #[must_use]
    pub fn new(guard: EgressPolicy, timeout: Duration) -> Self {
        Self {
            guard,
            timeout,
            max_timeout: TIMEOUT_MOST,
            proxy: None,
            tls: Arc::new(TlsConfigs::of_platform()),
        }
    }

    /// The client of a configuration.
    #[must_use]
    pub fn of(guard: EgressPolicy, config: &Config) -> Self {
        Self {
            max_timeout: config.max_timeout,
            proxy: config.proxy.clone(),
            ..Self::new(guard, config.timeout)
        }
    }

    /// A client with another idea of whom to trust.
    #[must_use]
    pub fn with_tls(guard: EgressPolicy, timeout: Duration, tls: ClientConfig) -> Self {
        Self {
            tls: Arc::new(TlsConfigs::with(tls)),
            ..Self::new(guard, timeout)
        }
    }

    /// Posts `body`. The deadline covers everything up to the answer's head.
    pub async fn post(&self, target: &TargetUrl, headers: HeaderMap, body: Bytes) -> Report {
        let connection = Connection::default();
        self.send(Manner::post(&connection), target, headers, body).await
    }

    /// The same in another manner.
    pub async fn send(
        &self,
        manner: Manner<'_>,
        target: &TargetUrl,
        headers: HeaderMap,
        body: Bytes,
    ) -> Report {
        let start = Instant::now();
        let mut progress = Progress::default();
        let own = manner.connection.timeout.map(|own| own.min(self.max_timeout));
        let deadline = start + own.unwrap_or(self.timeout);
        let exchange = self.exchange(manner, target, headers, body, deadline, &mut progress);
        let result = exchange.await;
        Report {
            result,
            duration: start.elapsed(),
            exchange: progress.exchange,
            certificate_not_after: progress.certificate_not_after,
        }
    }

    async fn exchange(
        &self,
        manner: Manner<'_>,
        target: &TargetUrl,
        headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Answer, AttemptError> {
        let read_limit = manner.read_limit;
        let request = request(manner.method, target, headers, body).ok_or(AttemptError::Internal)?;
        let stream = timeout_at(deadline, self.open(target, manner.connection, progress))
            .await
            .unwrap_or_else(|_| Err(unfinished(progress)))?;
        let seen = Seen::up_to(HEAD_LIMIT);
        let stream = Noted {
            stream,
            seen: seen.clone(),
        };
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(HEAD_LIMIT)
            .max_headers(FIELDS_LIMIT)
            .ignore_invalid_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| of_http(&error))?;
        let first_byte = &mut progress.exchange.first_byte;
        let mut speaking = pin!(async move {
            let start = Instant::now();
            let outcome = timeout_at(deadline, sender.send_request(request)).await;
            *first_byte = seen.since().map(|at| at.duration_since(start));
            match outcome.map_err(|_| AttemptError::Timeout)? {
                Ok(response) => Ok(read(response, read_limit).await),
                // What cannot be parsed below the status line does not undo it.
                Err(error) if error.is_parse() => seen.answer().ok_or_else(|| of_http(&error)),
                Err(error) => Err(of_http(&error)),
            }
        });
        // The connection's own end reaches the one that waits for the answer.
        tokio::select! {
            biased;
            answer = &mut speaking => answer,
            _ = connection => speaking.await,
        }
    }

    async fn open(
        &self,
        target: &TargetUrl,
        connection: &Connection,
        progress: &mut Progress,
    ) -> Result<Box<dyn Stream>, AttemptError> {
        let seen = &mut progress.exchange;
        let start = Instant::now();
        let addresses = self.guard.addresses(target).await;
        seen.dns = Some(start.elapsed());
        let addresses = addresses.map_err(|why| of_resolving(why, AttemptError::Dns))?;
        let start = Instant::now();
        let (tcp, remote) = match connection.proxy.as_ref().or(self.proxy.as_ref()) {
            Some(proxy) => {
                let proxies = self
                    .guard
                    .proxy_addresses(proxy, connection.proxy.is_none())
                    .await;
                let proxies = proxies.map_err(|why| of_resolving(why, AttemptError::Proxy))?;
                dial::through(proxy, &proxies, &addresses).await?
            }
            None => dial::to(&addresses).await?,
        };
        seen.connect = Some(start.elapsed());
        seen.remote = Some(remote);
        seen.reused = Some(false);
        let _ = tcp.set_nodelay(true);
        if !target.is_tls() {
            return Ok(Box::new(tcp));
        }
        let name = tls::server_name(target).ok_or(AttemptError::TlsName)?;
        let config = self.tls.of(connection).await?;
        let start = Instant::now();
        let shaken = TlsConnector::from(config).connect(name, tcp).await;
        let stream = match shaken {
            Ok(stream) => stream,
            Err(error) => {
                progress.certificate_not_after = tls::expiry_of(&error);
                return Err(tls::of_handshake(&error));
            }
        };
        seen.tls = Some(start.elapsed());
        let (_, session) = stream.get_ref();
        seen.tls_version = session.protocol_version().and_then(tls::version);
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        progress.certificate_not_after = leaf.and_then(|leaf| x509::not_after(leaf));
        Ok(Box::new(stream))
    }
}

/// Why there is no connection at the deadline: by the part that was under way.
const fn unfinished(progress: &Progress) -> AttemptError {
    match progress.exchange {
        Exchange { dns: None, .. } => AttemptError::Dns,
        Exchange { connect: None, .. } => AttemptError::Connect,
        _ => AttemptError::Timeout,
    }
}

/// The class of a name that leads nowhere.
const fn of_resolving(why: ResolveError, unresolved: AttemptError) -> AttemptError {
    match why {
        ResolveError::Unresolved | ResolveError::TimedOut => unresolved,
        ResolveError::Blocked(_) | ResolveError::PlainHttp | ResolveError::SelfOrUpstream => {
            AttemptError::BlockedAddress
        }
    }
}

async fn read(response: Response<Incoming>, limit: usize) -> Answer {
    let (parts, body) = response.into_parts();
    let field = |name| {
        parts
            .headers
            .get(name)
            .map(|value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Answer {
        status: parts.status.as_u16(),
        location: field(header::LOCATION),
        retry_after: field(header::RETRY_AFTER),
        date: field(header::DATE),
        control: field(CONTROL),
        text: if is_text(&parts.headers) {
            beginning(body, limit).await
        } else {
            None
        },
    }
}

/// Whether a body is worth showing. One without a type often is a line of explanation.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.starts_with("text/")
        || ["json", "xml", "urlencoded"]
            .iter()
            .any(|word| essence.ends_with(word))
}

/// Up to `limit` bytes, or what came within a second. The rest is not drained: the connection is closed.
async fn beginning(mut body: Incoming, limit: usize) -> Option<String> {
    let mut bytes = Vec::new();
    let reading = async {
        while bytes.len() < limit {
            let Some(Ok(frame)) = body.frame().await else {
                break;
            };
            if let Ok(data) = frame.into_data() {
                let room = limit - bytes.len();
                bytes.extend_from_slice(data.get(..room).unwrap_or(&data));
            }
        }
    };
    let _ = timeout(BODY_PATIENCE, reading).await;
    // PostgreSQL's text knows no NUL, and a log no control characters.
    let text: String = String::from_utf8_lossy(&bytes)
        .chars()
        .map(|letter| {
            if letter.is_control() && !matches!(letter, '\n' | '\r' | '\t') {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect();
    (!text.is_empty()).then_some(text)
}

/// The class of a failure in HTTP, or below it once it was begun.
fn of_http(error: &hyper::Error) -> AttemptError {
    if error.is_parse_too_large() {
        return AttemptError::HeadersTooLarge;
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return if tls::inner(io).is_some() {
                tls::of_handshake(io)
            } else {
                AttemptError::Reset
            };
        }
        source = cause.source();
    }
    if error.is_parse() {
        AttemptError::Protocol
    } else if error.is_user() {
        AttemptError::Internal
    } else {
        AttemptError::Reset
    }
}
