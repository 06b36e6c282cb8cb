//! The context of a verb, from what the layers left with the request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::app::OpContext;
use crate::domain::access::Caller;
use crate::http::HttpState;
use crate::http::context::RequestContext;
use crate::http::problem::Problem;

impl FromRequestParts<HttpState> for OpContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &HttpState) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        let request = RequestContext::of(&parts.extensions);
        let Some((caller, request)) = caller.zip(request) else {
            tracing::error!("a route outside of authentication asked for a caller");
            return Err(Problem::internal());
        };
        Ok(Self {
            caller,
            request_id: request.id().clone(),
            client: request.client(),
            operation: request.operation().clone(),
            channel: request.channel(),
            traceparent: request.origin().map(Into::into),
        })
    }
}
