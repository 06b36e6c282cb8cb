//! Streams of events, and the tickets that open one where a request cannot carry a token.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use secrecy::ExposeSecret as _;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::paths::{OperationPath, SessionPath, TicketParam};
use crate::api_types::events::StreamTicket;
use crate::app::OpContext;
use crate::app::streams::{LogFilter, StreamRequest, StreamStart};
use crate::domain::access::Scope;
use crate::domain::event::EventType;
use crate::domain::id::{EmId, OperationId};
use crate::http::HttpState;
use crate::http::answers::{BODY, STORED, UPSTREAM_READ};
use crate::http::extract::{Choices, Id, IdFilter, NoBody, Query, START, text_of};
use crate::http::openapi::constraints;
use crate::http::problem::Problem;
use crate::http::register::{require_one_of, require_scope};
use crate::http::routing::{Routes, route};
use crate::http::sse::Seat;
use crate::http::stream_slots::StreamKind;

/// What opens a stream.
const STREAM_SCOPES: &[Scope] = &[Scope::EventsRead, Scope::SessionsRead];

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(require_scope(Scope::EventsRead, &[STORED], route!(stream_events)))
        .with(require_scope(
            Scope::EventsRead,
            &[STORED],
            route!(stream_operation),
        ))
        .with(require_scope(
            Scope::SessionsRead,
            &[UPSTREAM_READ, STORED],
            route!(stream_failover_session),
        ))
        .with(require_one_of(
            STREAM_SCOPES,
            &[STORED, BODY],
            route!(create_stream_ticket),
        ))
}

/// The parameter `after`.
#[derive(Debug, Clone, Copy)]
struct AfterParam(StreamStart);

impl<'de> Deserialize<'de> for AfterParam {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match start_of(&String::deserialize(deserializer)?) {
            StreamStart::Unknown => Err(D::Error::custom("must be the id of an event, or `start`")),
            start => Ok(Self(start)),
        }
    }
}

impl PartialSchema for AfterParam {
    fn schema() -> RefOr<Schema> {
        text_of(constraints::STREAM_START)
    }
}

impl ToSchema for AfterParam {}

fn start_of(text: &str) -> StreamStart {
    match text {
        START => StreamStart::Oldest,
        id => id.parse().map_or(StreamStart::Unknown, StreamStart::After),
    }
}

/// Where a stream begins, as the query says it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct StartParams {
    /// Begin after this event, or with the oldest one (`start`); without it, with what happens from now on.
    #[param(inline)]
    after: Option<AfterParam>,
    /// The same as the header `Last-Event-ID`, where headers cannot be set.
    last_event_id: Option<String>,
}

/// The header of a reader that comes back, described.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
struct StartHeader {
    /// The id of the last event that the reader got. The stream continues after it; browsers send it by themselves.
    #[param(
        rename = "Last-Event-ID",
        example = "evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c0001"
    )]
    last_event_id: Option<String>,
}

/// Where a stream begins. A reader that comes back sends the address of its first request again, so that the id of its last
/// event goes before `after`.
struct Start(StreamStart);

impl FromRequestParts<HttpState> for Start {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let Query(params) = Query::<StartParams>::from_request_parts(parts, state).await?;
        let header = parts.headers.get("last-event-id");
        // What is no text is the id of no event.
        let header = header.map(|value| value.to_str().unwrap_or("?").to_owned());
        let last = [header, params.last_event_id].into_iter().flatten();
        let last = last
            .map(|text| text.trim().to_owned())
            .find(|text| !text.is_empty());
        Ok(Self(match (last, params.after) {
            (Some(id), _) => start_of(&id),
            (None, Some(AfterParam(start))) => start,
            (None, None) => StreamStart::Now,
        }))
    }
}

type EventTypes = Choices<EventType>;
type PlanId = IdFilter<EmId>;
type OperationFilterId = IdFilter<OperationId>;
type SessionId = IdFilter<EmId>;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Only events of these types, separated by commas.
    #[serde(rename = "type")]
    #[param(inline, style = Form, explode = false)]
    kind: Option<EventTypes>,
    /// Only events about this plan.
    #[param(inline)]
    plan_id: Option<PlanId>,
    /// Only events about this operation.
    #[param(inline)]
    operation_id: Option<OperationFilterId>,
    /// Only events about this failover session.
    #[param(inline)]
    session_id: Option<SessionId>,
}

