//! Answers that several routes give: an operation with its address, and the wait that was granted.

use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};

use crate::api_types::operations::Operation;
use crate::app::OpContext;
use crate::app::submit::Submitted;
use crate::http::HttpState;
use crate::http::extract::Wait;
use crate::http::headers::IDEMPOTENCY_REPLAYED;
use crate::http::problem::Problem;

/// Answers with the operation's current state, or its state at the end of the wait that was asked for. A secret that
/// the gateway made for the callback is shown here and never again.
pub(super) async fn answer(
    edge: &HttpState,
    context: &OpContext,
    submitted: &Submitted,
    wait: Wait,
    secret: Option<SecretString>,
) -> Result<Response, Problem> {
    let operation = &submitted.operation;
    let view = match wait.left() {
        Some(left) => edge.app().await_operation(context, operation.id, left).await?,
        None => edge.app().with_session(context, operation.clone()).await?,
    };
    let mut body = Operation::new(edge.links(), &view.operation, view.session.as_ref());
    if let (Some(callback), Some(secret), false) = (&mut body.callback, secret, submitted.replayed) {
        callback.secret = Some(secret.expose_secret().to_owned());
    }
    let mut response = wait.applied(accepted(&body));
    if submitted.replayed {
        *response.status_mut() = StatusCode::OK;
        response
            .headers_mut()
            .insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// An operation as the answer: 200 when it has finished, else 202, with its address.
fn accepted(operation: &Operation) -> Response {
    let status = if operation.state == "finished" {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    located(
        (status, axum::Json(operation)).into_response(),
        &operation.links.this,
    )
}

/// The answer with the address of what it is about.
pub(super) fn located(mut response: Response, address: &str) -> Response {
    if let Ok(location) = HeaderValue::from_str(address) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
