//! Webhook endpoints and what was delivered to them.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::by_cursor;
use super::reply::located;
use crate::api_types::page::Page;
use crate::api_types::webhooks::{
    WebhookDelivery, WebhookEndpoint, WebhookEndpointCreate, WebhookEndpointCreated, WebhookEndpointPatch,
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
    Choices, EnumParam, Id, IdFilter, JsonBody, OpaqueCursor, PageSize, Query, cursor, no_idempotency_key,
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
        .routes(require_scope(read, &[STORED], routes!(list_webhook_deliveries)))
        .routes(require_scope(read, &[STORED], routes!(get_webhook_delivery)))
}

fn endpoint_place(place: &[u8]) -> Option<EndpointId> {
    Some(EndpointId::new(uuid::Uuid::from_slice(place).ok()?))
}

fn delivery_place(place: &[u8]) -> Option<DeliveryId> {
    Some(DeliveryId::new(uuid::Uuid::from_slice(place).ok()?))
}

/// Register a webhook endpoint
///
/// The answer shows the signing secret, once. An address that may not be reached is refused here already; a name that
/// does not resolve is accepted and judged whenever it is dialled.
#[utoipa::path(post, path = "/api/v1/webhook-endpoints", operation_id = "createWebhookEndpoint", tag = "webhooks",
    request_body = WebhookEndpointCreate,
    responses((status = 201, description = "Registered. Keep the secret: it is not shown again.",
        body = WebhookEndpointCreated, headers(("Location" = String, description = "The endpoint.")))))]
async fn create_webhook_endpoint(
    State(edge): State<HttpState>,
    context: OpContext,
    JsonBody(wanted): JsonBody<WebhookEndpointCreate>,
) -> Result<Response, Problem> {
    let new = edge.app().webhooks().create(&context, wanted).await?;
    let body = WebhookEndpointCreated::new(&new.endpoint, &new.secret);
    let location = edge
        .links()
        .api(&format!("/webhook-endpoints/{}", new.endpoint.id));
    Ok(located(
        (StatusCode::CREATED, Json(body)).into_response(),
        &location,
    ))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct EndpointQuery {
    /// How many items a page holds.
    #[serde(default)]
    #[param(inline, required = false)]
    page_size: PageSize,
    /// The page after this cursor, which came with another page.
    #[param(inline)]
    after: Option<OpaqueCursor>,
    /// The page before this cursor.
    #[param(inline)]
    before: Option<OpaqueCursor>,
}

/// List webhook endpoints
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/webhook-endpoints", operation_id = "listWebhookEndpoints", tag = "webhooks",
    params(EndpointQuery),
    responses((status = 200, description = "A page of endpoints.", body = Page<WebhookEndpoint>)))]
async fn list_webhook_endpoints(
    State(edge): State<HttpState>,
    context: OpContext,
    Query(query): Query<EndpointQuery>,
    uri: Uri,
) -> Result<Json<Page<WebhookEndpoint>>, Problem> {
    let from = cursor(query.after, query.before, endpoint_place)?;
    let size = query.page_size.0;
    let page = edge.app().webhooks().list(&context, from, size as usize).await?;
    let place = |id: EndpointId| OpaqueCursor::write(id.uuid().as_bytes());
    Ok(Json(Page {
        items: page.items.iter().map(WebhookEndpoint::from).collect(),
        page: by_cursor(edge.links(), &uri, size, (page.next, page.previous), place),
    }))
}

/// Read a webhook endpoint
#[utoipa::path(get, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "getWebhookEndpoint",
    tag = "webhooks",
    params(("endpointId" = String, Path, description = "The endpoint's id.", example = "ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a")),
    responses((status = 200, description = "The endpoint.", body = WebhookEndpoint)))]
async fn get_webhook_endpoint(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
) -> Result<Json<WebhookEndpoint>, Problem> {
    let endpoint = edge.app().webhooks().get(&context, id).await?;
    Ok(Json(WebhookEndpoint::from(&endpoint)))
}

/// Change a webhook endpoint
///
/// JSON Merge Patch (RFC 7396): absent stays, null takes back to the default. What waits goes to where the endpoint
/// points from now on; disabling holds it, enabling sends it in order.
#[utoipa::path(patch, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "updateWebhookEndpoint",
    tag = "webhooks",
    params(("endpointId" = String, Path, description = "The endpoint's id.", example = "ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a")),
    request_body(content = WebhookEndpointPatch, content_type = "application/merge-patch+json",
        description = "A JSON Merge Patch; declared as `application/json` it is taken as well."),
    responses((status = 200, description = "The endpoint as it is now.", body = WebhookEndpoint)))]
