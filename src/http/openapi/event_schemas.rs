//! JSON Schemas of events, made from the types that make events, so that they cannot lag behind.

use std::collections::BTreeMap;

use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema as _, ToSchema};

use crate::api_types::Moment;
use crate::api_types::events::{FailoverEventData, TestEventData, UpstreamEventData};
use crate::api_types::test_events::{CheckpointEventData, OverdueTestEventData, SkippedTestEventData};
use crate::api_types::webhooks::EndpointEventData;
use crate::domain::event::EventType;

/// The name of an event's schema: `failover.session.finished` is `FailoverSessionFinishedEvent`.
pub(super) fn schema_name(kind: EventType) -> String {
    let mut name = words(kind);
    name.push_str("Event");
    name
}

/// The type as the words of a name: `failover.session.finished` is `FailoverSessionFinished`.
pub(super) fn words(kind: EventType) -> String {
    kind.as_str()
        .split('.')
        .flat_map(|word| word.chars().enumerate())
        .map(|(place, letter)| {
            if place == 0 {
                letter.to_ascii_uppercase()
            } else {
                letter
            }
        })
        .collect()
}

/// The name of the schema of an event's data, and a call that collects it with all it refers to.
fn data_of(kind: EventType, found: &mut Vec<(String, RefOr<Schema>)>) -> String {
    fn take<D: ToSchema>(found: &mut Vec<(String, RefOr<Schema>)>) -> String {
        let name = D::name().into_owned();
        found.push((name.clone(), D::schema()));
        D::schemas(found);
        name
    }
    match kind {
        EventType::SessionStarted
        | EventType::SessionProgressed
        | EventType::MachineFinished
        | EventType::SessionFinished
        | EventType::SessionLost
        | EventType::OperationFinished
        | EventType::ApprovalRequested
        | EventType::ApprovalDecided
        | EventType::ReportReady => take::<FailoverEventData>(found),
        EventType::EndpointFailing | EventType::EndpointRecovered | EventType::EndpointDisabled => {
            take::<EndpointEventData>(found)
        }
        EventType::TestOverdue => take::<OverdueTestEventData>(found),
        EventType::TestSkipped => take::<SkippedTestEventData>(found),
        EventType::AuditCheckpoint => take::<CheckpointEventData>(found),
        EventType::UpstreamUnavailable | EventType::UpstreamRecovered => take::<UpstreamEventData>(found),
        EventType::WebhookTest => take::<TestEventData>(found),
    }
}

/// The schemas of all events and of what they refer to.
pub(super) fn schemas() -> BTreeMap<String, RefOr<Schema>> {
    let mut found = Vec::new();
    for kind in EventType::ALL {
        let data = data_of(*kind, &mut found);
        let body = ObjectBuilder::new()
            .description(Some(kind.meaning()))
            .property(
                "type",
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some([kind.as_str()])),
            )
            .property("timestamp", Moment::schema())
            .property("data", Ref::from_schema_name(data))
            .required("type")
            .required("timestamp")
            .required("data");
        found.push((schema_name(*kind), body.into()));
    }
    found.into_iter().collect()
}
