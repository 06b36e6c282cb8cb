//! Answers that several routes give: what was created or accepted, with its address, and operations.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::api_types::operations::Operation;
use crate::app::OpContext;
use crate::app::operations::OperationView;
use crate::app::submit::Submitted;
use crate::auth::Asynchrony;
use crate::http::HttpState;
use crate::http::extract::Preferences;
use crate::http::headers::IDEMPOTENCY_REPLAYED;
use crate::http::problem::Problem;
use crate::http::tickets::TICKET;

/// 201 with what was created and its address.
pub(super) struct Created<T> {
    pub location: String,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, [(LOCATION, self.location)], Json(self.body)).into_response()
    }
}

/// 202 with what is under way and its address.
pub(super) struct Accepted<T> {
    pub location: String,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, [(LOCATION, self.location)], Json(self.body)).into_response()
    }
}

/// Answers with the operation's current state, or its state at the end of the wait that was asked for: 200 when it has
/// finished or was requested before, else 202. Whoever prefers it (`respond-async`) gets the address of its result. A secret that the gateway made for the callback is shown here and never
/// again.
pub(super) async fn answer(
    state: &HttpState,
    context: &OpContext,
    submitted: &Submitted,
    wait: Preferences,
    secret: Option<SecretString>,
) -> Result<Response, Problem> {
    let operation = &submitted.operation;
    let view = match wait.left() {
        Some(left) => state.app().await_operation(context, operation.id, left).await?,
        None => state.app().with_session(context, operation.clone()).await?,
    };
    let mut body = shown(state, &view);
    if let (Some(callback), Some(secret), false) = (&mut body.callback, secret, submitted.replayed) {
        callback.secret = Some(secret.expose_secret().to_owned());
    }
    // Whoever polls takes 200 for the end: a repeated request of theirs is answered like the first one.
    let goes_on = body.state != "finished" && (!submitted.replayed || wait.asynchrony().is_some());
    let status = if goes_on {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let location = match wait.asynchrony() {
        None => body.links.this.clone(),
        Some(Asynchrony::Ticket) => {
            let issued = state.app().issue_operation_ticket(context, operation.id).await?;
            format!("{}?{TICKET}={}", body.links.result, issued.ticket.expose_secret())
        }
        Some(Asynchrony::Result) => body.links.result.clone(),
    };
    let replayed = submitted.replayed.then_some([(IDEMPOTENCY_REPLAYED, "true")]);
    let answer = (status, [(LOCATION, location)], replayed, Json(body)).into_response();
    Ok(wait.applied_to_action(answer))
}

/// An operation as JSON.
pub(super) fn shown(state: &HttpState, view: &OperationView) -> Operation {
    Operation::new(state.links(), &view.operation, view.session.as_ref())
}