async fn update_webhook_endpoint(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
    JsonBody(patch): JsonBody<WebhookEndpointPatch>,
) -> Result<Json<WebhookEndpoint>, Problem> {
    let endpoint = edge.app().webhooks().patch(&context, id, patch).await?;
    Ok(Json(WebhookEndpoint::from(&endpoint)))
}

/// Delete a webhook endpoint
///
/// What waits for it is called off; what is under way may still arrive.
#[utoipa::path(delete, path = "/api/v1/webhook-endpoints/{endpointId}", operation_id = "deleteWebhookEndpoint",
    tag = "webhooks",
    params(("endpointId" = String, Path, description = "The endpoint's id.", example = "ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a")),
    responses((status = 204, description = "Deleted.")))]
async fn delete_webhook_endpoint(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
) -> Result<StatusCode, Problem> {
    edge.app().webhooks().delete(&context, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook endpoint
///
/// Sends it a `webhook.test`, whatever types and filter it has. Read the delivery to see how it went.
#[utoipa::path(post, path = "/api/v1/webhook-endpoints/{endpointId}/test", operation_id = "testWebhookEndpoint",
    tag = "webhooks",
    params(("endpointId" = String, Path, description = "The endpoint's id.", example = "ep_019c55e5-9d00-7a1c-9f60-2f3f1d0c000a")),
    responses((status = 202, description = "Written; it goes out at once unless the endpoint is disabled.",
        body = WebhookDelivery, headers(("Location" = String, description = "The delivery.")))))]
async fn test_webhook_endpoint(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<EndpointId>,
) -> Result<Response, Problem> {
    let delivery = edge.app().webhooks().test(&context, id).await?;
    let location = edge.links().api(&format!("/webhook-deliveries/{}", delivery.id));
    let response = (StatusCode::ACCEPTED, Json(WebhookDelivery::from(&delivery))).into_response();
    Ok(located(response, &location))
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
    /// How many items a page holds.
    #[serde(default)]
    #[param(inline, required = false)]
    page_size: PageSize,
    /// The page after this cursor, which came with another page.
    #[param(inline)]
    after: Option<OpaqueCursor>,
    /// The page before this cursor.
    #[param(inline)]
    before: Option<OpaqueCursor>,
}

/// List webhook deliveries
///
/// Newest first, each with all its attempts.
#[utoipa::path(get, path = "/api/v1/webhook-deliveries", operation_id = "listWebhookDeliveries", tag = "webhooks",
    params(DeliveryQuery),
    responses((status = 200, description = "A page of deliveries.", body = Page<WebhookDelivery>)))]
async fn list_webhook_deliveries(
    State(edge): State<HttpState>,
    context: OpContext,
    Query(query): Query<DeliveryQuery>,
    uri: Uri,
) -> Result<Json<Page<WebhookDelivery>>, Problem> {
    let filter = DeliveryFilter {
        endpoint: query.endpoint_id.map(|id| id.0),
        states: query.state.unwrap_or_default().0,
        event_types: query.event_type.unwrap_or_default().0,
    };
    let from = cursor(query.after, query.before, delivery_place)?;
    let size = query.page_size.0;
    let page = edge
        .app()
        .webhooks()
        .deliveries(&context, &filter, from, size as usize)
        .await?;
    let place = |id: DeliveryId| OpaqueCursor::write(id.uuid().as_bytes());
    Ok(Json(Page {
        items: page.items.iter().map(WebhookDelivery::from).collect(),
        page: by_cursor(edge.links(), &uri, size, (page.next, page.previous), place),
    }))
}

/// Read a webhook delivery
#[utoipa::path(get, path = "/api/v1/webhook-deliveries/{deliveryId}", operation_id = "getWebhookDelivery",
    tag = "webhooks",
    params(("deliveryId" = String, Path, description = "The delivery's id.", example = "dlv_019c55e5-9d00-7a1c-9f60-2f3f1d0c000d")),
    responses((status = 200, description = "The delivery with every attempt.", body = WebhookDelivery)))]
async fn get_webhook_delivery(
    State(edge): State<HttpState>,
    context: OpContext,
    Id(id): Id<DeliveryId>,
) -> Result<Json<WebhookDelivery>, Problem> {
    let delivery = edge.app().webhooks().delivery(&context, id).await?;
    Ok(Json(WebhookDelivery::from(&delivery)))
}
