//! Webhook endpoints; `deliveries` has what was sent to them, `again` what sends it once more.

mod again;
mod deliveries;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};

use super::lists::{CursorParams, Log};
use super::paths::{ChangeConditions, EndpointPath};
use super::reply::{Accepted, Created};
use crate::api_types::page::Page;
use crate::api_types::webhooks::{
    WebhookDelivery, WebhookEndpoint, WebhookEndpointChanged, WebhookEndpointCreate, WebhookEndpointCreated,
    WebhookEndpointPatch, WebhookEndpointSecret, WebhookPreview, WebhookPreviewInput, WebhookSecretRotation,
};
use crate::app::OpContext;
use crate::app::webhooks::{Change, Unchanged};
use crate::domain::access::Scope;
use crate::domain::id::EndpointId;
use crate::domain::webhook::Endpoint;
use crate::http::HttpState;
use crate::http::answers::{BODY, STORED};
use crate::http::codes::Code;
use crate::http::extract::{
    Conditions, Id, JsonBody, JsonValue, NoBody, OptionalJson, entity_tag, no_idempotency_key,
};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routing::{Routes, route};
use crate::json;

/// What a conditional change may answer beside what follows from its body.
const CHANGED: &[&[Code]] = &[STORED, &[Code::PreconditionFailed]];
/// What takes a condition and reads no body; one that is too large is refused all the same.
const DELETED: &[&[Code]] = &[STORED, &[Code::PreconditionFailed, Code::PayloadTooLarge]];

/// What a patch of the secret is told.
const ROTATED_INSTEAD: &str = "is not changed by PATCH: POST …/rotate-secret gives the endpoint another one, and both sign for 24 hours; \
     so does PUT with a secret";

/// Members of a read that are no settings.
const READ_ONLY: &[&str] = &[
    "id",
    "owner",
    "disabledReason",
    "publicKey",
    "warnings",
    "createdAt",
    "updatedAt",
];
/// Those that deliveries change.
const OBSERVED: &[&str] = &[
    "health",
    "lastSuccessAt",
    "firstFailureAt",
    "lastError",
    "pausedUntil",
    "certificate",
    "clockSkew",
];

pub(super) fn routes() -> Routes {
    let (read, write) = (Scope::WebhooksRead, Scope::WebhooksWrite);
    Routes::default()
        .with(require_scope(write, &[STORED], route!(create_webhook_endpoint)))
        .with(require_scope(write, CHANGED, route!(update_webhook_endpoint)))
        .with(require_scope(write, DELETED, route!(delete_webhook_endpoint)))
        .with(require_scope(
            write,
            &[STORED, BODY],
            route!(test_webhook_endpoint),
        ))
        .with(require_scope(write, CHANGED, route!(replace_webhook_endpoint)))
        .with(require_scope(
            write,
            &[STORED],
            route!(rotate_webhook_endpoint_secret),
        ))
        .map(|router| router.route_layer(from_fn(no_idempotency_key)))
        .with(require_scope(
            write,
            &[STORED],
            route!(get_webhook_endpoint_secret),
        ))
        .with(require_scope(read, &[STORED], route!(list_webhook_endpoints)))
        .with(require_scope(read, &[STORED], route!(get_webhook_endpoint)))
        .with(require_scope(read, &[STORED], route!(preview_webhook_endpoint)))
        .merge(again::routes())
        .merge(deliveries::routes())
}

/// Register a webhook endpoint
///
/// The answer contains the signing secret, once. A forbidden address is refused at registration; a name that does
/// not resolve is accepted and checked at every connection.
#[utoipa::path(post, path = "/api/v1/webhook-endpoints", operation_id = "createWebhookEndpoint", tag = "webhooks",
    request_body = WebhookEndpointCreate,
    responses((status = 201, description = "Registered. Keep the secret: it is not shown again.",
        body = WebhookEndpointCreated, headers(("Location" = String, description = "The endpoint."),
            ("ETag" = String, description = "The entity tag of the endpoint, for `If-Match` and `If-None-Match`.")))))]
async fn create_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    JsonBody(wanted): JsonBody<WebhookEndpointCreate>,
) -> Result<impl IntoResponse, Problem> {
    let new = state.app().create_endpoint(&context, wanted).await?;
    let location = state
        .links()
        .api(&format!("/webhook-endpoints/{}", new.endpoint.id));
    let tag = tag_of(&new.endpoint);
    let body = WebhookEndpointCreated::new(&new.endpoint, &new.secret, new.warnings);
    Ok(([(ETAG, tag)], Created { location, body }))
}

/// List webhook endpoints
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/webhook-endpoints", operation_id = "listWebhookEndpoints", tag = "webhooks",
    params(CursorParams),
    responses((status = 200, description = "A page of endpoints.", body = Page<WebhookEndpoint>)))]
