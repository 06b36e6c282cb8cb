//! The wire to EM: two HTTP clients, one deadline per exchange (see `limits`), one cap on what is read.
//!
//! Reads use pooled connections. Whatever changes EM goes through a client of its own that keeps no idle
//! connection and repeats nothing, so that one call is at most one request on the wire; only there can "nothing
//! was sent" be told apart from "it may have arrived". No cookie jar (a cookie would beat the header), no proxy, no
//! redirects, and hrefs are never followed to where EM says they lead: only path and query count, against the
//! configured base.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::breaker::Breaker;
use super::config::Config;
use super::error::{Error, Kind, SetupError};
use super::limits::{Class, Limits};
use super::tls;
use crate::catalogue::catalogue;
use crate::clock::{SharedClock, retry_after};
use crate::domain::evidence::run::ClockDifference;
use crate::telemetry::names;
use crate::telemetry::traces::{Kind as Part, Span};
use crate::telemetry::x509::Facts;

/// Carries the token of a logon session, in answers to logons and in requests.
pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-restsvcsessionid");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Shortest and longest `Retry-After` that is believed.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// How a request shows who asks.
#[derive(Clone, Copy)]
pub(super) enum Auth<'a> {
    /// Not at all.
    Nobody,
    /// By the token of a logon session, which was waited for so long.
    Token(&'a SecretString, Duration),
    /// By the content of an `Authorization` header.
    Basic(&'a SecretString),
}

/// What travels with a request that changes EM.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    /// Nothing, and no Content-Type either: EM answers a logon that has one with 415.
    None,
    /// XML; EM wants the Content-Type even where there is no body.
    Xml(&'a [u8]),
}

/// EM's answer, whole.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// When it came, by our clock.
    pub at: Timestamp,
}

/// An answer whose body is still on its way.
pub(super) struct Opened {
    pub response: reqwest::Response,
}

/// The wire to one EM.
pub(super) struct Transport {
    reads: reqwest::Client,
    writes: reqwest::Client,
    base: Url,
    pub(super) limits: Limits,
    max_response: usize,
    clock: SharedClock,
    /// Seconds that EM's clock is ahead of this one's, by its last answer; `i64::MIN` before there is one.
    skew: AtomicI64,
    /// Milliseconds that that answer took.
    round_trip: AtomicI64,
    /// The certificate that EM presented last, as DER.
    certificate: Mutex<Vec<u8>>,
    pub(super) breaker: Breaker,
}

impl Transport {
    /// Builds both clients; nothing is connected yet.
    pub fn new(config: &Config, clock: SharedClock) -> Result<Self, SetupError> {
        let common = || -> Result<reqwest::ClientBuilder, SetupError> {
            Ok(reqwest::Client::builder()
                .tls_backend_preconfigured(tls::client_config(config)?)
                .connect_timeout(config.connect_timeout)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .no_proxy()
                .http1_only()
                // EM's answer counts by its status line: what a proxy or a module of IIS spoils below is skipped.
                .http1_ignore_invalid_headers_in_responses(true)
                .http1_allow_spaces_after_header_name_in_responses(true)
                .http1_allow_obsolete_multiline_headers_in_responses(true)
                .tls_info(true)
                .user_agent(concat!("emgate/", env!("CARGO_PKG_VERSION"))))
        };
        let reads = common()?.pool_idle_timeout(Duration::from_mins(1));
        let writes = common()?.pool_max_idle_per_host(0).retry(reqwest::retry::never());
        let mut base = config.url.clone();
        let root = base.path().trim_end_matches('/');
        let root = match root.len().checked_sub(4).and_then(|at| root.split_at_checked(at)) {
            Some((head, tail)) if tail.eq_ignore_ascii_case("/api") => head,
            _ => root,
        };
        let path = format!("{root}/api/");
        base.set_path(&path);
        Ok(Self {
            reads: reads.build().map_err(SetupError::Client)?,
            writes: writes.build().map_err(SetupError::Client)?,
            base,
            limits: Limits::new(config),
            max_response: config.max_response,
            breaker: Breaker::new(clock.clone()),
            skew: AtomicI64::new(i64::MIN),
            round_trip: AtomicI64::new(0),
            certificate: Mutex::default(),
            clock,
        })
    }