impl From<StreamQuery> for LogFilter {
    fn from(query: StreamQuery) -> Self {
        Self {
            types: query.kind.unwrap_or_default().0,
            plan: query.plan_id.map(|id| id.0),
            operation: query.operation_id.map(|id| id.0),
            session: query.session_id.map(|id| id.0),
            either: None,
        }
    }
}

/// Stream events
///
/// Server-Sent Events: `id` is the event's id, `event` its type, `data` the event as `GET /events` shows it. A reader that
/// comes back with `Last-Event-ID` gets what it missed, on any replica, without gap and without repeat; where that event is
/// not in the log, one `event: reset` comes first, and the stream continues from now. The stream ends with
/// `event: unauthorized` when the token expires. A reader that is 1,000 events or 30 seconds behind is disconnected.
#[utoipa::path(get, path = "/api/v1/events/stream", operation_id = "streamEvents", tag = "events",
    params(StreamQuery, StartParams, StartHeader, TicketParam),
    responses((status = 200, description = "Events, as they are written.", body = String, content_type = "text/event-stream")))]
async fn stream_events(
    State(state): State<HttpState>,
    context: OpContext,
    Query(query): Query<StreamQuery>,
    Start(start): Start,
    seat: Seat,
) -> Result<Response, Problem> {
    let cut = seat.cut();
    let opened = state
        .app()
        .stream_events(&context, query.into(), StreamRequest { start, cut });
    Ok(seat.answer(&state, &context, StreamKind::Events, opened.await?))
}

/// Stream an operation
///
/// The events about the operation and its failover session, as `GET /events/stream` has them. After the last one comes
/// `event: end`; for an operation that has ended, at once.
#[utoipa::path(get, path = "/api/v1/operations/{operationId}/stream", operation_id = "streamOperation", tag = "operations",
    params(OperationPath, StartParams, StartHeader, TicketParam),
    responses((status = 200, description = "Events, as they are written.", body = String, content_type = "text/event-stream")))]
async fn stream_operation(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<OperationId>,
    Start(start): Start,
    seat: Seat,
) -> Result<Response, Problem> {
    let cut = seat.cut();
    let opened = state
        .app()
        .stream_operation(&context, id, StreamRequest { start, cut });
    Ok(seat.answer(&state, &context, StreamKind::Operation, opened.await?))
}

/// Stream a failover session
///
/// The events about the session, as `GET /events/stream` has them. After the last one comes `event: end`; for a session that
/// has ended, at once.
#[utoipa::path(get, path = "/api/v1/failover-sessions/{sessionId}/stream", operation_id = "streamFailoverSession",
    tag = "sessions",
    params(SessionPath, StartParams, StartHeader, TicketParam),
    responses((status = 200, description = "Events, as they are written.", body = String, content_type = "text/event-stream")))]
async fn stream_failover_session(
    State(state): State<HttpState>,
    context: OpContext,
    Id(id): Id<EmId>,
    Start(start): Start,
    seat: Seat,
) -> Result<Response, Problem> {
    let cut = seat.cut();
    let opened = state
        .app()
        .stream_session(&context, &id, StreamRequest { start, cut });
    Ok(seat.answer(&state, &context, StreamKind::Session, opened.await?))
}

/// Issue a ticket for a stream
///
/// It opens one stream within 60 seconds, with the rights of this token, where headers cannot be set: a browser's
/// `EventSource`, for instance. It counts in the query parameter `ticket`, on any replica. Either scope will do here, and the
/// stream needs its own: with `events:read` the ticket opens the stream of events and those of operations, with `sessions:read`
/// those of failover sessions.
#[utoipa::path(post, path = "/api/v1/stream-tickets", operation_id = "createStreamTicket", tag = "events",
    responses((status = 201, description = "The ticket.", body = StreamTicket)))]
async fn create_stream_ticket(
    State(state): State<HttpState>,
    context: OpContext,
    NoBody: NoBody,
) -> Result<(StatusCode, Json<StreamTicket>), Problem> {
    let new = state.app().issue_stream_ticket(&context).await?;
    let body = StreamTicket {
        ticket: new.ticket.expose_secret().to_owned(),
        expires_at: new.expires_at.into(),
    };
    Ok((StatusCode::CREATED, Json(body)))
}