async fn list_webhook_endpoints(
    State(state): State<HttpState>,
    context: OpContext,
    log: Log<EndpointId>,
) -> Result<Json<Page<WebhookEndpoint>>, Problem> {
    let page = state.app().webhooks().list(&context, log.from, log.size).await?;
    Ok(log.page(state.links(), &page, WebhookEndpoint::from))
}

/// The entity tag of an endpoint in two parts: of what its owner decides, which guards changes, and of how it does, which changes
/// with every delivery and counts for `If-None-Match` alone.
fn tag_of(endpoint: &Endpoint) -> String {
    let mut shown = serde_json::to_value(WebhookEndpoint::from(endpoint)).unwrap_or_default();
    let mut observed = serde_json::Map::new();
    if let Some(members) = shown.as_object_mut() {
        for name in OBSERVED {
            observed.extend(members.remove_entry(*name));
        }
    }
    let settings = entity_tag(shown.to_string().as_bytes());
    let observed = entity_tag(serde_json::Value::Object(observed).to_string().as_bytes());
    format!(
        "{}.{}",
        settings.trim_end_matches('"'),
        observed.trim_start_matches('"')
    )
}

/// The part of an entity tag that guards changes.
fn of_settings(tag: &str) -> &str {
    tag.split_once('.').map_or(tag, |(settings, _)| settings)
}

/// Whether the settings of an endpoint are still those that the caller read.
fn unchanged(conditions: &Conditions) -> Option<impl Fn(&Endpoint) -> bool + Send + Sync + use<>> {
    let tags = conditions.expected()?.to_vec();
    Some(move |endpoint: &Endpoint| {
        let now = tag_of(endpoint);
        tags.iter().any(|tag| of_settings(tag) == of_settings(&now))
    })
}

async fn change(
    state: &HttpState,
    context: &OpContext,
    id: EndpointId,
    change: Change,
    conditions: &Conditions,
) -> Result<impl IntoResponse + use<>, Problem> {
    let unchanged = unchanged(conditions);
    let unchanged = unchanged.as_ref().map(|is_same| is_same as Unchanged<'_>);
    let changed = state
        .app()
        .change_endpoint(context, id, change, unchanged)
        .await?;
    let tag = tag_of(&changed.endpoint);
    let body = WebhookEndpointChanged::new(&changed.endpoint, changed.warnings);
    Ok(([(ETAG, tag)], Json(body)))
}

/// Read a webhook endpoint
#[utoipa::path(get, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "getWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath),
    responses(
        (status = 200, description = "The endpoint.", body = WebhookEndpoint,
            headers(("ETag" = String, description = "The entity tag of the endpoint, for `If-Match` and `If-None-Match`."))),
        (status = 304, description = "The caller already has this state (`If-None-Match`)."),
    ))]
async fn get_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let endpoint = state.app().webhooks().get(&context, id).await?;
    let shown = Json(WebhookEndpoint::from(&endpoint)).into_response();
    Ok(conditions.tagged(&tag_of(&endpoint), shown))
}

/// Change a webhook endpoint
///
/// JSON Merge Patch (RFC 7396): an absent member stays unchanged, null restores the default; a masked value, as a read
/// shows it, stands for what it masks. Waiting deliveries go to the new address; disabling the endpoint holds them,
/// enabling it sends them in order.
#[utoipa::path(patch, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "updateWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath, ChangeConditions),
    request_body(content = WebhookEndpointPatch, content_type = "application/merge-patch+json",
        description = "A JSON Merge Patch; the media type `application/json` is accepted as well."),
    responses((status = 200, description = "The endpoint as it is now.", body = WebhookEndpointChanged,
        headers(("ETag" = String, description = "The entity tag of the endpoint, for `If-Match` and `If-None-Match`.")))))]
async fn update_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    conditions: Conditions,
    JsonValue(body): JsonValue,
) -> Result<impl IntoResponse, Problem> {
    for member in ["secret", "secretText"] {
        if body.get(member).is_some() {
            return Err(Problem::fault(format!("/{member}"), ROTATED_INSTEAD));
        }
    }
    let patch: WebhookEndpointPatch =
        json::read(&body).map_err(|fault| Problem::fault(fault.pointer, fault.detail))?;
    change(&state, &context, id, Change::Patch(Box::new(patch)), &conditions).await
}

/// Replace a webhook endpoint
///
/// The endpoint is what the body says: an absent member has its default, but without `secret` and `secretText` the secret
/// stays. A masked value, as a read shows it, stands for what it masks, and the members of a read that are not settings are
/// ignored, so that an endpoint may be written back as it was read. Another secret signs beside the one before for 24 hours.
#[utoipa::path(put, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "replaceWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath, ChangeConditions),
    request_body = WebhookEndpointCreate,
    responses((status = 200, description = "The endpoint as it is now.", body = WebhookEndpointChanged,
        headers(("ETag" = String, description = "The entity tag of the endpoint, for `If-Match` and `If-None-Match`.")))))]
