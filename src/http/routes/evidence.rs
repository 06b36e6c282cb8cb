//! What people and programs record about a failover: checks, notes, findings, reviews of its report.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Response};
use utoipa::IntoParams;

use super::paths::{ChangeConditions, OperationPath};
use super::reply::Created;
use crate::api_types::reports::entries::{
    CheckInput, FindingInput, FindingPatch, NoteInput, ReviewInput, ReviewedReport, check, note, review,
};
use crate::api_types::reports::{HoldInput, ReportCheck, ReportFinding, ReportHold, ReportNote};
use crate::app::OpContext;
use crate::app::evidence::UnchangedHold;
use crate::domain::access::Scope;
use crate::domain::evidence::entry;
use crate::domain::evidence::hold::Hold;
use crate::domain::id::{FindingId, OperationId};
use crate::http::HttpState;
use crate::http::answers::{BODY, STORED};
use crate::http::codes::Code;
use crate::http::extract::{Conditions, Id, Ids, JsonBody, NoBody, entity_tag, no_idempotency_key};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routing::{Routes, route};

const REVIEW_PROBLEMS: &[&[Code]] = &[STORED, &[Code::OperationRunning, Code::SelfApproval]];

const HOLD_PROBLEMS: &[&[Code]] = &[STORED, BODY, &[Code::PreconditionFailed]];

pub(super) fn routes() -> Routes {
    let write = Scope::ReportsWrite;
    Routes::default()
        .with(require_scope(write, &[STORED], route!(record_check)))
        .with(require_scope(write, &[STORED], route!(record_note)))
        .with(require_scope(write, &[STORED], route!(record_finding)))
        .with(require_scope(write, &[STORED], route!(change_finding)))
        .with(require_scope(write, REVIEW_PROBLEMS, route!(review_report)))
        .with(require_scope(
            Scope::ReportsRead,
            &[STORED],
            route!(get_report_hold),
        ))
        .with(require_scope(write, HOLD_PROBLEMS, route!(hold_report)))
        .with(require_scope(write, HOLD_PROBLEMS, route!(release_report)))
        .map(|router| router.route_layer(from_fn(no_idempotency_key)))
}

/// Which finding.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
struct FindingPath {
    /// The finding's id.
    #[param(rename = "findingId", example = "fnd_019c55e5-9d00-7a1c-9f60-2f3f1d0c0010")]
    finding_id: String,
}

const LOST: &str = "an entry is not what was recorded";

fn lost() -> Problem {
    tracing::error!("{LOST}");
    Problem::internal()
}

/// Record a check
///
/// That an application answers, for example: Enterprise Manager only tells that machines were switched on. Checks that passed make
/// the application recovery time of the report. Added while the failover runs or after it; each makes a new revision of a report
/// that is there.
#[utoipa::path(post, path = "/api/v1/operations/{operationId}/checks", operation_id = "recordCheck", tag = "reports",
    params(OperationPath), request_body = CheckInput,
    responses((status = 201, description = "The check, as it is in reports.", body = ReportCheck,
        headers(("Location" = String, description = "The report.")))))]
async fn record_check(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    JsonBody(wanted): JsonBody<CheckInput>,
) -> Result<Created<ReportCheck>, Problem> {
    let now = state.0.clock.now();
    let entry = state
        .app()
        .record_entry(&context, id, wanted.content(now))
        .await?;
    let body = check(&entry).ok_or_else(lost)?;
    Ok(Created {
        location: report(&state, id),
        body,
    })
}

/// Record a note
#[utoipa::path(post, path = "/api/v1/operations/{operationId}/notes", operation_id = "recordNote", tag = "reports",
    params(OperationPath), request_body = NoteInput,
    responses((status = 201, description = "The note, as it is in reports.", body = ReportNote,
        headers(("Location" = String, description = "The report.")))))]
async fn record_note(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    JsonBody(wanted): JsonBody<NoteInput>,
) -> Result<Created<ReportNote>, Problem> {
    let content = entry::Content::Note {
        text: wanted.text.into_inner(),
    };
    let entry = state.app().record_entry(&context, id, content).await?;
    let body = note(&entry).ok_or_else(lost)?;
    Ok(Created {
        location: report(&state, id),
        body,
    })
}

/// Record a finding
#[utoipa::path(post, path = "/api/v1/operations/{operationId}/findings", operation_id = "recordFinding", tag = "reports",
    params(OperationPath), request_body = FindingInput,
    responses((status = 201, description = "The finding, as it is in reports.", body = ReportFinding,
        headers(("Location" = String, description = "The report.")))))]
async fn record_finding(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    JsonBody(wanted): JsonBody<FindingInput>,
) -> Result<Created<ReportFinding>, Problem> {
    let name = state.app().finding_id().to_string();
    let entry = state
        .app()
        .record_entry(&context, id, wanted.content(name))
        .await?;
    let found = entry::findings(std::slice::from_ref(&entry));
    let body = found.first().map(ReportFinding::from).ok_or_else(lost)?;
    Ok(Created {
        location: report(&state, id),
        body,
    })
}

