//! Objectives of failover plans: what is wanted of their recovery.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse as _, Response};

use crate::api_types::objectives::{Objectives, ObjectivesInput};
use crate::app::OpContext;
use crate::app::evidence::Unchanged;
use crate::domain::access::Scope;
use crate::domain::evidence::objectives::Objectives as InForce;
use crate::domain::id::EmId;
use crate::domain::plan::PlanKind;
use crate::http::HttpState;
use crate::http::answers::{STORED, UPSTREAM_READ};
use crate::http::codes::Code;
use crate::http::extract::{Conditions, Id, JsonBody, entity_tag};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routes::paths::{ChangeConditions, PlanPath};
use crate::http::routing::{Routes, route};

const PROBLEMS: &[&[Code]] = &[UPSTREAM_READ, STORED];
const CHANGED: &[&[Code]] = &[UPSTREAM_READ, STORED, &[Code::PreconditionFailed]];

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(require_scope(Scope::ReportsRead, PROBLEMS, route!(get_cloud)))
        .with(require_scope(Scope::ReportsWrite, CHANGED, route!(set_cloud)))
        .with(require_scope(
            Scope::ReportsRead,
            PROBLEMS,
            route!(get_on_premises),
        ))
        .with(require_scope(
            Scope::ReportsWrite,
            CHANGED,
            route!(set_on_premises),
        ))
}

/// Read the objectives of a cloud failover plan
///
/// Those in force: what was set, and the configuration's where something was not.
#[utoipa::path(get, path = "/api/v1/cloud-failover-plans/{planId}/objectives",
    operation_id = "getCloudFailoverPlanObjectives", tag = "reports", params(PlanPath),
    responses(
        (status = 200, description = "The objectives in force.", body = Objectives,
            headers(("ETag" = String, description = "Their entity tag, for `If-Match` and `If-None-Match`."))),
        (status = 304, description = "The caller already has them (`If-None-Match`)."),
    ))]
async fn get_cloud(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
) -> Result<Response, Problem> {
    read(&state, &context, PlanKind::Cloud, &id, &conditions).await
}

/// Set the objectives of a cloud failover plan
///
/// Whole: what is absent or null comes from the configuration, or is not wanted. Tests and failovers that are requested from now on are
/// held against them.
#[utoipa::path(put, path = "/api/v1/cloud-failover-plans/{planId}/objectives",
    operation_id = "setCloudFailoverPlanObjectives", tag = "reports", params(PlanPath, ChangeConditions), request_body = ObjectivesInput,
    responses((status = 200, description = "The objectives in force.", body = Objectives,
        headers(("ETag" = String, description = "Their entity tag, for `If-Match` and `If-None-Match`.")))))]
async fn set_cloud(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
    JsonBody(wanted): JsonBody<ObjectivesInput>,
) -> Result<Response, Problem> {
    set(&state, &context, PlanKind::Cloud, &id, wanted, &conditions).await
}

/// Read the objectives of an on-premises failover plan
///
/// Those in force: what was set, and the configuration's where something was not.
#[utoipa::path(get, path = "/api/v1/failover-plans/{planId}/objectives", operation_id = "getFailoverPlanObjectives",
    tag = "reports", params(PlanPath),
    responses(
        (status = 200, description = "The objectives in force.", body = Objectives,
            headers(("ETag" = String, description = "Their entity tag, for `If-Match` and `If-None-Match`."))),
        (status = 304, description = "The caller already has them (`If-None-Match`)."),
    ))]
async fn get_on_premises(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
) -> Result<Response, Problem> {
    read(&state, &context, PlanKind::OnPremises, &id, &conditions).await
}

/// Set the objectives of an on-premises failover plan
///
/// Whole: what is absent or null comes from the configuration, or is not wanted. Failovers that are requested from now on are held
/// against them.
#[utoipa::path(put, path = "/api/v1/failover-plans/{planId}/objectives", operation_id = "setFailoverPlanObjectives",
    tag = "reports", params(PlanPath, ChangeConditions), request_body = ObjectivesInput,
    responses((status = 200, description = "The objectives in force.", body = Objectives,
        headers(("ETag" = String, description = "Their entity tag, for `If-Match` and `If-None-Match`.")))))]
async fn set_on_premises(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    conditions: Conditions,
    JsonBody(wanted): JsonBody<ObjectivesInput>,
) -> Result<Response, Problem> {
    set(&state, &context, PlanKind::OnPremises, &id, wanted, &conditions).await
}

async fn read(
    state: &HttpState,
    context: &OpContext,
    kind: PlanKind,
    id: &EmId,
    conditions: &Conditions,
) -> Result<Response, Problem> {
    let found = state.app().objectives(context, kind, id).await?;
    let (tag, body) = tagged(&found);
    Ok(conditions.tagged(&tag, body.into_response()))
}

async fn set(
    state: &HttpState,
    context: &OpContext,
    kind: PlanKind,
    id: &EmId,
    wanted: ObjectivesInput,
    conditions: &Conditions,
) -> Result<Response, Problem> {
    let unchanged = conditions
        .expected()
        .map(|tags| move |now: &InForce| tags.contains(&tagged(now).0));
    let unchanged = unchanged.as_ref().map(|is_same| is_same as Unchanged<'_>);
    let set = state
        .app()
        .set_objectives(context, kind, id, &wanted.into(), unchanged)
        .await?;
    let (tag, body) = tagged(&set);
    Ok(([(ETAG, tag)], body).into_response())
}

/// Objectives with their entity tag.
fn tagged(objectives: &InForce) -> (String, Json<Objectives>) {
    let shown = Objectives::from(objectives);
    let bytes = serde_json::to_vec(&shown).unwrap_or_default();
    (entity_tag(&bytes), Json(shown))
}
