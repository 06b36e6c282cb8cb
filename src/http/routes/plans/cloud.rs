//! Failover plans of Veeam Cloud Connect tenants.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::document::{ActionHeaders, ActionResponses, EditHeaders, EditResponses, PlanPath};
use super::{
    ACTION_PROBLEMS, ActionCall, ActionOptions, EDIT_PROBLEMS, PlanQuery, StartOptions, get, list, unchanged,
};
use crate::api_types::page::Page;
use crate::api_types::plans::Plan;
use crate::app::OpContext;
use crate::domain::access::Scope;
use crate::domain::id::EmId;
use crate::domain::plan::{ActionKind, PlanKind};
use crate::http::HttpState;
use crate::http::answers::UPSTREAM_READ;
use crate::http::extract::{Conditions, Id, Idempotency, JsonValue, OptionalJson, Query, Wait};
use crate::http::failures;
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routes::reply::answer;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::default()
        .routes(require_scope(
            Scope::PlansRead,
            &[UPSTREAM_READ],
            routes!(list_cloud_failover_plans),
        ))
        .routes(require_scope(
            Scope::PlansRead,
            &[UPSTREAM_READ],
            routes!(get_cloud_failover_plan),
        ))
        .routes(require_scope(
            Scope::PlansWrite,
            EDIT_PROBLEMS,
            routes!(update_cloud_failover_plan),
        ))
        .routes(require_scope(
            Scope::PlansWrite,
            EDIT_PROBLEMS,
            routes!(delete_cloud_failover_plan),
        ))
        .routes(require_scope(
            Scope::PlansTest,
            ACTION_PROBLEMS,
            routes!(test_cloud_failover_plan),
        ))
        .routes(require_scope(
            Scope::PlansStart,
            ACTION_PROBLEMS,
            routes!(start_cloud_failover_plan),
        ))
        .routes(require_scope(
            Scope::PlansUndo,
            ACTION_PROBLEMS,
            routes!(undo_cloud_failover_plan),
        ))
}

/// List cloud failover plans
///
/// Failover plans of Veeam Cloud Connect tenants, page by page as Enterprise Manager numbers them.
#[utoipa::path(get, path = "/api/v1/cloud-failover-plans", operation_id = "listCloudFailoverPlans", tag = "plans", params(PlanQuery),
    responses((status = 200, description = "A page of plans.", body = Page<Plan>)))]
async fn list_cloud_failover_plans(
    State(edge): State<HttpState>,
    context: OpContext,
    Query(query): Query<PlanQuery>,
    uri: Uri,
) -> Result<Json<Page<Plan>>, Problem> {
    list(&edge, &context, PlanKind::Cloud, &query, &uri).await
}

/// Read a cloud failover plan
#[utoipa::path(get, path = "/api/v1/cloud-failover-plans/{planId}", operation_id = "getCloudFailoverPlan", tag = "plans",
    params(PlanPath),
    responses(
        (status = 200, description = "The plan.", body = Plan, headers(("ETag" = String, description = "Names this state of the plan, for `If-Match`."))),
        (status = 304, description = "The caller has this state already (`If-None-Match`)."),
    ))]
async fn get_cloud_failover_plan(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
) -> Result<Response, Problem> {
    get(&edge, &context, PlanKind::Cloud, &id, &conditions).await
}

/// Edit a cloud failover plan
///
/// Takes the plan as it was read, with the changes in it. `preFailoverCommand` and `postFailoverCommand` may change; a
/// change of another field is refused. Every part of the plan has to be there.
#[utoipa::path(put, path = "/api/v1/cloud-failover-plans/{planId}", operation_id = "updateCloudFailoverPlan", tag = "plans",
    params(PlanPath, EditHeaders),
    request_body = Plan,
    responses(EditResponses))]
async fn update_cloud_failover_plan(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
    wait: Wait,
    idempotency: Idempotency,
    JsonValue(body): JsonValue,
) -> Result<Response, Problem> {
    let key = idempotency.of(body.clone());
    let submitted = edge
        .app()
        .edit_plan(
            &context,
            PlanKind::Cloud,
            &id,
            &body,
            unchanged(&edge, conditions),
            key,
        )
        .await
        .map_err(failures::of_action)?;
    answer(&edge, &context, &submitted, wait, None).await
}

/// Delete a cloud failover plan
#[utoipa::path(
    delete,
    path = "/api/v1/cloud-failover-plans/{planId}",
    operation_id = "deleteCloudFailoverPlan",
    tag = "plans",
    params(PlanPath, EditHeaders),
    responses(EditResponses)
)]
async fn delete_cloud_failover_plan(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
    wait: Wait,
    idempotency: Idempotency,
) -> Result<Response, Problem> {
    let key = idempotency.of(Value::Null);
    let submitted = edge
        .app()
        .delete_cloud_plan(&context, &id, unchanged(&edge, conditions), key)
        .await
        .map_err(failures::of_action)?;
    answer(&edge, &context, &submitted, wait, None).await
}

/// Test a cloud failover plan
///
/// Fails over into the test network and cleans up again. The failover session that follows is joined to the operation.
#[utoipa::path(post, path = "/api/v1/cloud-failover-plans/{planId}/test", operation_id = "testCloudFailoverPlan", tag = "plans",
    params(PlanPath, ActionHeaders),
    request_body = Option<ActionOptions>,
    responses(ActionResponses))]
async fn test_cloud_failover_plan(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    wait: Wait,
    idempotency: Idempotency,
    body: OptionalJson<ActionOptions>,
) -> Result<Response, Problem> {
    let (kind, action) = (PlanKind::Cloud, ActionKind::Test);
    let act = ActionCall {
        kind,
        action,
        context,
        id,
        wait,
        idempotency,
        body: body.map(StartOptions::from),
    };
    act.run(&edge).await
}

/// Start a cloud failover plan
///
/// Fails over in earnest, to the latest restore points or to those before `restorePoint.before`. The failover session that follows is joined to the operation.
#[utoipa::path(post, path = "/api/v1/cloud-failover-plans/{planId}/start", operation_id = "startCloudFailoverPlan", tag = "plans",
    params(PlanPath, ActionHeaders),
    request_body = Option<StartOptions>,
    responses(ActionResponses))]
async fn start_cloud_failover_plan(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    wait: Wait,
    idempotency: Idempotency,
    body: OptionalJson<StartOptions>,
) -> Result<Response, Problem> {
    let (kind, action) = (PlanKind::Cloud, ActionKind::Start);
    let act = ActionCall {
        kind,
        action,
        context,
        id,
        wait,
        idempotency,
        body,
    };
    act.run(&edge).await
}

/// Undo the failover of a cloud failover plan
///
/// Switches back to the source machines and discards what the replicas did since. Enterprise Manager links no failover session to it: the operation ends with its task.
#[utoipa::path(post, path = "/api/v1/cloud-failover-plans/{planId}/undo", operation_id = "undoCloudFailoverPlan", tag = "plans",
    params(PlanPath, ActionHeaders),
    request_body = Option<ActionOptions>,
    responses(ActionResponses))]
async fn undo_cloud_failover_plan(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    wait: Wait,
    idempotency: Idempotency,
    body: OptionalJson<ActionOptions>,
) -> Result<Response, Problem> {
    let (kind, action) = (PlanKind::Cloud, ActionKind::Undo);
    let act = ActionCall {
        kind,
        action,
        context,
        id,
        wait,
        idempotency,
        body: body.map(StartOptions::from),
    };
    act.run(&edge).await
}
