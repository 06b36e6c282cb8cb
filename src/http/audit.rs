//! Refusals as rows of the audit log: every 403 of the gateway's own, and of 401 the first of a minute for each address.
//!
//! A 403 is answered when its row is committed, or else 503: neither is there without the other. A 401 is answered in any
//! case; its rows are samples, counted per process.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use quick_cache::sync::Cache;

use super::HttpState;
use super::codes::Code;
use super::context::RequestContext;
use super::problem::Problem;
use crate::app::audit::RefusedRequest;

/// How many addresses are remembered; beyond that, an address may have more than one row a minute.
const ADDRESSES: usize = 10_000;

/// Which addresses had a row about a 401, and in which minute; clones share it.
#[derive(Clone)]
pub(super) struct Sampler(Arc<Cache<Option<IpAddr>, i64>>);

impl Sampler {
    pub(super) fn new() -> Self {
        Self(Arc::new(Cache::new(ADDRESSES)))
    }

    /// Whether this is the address' first in its minute.
    fn takes(&self, address: Option<IpAddr>, now: jiff::Timestamp) -> bool {
        let minute = now.as_second().div_euclid(60);
        if self.0.get(&address) == Some(minute) {
            return false;
        }
        self.0.insert(address, minute);
        true
    }
}

/// Tells the audit log of a request that was refused a right; what it is answered with.
pub(super) async fn refusals(
    state: &HttpState,
    context: &RequestContext,
    method: &Method,
    path: &str,
    response: Response,
) -> Response {
    let Some(code) = response.extensions().get::<Problem>().map(Problem::code) else {
        return response;
    };
    let sampled = match (code.status(), code) {
        // The gateway's account lacks the right, not the caller.
        (_, Code::UpstreamForbidden) => return response,
        (StatusCode::FORBIDDEN, _) => false,
        (StatusCode::UNAUTHORIZED, _) if state.sampler().takes(context.client(), state.clock().now()) => true,
        _ => return response,
    };
    let refused = RefusedRequest {
        caller: context.verified().cloned(),
        client: context.client(),
        channel: context.channel(),
        request_id: context.id().to_string(),
        method: method.to_string(),
        path: path.to_owned(),
        code: code.as_str(),
        operation: context.operation().get(),
    };
    match Box::pin(state.app().audit_refusal(refused)).await {
        Err(error) if !sampled => Problem::from(error).into_response(),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a request without a valid token could not be recorded in the audit log"
            );
            response
        }
        Ok(()) => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_sampled_once_a_minute() {
        let sampler = Sampler::new();
        let at = |second| jiff::Timestamp::from_second(second).expect("a moment");
        let one = Some("198.51.100.1".parse().expect("an address"));
        let other = Some("198.51.100.2".parse().expect("an address"));
        assert!(sampler.takes(one, at(120)));
        assert!(!sampler.takes(one, at(179)));
        assert!(sampler.takes(other, at(179)));
        assert!(sampler.takes(None, at(179)));
        assert!(sampler.takes(one, at(180)));
    }
}
