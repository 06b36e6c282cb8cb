//! Objectives of failover plans: what is wanted of their recovery.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api_types::objectives::{Objectives, ObjectivesInput};
use crate::app::OpContext;
use crate::domain::access::Scope;
use crate::domain::id::EmId;
use crate::domain::plan::PlanKind;
use crate::http::HttpState;
use crate::http::answers::{STORED, UPSTREAM_READ};
use crate::http::extract::{Id, JsonBody};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routes::paths::PlanPath;

const PROBLEMS: &[&[crate::http::codes::Code]] = &[UPSTREAM_READ, STORED];

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::default()
        .routes(require_scope(Scope::ReportsRead, PROBLEMS, routes!(get_cloud)))
        .routes(require_scope(Scope::ReportsWrite, PROBLEMS, routes!(set_cloud)))
        .routes(require_scope(
            Scope::ReportsRead,
            PROBLEMS,
            routes!(get_on_premises),
        ))
        .routes(require_scope(
            Scope::ReportsWrite,
            PROBLEMS,
            routes!(set_on_premises),
        ))
}

/// Read the objectives of a cloud failover plan
///
/// Those in force: what was set, and the configuration's where something was not.
#[utoipa::path(get, path = "/api/v1/cloud-failover-plans/{planId}/objectives",
    operation_id = "getCloudFailoverPlanObjectives", tag = "reports", params(PlanPath),
    responses((status = 200, description = "The objectives in force.", body = Objectives)))]
async fn get_cloud(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
) -> Result<Json<Objectives>, Problem> {
    read(&state, &context, PlanKind::Cloud, &id).await
}

/// Set the objectives of a cloud failover plan
///
/// Whole: what is absent or null comes from the configuration, or is not wanted. Tests and failovers that are requested from now on are
/// held against them.
#[utoipa::path(put, path = "/api/v1/cloud-failover-plans/{planId}/objectives",
    operation_id = "setCloudFailoverPlanObjectives", tag = "reports", params(PlanPath), request_body = ObjectivesInput,
    responses((status = 200, description = "The objectives in force.", body = Objectives)))]
async fn set_cloud(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    JsonBody(wanted): JsonBody<ObjectivesInput>,
) -> Result<Json<Objectives>, Problem> {
    set(&state, &context, PlanKind::Cloud, &id, wanted).await
}

/// Read the objectives of an on-premises failover plan
///
/// Those in force: what was set, and the configuration's where something was not.
#[utoipa::path(get, path = "/api/v1/failover-plans/{planId}/objectives", operation_id = "getFailoverPlanObjectives",
    tag = "reports", params(PlanPath),
    responses((status = 200, description = "The objectives in force.", body = Objectives)))]
async fn get_on_premises(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
) -> Result<Json<Objectives>, Problem> {
    read(&state, &context, PlanKind::OnPremises, &id).await
}

/// Set the objectives of an on-premises failover plan
///
/// Whole: what is absent or null comes from the configuration, or is not wanted. Failovers that are requested from now on are held
/// against them.
#[utoipa::path(put, path = "/api/v1/failover-plans/{planId}/objectives", operation_id = "setFailoverPlanObjectives",
    tag = "reports", params(PlanPath), request_body = ObjectivesInput,
    responses((status = 200, description = "The objectives in force.", body = Objectives)))]
async fn set_on_premises(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    JsonBody(wanted): JsonBody<ObjectivesInput>,
) -> Result<Json<Objectives>, Problem> {
    set(&state, &context, PlanKind::OnPremises, &id, wanted).await
}

async fn read(
    state: &HttpState,
    context: &OpContext,
    kind: PlanKind,
    id: &EmId,
) -> Result<Json<Objectives>, Problem> {
    let found = state.app().objectives(context, kind, id).await?;
    Ok(Json((&found).into()))
}

async fn set(
    state: &HttpState,
    context: &OpContext,
    kind: PlanKind,
    id: &EmId,
    wanted: ObjectivesInput,
) -> Result<Json<Objectives>, Problem> {
    let set = state
        .app()
        .set_objectives(context, kind, id, &wanted.into())
        .await?;
    Ok(Json((&set).into()))
}
