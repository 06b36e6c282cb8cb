//! Recovery reports: of an operation or a session, as JSON, page or table; and the keys that sign them.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::paths::{OperationPath, SessionPath};
use crate::api_types::reports::RecoveryReport;
use crate::api_types::reports::sources::{ReportKey, ReportKeys};
use crate::app::evidence::ReportFile;
use crate::app::{OpContext, ReportFormat};
use crate::domain::access::Scope;
use crate::domain::id::{EmId, OperationId};
use crate::http::HttpState;
use crate::http::answers::STORED;
use crate::http::codes::Code;
use crate::http::extract::{Choice, Conditions, EnumParam, Id, Query, bounded, entity_tag};
use crate::http::problem::Problem;
use crate::http::register::{public, require_scope};
use crate::http::routing::{Routes, route};

/// What a page may do: nothing.
pub(super) const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-popups";

const PROBLEMS: &[&[Code]] = &[STORED, &[Code::OperationRunning]];

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(require_scope(
            Scope::ReportsRead,
            PROBLEMS,
            route!(get_operation_report),
        ))
        .with(require_scope(
            Scope::ReportsRead,
            PROBLEMS,
            route!(get_failover_session_report),
        ))
        .with(public(route!(get_report_keys)))
}

impl EnumParam for ReportFormat {
    fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|format| format.word()).collect()
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.word() == word)
    }
}

type Wanted = Choice<ReportFormat>;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReportQuery {
    /// How the report is answered; by `Accept` when absent.
    #[param(inline)]
    format: Option<Wanted>,
    /// Which revision; the last when absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    revision: Option<Revision>,
}

/// The number of a revision.
#[derive(Debug, Clone, Copy)]
struct Revision(u32);

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 1_000_000).map(Self)
    }
}

impl ReportQuery {
    fn revision(&self) -> Option<i64> {
        self.revision.map(|Revision(number)| i64::from(number))
    }

    /// What is wanted: the parameter, else the first of `Accept` that there is, else JSON.
    fn format(&self, headers: &HeaderMap) -> ReportFormat {
        if let Some(Choice(format)) = &self.format {
            return *format;
        }
        let accepted = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut best: Option<(ReportFormat, f32)> = None;
        for range in accepted.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok())
                .unwrap_or(1.0);
            let found = match kind.as_str() {
                "*/*" | "application/*" => Some(ReportFormat::Json),
                kind => ReportFormat::ALL
                    .iter()
                    .copied()
                    .find(|format| format.media_type() == kind),
            };
            if let Some(format) = found
                && weight > best.map_or(0.0, |(_, weight)| weight)
            {
                best = Some((format, weight));
            }
        }
        best.map_or(ReportFormat::Json, |(format, _)| format)
    }
}

/// Read the report of an operation
///
/// What a test or start of a failover plan showed: its machines with their times and restore points, how these compare with the
/// objectives in force at the request, who asked and approved, what was found, and how it compares with earlier tests. Each
/// figure says by whose clock it was measured, and where it is absent, why. Signed; `emgate report verify` verifies it
/// without a connection. Until the operation has ended, 409.
#[utoipa::path(get, path = "/api/v1/operations/{operationId}/report", operation_id = "getOperationReport", tag = "reports",
    params(OperationPath, ReportQuery),
    responses(
        (status = 200, description = "The report.", headers(
            ("ETag" = String, description = "The entity tag of this form of this revision."),
            ("Content-Disposition" = String, description = "The name of the file."),
            ("Vary" = String, description = "`Accept`.")),
            content((RecoveryReport = "application/json"), (String = "text/html"), (String = "text/csv"))),
        (status = 304, description = "The caller already has this state (`If-None-Match`)."),
    ))]
async fn get_operation_report(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    Query(query): Query<ReportQuery>,
    conditions: Conditions,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (format, revision) = (query.format(&headers), query.revision());
    let file = state
        .app()
        .operation_report(&context, id, revision, format)
        .await?;
    Ok(answer(file, &conditions))
}

/// Read the report of a failover session
///
/// Wherever it was started. Of one that was requested through the gateway, the report of its operation. Until the session
/// has ended, 409.
#[utoipa::path(get, path = "/api/v1/failover-sessions/{sessionId}/report", operation_id = "getFailoverSessionReport",
    tag = "reports",
    params(SessionPath, ReportQuery),
    responses(
        (status = 200, description = "The report.", headers(
            ("ETag" = String, description = "The entity tag of this form of this revision."),
            ("Content-Disposition" = String, description = "The name of the file."),
            ("Vary" = String, description = "`Accept`.")),
            content((RecoveryReport = "application/json"), (String = "text/html"), (String = "text/csv"))),
        (status = 304, description = "The caller already has this state (`If-None-Match`)."),
    ))]
async fn get_failover_session_report(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    Query(query): Query<ReportQuery>,
    conditions: Conditions,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (format, revision) = (query.format(&headers), query.revision());
    let file = state
        .app()
        .session_report(&context, &id, revision, format)
        .await?;
    Ok(answer(file, &conditions))
}

fn answer(file: ReportFile, conditions: &Conditions) -> Response {
    let tag = entity_tag(&file.bytes);
    let (kind, place) = match file.format {
        ReportFormat::Json => ("application/json", "attachment"),
        ReportFormat::Html => ("text/html; charset=utf-8", "inline"),
        ReportFormat::Csv => ("text/csv; charset=utf-8; header=present", "attachment"),
    };
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("{place}; filename=\"{}\"", file.name),
        ),
    ];
    // A page of the gateway's own origin: nothing in it runs, whatever a machine is called.
    let policy = (file.format == ReportFormat::Html).then_some([(CONTENT_SECURITY_POLICY, PAGE_POLICY)]);
    let response = (headers, policy, file.bytes).into_response();
    ([(VARY, "Accept")], conditions.tagged(&tag, response)).into_response()
}

/// Read the keys that sign reports
///
/// Open to everybody, so that whoever has a report can verify it.
#[utoipa::path(get, path = "/.well-known/emgate/report-keys", operation_id = "getReportKeys", tag = "reports",
    responses((status = 200, description = "The keys, the newest first.", body = ReportKeys)))]
async fn get_report_keys(State(state): State<HttpState>) -> Result<Json<ReportKeys>, Problem> {
    let keys = state.app().report_keys().await?;
    let shown = |key: crate::app::evidence::Key| ReportKey {
        key_id: key.id,
        algorithm: "Ed25519",
        public_key: key.public_key,
        not_before: key.not_before.into(),
        not_after: key.not_after.map(Into::into),
    };
    Ok(Json(ReportKeys {
        keys: keys.into_iter().map(shown).collect(),
    }))
}