    /// How far EM's clock is ahead of this one's, by the `Date` of its last answer that had one.
    pub fn skew(&self) -> Option<SignedDuration> {
        let seconds = self.skew.load(Ordering::Relaxed);
        (seconds != i64::MIN).then(|| SignedDuration::from_secs(seconds))
    }

    /// The same with what it may be off: EM tells whole seconds, some time within the round trip.
    pub fn clock_difference(&self) -> Option<ClockDifference> {
        let round_trip = SignedDuration::from_millis(self.round_trip.load(Ordering::Relaxed));
        Some(ClockDifference {
            ahead: self.skew()?,
            tolerance: SignedDuration::from_secs(1).saturating_add(round_trip),
        })
    }

    /// The address of EM as it is configured, without credentials and query.
    pub fn address(&self) -> String {
        let mut shown = self.base.clone();
        // Neither fails for an address with a host, and EM's has one.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_query(None);
        shown.into()
    }

    fn note_date(&self, headers: &HeaderMap, took: Duration) {
        let date = headers
            .get(DATE)
            .and_then(|date| date.to_str().ok())
            .and_then(retry_after::http_date);
        if let Some(date) = date {
            let ahead = date.duration_since(self.clock.now()).as_secs();
            self.skew.store(ahead, Ordering::Relaxed);
            let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
            self.round_trip.store(took, Ordering::Relaxed);
        }
    }

    fn note_certificate(&self, response: &reqwest::Response) {
        let info = response.extensions().get::<reqwest::tls::TlsInfo>();
        let Some(der) = info.and_then(reqwest::tls::TlsInfo::peer_certificate) else {
            return;
        };
        let mut known = self.certificate.lock();
        if known.as_slice() != der {
            der.clone_into(&mut known);
            Facts::of(der).gauge_expiry("upstream");
        }
    }

    /// GET `target`, a path below `/api/` with its query.
    ///
    /// # Errors
    /// No whole answer; a status that is an error is an answer.
    pub async fn read(
        &self,
        account: &str,
        class: Class,
        target: &str,
        auth: Auth<'_>,
    ) -> Result<Answer, Error> {
        let span = span(&Method::GET, target, auth);
        let request = self.reads.get(self.url(target)?).headers(headers(auth, &span)?);
        self.exchange(account, class, Method::GET, request, &span).await
    }

    /// GET `target` up to the headers of the answer; its body is the caller's to read, whatever its size.
    ///
    /// # Errors
    /// No answer; a status that is an error is an answer.
    pub async fn open(&self, account: &str, target: &str, auth: Auth<'_>) -> Result<Opened, Error> {
        let span = span(&Method::GET, target, auth);
        let request = self.reads.get(self.url(target)?).headers(headers(auth, &span)?);
        let pass = self.breaker.pass()?;
        let limit = self.limits.of(Class::Download);
        let outcome = match tokio::time::timeout(limit, request.send()).await {
            Ok(outcome) => outcome.map_err(failure),
            Err(_) => Err(Error::after_sending(Kind::TimedOut)),
        };
        note(&span, outcome.as_ref().map(reqwest::Response::status));
        pass.done(
            outcome
                .as_ref()
                .map(reqwest::Response::status)
                .map_err(Error::kind),
        );
        let label = match &outcome {
            Ok(response) => response.status().as_str().to_owned(),
            Err(error) => error.label().to_owned(),
        };
        metrics::counter!(names::UPSTREAM_REQUESTS, "account" => account.to_owned(), "method" => "GET", "outcome" => label)
            .increment(1);
        outcome.map(|response| Opened { response })
    }

