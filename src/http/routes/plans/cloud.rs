//! Failover plans of Veeam Cloud Connect tenants.

use axum::extract::State;
use axum::response::Response;

use super::call::{ActionCall, EditCall};
use super::document::{ActionHeaders, ActionResponses, EditHeaders, EditResponses};
use super::rehearsal::DryRunParam;
use super::{ACTION_PROBLEMS, EDIT_PROBLEMS, PlanOrder, get, list};
use crate::api_types::actions::{ActionOptions, DeletionOptions, StartOptions};
use crate::api_types::page::Page;
use crate::api_types::plans::Plan;
use crate::app::OpContext;
use crate::domain::access::Scope;
use crate::domain::id::EmId;
use crate::domain::plan::{ActionKind, PlanKind};
use crate::http::HttpState;
use crate::http::answers::{STORED, UPSTREAM_READ};
use crate::http::extract::{Conditions, Id, JsonValue, OptionalJson, Query};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::remembered::Asked;
use crate::http::routes::lists::{NumberedList, NumberedParams};
use crate::http::routes::paths::PlanPath;
use crate::http::routing::{Routes, route};

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(require_scope(
            Scope::PlansRead,
            &[UPSTREAM_READ, STORED],
            route!(list_cloud_failover_plans),
        ))
        .with(require_scope(
            Scope::PlansRead,
            &[UPSTREAM_READ, STORED],
            route!(get_cloud_failover_plan),
        ))
        .with(require_scope(
            Scope::PlansWrite,
            EDIT_PROBLEMS,
            route!(update_cloud_failover_plan),
        ))
        .with(require_scope(
            Scope::PlansWrite,
            EDIT_PROBLEMS,
            route!(delete_cloud_failover_plan),
        ))
        .with(require_scope(
            Scope::PlansTest,
            ACTION_PROBLEMS,
            route!(test_cloud_failover_plan),
        ))
        .with(require_scope(
            Scope::PlansStart,
            ACTION_PROBLEMS,
            route!(start_cloud_failover_plan),
        ))
        .with(require_scope(
            Scope::PlansUndo,
            ACTION_PROBLEMS,
            route!(undo_cloud_failover_plan),
        ))
}

/// List cloud failover plans
///
/// Failover plans of Veeam Cloud Connect tenants, with Enterprise Manager's page numbers.
#[utoipa::path(get, path = "/api/v1/cloud-failover-plans", operation_id = "listCloudFailoverPlans", tag = "plans", params(NumberedParams, PlanOrder),
    responses((status = 200, description = "A page of plans.", body = Page<Plan>)))]
async fn list_cloud_failover_plans(
    State(state): State<HttpState>,
    context: OpContext,
    Query(order): Query<PlanOrder>,
    page: NumberedList,
    asked: Asked,
) -> Result<Response, Problem> {
    list(&state, &context, PlanKind::Cloud, order, page, &asked).await
}

/// Read a cloud failover plan
#[utoipa::path(get, path = "/api/v1/cloud-failover-plans/{planId}", operation_id = "getCloudFailoverPlan", tag = "plans",
    params(PlanPath),
    responses(
        (status = 200, description = "The plan.", body = Plan, headers(("ETag" = String, description = "The entity tag of this state of the plan, for `If-Match`."))),
        (status = 304, description = "The caller already has this state (`If-None-Match`)."),
    ))]
async fn get_cloud_failover_plan(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
    asked: Asked,
) -> Result<Response, Problem> {
    get(&state, &context, PlanKind::Cloud, &id, &conditions, &asked).await
}

/// Edit a cloud failover plan
///
/// The body is the plan as it was read, with the changes applied. `preFailoverCommand` and `postFailoverCommand` may
/// change; a change of another field is refused. Every field of the plan is required. A `reason` (1 to 500
/// characters) may stand beside them.
#[utoipa::path(put, path = "/api/v1/cloud-failover-plans/{planId}", operation_id = "updateCloudFailoverPlan", tag = "plans",
    params(PlanPath, DryRunParam, EditHeaders),
    request_body = Plan,
    responses(EditResponses))]
async fn update_cloud_failover_plan(
    State(state): State<HttpState>,
    call: EditCall,
    JsonValue(body): JsonValue,
) -> Result<Response, Problem> {
    call.update(&state, PlanKind::Cloud, body).await
}

/// Delete a cloud failover plan
#[utoipa::path(
    delete,
    path = "/api/v1/cloud-failover-plans/{planId}",
    operation_id = "deleteCloudFailoverPlan",
    tag = "plans",
    params(PlanPath, DryRunParam, EditHeaders),
    request_body = Option<DeletionOptions>,
    responses(EditResponses)
)]
async fn delete_cloud_failover_plan(
    State(state): State<HttpState>,
    call: EditCall,
    body: OptionalJson<DeletionOptions>,
) -> Result<Response, Problem> {
    call.delete(&state, body).await
}

/// Test a cloud failover plan
///
/// Runs a test failover into the test network and cleans up afterwards. The resulting failover session is joined to
/// the operation.
#[utoipa::path(post, path = "/api/v1/cloud-failover-plans/{planId}/test", operation_id = "testCloudFailoverPlan", tag = "plans",
    params(PlanPath, DryRunParam, ActionHeaders),
    request_body = Option<ActionOptions>,
    responses(ActionResponses))]
async fn test_cloud_failover_plan(
    State(state): State<HttpState>,
    call: ActionCall<ActionOptions>,
) -> Result<Response, Problem> {
    call.run(&state, PlanKind::Cloud, ActionKind::Test).await
}

/// Start a cloud failover plan
///
/// Starts a production failover, to the latest restore points or to those before `restorePoint.before`. The resulting
/// failover session is joined to the operation.
#[utoipa::path(post, path = "/api/v1/cloud-failover-plans/{planId}/start", operation_id = "startCloudFailoverPlan", tag = "plans",
    params(PlanPath, DryRunParam, ActionHeaders),
    request_body = Option<StartOptions>,
    responses(ActionResponses))]
async fn start_cloud_failover_plan(
    State(state): State<HttpState>,
    call: ActionCall<StartOptions>,
) -> Result<Response, Problem> {
    call.run(&state, PlanKind::Cloud, ActionKind::Start).await
}

/// Undo the failover of a cloud failover plan
///
/// Switches back to the source machines and discards the changes made on the replicas since the failover. Enterprise
/// Manager links no failover session to it: the operation ends with its task.
#[utoipa::path(post, path = "/api/v1/cloud-failover-plans/{planId}/undo", operation_id = "undoCloudFailoverPlan", tag = "plans",
    params(PlanPath, DryRunParam, ActionHeaders),
    request_body = Option<ActionOptions>,
    responses(ActionResponses))]
async fn undo_cloud_failover_plan(
    State(state): State<HttpState>,
    call: ActionCall<ActionOptions>,
) -> Result<Response, Problem> {
    call.run(&state, PlanKind::Cloud, ActionKind::Undo).await
}
