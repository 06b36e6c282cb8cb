//! The gateway itself: health, readiness, metrics, its document and the pages around it. No token needed.

use std::borrow::Cow;

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api_types::Moment;
use crate::http::HttpState;
use crate::http::codes::{Code, ProblemMeaning};
use crate::http::extract::{Conditions, Id, Query};
use crate::http::register::public;
use crate::telemetry;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::default()
        .routes(public(routes!(get_health)))
        .routes(public(routes!(get_readiness)))
        .routes(public(routes!(get_metrics)))
        .routes(public(routes!(get_openapi)))
        .routes(public(routes!(get_problem)))
}

/// Whether the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`: a process that cannot say so says nothing.
    #[schema(example = "ok")]
    pub status: &'static str,
}

/// Whether the process lives
///
/// For liveness probes: says nothing of the store or of Enterprise Manager, since a restart would not help them.
#[utoipa::path(get, path = "/healthz", operation_id = "getHealth", tag = "service",
    responses((status = 200, description = "The process lives.", body = Health)))]
pub(in crate::http) async fn get_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the gateway can take work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready`, `degraded` (it works, but not everything is well) or `unavailable`.
    #[schema(example = "ready")]
    pub status: &'static str,
    /// What was looked at.
    pub checks: Vec<ReadinessCheck>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReadinessCheck {
    /// Its name: `migrations` (the store is open and its tables are up to date; until then no other is looked at),
    /// `store`, `baseline` (Enterprise Manager was observed completely once), `running`,
    /// `observation` (it was observed completely a moment ago), `upstream` (it can be reached), `logon` (it takes the
    /// credentials), `webhooks` (deliveries can be claimed, and every endpoint's secrets open with the encryption key),
    /// `records` (no record that was read at Enterprise Manager is damaged),
    /// `clock` (it is not ahead of what the store remembers by more than an absence explains).
    #[schema(example = "upstream")]
    pub name: &'static str,
    /// `ok` or `failed`.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// Since when it is as it is, where that is known.
    #[schema(required)]
    pub since: Option<Moment>,
    /// Why it failed, for people, where that is known.
    #[schema(required, example = "its disk is full")]
    pub reason: Option<Cow<'static, str>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReadinessQuery {
    /// `true` answers 503 when Enterprise Manager cannot be reached, too.
    #[serde(default)]
    #[param(default = false)]
    strict: bool,
}

/// Whether the gateway can take work
///
/// For readiness probes. While Enterprise Manager cannot be reached the gateway is `degraded` but ready: it keeps
/// answering for what it knows, and says honestly what it cannot do.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = "service", params(ReadinessQuery),
    responses(
        (status = 200, description = "Work can be taken.", body = Readiness),
        (status = 503, description = "The store is down or cannot be written to, Enterprise Manager was never observed completely, or the \
            gateway is stopping; with `strict=true` also when Enterprise Manager cannot be reached.", body = Readiness),
    ))]
async fn get_readiness(State(edge): State<HttpState>, Query(query): Query<ReadinessQuery>) -> Response {
    let readiness = edge.app().readiness().await;
    let (ready, healthy) = (readiness.is_ready(), readiness.is_healthy());
    let body = Readiness {
        status: match (ready, healthy) {
            (false, _) => "unavailable",
            (true, false) => "degraded",
            (true, true) => "ready",
        },
        checks: readiness
            .checks
            .into_iter()
            .map(|check| ReadinessCheck {
                name: check.name,
                status: if check.ok { "ok" } else { "failed" },
                since: check.since.map(Moment),
                reason: check.reason,
            })
            .collect(),
    };
    body.answer(if query.strict { healthy } else { ready })
}

/// The answer while one thing is waited for without which there is no other check.
pub(in crate::http) fn not_ready(name: &'static str, since: Timestamp) -> Response {
    let checks = vec![ReadinessCheck {
        name,
        status: "failed",
        since: Some(Moment(since)),
        reason: Some("the store is being opened and brought up to date".into()),
    }];
    let status = "unavailable";
    Readiness { status, checks }.answer(false)
}

impl Readiness {
    fn answer(self, up: bool) -> Response {
        let status = if up {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, [(CACHE_CONTROL, "no-store")], Json(self)).into_response()
    }
}

/// Metrics
///
/// In Prometheus' text format.
#[utoipa::path(get, path = "/metrics", operation_id = "getMetrics", tag = "service",
    responses((status = 200, description = "All metrics.", body = String, content_type = "text/plain")))]
pub(in crate::http) async fn get_metrics() -> impl IntoResponse {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, TEXT)], telemetry::render())
}

/// This document
///
/// OpenAPI 3.1, the same that is checked in as `openapi/emgate.v1.json`.
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenapi", tag = "service",
    responses((status = 200, description = "The document.", body = serde_json::Value)))]
async fn get_openapi(State(edge): State<HttpState>, conditions: Conditions) -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let (document, tag) = edge.document();
    let response = ([(CONTENT_TYPE, JSON)], document).into_response();
    let mut response = conditions.tagged(tag, response);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// What a problem code means
///
/// The page that a problem's `type` leads to: HTML for browsers, JSON for everybody else.
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
    let mut response = if wants_html {
        super::pages::problem(&meaning)
    } else {
        Json(meaning).into_response()
    };
    response
        .headers_mut()
        .insert(axum::http::header::VARY, HeaderValue::from_static("accept"));
    response
}
