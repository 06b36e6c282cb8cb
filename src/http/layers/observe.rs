//! The outermost layer: names the request, writes problems, and leaves one wide log line for each request.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use ipnet::IpNet;
use metrics::{Counter, Histogram};
use parking_lot::RwLock;
use tracing::Instrument as _;

use crate::clock::SharedClock;
use crate::domain::links::Links;
use crate::http::Config;
use crate::http::config::PROBES;
use crate::http::context::{RequestContext, given};
use crate::http::headers::{
    CROSS_ORIGIN_RESOURCE_POLICY, EVENT_ID, RATELIMIT, RATELIMIT_POLICY, REQUEST_ID, TRACEPARENT,
};
use crate::http::problem::Problem;
use crate::http::standing;
use crate::telemetry::names;
use crate::telemetry::traces::{Carried, Kind, Span};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What the layer works with.
pub(super) struct Observer {
    clock: SharedClock,
    trusted: Arc<[IpNet]>,
    links: Links,
    policy: Option<HeaderValue>,
    speaks_tls: bool,
    counts: Arc<Counts>,
}

/// An answer that is no page may load and embed nothing, wherever a browser shows it.
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Seconds after which to ask again for what is under way, or not there for now.
pub(in crate::http) const ASK_AGAIN: HeaderValue = HeaderValue::from_static("5");
/// A year, and nothing of other names.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

impl Observer {
    pub(super) fn new(config: &Config, clock: SharedClock) -> Self {
        let trusted = config.trusted_proxies.as_slice().into();
        let links = Links::below(config.public_url.as_ref());
        // What is looked up before the recording begins would count nothing.
        crate::telemetry::upkeep();
        Self {
            clock,
            trusted,
            links,
            policy: standing::policy(&config.limits),
            speaks_tls: config.tls.is_some(),
            counts: Arc::default(),
        }
    }
}

impl Observer {
    /// The request's line, and its context, which is left with it.
    pub(super) fn begin(&self, request: &mut Request) -> Line {
        let client = client(request, &self.trusted);
        let trace = traced(request);
        let context = RequestContext::new(request.headers(), client, self.clock.as_ref(), &trace);
        request.extensions_mut().insert(context.clone());
        Line {
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            span: tracing::info_span!(
                "request",
                request_id = &**context.id(),
                trace_id = context.trace_id(),
                span_id = context.span_id()
            ),
            trace,
            context,
            status: None,
            counts: self.counts.clone(),
        }
    }

    /// Completes the answer, and writes the line.
    pub(super) fn complete(&self, mut line: Line, response: Response) -> Response {
        let context = &line.context;
        let mut response = as_problem(response, &self.links, context, line.uri.path());
        let status = response.status();
        let headers = response.headers_mut();
        // As many as most answers get; the map stays with the connection, and more would double it.
        headers.reserve(9);
        let text = |text: &str| HeaderValue::from_str(text).ok();
        if let Some(id) = text(context.id()) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(traceparent) = text(context.traceparent()) {
            headers.insert(TRACEPARENT, traceparent);
        }
        if let Some(position) = context.position().filter(|_| status == StatusCode::OK) {
            headers.insert(EVENT_ID, position.clone());
        }
        if matches!(status, StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE) {
            headers.entry(RETRY_AFTER).or_insert(ASK_AGAIN);
        }
        let left = standing::remaining(&context.standings());
        if let (Some(left), Some(policy)) = (left, &self.policy) {
            headers.insert(RATELIMIT, left);
            headers.insert(RATELIMIT_POLICY, policy.clone());
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(
            CROSS_ORIGIN_RESOURCE_POLICY,
            HeaderValue::from_static("same-origin"),
        );
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(NO_PAGE);
        if self.speaks_tls {
            headers.insert(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
        }
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        if line.uri.path().starts_with("/api") && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        line.status = Some(status);
        response
    }
}

/// Writes the body of a problem; a bare status or plain text of a library's own making becomes a problem as well.
fn as_problem(mut response: Response, links: &Links, context: &RequestContext, path: &str) -> Response {
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| {
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let ours = kind.is_some_and(|kind| kind.starts_with(b"application/json"));
        let failed = status.is_client_error() || status.is_server_error();
        (failed && !ours).then(|| Problem::from_status(status, response.headers()))
    });
    let Some(problem) = problem else {
        return response;
    };
    metrics::counter!(names::HTTP_PROBLEMS, "code" => problem.code().as_str()).increment(1);
    let mut written = problem.render(links, context.id(), path);
    // What layers in between have added (Allow, CORS) stays; the empty body's own headers do not.
    for (name, value) in response.headers() {
        if !written.headers().contains_key(name) && name != axum::http::header::CONTENT_LENGTH {
            written.headers_mut().append(name.clone(), value.clone());
        }
    }
    written
}

/// The span of a request. Probes have none: they come every few seconds and say nothing.
fn traced(request: &Request) -> Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str);
    if PROBES.contains(&route) {
        return Span::default();
    }
    let method = known(request.method());
    let span = Span::root(Kind::Server, given(request.headers()), || {
        format!("{method} {route}")
    });
    span.set("http.request.method", method);
    if span.is_recording() {
        span.set("http.route", route.to_owned());
    }
    span
}