/// Record what became of a finding
///
/// What was recorded before stays in the audit log; the report shows the finding as it stands.
#[utoipa::path(patch, path = "/api/v1/operations/{operationId}/findings/{findingId}", operation_id = "changeFinding",
    tag = "reports", params(OperationPath, FindingPath), request_body = FindingPatch,
    responses((status = 200, description = "The finding as it stands.", body = ReportFinding)))]
async fn change_finding(
    State(state): State<HttpState>,
    context: OpContext,
    Ids(id, finding): Ids<OperationId, FindingId>,
    JsonBody(wanted): JsonBody<FindingPatch>,
) -> Result<Json<ReportFinding>, Problem> {
    let content = wanted.content(finding.to_string());
    let changed = state.app().change_finding(&context, id, finding, content).await?;
    Ok(Json((&changed).into()))
}

/// Review a report
///
/// By another than who requested or approved the failover. Makes a new revision, which has the review.
#[utoipa::path(post, path = "/api/v1/operations/{operationId}/report/review", operation_id = "reviewReport", tag = "reports",
    params(OperationPath), request_body = ReviewInput,
    responses((status = 201, description = "The review, and the revision that has it.", body = ReviewedReport,
        headers(("Location" = String, description = "That revision.")))))]
async fn review_report(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    JsonBody(wanted): JsonBody<ReviewInput>,
) -> Result<Created<ReviewedReport>, Problem> {
    let (entry, revision) = state.app().review_report(&context, id, wanted.content()).await?;
    Ok(Created {
        location: format!("{}?revision={revision}", report(&state, id)),
        body: ReviewedReport {
            revision,
            review: review(&entry).ok_or_else(lost)?,
        },
    })
}

/// Read the hold of a report
///
/// 404 when nobody holds it.
#[utoipa::path(get, path = "/api/v1/operations/{operationId}/report/hold", operation_id = "getReportHold", tag = "reports",
    params(OperationPath),
    responses(
        (status = 200, description = "The hold, as it is in the report.", body = ReportHold,
            headers(("ETag" = String, description = "Its entity tag, for `If-Match` and `If-None-Match`."))),
        (status = 304, description = "The caller already has it (`If-None-Match`)."),
    ))]
async fn get_report_hold(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let hold = state.app().report_hold(&context, id).await?;
    let shown = Json(ReportHold::from(&hold)).into_response();
    Ok(conditions.tagged(&tag_of(&hold), shown))
}

/// Hold a report
///
/// A legal hold: the report is not removed for its age until it is released. The report says so from its next revision on.
#[utoipa::path(put, path = "/api/v1/operations/{operationId}/report/hold", operation_id = "holdReport", tag = "reports",
    params(OperationPath, ChangeConditions), request_body = HoldInput,
    responses((status = 200, description = "The hold, as it is in the report.", body = ReportHold,
        headers(("ETag" = String, description = "Its entity tag, for `If-Match` and `If-None-Match`.")))))]
async fn hold_report(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    conditions: Conditions,
    JsonBody(wanted): JsonBody<HoldInput>,
) -> Result<Response, Problem> {
    let unchanged = unchanged(&conditions);
    let unchanged = unchanged.as_ref().map(|is_same| is_same as UnchangedHold<'_>);
    let reason = wanted.reason.into_inner();
    let hold = state.app().hold_report(&context, id, reason, unchanged).await?;
    Ok(([(ETAG, tag_of(&hold))], Json(ReportHold::from(&hold))).into_response())
}

/// Release a report
///
/// Ends its legal hold, if there is one: it is removed with its age.
#[utoipa::path(delete, path = "/api/v1/operations/{operationId}/report/hold", operation_id = "releaseReport", tag = "reports",
    params(OperationPath, ChangeConditions),
    responses((status = 204, description = "Nobody holds it.")))]
async fn release_report(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    conditions: Conditions,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    let unchanged = unchanged(&conditions);
    let unchanged = unchanged.as_ref().map(|is_same| is_same as UnchangedHold<'_>);
    state.app().release_report(&context, id, unchanged).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn tag_of(hold: &Hold) -> String {
    entity_tag(&serde_json::to_vec(hold).unwrap_or_default())
}

/// Whether a hold is still the one that the caller read.
fn unchanged(conditions: &Conditions) -> Option<impl Fn(&Hold) -> bool + Send + Sync + use<>> {
    let tags = conditions.expected()?.to_vec();
    Some(move |hold: &Hold| tags.contains(&tag_of(hold)))
}

fn report(state: &HttpState, id: OperationId) -> String {
    state.links().api(&format!("/operations/{id}/report"))
}
