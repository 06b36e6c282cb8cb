//! The event log, and what kinds of events there are.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::by_cursor;
use crate::api_types::events::EventItem;
use crate::api_types::page::{Page, PageInfo};
use crate::app::OpContext;
use crate::app::StoredEvent;
use crate::app::events::EventPlace;
use crate::domain::access::Scope;
use crate::domain::event::EventType;
use crate::http::HttpState;
use crate::http::answers::STORED;
use crate::http::extract::{EventCursor, OpaqueCursor, PageSize, Query, cursor};
use crate::http::openapi::{event_example, event_schema};
use crate::http::problem::Problem;
use crate::http::register::require_scope;

pub(super) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::default()
        .routes(require_scope(Scope::EventsRead, &[STORED], routes!(list_events)))
        .routes(require_scope(Scope::EventsRead, &[], routes!(list_event_types)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// The events after this one: a cursor, or the id of an event.
    #[param(inline, value_type = Option<EventCursor>)]
    after: Option<OpaqueCursor>,
    /// The events before this one: a cursor, or the id of an event.
    #[param(inline, value_type = Option<EventCursor>)]
    before: Option<OpaqueCursor>,
    /// How many items a page holds.
    #[serde(default)]
    #[param(inline, required = false)]
    page_size: PageSize,
}

/// List events
///
/// Oldest first, kept for 30 days. To follow the log, ask again with `after` set to the id of the last event you saw.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "listEvents", tag = "events", params(EventQuery),
    responses((status = 200, description = "A page of events.", body = Page<EventItem>)))]
async fn list_events(
    State(edge): State<HttpState>,
    context: OpContext,
    Query(query): Query<EventQuery>,
    uri: Uri,
) -> Result<Json<Page<EventItem>>, Problem> {
    let from = cursor(query.after, query.before, |place| {
        let text = std::str::from_utf8(place).ok();
        match text.filter(|text| text.starts_with("evt_")) {
            Some(id) => id.parse().ok().map(EventPlace::Id),
            None => Some(EventPlace::Seq(i64::from_be_bytes(place.try_into().ok()?))),
        }
    })?;
    let size = query.page_size.0;
    let page = edge.app().events(&context, from, size as usize).await?;
    // One that cannot be read must not hide the others.
    let items = page.items.iter().filter_map(item).collect();
    let place = |seq: i64| OpaqueCursor::write(&seq.to_be_bytes());
    Ok(Json(Page {
        items,
        page: by_cursor(edge.links(), &uri, size, (page.next, page.previous), place),
    }))
}

/// The body as it is delivered, with the event's id beside it; the data stays the bytes that were stored.
fn item(event: &StoredEvent) -> Option<EventItem> {
    #[derive(Deserialize)]
    struct Body {
        timestamp: String,
        data: Box<RawValue>,
    }
    let body: Body = serde_json::from_str(&event.body)
        .inspect_err(|error| {
            tracing::error!(event = %event.id, error = error as &dyn std::error::Error, "a stored event cannot be read");
        })
        .ok()?;
    Some(EventItem {
        id: event.id.to_string(),
        kind: event.kind.as_str().to_owned(),
        timestamp: body.timestamp,
        data: body.data,
    })
}

/// A kind of event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeInfo {
    /// Its name.
    #[serde(rename = "type")]
    #[schema(example = "failover.session.finished")]
    pub kind: &'static str,
    /// What it says.
    pub description: &'static str,
    /// Whether an endpoint gets it only when it names it in `eventTypes`.
    pub opt_in: bool,
    /// JSON Schema of the body.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// A body.
    #[schema(value_type = Object)]
    pub example: Value,
}

/// List event types
///
/// Every kind of event, with JSON Schema and an example of the body.
#[utoipa::path(get, path = "/api/v1/event-types", operation_id = "listEventTypes", tag = "events",
    responses((status = 200, description = "All event types, on one page.", body = Page<EventTypeInfo>)))]
async fn list_event_types() -> Json<Page<EventTypeInfo>> {
    let items: Vec<EventTypeInfo> = EventType::ALL
        .iter()
        .map(|kind| EventTypeInfo {
            kind: kind.as_str(),
            description: kind.meaning(),
            opt_in: kind.opt_in(),
            schema: event_schema(*kind),
            example: event_example(*kind),
        })
        .collect();
    let page = PageInfo {
        size: items.len() as u64,
        next: None,
        previous: None,
        number: None,
        total: None,
    };
    Json(Page { items, page })
}
