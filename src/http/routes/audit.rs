//! The audit log: a page of it, and all of it as JSON lines.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::lists::Log;
use crate::api_types::audit::AuditEntry;
use crate::api_types::page::Page;
use crate::app::OpContext;
use crate::app::audit::{AuditFilter, AuditPlace};
use crate::domain::access::Scope;
use crate::domain::audit::AuditAction;
use crate::domain::id::OperationId;
use crate::http::HttpState;
use crate::http::answers::STORED;
use crate::http::extract::{
    AuditCursor, Choices, EnumParam, IdFilter, NameFilter, PageSize, Query, TimestampParam,
};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routing::{Routes, route};

/// The media type of JSON lines.
const JSON_LINES: &str = "application/x-ndjson";

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(require_scope(Scope::AuditRead, &[STORED], route!(list_audit)))
        .with(require_scope(Scope::AuditRead, &[STORED], route!(export_audit)))
}

impl EnumParam for AuditAction {
    fn words() -> Vec<&'static str> {
        AuditAction::ALL.iter().map(|action| action.as_str()).collect()
    }

    fn parse(word: &str) -> Option<Self> {
        AuditAction::parse(word)
    }
}

type Actions = Choices<AuditAction>;
type Operation = IdFilter<OperationId>;

/// The page of the log, described; it is read like that of any other log.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "only its description is used")]
struct PageParams {
    /// The rows after this one: a cursor, or the `sequence` of a row.
    #[param(inline)]
    after: Option<AuditCursor>,
    /// The rows before this one: a cursor, or the `sequence` of a row.
    #[param(inline)]
    before: Option<AuditCursor>,
    /// Items per page.
    #[param(inline, required = false)]
    page_size: PageSize,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Only rows of this caller, by `actor.subject`.
    #[param(inline)]
    actor: Option<NameFilter>,
    /// Only these actions, separated by commas.
    #[param(inline, style = Form, explode = false)]
    action: Option<Actions>,
    /// Only rows about this operation.
    #[param(inline)]
    operation_id: Option<Operation>,
    /// Only rows written at or after this timestamp.
    #[param(inline)]
    from: Option<TimestampParam>,
    /// Only rows written before this timestamp.
    #[param(inline)]
    to: Option<TimestampParam>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    /// Only rows written at or after this timestamp.
    #[param(inline)]
    from: Option<TimestampParam>,
    /// Only rows written before this timestamp.
    #[param(inline)]
    to: Option<TimestampParam>,
}

/// List the audit log
///
/// Oldest first. One row for each request that changed something or was refused a right, and one for the end of each
/// operation. A caller that is confined to tenants sees the rows of these.
#[utoipa::path(get, path = "/api/v1/audit", operation_id = "listAudit", tag = "audit", params(AuditQuery, PageParams),
    responses((status = 200, description = "A page of rows.", body = Page<AuditEntry>)))]
async fn list_audit(
    State(state): State<HttpState>,
    context: OpContext,
    Query(query): Query<AuditQuery>,
    log: Log<AuditPlace>,
) -> Result<Response, Problem> {
    let filter = AuditFilter {
        actor: query.actor.map(|name| name.0),
        actions: query.action.unwrap_or_default().0,
        operation: query.operation_id.map(|id| id.0),
        from: query.from.map(|at| at.0),
        to: query.to.map(|at| at.0),
        ..AuditFilter::default()
    };
    let page = state.app().audit(&context, filter, log.from, log.size).await?;
    Ok(log
        .page(state.links(), &page, |row| AuditEntry(&row.json))
        .into_response())
}

/// Export the audit log
///
/// All rows as JSON lines, oldest first, each in its canonical form (RFC 8785). The first line is `{"anchor": …}` where
/// older rows were removed. `emgate audit verify --file` verifies the file. The connection is cut where the export
/// cannot go on.
#[utoipa::path(get, path = "/api/v1/audit/export", operation_id = "exportAudit", tag = "audit", params(ExportQuery),
    responses((status = 200, description = "The rows, one a line.", body = String, content_type = "application/x-ndjson",
        example = json!("{\"anchor\":{\"at\":\"2026-02-13T08:00:00.000000Z\",…}}\n{\"action\":\"plan.test\",…,\"sequence\":101,…}\n"))))]
async fn export_audit(
    State(state): State<HttpState>,
    context: OpContext,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let filter = AuditFilter {
        from: query.from.map(|at| at.0),
        to: query.to.map(|at| at.0),
        ..AuditFilter::default()
    };
    let lines = state.app().audit_export(&context, filter).await?;
    let headers = [
        (CONTENT_TYPE, JSON_LINES),
        (CONTENT_DISPOSITION, "attachment; filename=\"emgate-audit.jsonl\""),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}