/// The address that asked: the peer's, or the last one in `X-Forwarded-For` that no trusted proxy has.
fn client(request: &Request, trusted: &[IpNet]) -> Option<IpAddr> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(behind(peer.ip().to_canonical(), request.headers(), trusted))
}

fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let hops: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut address = peer;
    for hop in hops.iter().rev() {
        if !is_trusted(&address) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(next) => address = next.to_canonical(),
            Err(_) => break,
        }
    }
    address
}

/// The request's line in the log; written when it is dropped, so that callers who hang up leave one too.
pub(super) struct Line {
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    context: RequestContext,
    status: Option<StatusCode>,
    span: tracing::Span,
    trace: Span,
    counts: Arc<Counts>,
}

impl Line {
    pub(super) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// The work on the request, as a part of which everything in it is logged and traced.
    pub(super) fn around<F: Future>(&self, work: F) -> Carried<tracing::instrument::Instrumented<F>> {
        self.trace.around(work.instrument(self.span.clone()))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _entered = self.span.enter();
        let elapsed = self.context.started().elapsed();
        let (method, path) = (self.method.as_str(), self.uri.path());
        let route = self.route.as_ref().map_or("none", MatchedPath::as_str);
        // 499 is what proxies write for a caller who went away before the answer.
        let status = self.status.map_or(499, |status| status.as_u16());
        self.counts.count(known(&self.method), route, status, elapsed);
        self.trace.set("http.response.status_code", i64::from(status));
        if let Some(operation) = self
            .context
            .operation()
            .get()
            .filter(|_| self.trace.is_recording())
        {
            self.trace.set("emgate.operation.id", operation.to_string());
        }
        if status >= 500 {
            self.trace.failed(status.to_string());
        }
        macro_rules! write_line {
            ($level:expr) => {
                tracing::event!(
                    target: "emgate::access",
                    $level,
                    method,
                    path,
                    route,
                    status,
                    duration_ms = elapsed.as_micros() as f64 / 1000.0,
                    caller = self.context.caller(),
                    client = self.context.client().map(tracing::field::display),
                    "{method} {path} {status}"
                )
            };
        }
        if PROBES.contains(&route) {
            write_line!(tracing::Level::DEBUG);
        } else {
            write_line!(tracing::Level::INFO);
        }
    }
}

/// The metrics of requests, each looked up by its labels once: the recorder would make them of texts for every request.
#[derive(Default)]
struct Counts(RwLock<HashMap<(&'static str, u16), ByRoute>>);

type ByRoute = HashMap<String, (Counter, Histogram)>;

impl Counts {
    fn count(&self, method: &'static str, route: &str, status: u16, elapsed: Duration) {
        let key = (method, status);
        let known = self.0.read();
        if let Some((requests, seconds)) = known.get(&key).and_then(|routes| routes.get(route)) {
            requests.increment(1);
            seconds.record(elapsed);
            return;
        }
        drop(known);
        let requests = metrics::counter!(names::HTTP_REQUESTS, "method" => method, "route" => route.to_owned(), "status" => status.to_string());
        let seconds =
            metrics::histogram!(names::HTTP_SECONDS, "method" => method, "route" => route.to_owned());
        requests.increment(1);
        seconds.record(elapsed);
        let mut known = self.0.write();
        let routes = known.entry(key).or_default();
        routes.insert(route.to_owned(), (requests, seconds));
    }
}

/// The method as a label: callers may invent any number of methods, a metric may not have as many.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, forwarded: &str, trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, forwarded.parse().expect("a header value"));
        let trusted: Vec<IpNet> = trusted
            .iter()
            .map(|net| net.parse().expect("a network"))
            .collect();
        behind(peer.parse().expect("an address"), &headers, &trusted).to_string()
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(address("198.51.100.1", "203.0.113.9", &trusted), "198.51.100.1");
        assert_eq!(address("10.0.0.1", "203.0.113.9", &trusted), "203.0.113.9");
        assert_eq!(
            address("10.0.0.1", "203.0.113.9, 10.0.0.2", &trusted),
            "203.0.113.9"
        );
        assert_eq!(
            address("10.0.0.1", "1.1.1.1, 203.0.113.9", &trusted),
            "203.0.113.9"
        );
        assert_eq!(address("10.0.0.1", "garbage", &trusted), "10.0.0.1");
    }
}
