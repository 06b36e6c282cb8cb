//! The outermost layer: names the request, writes problems, and leaves one wide log line for each request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use tracing::Instrument as _;

use crate::clock::SharedClock;
use crate::domain::links::Links;
use crate::http::Config;
use crate::http::context::RequestContext;
use crate::http::headers::{
    CROSS_ORIGIN_RESOURCE_POLICY, EVENT_ID, RATELIMIT, RATELIMIT_POLICY, REQUEST_ID, TRACEPARENT,
};
use crate::http::problem::Problem;
use crate::http::standing;
use crate::telemetry::names;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What the layer works with.
#[derive(Clone)]
pub(super) struct Observer {
    clock: SharedClock,
    trusted: Arc<[IpNet]>,
    links: Links,
    policy: Option<HeaderValue>,
    speaks_tls: bool,
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
        Self {
            clock,
            trusted,
            links,
            policy: standing::policy(&config.limits),
            speaks_tls: config.tls.is_some(),
        }
    }
}

/// Runs the request in its own span and completes its answer.
pub(super) async fn observe(State(observer): State<Observer>, mut request: Request, next: Next) -> Response {
    let client = client(&request, &observer.trusted);
    let context = RequestContext::new(request.headers(), client, observer.clock.as_ref());
    let span = tracing::info_span!(
        "request",
        request_id = context.id(),
        trace_id = context.trace_id()
    );
    let mut line = Line {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        route: request
            .extensions()
            .get::<MatchedPath>()
            .map(|route| route.as_str().to_owned()),
        context: context.clone(),
        status: None,
        span: span.clone(),
    };
    request.extensions_mut().insert(context.clone());

    let response = next.run(request).instrument(span).await;
    let mut response = as_problem(response, &observer.links, &context, &line.path);
    line.status = Some(response.status());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(context.id()) {
        headers.insert(REQUEST_ID, id);
    }
    if let Ok(traceparent) = HeaderValue::from_str(&context.traceparent()) {
        headers.insert(TRACEPARENT, traceparent);
    }
    let position = context.position().filter(|_| line.status == Some(StatusCode::OK));
    if let Some(position) = position.and_then(|place| HeaderValue::from_str(place).ok()) {
        headers.insert(EVENT_ID, position);
    }
    if matches!(
        line.status,
        Some(StatusCode::ACCEPTED | StatusCode::SERVICE_UNAVAILABLE)
    ) {
        headers.entry(RETRY_AFTER).or_insert(ASK_AGAIN);
    }
    let left = standing::remaining(&context.standings());
    if let (Some(left), Some(policy)) = (left, &observer.policy) {
        headers.insert(RATELIMIT, left);
        headers.insert(RATELIMIT_POLICY, policy.clone());
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CROSS_ORIGIN_RESOURCE_POLICY,
        HeaderValue::from_static("same-origin"),
    );
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NO_PAGE);
    if observer.speaks_tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if line.path.starts_with("/api") && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
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

/// The address that asked: the peer's, or the last one in `X-Forwarded-For` that no trusted proxy has.
fn client(request: &Request, trusted: &[IpNet]) -> Option<IpAddr> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(behind(peer.ip().to_canonical(), request.headers(), trusted))
}

fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
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
struct Line {
    method: Method,
    path: String,
    route: Option<String>,
    context: RequestContext,
    status: Option<StatusCode>,
    span: tracing::Span,
}

impl Drop for Line {
    fn drop(&mut self) {
        let _entered = self.span.enter();
        let elapsed = self.context.started().elapsed();
        let method = self.method.as_str();
        let route = self.route.as_deref().unwrap_or("none");
        // 499 is what proxies write for a caller who went away before the answer.
        let status = self.status.map_or(499, |status| status.as_u16());
        metrics::counter!(names::HTTP_REQUESTS, "method" => known(&self.method), "route" => route.to_owned(), "status" => status.to_string())
            .increment(1);
        metrics::histogram!(names::HTTP_SECONDS, "method" => known(&self.method), "route" => route.to_owned())
            .record(elapsed.as_secs_f64());
        macro_rules! write_line {
            ($level:expr) => {
                tracing::event!(
                    target: "emgate::access",
                    $level,
                    method,
                    path = self.path,
                    route,
                    status,
                    duration_ms = elapsed.as_secs_f64() * 1000.0,
                    caller = self.context.caller(),
                    client = self.context.client().map(tracing::field::display),
                    "{method} {} {status}",
                    self.path
                )
            };
        }
        if matches!(route, "/healthz" | "/readyz" | "/metrics") {
            write_line!(tracing::Level::DEBUG);
        } else {
            write_line!(tracing::Level::INFO);
        }
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
