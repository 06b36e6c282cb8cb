//! What an alerting service makes of an event: what it belongs to, and whether that is settled with it.

use super::ID;
use super::body::Data;
use crate::domain::event::EventType;
use crate::webhooks::formats::text::clean;

/// What an alerting service makes of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::webhooks::formats) struct Alert {
    /// What joins the events of one matter: the session, the operation, the endpoint, the account.
    pub(in crate::webhooks::formats) key: String,
    /// Whether the matter is settled with it.
    pub(in crate::webhooks::formats) resolved: bool,
}

/// What is made of an event.
pub(super) fn alert(
    kind: EventType,
    id: &str,
    data: &Data,
    session: Option<&str>,
    operation: Option<&str>,
) -> Alert {
    let endpoint = data.endpoint.as_ref().and_then(|endpoint| endpoint.id.as_deref());
    let key = match kind {
        EventType::EndpointFailing | EventType::EndpointRecovered | EventType::EndpointDisabled => {
            endpoint.unwrap_or(id).to_owned()
        }
        EventType::UpstreamUnavailable | EventType::UpstreamRecovered => {
            format!("upstream:{}", data.account.as_deref().unwrap_or_default())
        }
        EventType::TestOverdue | EventType::TestSkipped => {
            let plan = data.plan.as_ref().and_then(|plan| plan.id.as_deref());
            plan.map_or_else(|| id.to_owned(), |plan| format!("test:{plan}"))
        }
        EventType::WebhookTest => id.to_owned(),
        _ => session.or(operation).unwrap_or(id).to_owned(),
    };
    let succeeded = |result: Option<&str>| matches!(result, Some("success"));
    let of_session = data.session.as_ref();
    let resolved = match kind {
        EventType::SessionFinished => succeeded(of_session.and_then(|session| session.result.as_deref())),
        // Nobody is called for a failover that was over, and had succeeded, before it was seen.
        EventType::SessionStarted => {
            of_session.is_some_and(|session| session.has_ended() && succeeded(session.result.as_deref()))
        }
        EventType::OperationFinished => succeeded(
            data.operation
                .as_ref()
                .and_then(|operation| operation.result.as_deref()),
        ),
        // A test opens nothing that somebody would have to close.
        EventType::ApprovalDecided
        | EventType::EndpointRecovered
        | EventType::UpstreamRecovered
        | EventType::AuditCheckpoint
        | EventType::WebhookTest => true,
        _ => false,
    };
    Alert {
        key: clean(&key, ID),
        resolved,
    }
}
