//! Webhook endpoints and what was delivered to them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::lists::{CursorParams, Log};
use super::paths::{DeliveryPath, EndpointPath};
use super::reply::{Accepted, Created};
use crate::api_types::page::Page;
use crate::api_types::webhooks::{
    WebhookDelivery, WebhookEndpoint, WebhookEndpointChanged, WebhookEndpointCreate, WebhookEndpointCreated,
    WebhookEndpointPatch, WebhookPreview, WebhookPreviewInput,
};
use crate::app::OpContext;
use crate::app::webhooks::DeliveryFilter;
use crate::domain::access::Scope;
use crate::domain::event::EventType;
use crate::domain::id::{DeliveryId, EndpointId};
use crate::domain::webhook::DeliveryState;
use crate::http::HttpState;
use crate::http::answers::STORED;
use crate::http::extract::{
    Choices, EnumParam, Id, IdFilter, JsonBody, OptionalJson, Query, no_idempotency_key,
};
use crate::http::problem::Problem;
use crate::http::register::require_scope;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    let (read, write) = (Scope::WebhooksRead, Scope::WebhooksWrite);
    OpenApiRouter::default()
        .routes(require_scope(write, &[STORED], routes!(create_webhook_endpoint)))
        .routes(require_scope(write, &[STORED], routes!(update_webhook_endpoint)))
        .routes(require_scope(write, &[STORED], routes!(delete_webhook_endpoint)))
        .routes(require_scope(write, &[STORED], routes!(test_webhook_endpoint)))
        .route_layer(from_fn(no_idempotency_key))
        .routes(require_scope(read, &[STORED], routes!(list_webhook_endpoints)))
        .routes(require_scope(read, &[STORED], routes!(get_webhook_endpoint)))
        .routes(require_scope(read, &[STORED], routes!(preview_webhook_endpoint)))
        .routes(require_scope(read, &[STORED], routes!(list_webhook_deliveries)))
        .routes(require_scope(read, &[STORED], routes!(get_webhook_delivery)))
}

/// Register a webhook endpoint
///
/// The answer contains the signing secret, once. A forbidden address is refused at registration; a name that does
/// not resolve is accepted and checked at every connection.
#[utoipa::path(post, path = "/api/v1/webhook-endpoints", operation_id = "createWebhookEndpoint", tag = "webhooks",
    request_body = WebhookEndpointCreate,
    responses((status = 201, description = "Registered. Keep the secret: it is not shown again.",
        body = WebhookEndpointCreated, headers(("Location" = String, description = "The endpoint.")))))]
async fn create_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    JsonBody(wanted): JsonBody<WebhookEndpointCreate>,
) -> Result<Created<WebhookEndpointCreated>, Problem> {
    let new = state.app().webhooks().create(&context, wanted).await?;
    let location = state
        .links()
        .api(&format!("/webhook-endpoints/{}", new.endpoint.id));
    let body = WebhookEndpointCreated::new(&new.endpoint, &new.secret, new.warnings);
    Ok(Created { location, body })
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

/// Read a webhook endpoint
#[utoipa::path(get, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "getWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath),
    responses((status = 200, description = "The endpoint.", body = WebhookEndpoint)))]
async fn get_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
) -> Result<Json<WebhookEndpoint>, Problem> {
    let endpoint = state.app().webhooks().get(&context, id).await?;
    Ok(Json(WebhookEndpoint::from(&endpoint)))
}

/// Change a webhook endpoint
///
/// JSON Merge Patch (RFC 7396): an absent member stays unchanged, null restores the default. Waiting deliveries go
/// to the new address; disabling the endpoint holds them, enabling it sends them in order.
#[utoipa::path(patch, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "updateWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath),
    request_body(content = WebhookEndpointPatch, content_type = "application/merge-patch+json",
        description = "A JSON Merge Patch; the media type `application/json` is accepted as well."),
    responses((status = 200, description = "The endpoint as it is now.", body = WebhookEndpointChanged)))]
async fn update_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    JsonBody(patch): JsonBody<WebhookEndpointPatch>,
) -> Result<Json<WebhookEndpointChanged>, Problem> {
    let changed = state.app().webhooks().patch(&context, id, patch).await?;
    Ok(Json(WebhookEndpointChanged::new(
        &changed.endpoint,
        changed.warnings,
    )))
}

/// Delete a webhook endpoint
///
/// Waiting deliveries are cancelled; an attempt in flight may still arrive.
#[utoipa::path(delete, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "deleteWebhookEndpoint",
    tag = "webhooks",
    params(EndpointPath),
    responses((status = 204, description = "Deleted.")))]
async fn delete_webhook_endpoint(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
) -> Result<StatusCode, Problem> {
    state.app().webhooks().delete(&context, id).await?;
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

impl EnumParam for DeliveryState {
    fn words() -> Vec<&'static str> {
        DeliveryState::ALL.iter().map(|state| state.as_str()).collect()
    }

    fn parse(word: &str) -> Option<Self> {
        DeliveryState::parse(word)
    }
}

impl EnumParam for EventType {
    fn words() -> Vec<&'static str> {
        EventType::ALL.iter().map(|kind| kind.as_str()).collect()
    }

    fn parse(word: &str) -> Option<Self> {
        EventType::parse(word)
    }
}

type States = Choices<DeliveryState>;
type Types = Choices<EventType>;
type Endpoint = IdFilter<EndpointId>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct DeliveryQuery {
    /// Only deliveries to this endpoint.
    #[param(inline)]
    endpoint_id: Option<Endpoint>,
    /// Only these states, separated by commas.
    #[param(inline, style = Form, explode = false)]
    state: Option<States>,
    /// Only events of these types, separated by commas.
    #[param(inline, style = Form, explode = false)]
    event_type: Option<Types>,
}

impl From<DeliveryQuery> for DeliveryFilter {
    fn from(query: DeliveryQuery) -> Self {
        Self {
            endpoint: query.endpoint_id.map(|id| id.0),
            states: query.state.unwrap_or_default().0,
            event_types: query.event_type.unwrap_or_default().0,
        }
    }
}

/// List webhook deliveries
///
/// Newest first, each with all its attempts.
#[utoipa::path(get, path = "/api/v1/webhook-deliveries", operation_id = "listWebhookDeliveries", tag = "webhooks",
    params(DeliveryQuery, CursorParams),
    responses((status = 200, description = "A page of deliveries.", body = Page<WebhookDelivery>)))]
async fn list_webhook_deliveries(
    State(state): State<HttpState>,
    context: OpContext,
    Query(query): Query<DeliveryQuery>,
    log: Log<DeliveryId>,
) -> Result<Json<Page<WebhookDelivery>>, Problem> {
    let webhooks = state.app().webhooks();
    let page = webhooks
        .deliveries(&context, &query.into(), log.from, log.size)
        .await?;
    Ok(log.page(state.links(), &page, WebhookDelivery::from))
}

/// Read a webhook delivery
#[utoipa::path(get, path = "/api/v1/webhook-deliveries/{deliveryId}", operation_id = "getWebhookDelivery",
    tag = "webhooks",
    params(DeliveryPath),
    responses((status = 200, description = "The delivery with every attempt.", body = WebhookDelivery)))]
async fn get_webhook_delivery(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<DeliveryId>,
) -> Result<Json<WebhookDelivery>, Problem> {
    let delivery = state.app().webhooks().delivery(&context, id).await?;
    Ok(Json(WebhookDelivery::from(&delivery)))
}
