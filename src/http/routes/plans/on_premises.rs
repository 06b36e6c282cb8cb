//! On-premises failover plans: as cloud plans, without what Enterprise Manager does not offer (test, delete).

use axum::extract::State;
use axum::response::Response;

use super::call::{ActionCall, EditCall};
use super::document::{ActionHeaders, ActionResponses, EditHeaders, EditResponses};
use super::rehearsal::DryRunParam;
use super::{ACTION_PROBLEMS, EDIT_PROBLEMS, PlanOrder, get, list};
use crate::api_types::actions::{ActionOptions, StartOptions};
use crate::api_types::page::Page;
use crate::api_types::plans::Plan;
use crate::app::OpContext;
use crate::domain::access::Scope;
use crate::domain::id::EmId;
use crate::domain::plan::{ActionKind, PlanKind};
use crate::http::HttpState;
use crate::http::answers::{STORED, UPSTREAM_READ};
use crate::http::extract::{Conditions, Id, JsonValue, Query};
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
            route!(list_failover_plans),
        ))
        .with(require_scope(
            Scope::PlansRead,
            &[UPSTREAM_READ, STORED],
            route!(get_failover_plan),
        ))
        .with(require_scope(
            Scope::PlansWrite,
            EDIT_PROBLEMS,
            route!(update_failover_plan),
        ))
        .with(require_scope(
            Scope::PlansStart,
            ACTION_PROBLEMS,
            route!(start_failover_plan),
        ))
        .with(require_scope(
            Scope::PlansUndo,
            ACTION_PROBLEMS,
            route!(undo_failover_plan),
        ))
}

/// List on-premises failover plans
///
/// Failover plans of on-premises replicas, with Enterprise Manager's page numbers.
#[utoipa::path(get, path = "/api/v1/failover-plans", operation_id = "listFailoverPlans", tag = "plans", params(NumberedParams, PlanOrder),
    responses((status = 200, description = "A page of plans.", body = Page<Plan>)))]
async fn list_failover_plans(
    State(state): State<HttpState>,
    context: OpContext,
    Query(order): Query<PlanOrder>,
    page: NumberedList,
    asked: Asked,
) -> Result<Response, Problem> {
    list(&state, &context, PlanKind::OnPremises, order, page, &asked).await
}

/// Read an on-premises failover plan
#[utoipa::path(get, path = "/api/v1/failover-plans/{planId}", operation_id = "getFailoverPlan", tag = "plans",
    params(PlanPath),
    responses(
        (status = 200, description = "The plan.", body = Plan, headers(("ETag" = String, description = "The entity tag of this state of the plan, for `If-Match`."))),
        (status = 304, description = "The caller already has this state (`If-None-Match`)."),
    ))]
async fn get_failover_plan(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
    asked: Asked,
) -> Result<Response, Problem> {
    get(&state, &context, PlanKind::OnPremises, &id, &conditions, &asked).await
}

/// Edit an on-premises failover plan
///
/// The body is the plan as it was read, with the changes applied. `description` may change; a
/// change of another field is refused. Every field of the plan is required.
#[utoipa::path(put, path = "/api/v1/failover-plans/{planId}", operation_id = "updateFailoverPlan", tag = "plans",
    params(PlanPath, DryRunParam, EditHeaders),
    request_body = Plan,
    responses(EditResponses))]
async fn update_failover_plan(
    State(state): State<HttpState>,
    call: EditCall,
    JsonValue(body): JsonValue,
) -> Result<Response, Problem> {
    call.update(&state, PlanKind::OnPremises, body).await
}

/// Start an on-premises failover plan
///
/// Starts a production failover, to the latest restore points or to those before `restorePoint.before`. Enterprise
/// Manager links no failover session to it: the operation ends with its task.
#[utoipa::path(post, path = "/api/v1/failover-plans/{planId}/start", operation_id = "startFailoverPlan", tag = "plans",
    params(PlanPath, DryRunParam, ActionHeaders),
    request_body = Option<StartOptions>,
    responses(ActionResponses))]
async fn start_failover_plan(
    State(state): State<HttpState>,
    call: ActionCall<StartOptions>,
) -> Result<Response, Problem> {
    call.run(&state, PlanKind::OnPremises, ActionKind::Start).await
}

/// Undo the failover of an on-premises failover plan
///
/// Switches back to the source machines and discards the changes made on the replicas since the failover. Enterprise
/// Manager links no failover session to it: the operation ends with its task.
#[utoipa::path(post, path = "/api/v1/failover-plans/{planId}/undo", operation_id = "undoFailoverPlan", tag = "plans",
    params(PlanPath, DryRunParam, ActionHeaders),
    request_body = Option<ActionOptions>,
    responses(ActionResponses))]
async fn undo_failover_plan(
    State(state): State<HttpState>,
    call: ActionCall<ActionOptions>,
) -> Result<Response, Problem> {
    call.run(&state, PlanKind::OnPremises, ActionKind::Undo).await
}