    /// The rest of an answer that was opened.
    ///
    /// # Errors
    /// No whole answer.
    pub async fn rest(&self, opened: Opened) -> Result<Answer, Error> {
        tokio::time::timeout(self.limits.of(Class::Read), self.collect(opened.response))
            .await
            .unwrap_or(Err(Error::after_sending(Kind::TimedOut)))
    }

    /// Sends `method` to `target` once.
    ///
    /// # Errors
    /// No whole answer; [`Error::acted`] tells whether EM may have acted.
    pub async fn write(
        &self,
        account: &str,
        class: Class,
        method: Method,
        target: &str,
        auth: Auth<'_>,
        content: Content<'_>,
    ) -> Result<Answer, Error> {
        let span = span(&method, target, auth);
        let mut request = self
            .writes
            .request(method.clone(), self.url(target)?)
            .headers(headers(auth, &span)?);
        if let Content::Xml(_) = content {
            request = request.header(CONTENT_TYPE, "application/xml");
        }
        request = match content {
            Content::Xml(body) if !body.is_empty() => request.body(body.to_vec()),
            // EM answers a POST without a length with 411.
            Content::Xml(_) | Content::None => request.header(CONTENT_LENGTH, 0),
        };
        self.exchange(account, class, method, request, &span).await
    }

    fn url(&self, target: &str) -> Result<Url, Error> {
        below(&self.base, target).ok_or_else(|| {
            Error::before_sending(Kind::NotEncodable {
                reason: "the path is not one of EM's".to_owned(),
            })
        })
    }

    async fn exchange(
        &self,
        account: &str,
        class: Class,
        method: Method,
        request: reqwest::RequestBuilder,
        span: &Span,
    ) -> Result<Answer, Error> {
        let pass = self.breaker.pass()?;
        let started = std::time::Instant::now();
        let outcome = match tokio::time::timeout(self.limits.of(class), self.whole(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::after_sending(Kind::TimedOut)),
        };
        note(span, outcome.as_ref().map(|answer| answer.status));
        pass.done(outcome.as_ref().map(|answer| answer.status).map_err(Error::kind));
        if let Ok(answer) = &outcome {
            self.note_date(&answer.headers, started.elapsed());
        }
        let label = match &outcome {
            Ok(answer) => answer.status.as_str().to_owned(),
            Err(error) => error.label().to_owned(),
        };
        let word = method.as_str().to_owned();
        metrics::counter!(names::UPSTREAM_REQUESTS, "account" => account.to_owned(), "method" => word.clone(), "outcome" => label)
            .increment(1);
        metrics::histogram!(names::UPSTREAM_SECONDS, "method" => word)
            .record(started.elapsed().as_secs_f64());
        outcome
    }

    async fn whole(&self, request: reqwest::RequestBuilder) -> Result<Answer, Error> {
        let response = request.send().await.map_err(failure)?;
        self.note_certificate(&response);
        self.collect(response).await
    }

    async fn collect(&self, mut response: reqwest::Response) -> Result<Answer, Error> {
        let too_large = || {
            Error::after_sending(Kind::TooLarge {
                limit: self.max_response,
            })
        };
        let announced = response.content_length().unwrap_or(0);
        if usize::try_from(announced).map_or(true, |length| length > self.max_response) {
            return Err(too_large());
        }
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        // What comes in one piece is not copied.
        let parts = Limited::new(reqwest::Body::from(response), self.max_response);
        let body = match parts.collect().await {
            Ok(parts) => parts.to_bytes(),
            Err(error) => {
                return Err(error
                    .downcast()
                    .map_or_else(|_| too_large(), |error| failure(*error)));
            }
        };
        Ok(Answer {
            status,
            headers,
            body,
            at: self.clock.now(),
        })
    }
}

impl Answer {
    /// EM's `Retry-After`, from a second to an hour.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = |name| self.headers.get(name)?.to_str().ok();
        let wait = retry_after::parse(text(RETRY_AFTER)?, text(DATE), self.at, LONGEST_PAUSE)?;
        Some(wait.max(SHORTEST_PAUSE))
    }
}

