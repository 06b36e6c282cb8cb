//! The event log, and what kinds of events there are.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::lists::Log;
use super::paths::EventPath;
use crate::api_types::events::{EventItem, EventTypeInfo};
use crate::api_types::page::Page;
use crate::app::OpContext;
use crate::app::StoredEvent;
use crate::app::events::EventPlace;
use crate::app::streams::LogFilter;
use crate::domain::access::Scope;
use crate::domain::event::EventType;
use crate::domain::id::{EmId, EventId, OperationId};
use crate::http::HttpState;
use crate::http::answers::STORED;
use crate::http::extract::{Choice, Choices, EnumParam, EventCursor, Id, IdFilter, PageSize, Query};
use crate::http::openapi::{event_example, event_schema};
use crate::http::problem::Problem;
use crate::http::register::require_scope;
use crate::http::remembered::{Answer, Asked, Basis};
use crate::http::routing::{Routes, route};

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(require_scope(Scope::EventsRead, &[STORED], route!(list_events)))
        .with(require_scope(Scope::EventsRead, &[STORED], route!(get_event)))
        .with(require_scope(Scope::EventsRead, &[], route!(list_event_types)))
}

type EventTypes = Choices<EventType>;
type PlanId = IdFilter<EmId>;
type OfOperation = IdFilter<OperationId>;
type OfSession = IdFilter<EmId>;
type Direction = Choice<Order>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Only events of these types, separated by commas.
    #[serde(rename = "type")]
    #[param(inline, style = Form, explode = false)]
    kind: Option<EventTypes>,
    /// Only events about this plan.
    #[param(inline)]
    plan_id: Option<PlanId>,
    /// Only events about this operation.
    #[param(inline)]
    operation_id: Option<OfOperation>,
    /// Only events about this failover session.
    #[param(inline)]
    session_id: Option<OfSession>,
    /// `asc` (when absent): oldest first. `desc`: newest first; `after` and `before` are then read in that order.
    #[param(inline)]
    order: Option<Direction>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

impl EnumParam for Order {
    fn words() -> Vec<&'static str> {
        vec!["asc", "desc"]
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "asc" => Some(Self::OldestFirst),
            "desc" => Some(Self::NewestFirst),
            _ => None,
        }
    }
}

/// The page of the log, described; it is read like that of any other log.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "only its description is used")]
struct EventParams {
    /// The events after this one: a cursor, the id of an event, or `start`.
    #[param(inline)]
    after: Option<EventCursor>,
    /// The events before this one: a cursor, or the id of an event.
    #[param(inline)]
    before: Option<EventCursor>,
    /// Items per page.
    #[param(inline, required = false)]
    page_size: PageSize,
}

/// List events
///
/// Oldest first unless `order` says otherwise, kept for 30 days. To follow the log, repeat the request with `after` set to the id of the last event
/// received.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "listEvents", tag = "events",
    params(EventQuery, EventParams),
    responses((status = 200, description = "A page of events.", body = Page<EventItem>)))]
async fn list_events(
    State(state): State<HttpState>,
    context: OpContext,
    Query(query): Query<EventQuery>,
    log: Log<EventPlace>,
    asked: Asked,
) -> Result<Response, Problem> {
    let newest_first = query.order.is_some_and(|order| order.0 == Order::NewestFirst);
    let filter = LogFilter {
        types: query.kind.unwrap_or_default().0,
        plan: query.plan_id.map(|id| id.0),
        operation: query.operation_id.map(|id| id.0),
        session: query.session_id.map(|id| id.0),
        either: None,
    };
    let basis = Basis::default().and_store(state.app().store_revision());
    let making = async {
        let page = state
            .app()
            .events(&context, &filter, newest_first, log.from, log.size)
            .await?;
        Answer::json(&log.readable(state.links(), &page, item).0)
    };
    let answer = state.answers().of(context.tenancy(), &asked, basis, making);
    Ok(answer.await?.response(&asked))
}

/// An item of the log; one that cannot be read is logged and left out, so that it does not hide the others.
fn item(event: &StoredEvent) -> Option<EventItem> {
    EventItem::from_body(event.id, event.kind, &event.body)
        .inspect_err(|error| {
            tracing::error!(event = %event.id, error = error as &dyn std::error::Error, "a stored event cannot be read");
        })
        .ok()
}

/// Read an event
///
/// For receivers of a webhook that cannot verify its signature: the event by its `webhook-id`, as the log has it.
#[utoipa::path(get, path = "/api/v1/events/{eventId}", operation_id = "getEvent", tag = "events", params(EventPath),
    responses((status = 200, description = "The event.", body = EventItem)))]
async fn get_event(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EventId>,
) -> Result<Json<EventItem>, Problem> {
    let event = state.app().event(&context, id).await?;
    item(&event).map(Json).ok_or_else(Problem::internal)
}

/// List event types
///
/// Every event type, with a JSON Schema and an example of its body.
#[utoipa::path(get, path = "/api/v1/event-types", operation_id = "listEventTypes", tag = "events",
    responses((status = 200, description = "All event types, on one page.", body = Page<EventTypeInfo>)))]
async fn list_event_types() -> Json<Page<EventTypeInfo>> {
    let items = EventType::ALL.iter().map(|kind| EventTypeInfo {
        kind: kind.as_str(),
        description: kind.meaning(),
        opt_in: kind.opt_in(),
        schema: event_schema(*kind),
        example: event_example(*kind),
    });
    Json(Page::whole(items.collect()))
}
