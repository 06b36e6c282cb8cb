//! Who a caller is here, what they reach, and whose tokens are accepted.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::HOST;
use axum::http::{HeaderMap, Uri};
use axum::{Extension, Json};

use crate::api_types::identity::{ApiIndex, Me, ProtectedResource};
use crate::api_types::system::System;
use crate::app::OpContext;
use crate::domain::access::{Caller, Scope};
use crate::http::HttpState;
use crate::http::auth::permit;
use crate::http::problem::Problem;
use crate::http::register::{public, require_token};
use crate::http::routing::{Routes, route};

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(require_token(route!(get_index)))
        .with(require_token(route!(get_me)))
        .with(require_token(route!(get_system)))
        .with(public(route!(get_protected_resource)))
}

/// What there is under `/api/v1`, each with the scope that reads it.
const LISTS: &[(&str, &str, Scope)] = &[
    ("cloudFailoverPlans", "/cloud-failover-plans", Scope::PlansRead),
    ("failoverPlans", "/failover-plans", Scope::PlansRead),
    ("failoverSessions", "/failover-sessions", Scope::SessionsRead),
    ("operations", "/operations", Scope::OperationsRead),
    ("events", "/events", Scope::EventsRead),
    ("eventTypes", "/event-types", Scope::EventsRead),
    ("webhookEndpoints", "/webhook-endpoints", Scope::WebhooksRead),
    ("webhookDeliveries", "/webhook-deliveries", Scope::WebhooksRead),
    ("audit", "/audit", Scope::AuditRead),
    ("recoveryTests", "/reports/recovery-tests", Scope::ReportsRead),
];

/// Where things are
///
/// The lists that the token's scopes open, who its bearer is, and the documentation.
#[utoipa::path(get, path = "/api/v1", operation_id = "getIndex", tag = "identity",
    responses((status = 200, description = "What the caller reaches.", body = ApiIndex)))]
async fn get_index(
    State(state): State<HttpState>,
    Extension(caller): Extension<Arc<Caller>>,
) -> Json<ApiIndex> {
    let links = state.links();
    let lists = LISTS
        .iter()
        .filter(|(_, _, scope)| permit(&caller, *scope).is_ok())
        .map(|(name, path, _)| (*name, links.api(path)));
    let always = [
        ("me", links.api("/me")),
        ("system", links.api("/system")),
        ("openapi", links.to("/openapi.json")),
        ("docs", links.to("/docs")),
    ];
    Json(ApiIndex {
        version: env!("CARGO_PKG_VERSION"),
        links: lists.chain(always).collect(),
    })
}

/// Who the caller is
///
/// What the gateway makes of the token: subject, scopes, tenants, and the rules of its issuer that matched. Any valid token
/// may ask.
#[utoipa::path(get, path = "/api/v1/me", operation_id = "getMe", tag = "identity",
    responses((status = 200, description = "The caller.", body = Me)))]
async fn get_me(Extension(caller): Extension<Arc<Caller>>) -> Json<Me> {
    Json(Me::new(&caller))
}

/// The gateway at this moment
///
/// What it is connected to, what waits and runs, and how it is configured: for a page that shows the whole gateway. Any valid
/// token may ask; what its scopes do not open is null. Accounts, replicas and configuration need `audit:read` without a
/// confinement to tenants. Counts are of what the caller sees.
#[utoipa::path(get, path = "/api/v1/system", operation_id = "getSystem", tag = "service",
    responses((status = 200, description = "The gateway.", body = System)))]
async fn get_system(State(state): State<HttpState>, context: OpContext) -> Result<Json<System>, Problem> {
    Ok(Json(state.app().system(&context).await?))
}

/// Whose tokens are accepted
///
/// The metadata of a protected resource (RFC 9728), for clients that look for the issuer to get a token from. A 401 names
/// this address in `resource_metadata` where the public URL of the gateway is configured.
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", operation_id = "getProtectedResource",
    tag = "identity",
    responses((status = 200, description = "The metadata.", body = ProtectedResource)))]
async fn get_protected_resource(
    State(state): State<HttpState>,
    uri: Uri,
    headers: HeaderMap,
) -> Json<ProtectedResource> {
    let resource = match state.links().base() {
        Some(base) => base.to_owned(),
        None => {
            let scheme = if state.config().tls.is_some() {
                "https"
            } else {
                "http"
            };
            let named = headers.get(HOST).and_then(|host| host.to_str().ok());
            let host = uri
                .authority()
                .map_or(named, |authority| Some(authority.as_str()));
            format!("{scheme}://{}", host.unwrap_or_default())
        }
    };
    Json(ProtectedResource {
        resource,
        authorization_servers: state.verifier().issuers().map(ToOwned::to_owned).collect(),
        scopes_supported: Scope::ALL.iter().map(|scope| scope.as_str()).collect(),
        bearer_methods_supported: vec!["header"],
    })
}
