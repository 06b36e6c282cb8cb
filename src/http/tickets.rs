//! Tickets in a query, in the place of a token: which routes take one, and whom it stands for (docs/streams.md#tickets).
//!
//! Anywhere else a ticket is nothing, and the request has no token. A request with an `Authorization` header is judged by
//! that alone, and its ticket is not used up.

use axum::extract::{MatchedPath, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::{Method, Uri};
use secrecy::{ExposeSecret as _, SecretString};

use super::HttpState;
use super::problem::Problem;
use crate::domain::access::Caller;
use crate::domain::id::OperationId;

/// The query parameter of tickets.
pub(super) const TICKET: &str = "ticket";

/// The streams, each of which takes a ticket once.
const STREAMS: &[&str] = &[
    "/api/v1/events/stream",
    "/api/v1/operations/{operationId}/stream",
    "/api/v1/failover-sessions/{sessionId}/stream",
];
/// What a ticket for an operation reads.
const OPERATION: &[&str] = &[
    "/api/v1/operations/{operationId}",
    "/api/v1/operations/{operationId}/result",
];

/// A ticket that a request presents in a place where it may count.
pub(super) enum Presented {
    Stream(SecretString),
    Operation(SecretString, OperationId),
}

/// The ticket of a request that has one and no token.
pub(super) fn presented(request: &Request) -> Option<Presented> {
    if !matches!(*request.method(), Method::GET | Method::HEAD)
        || request.headers().contains_key(AUTHORIZATION)
    {
        return None;
    }
    let route = request.extensions().get::<MatchedPath>()?.as_str();
    let ticket = ticket(request.uri())?;
    // It counts once, and HEAD shows nothing of a stream.
    if STREAMS.contains(&route) && request.method() == Method::GET {
        return Some(Presented::Stream(ticket));
    }
    if OPERATION.contains(&route) {
        let id = request.uri().path().split('/').nth(4)?.parse().ok()?;
        return Some(Presented::Operation(ticket, id));
    }
    None
}

/// The caller that a ticket stands for.
///
/// # Errors
/// 401 when it does not count here, 503 when the store does not answer.
pub(super) async fn caller(state: &HttpState, presented: Presented) -> Result<Caller, Problem> {
    let found = match &presented {
        Presented::Stream(ticket) => state.app().use_stream_ticket(ticket.expose_secret()).await?,
        // Tickets that were issued before they were turned off do not count any more.
        Presented::Operation(..) if !state.verifier().gives_tickets() => None,
        Presented::Operation(ticket, id) => {
            let ticket = ticket.expose_secret();
            state.app().use_operation_ticket(ticket, *id).await?
        }
    };
    found.ok_or_else(|| Problem::bad_token("the ticket is unknown, used, expired, or for something else"))
}

fn ticket(uri: &Uri) -> Option<SecretString> {
    let query = uri.query().unwrap_or_default();
    let mut tickets = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == TICKET);
    let (_, ticket) = tickets.next()?;
    // Two of them are refused where every parameter is that is given twice; none of them counts.
    tickets.next().is_none().then(|| ticket.into_owned().into())
}
