//! The gateway itself: health, readiness, metrics, its document and the pages around it. No token needed.

use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api_types::readiness::{Health, Readiness, ReadinessCheck};
use crate::app::readiness::Check;
use crate::http::codes::{Code, ProblemMeaning};
use crate::http::extract::{Conditions, Id, Query, flag};
use crate::http::layers::NoCompression;
use crate::http::register::{probe, probe_or, public};
use crate::http::remembered::takes_gzip;
use crate::http::routing::{Routes, route};
use crate::http::{HttpState, not_found};
use crate::telemetry;

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(probe(route!(get_health)))
        .with(probe(route!(get_readiness)))
        .with(probe_or(route!(get_metrics), &[Code::NotFound]))
        .with(public(route!(get_openapi)))
        .with(public(route!(get_problem)))
}

/// Whether the process is running
///
/// For liveness probes. It does not check the store or Enterprise Manager, because a restart would not repair them.
#[utoipa::path(get, path = "/healthz", operation_id = "getHealth", tag = "service",
    responses((status = 200, description = "The process is running.", body = Health)))]
pub(in crate::http) async fn get_health() -> Json<Health> {
    Json(Health::OK)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReadinessQuery {
    /// `true` also answers 503 when Enterprise Manager cannot be reached.
    #[serde(default, deserialize_with = "flag")]
    #[param(default = false)]
    strict: bool,
}

/// Whether the gateway can accept work
///
/// For readiness probes. While Enterprise Manager cannot be reached the gateway is `degraded` but ready: it answers
/// from its store, and requests that need Enterprise Manager get a problem.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = "service", params(ReadinessQuery),
    responses(
        (status = 200, description = "The gateway can accept work.", body = Readiness),
        (status = 503, description = "The store is down or cannot be written to, Enterprise Manager was never observed completely, or the \
            gateway is stopping; with `strict=true` also when Enterprise Manager cannot be reached.", body = Readiness),
    ))]
async fn get_readiness(State(state): State<HttpState>, Query(query): Query<ReadinessQuery>) -> Response {
    let mut readiness = state.app().readiness().await;
    if state.verifier().fetches_keys() {
        let issuers = Check::unless("issuers", state.verifier().without_keys());
        readiness.checks.push(issuers);
    }
    let (ready, healthy) = (readiness.is_ready(), readiness.is_healthy());
    let checks = readiness.checks.into_iter();
    let checks = checks.map(|check| ReadinessCheck::new(check.name, check.ok, check.since, check.reason));
    let body = Readiness::new(ready, healthy, checks.collect());
    probed(body, if query.strict { healthy } else { ready })
}

/// The answer while one check cannot pass and no other can be made.
pub(in crate::http) fn not_ready(name: &'static str, since: Timestamp) -> Response {
    let reason = "the store is being opened and brought up to date";
    let check = ReadinessCheck::new(name, false, Some(since), Some(reason.into()));
    probed(Readiness::new(false, false, vec![check]), false)
}

fn probed(body: Readiness, up: bool) -> Response {
    let status = if up {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Metrics
///
/// In Prometheus' text format. Where the gateway has a listener of their own (`metrics.listen`) they are there alone, and this
/// is 404.
#[utoipa::path(get, path = "/metrics", operation_id = "getMetrics", tag = "service",
    responses((status = 200, description = "All metrics.", body = String, content_type = "text/plain")))]
async fn get_metrics(State(state): State<HttpState>, request: Request) -> Response {
    if state.config().metrics.listen.is_some() {
        return not_found(request).await.into_response();
    }
    metrics().await.into_response()
}

/// What is shown of them, by whichever listener.
pub(in crate::http) async fn metrics() -> impl IntoResponse {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, TEXT)], telemetry::render())
}

/// This document
///
/// OpenAPI 3.1; the repository has the same document as `openapi/emgate.v1.json`.
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenapi", tag = "service",
    responses((status = 200, description = "The document.", body = serde_json::Value)))]
async fn get_openapi(State(state): State<HttpState>, conditions: Conditions, headers: HeaderMap) -> Response {
    const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");
    let document = state.document();
    let response = if takes_gzip(&headers) {
        let headers = [JSON, (CONTENT_ENCODING, "gzip"), (VARY, "accept-encoding")];
        (Extension(NoCompression), headers, document.gzip()).into_response()
    } else {
        ([JSON], document.plain()).into_response()
    };
    let response = conditions.tagged(document.tag(), response);
    ([(CACHE_CONTROL, "no-cache")], response).into_response()
}

/// What a problem code means
///
/// The page that a problem's `type` links to: HTML for browsers, JSON for other clients.
#[utoipa::path(get, path = "/problems/{code}", operation_id = "getProblem", tag = "service",
    params(("code" = String, Path, description = "A problem's `code`.", example = "plan-busy")),
    responses((status = 200, description = "The meaning.", content(
        (ProblemMeaning = "application/json"),
        (String = "text/html")
    ))))]
async fn get_problem(Id(code): Id<Code>, headers: HeaderMap) -> Response {
    let meaning = code.meaning();
    let wants_html = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("text/html"));
    let response = if wants_html {
        super::pages::problem(&meaning)
    } else {
        Json(meaning).into_response()
    };
    ([(VARY, "accept")], response).into_response()
}
