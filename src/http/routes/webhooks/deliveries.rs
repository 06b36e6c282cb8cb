//! What was delivered to webhook endpoints.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::lists::{CursorParams, Log};
use super::super::paths::DeliveryPath;
use crate::api_types::page::Page;
use crate::api_types::webhooks::WebhookDelivery;
use crate::app::OpContext;
use crate::app::webhooks::DeliveryFilter;
use crate::domain::access::Scope;
use crate::domain::event::EventType;
use crate::domain::id::{DeliveryId, EmId, EndpointId, OperationId};
use crate::domain::webhook::DeliveryState;
use crate::http::HttpState;
use crate::http::answers::STORED;
use crate::http::extract::{Choices, EnumParam, Id, IdFilter, Query};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::routing::{Routes, route};

pub(super) fn routes() -> Routes {
    let read = Scope::WebhooksRead;
    Routes::default()
        .with(require_scope(read, &[STORED], route!(list_webhook_deliveries)))
        .with(require_scope(read, &[STORED], route!(get_webhook_delivery)))
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
type OfEndpoint = IdFilter<EndpointId>;
type OfOperation = IdFilter<OperationId>;
type OfSession = IdFilter<EmId>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct DeliveryQuery {
    /// Only deliveries to this endpoint.
    #[param(inline)]
    endpoint_id: Option<OfEndpoint>,
    /// Only these states, separated by commas.
    #[param(inline, style = Form, explode = false)]
    state: Option<States>,
    /// Only events of these types, separated by commas.
    #[param(inline, style = Form, explode = false)]
    event_type: Option<Types>,
    /// Only deliveries of events about this operation or its failover session.
    #[param(inline)]
    operation_id: Option<OfOperation>,
    /// Only deliveries of events about this failover session.
    #[param(inline)]
    session_id: Option<OfSession>,
}

impl From<DeliveryQuery> for DeliveryFilter {
    fn from(query: DeliveryQuery) -> Self {
        Self {
            endpoint: query.endpoint_id.map(|id| id.0),
            states: query.state.unwrap_or_default().0,
            event_types: query.event_type.unwrap_or_default().0,
            operation: query.operation_id.map(|id| id.0),
            session: query.session_id.map(|id| id.0),
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
