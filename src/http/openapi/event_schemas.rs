//! JSON Schemas of events, made from the types that make events, so that they cannot lag behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema};
use utoipa::{PartialSchema as _, ToSchema};

use crate::api_types::Moment;
use crate::api_types::events::{FailoverEventData, TestEventData, UpstreamEventData};
use crate::api_types::test_events::{CheckpointEventData, OverdueTestEventData, SkippedTestEventData};
use crate::api_types::webhooks::EndpointEventData;
use crate::domain::event::EventType;

const SCHEMAS: &str = "#/components/schemas/";

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

/// JSON Schema of an event's body, complete in itself.
pub(in crate::http) fn event_schema(kind: EventType) -> Value {
    static ALL: LazyLock<Map<String, Value>> = LazyLock::new(|| {
        let all = serde_json::to_value(schemas()).unwrap_or_default();
        let mut all = all.as_object().cloned().unwrap_or_default();
        all.values_mut().for_each(localise);
        all
    });
    let name = schema_name(kind);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.as_str(),
    });
    let mut wanted = vec![name.clone()];
    let mut definitions = BTreeMap::new();
    let mut seen = BTreeSet::new();
    while let Some(next) = wanted.pop() {
        if let Some(definition) = ALL.get(&next)
            && seen.insert(next.clone())
        {
            references(definition, &mut wanted);
            definitions.insert(next, definition.clone());
        }
    }
    let own = definitions.remove(&name).unwrap_or_default();
    if let (Value::Object(schema), Value::Object(own)) = (&mut schema, own) {
        schema.extend(own);
        schema.insert("$defs".to_owned(), json!(definitions));
    }
    schema
}

/// Turns references into the document into references within the schema.
fn localise(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix(SCHEMAS) {
                *text = format!("#/$defs/{name}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(localise),
        Value::Object(fields) => fields.values_mut().for_each(localise),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The names that a localised schema refers to.
fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) => names.extend(text.strip_prefix("#/$defs/").map(ToOwned::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        Value::Object(fields) => fields.values().for_each(|field| references(field, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
