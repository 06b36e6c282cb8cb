//! The context of a verb for tests that call one without HTTP.

use emgate::app::{OpContext, OperationSlot};
use emgate::domain::access::{Caller, Scope};

/// A request by a caller who holds every scope.
pub fn operator() -> OpContext {
    OpContext {
        caller: std::sync::Arc::new(Caller {
            name: Some("an operator".to_owned()),
            issuer: None,
            scopes: Scope::ALL.iter().copied().collect(),
            tenancy: emgate::domain::access::Tenancy::All,
            token_id: None,
            expires_at: jiff::Timestamp::MAX,
            rules: Vec::new(),
        }),
        request_id: "a-request".into(),
        client: None,
        operation: OperationSlot::default(),
        channel: emgate::app::Channel::Token,
        traceparent: None,
    }
}
