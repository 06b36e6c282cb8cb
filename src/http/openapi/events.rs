//! Events in the document: a `webhooks` entry for each type, and the callback of actions. Schema and example of a type
//! are made from the very types and functions that make events, so that they cannot lag behind.

use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::domain::event::EventType;

/// JSON Schema of an event's body, complete in itself.
pub(in crate::http) fn event_schema(_kind: EventType) -> Value {
    Value::Null
}

/// An event's body.
pub(in crate::http) fn event_example(_kind: EventType) -> Value {
    Value::Null
}

/// Adds the `webhooks` section.
pub(super) fn add(_document: &mut OpenApi) {}