async fn replace_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    conditions: Conditions,
    JsonValue(mut body): JsonValue,
) -> Result<impl IntoResponse, Problem> {
    if let Some(members) = body.as_object_mut() {
        members.retain(|name, _| !READ_ONLY.contains(&name.as_str()) && !OBSERVED.contains(&name.as_str()));
    }
    let wanted = json::read(&body).map_err(|fault| Problem::fault(fault.pointer, fault.detail))?;
    change(
        &state,
        &context,
        id,
        Change::Replace(Box::new(wanted)),
        &conditions,
    )
    .await
}

/// Read a webhook endpoint's secret
///
/// The audit log is told.
#[utoipa::path(get, path = "/api/v1/webhook-endpoints/{endpointId}/secret", operation_id = "getWebhookEndpointSecret",
    tag = "webhooks",
    params(EndpointPath),
    responses((status = 200, description = "What signs its deliveries.", body = WebhookEndpointSecret)))]
async fn get_webhook_endpoint_secret(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
) -> Result<impl IntoResponse, Problem> {
    let endpoint = state.app().webhooks().secret(&context, id).await?;
    secret_of(&endpoint)
}

/// Rotate a webhook endpoint's secret
///
/// Both secrets sign for 24 hours: `webhook-signature` has a signature by each, the newest first. A key of `v1a` is renewed
/// with it. The secret that the endpoint has already changes nothing.
#[utoipa::path(post, path = "/api/v1/webhook-endpoints/{endpointId}/rotate-secret",
    operation_id = "rotateWebhookEndpointSecret", tag = "webhooks",
    params(EndpointPath),
    request_body = Option<WebhookSecretRotation>,
    responses((status = 200, description = "The new secret.", body = WebhookEndpointSecret)))]
async fn rotate_webhook_endpoint_secret(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    body: OptionalJson<WebhookSecretRotation>,
) -> Result<impl IntoResponse, Problem> {
    let wanted = body.typed.unwrap_or_default();
    let endpoint = state
        .app()
        .webhooks()
        .rotate_secret(&context, id, &wanted)
        .await?;
    secret_of(&endpoint)
}

/// The secret, for nobody's cache.
fn secret_of(endpoint: &Endpoint) -> Result<impl IntoResponse + use<>, Problem> {
    let secret = WebhookEndpointSecret::of(endpoint).ok_or_else(|| Problem::not_found("the secret"))?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(secret)))
}

/// Delete a webhook endpoint
///
/// Waiting deliveries are cancelled; an attempt in flight may still arrive.
#[utoipa::path(delete, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "deleteWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath, ChangeConditions),
    responses((status = 204, description = "Deleted.")))]
async fn delete_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    conditions: Conditions,
) -> Result<StatusCode, Problem> {
    let unchanged = unchanged(&conditions);
    let unchanged = unchanged.as_ref().map(|is_same| is_same as Unchanged<'_>);
    state.app().webhooks().delete(&context, id, unchanged).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook endpoint
///
/// Sends the endpoint a `webhook.test` event, regardless of its event types and filter. Read the delivery for the
/// outcome.
#[utoipa::path(post, path = "/api/v1/webhook-endpoints/{endpointId}/test", operation_id = "testWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath),
    responses((status = 202, description = "Recorded; it is sent at once unless the endpoint is disabled.",
        body = WebhookDelivery, headers(("Location" = String, description = "The delivery.")))))]
async fn test_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    NoBody: NoBody,
) -> Result<Accepted<WebhookDelivery>, Problem> {
    let delivery = state.app().webhooks().test(&context, id).await?;
    let location = state.links().api(&format!("/webhook-deliveries/{}", delivery.id));
    let body = WebhookDelivery::from(&delivery);
    Ok(Accepted { location, body })
}

/// Preview a message
///
/// Shows what would be sent to the endpoint for the example of an event type, in its own format or another, by its own
/// template or another. Nothing is sent or changed, and a routing key is masked.
#[utoipa::path(post, path = "/api/v1/webhook-endpoints/{endpointId}/preview", operation_id = "previewWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath),
    request_body = Option<WebhookPreviewInput>,
    responses((status = 200, description = "What would be sent.", body = WebhookPreview)))]
async fn preview_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    body: OptionalJson<WebhookPreviewInput>,
) -> Result<Json<WebhookPreview>, Problem> {
    let wanted = body.typed.unwrap_or_default();
    Ok(Json(state.app().webhooks().preview(&context, id, wanted).await?))
}
