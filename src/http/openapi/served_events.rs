//! JSON Schemas of events as they are served, each complete in itself: taken from the checked-in document when the program is
//! built (`build.rs`), so that nothing that describes types is in programs that are shipped.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::event_schemas::schema_name;
use super::reachable::reachable;
use crate::domain::event::EventType;

/// The document's schemas of events and of what they refer to, by name: an object.
const SCHEMAS: &str = include_str!(concat!(env!("OUT_DIR"), "/event_schemas.json"));

/// What a reference within one schema begins with.
const DEFINITIONS: &str = "#/$defs/";

/// JSON Schema of an event's body, complete in itself.
pub(in crate::http) fn event_schema(kind: EventType) -> Value {
    // Of bytes that are the program's own; a test reads them.
    static ALL: LazyLock<Map<String, Value>> =
        LazyLock::new(|| serde_json::from_str(SCHEMAS).unwrap_or_default());
    let name = schema_name(kind);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.as_str(),
    });
    let mut definitions = reachable(&ALL, vec![name.clone()], DEFINITIONS);
    let own = definitions.remove(&name).unwrap_or_default();
    if let (Value::Object(schema), Value::Object(own)) = (&mut schema, own) {
        schema.extend(own);
        schema.insert("$defs".to_owned(), json!(definitions));
    }
    schema
}
