//! Schedules of cloud failover plans: when they are tested by themselves.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api_types::schedules::{Course, Schedule, ScheduleInput};
use crate::app::OpContext;
use crate::app::evidence::ScheduleRecord;
use crate::domain::access::Scope;
use crate::domain::id::EmId;
use crate::http::HttpState;
use crate::http::answers::{STORED, UPSTREAM_READ};
use crate::http::extract::{Id, JsonBody, NoBody, no_idempotency_key};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routes::paths::PlanPath;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    let problems: &[&[crate::http::codes::Code]] = &[UPSTREAM_READ, STORED];
    OpenApiRouter::default()
        .routes(require_scope(
            Scope::ReportsRead,
            &[STORED],
            routes!(get_schedule),
        ))
        .routes(require_scope(
            Scope::ReportsWrite,
            problems,
            routes!(set_schedule),
        ))
        .routes(require_scope(
            Scope::ReportsWrite,
            problems,
            routes!(remove_schedule),
        ))
        .route_layer(from_fn(no_idempotency_key))
}

/// Read the schedule of a cloud failover plan
///
/// When it is due next, and what became of the last time. 404 when it has none.
#[utoipa::path(get, path = "/api/v1/cloud-failover-plans/{planId}/schedule",
    operation_id = "getCloudFailoverPlanSchedule", tag = "reports", params(PlanPath),
    responses((status = 200, description = "The schedule.", body = Schedule)))]
async fn get_schedule(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
) -> Result<Json<Schedule>, Problem> {
    let record = state.app().schedule(&context, &id).await?;
    Ok(Json(shown(&record)))
}

/// Set the schedule of a cloud failover plan
///
/// From now on the gateway tests the plan at these times, each once, and never starts it. A test is requested by
/// `schedule:<plan>` on behalf of who sets the schedule; policies and approvals hold for it as for any other. What was due while the
/// gateway did not run is caught up with within an hour; what is older, or cannot be run, is told by `recovery.test.skipped`.
#[utoipa::path(put, path = "/api/v1/cloud-failover-plans/{planId}/schedule",
    operation_id = "setCloudFailoverPlanSchedule", tag = "reports", params(PlanPath), request_body = ScheduleInput,
    responses((status = 200, description = "The schedule.", body = Schedule)))]
async fn set_schedule(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    JsonBody(wanted): JsonBody<ScheduleInput>,
) -> Result<Json<Schedule>, Problem> {
    let record = state.app().set_schedule(&context, &id, wanted.into()).await?;
    Ok(Json(shown(&record)))
}

/// Remove the schedule of a cloud failover plan
///
/// A test that runs goes on. Also of a plan that Enterprise Manager no longer has.
#[utoipa::path(delete, path = "/api/v1/cloud-failover-plans/{planId}/schedule",
    operation_id = "removeCloudFailoverPlanSchedule", tag = "reports", params(PlanPath),
    responses((status = 204, description = "There is none.")))]
async fn remove_schedule(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    _: NoBody,
) -> Result<StatusCode, Problem> {
    state.app().remove_schedule(&context, &id).await?;
    Ok(StatusCode::NO_CONTENT)
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
