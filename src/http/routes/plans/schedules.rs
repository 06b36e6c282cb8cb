//! Schedules of cloud failover plans: when they are tested by themselves.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Response};

use crate::api_types::schedules::{Course, Schedule, ScheduleInput};
use crate::app::OpContext;
use crate::app::evidence::{ScheduleRecord, UnchangedSchedule};
use crate::domain::access::Scope;
use crate::domain::id::EmId;
use crate::http::HttpState;
use crate::http::answers::{BODY, STORED, UPSTREAM_READ};
use crate::http::codes::Code;
use crate::http::extract::{Conditions, Id, JsonBody, NoBody, entity_tag, no_idempotency_key};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routes::paths::{ChangeConditions, PlanPath};
use crate::http::routing::{Routes, route};

pub(super) fn routes() -> Routes {
    let problems: &[&[Code]] = &[UPSTREAM_READ, STORED, BODY, &[Code::PreconditionFailed]];
    Routes::default()
        .with(require_scope(Scope::ReportsRead, &[STORED], route!(get_schedule)))
        .with(require_scope(Scope::ReportsWrite, problems, route!(set_schedule)))
        .with(require_scope(
            Scope::ReportsWrite,
            problems,
            route!(remove_schedule),
        ))
        .map(|router| router.route_layer(from_fn(no_idempotency_key)))
}

/// Read the schedule of a cloud failover plan
///
/// When it is due next, and what became of the last time. 404 when it has none.
#[utoipa::path(get, path = "/api/v1/cloud-failover-plans/{planId}/schedule",
    operation_id = "getCloudFailoverPlanSchedule", tag = "reports", params(PlanPath),
    responses(
        (status = 200, description = "The schedule.", body = Schedule,
            headers(("ETag" = String, description = "The entity tag of what was set, for `If-Match`."))),
        (status = 304, description = "The caller already has it (`If-None-Match`)."),
    ))]
async fn get_schedule(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let record = state.app().schedule(&context, &id).await?;
    let shown = Json(shown(&record)).into_response();
    Ok(conditions.tagged(&tag_of(&record), shown))
}

/// Set the schedule of a cloud failover plan
///
/// From now on the gateway tests the plan at these times, each once, and never starts it. A test is requested by
/// `schedule:<plan>` on behalf of who sets the schedule; policies and approvals hold for it as for any other. What was due while the
/// gateway did not run is caught up with within an hour; what is older, or cannot be run, is told by `recovery.test.skipped`.
#[utoipa::path(put, path = "/api/v1/cloud-failover-plans/{planId}/schedule",
    operation_id = "setCloudFailoverPlanSchedule", tag = "reports", params(PlanPath, ChangeConditions), request_body = ScheduleInput,
    responses((status = 200, description = "The schedule.", body = Schedule,
        headers(("ETag" = String, description = "The entity tag of what was set, for `If-Match`.")))))]
async fn set_schedule(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
    JsonBody(wanted): JsonBody<ScheduleInput>,
) -> Result<Response, Problem> {
    let unchanged = unchanged(&conditions);
    let unchanged = unchanged.as_ref().map(|is_same| is_same as UnchangedSchedule<'_>);
    let record = state
        .app()
        .set_schedule(&context, &id, wanted.into(), unchanged)
        .await?;
    Ok(([(ETAG, tag_of(&record))], Json(shown(&record))).into_response())
}

/// Remove the schedule of a cloud failover plan
///
/// A test that runs goes on. Also of a plan that Enterprise Manager no longer has.
#[utoipa::path(delete, path = "/api/v1/cloud-failover-plans/{planId}/schedule",
    operation_id = "removeCloudFailoverPlanSchedule", tag = "reports", params(PlanPath, ChangeConditions),
    responses((status = 204, description = "There is none.")))]
async fn remove_schedule(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    let unchanged = unchanged(&conditions);
    let unchanged = unchanged.as_ref().map(|is_same| is_same as UnchangedSchedule<'_>);
    state.app().remove_schedule(&context, &id, unchanged).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The entity tag of what was set; what became of it since is not part of it.
fn tag_of(record: &ScheduleRecord) -> String {
    let set = (&record.schedule, record.set_at.as_microsecond());
    entity_tag(&serde_json::to_vec(&set).unwrap_or_default())
}

/// Whether a schedule is still the one that the caller read.
fn unchanged(conditions: &Conditions) -> Option<impl Fn(&ScheduleRecord) -> bool + Send + Sync + use<>> {
    let tags = conditions.expected()?.to_vec();
    Some(move |record: &ScheduleRecord| tags.contains(&tag_of(record)))
}

fn shown(record: &ScheduleRecord) -> Schedule {
    let course = Course {
        set_by: record.set_by.who.name.as_deref(),
        set_at: record.set_at,
        next_at: record.due_at,
        waiting: record.waiting,
        last: record.last.as_ref(),
    };
    Schedule::new(&record.schedule, course)
}