/// The address of a path with its query below `base`; none where dots lead out of it. The host is never read from the target.
fn below(base: &Url, target: &str) -> Option<Url> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut url = base.clone();
    url.set_path(&[base.path(), path].concat());
    url.set_query(query);
    url.path().starts_with(base.path()).then_some(url)
}

/// The span of a request, named by EM's own path: what callers fill into it says too much.
fn span(method: &Method, target: &str, auth: Auth<'_>) -> Span {
    let mut template = "other";
    let span = Span::child(Part::Client, || {
        let path = target.split('?').next().unwrap_or_default();
        if let Some(found) = catalogue().resource(path) {
            template = found.resource.path;
        }
        format!("EM {method} {template}")
    });
    if span.is_recording() {
        span.set("http.request.method", method.as_str().to_owned());
        span.set("url.template", template);
        if let Auth::Token(_, waited) = auth {
            span.set("emgate.logon_wait_ms", waited.as_secs_f64() * 1000.0);
        }
    }
    span
}

/// How a request ended, for its span.
fn note(span: &Span, outcome: Result<StatusCode, &Error>) {
    match outcome {
        Ok(status) => {
            span.set("http.response.status_code", i64::from(status.as_u16()));
            if status.is_client_error() || status.is_server_error() {
                span.failed(status.as_str().to_owned());
            }
        }
        Err(error) => span.failed(error.label()),
    }
}

fn headers(auth: Auth<'_>, span: &Span) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/xml"));
    if let Some(value) = span
        .traceparent()
        .and_then(|text| HeaderValue::try_from(text).ok())
    {
        headers.insert(TRACEPARENT, value);
    }
    let (name, secret) = match auth {
        Auth::Nobody => return Ok(headers),
        Auth::Token(token, _) => (TOKEN, token),
        Auth::Basic(credentials) => (AUTHORIZATION, credentials),
    };
    let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| {
        Error::before_sending(Kind::NotEncodable {
            reason: "a secret does not fit into a header".to_owned(),
        })
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

/// What an error of the client means. The only case in which nothing was sent is that no connection came about.
pub(super) fn failure(error: reqwest::Error) -> Error {
    let error = error.without_url();
    if error.is_connect() {
        return Error::after_sending(Kind::Unreachable {
            reason: innermost(&error),
        });
    }
    if error.is_timeout() {
        return Error::after_sending(Kind::TimedOut);
    }
    Error::after_sending(Kind::ConnectionLost {
        reason: innermost(&error),
    })
}

/// The last cause says most ("Connection refused", "invalid peer certificate"), and says no address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        if let Some(text) = tls::distrust(source) {
            return text.to_owned();
        }
        cause = source;
    }
    let mut text = cause.to_string();
    super::error::shorten(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "cloud/plans/1?format=Entity",
        Some("https://em.example/dr/api/cloud/plans/1?format=Entity")
    )]
    #[case(
        "query?filter=Name==\"a?b#c\"",
        Some("https://em.example/dr/api/query?filter=Name==%22a?b%23c%22")
    )]
    #[case(
        "catalog/vms/a%20b/C:/x%2Fy",
        Some("https://em.example/dr/api/catalog/vms/a%20b/C:/x%2Fy")
    )]
    #[case("a#b", Some("https://em.example/dr/api/a%23b"))]
    #[case("jobs/../tasks", Some("https://em.example/dr/api/tasks"))]
    #[case("../admin", None)]
    #[case("jobs/%2e%2e/%2E./admin", None)]
    #[case("//other.example/x", Some("https://em.example/dr/api///other.example/x"))]
    #[case(
        "https://other.example/x",
        Some("https://em.example/dr/api/https://other.example/x")
    )]
    fn a_target_is_an_address_below_the_configured_one_or_none(
        #[case] target: &str,
        #[case] address: Option<&str>,
    ) {
        let base = Url::parse("https://em.example/dr/api/").expect("an address");
        assert_eq!(below(&base, target).as_ref().map(Url::as_str), address);
    }
}
