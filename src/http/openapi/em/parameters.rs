//! The parameters of the mirror's operations, by the same rules that check requests (`mirror/known.rs`).

use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use super::schemas::{Schemas, put};
use crate::catalogue::{self, Parameter, catalogue};
use crate::http::openapi::constraints;
use crate::mirror::{formats, is_task, known_parameters, queryable};

const IDEMPOTENCY_KEY: &str = "EmIdempotencyKey";
const IF_NONE_MATCH: &str = "EmIfNoneMatch";
const IF_MATCH: &str = "EmIfMatch";
const PREFER: &str = "EmPrefer";

/// Parameters that many operations share, by name in the document's components.
fn shared() -> [(&'static str, Value); 6] {
    [
        (
            IDEMPOTENCY_KEY,
            json!({
                "name": "Idempotency-Key", "in": "header",
                "description": "The same request with the same key is executed once within 24 hours.",
                "schema": {
                    "type": "string", "minLength": 1, "maxLength": 255, "pattern": constraints::IDEMPOTENCY_KEY,
                },
            }),
        ),
        (
            IF_NONE_MATCH,
            json!({
                "name": "If-None-Match", "in": "header",
                "description": "The `ETag` of the state that the caller has; the answer is 304 if nothing has changed.",
                "schema": {"type": "string"},
            }),
        ),
        (
            IF_MATCH,
            json!({
                "name": "If-Match", "in": "header",
                "description": "The `ETag` of the state to be changed; the answer is 412 if it has changed since.",
                "schema": {"type": "string", "pattern": constraints::ENTITY_TAGS},
                "example": "\"qk0yV3zX7hPbWc5sT1dJ9g\"",
            }),
        ),
        (
            PREFER,
            json!({
                "name": "Prefer", "in": "header",
                "description": "`wait=SECONDS` waits until the operation ends and returns the operation.",
                "schema": {"type": "string"}, "example": "wait=30",
            }),
        ),
        (
            "EmPage",
            json!({
                "name": "page", "in": "query", "description": "The page number, from 1.",
                "schema": {"type": "integer", "minimum": 1, "maximum": i32::MAX},
            }),
        ),
        (
            "EmPageSize",
            json!({
                "name": "pageSize", "in": "query",
                "description": "Items per page; 50 by default in a list that is filtered, sorted or paged.",
                "schema": {"type": "integer", "minimum": 1, "maximum": 100},
            }),
        ),
    ]
}

/// Meanings of EM's own parameters.
const OWN: [(&str, &str); 8] = [
    ("action", "What to do with the directory or file."),
    ("host", "Where to search: the hierarchy root's id or URN."),
    ("hierarchyRef", "The reference of the object to find."),
    ("name", "The name of the object to find."),
    ("type", "The kind of object to find."),
    (
        "includeBackups",
        "Whether the tenant's backups are deleted as well.",
    ),
    (
        "deleteJobs",
        "Whether the organization's jobs are deleted as well.",
    ),
    (
        "deleteBackupFiles",
        "Whether the backup files are deleted as well.",
    ),
];

/// The shared parameters as components.
pub(super) fn components() -> Map<String, Value> {
    shared()
        .into_iter()
        .map(|(name, parameter)| (name.to_owned(), parameter))
        .collect()
}

/// Every parameter of an endpoint: path, query, header.
pub(super) fn of(endpoint: &Endpoint, schemas: &mut Schemas) -> Vec<Value> {
    let mut all: Vec<Value> = endpoint.parameters.iter().map(|name| in_path(name)).collect();
    let mut seen: Vec<&str> = Vec::new();
    for operation in &endpoint.operations {
        for name in known_parameters(endpoint.resource, operation) {
            if !seen.contains(&name) {
                seen.push(name);
                all.push(in_query(endpoint, name, schemas));
            }
        }
    }
    let headers: &[&str] = match endpoint.reads() {
        true => &[IF_NONE_MATCH],
        // Removing a task is cancelling its operation, which may be said twice.
        false if is_task(endpoint.resource) => &[],
        false => &[IDEMPOTENCY_KEY, IF_MATCH, PREFER],
    };
    all.extend(headers.iter().map(|name| reference(name)));
    all
}

fn in_path(name: &str) -> Value {
    let about = match name {
        "filePath" => {
            "The path within the guest's file system. Its slashes may be written as `/` or as `%2F`."
        }
        "vmName" => "The name of the virtual machine.",
        _ => "An id, plain or as a URN.",
    };
    json!({"name": name, "in": "path", "required": true, "description": about, "schema": {"type": "string"}})
}

fn in_query(endpoint: &Endpoint, name: &str, schemas: &mut Schemas) -> Value {
    let operations = &endpoint.operations;
    let own = operations
        .iter()
        .flat_map(|o| o.parameters.iter())
        .find(|own| own.name == name);
    let query = match operations.as_slice() {
        [one] if one.query.is_none() => queryable(endpoint.resource).map(|listing| listing.query),
        _ => None,
    };
    match name {
        "page" => reference("EmPage"),
        "pageSize" => reference("EmPageSize"),
        "filter" => query_parameter(name, false, &filter_text(query), text()),
        "sortAsc" | "sortDesc" => {
            let (about, other) = if name == "sortAsc" {
                ("Ascending.", "sortDesc")
            } else {
                ("Descending.", "sortAsc")
            };
            let schema = query.map_or_else(text, |query| schemas.fields_of(query));
            let text = format!("A field to sort by. {about} Cannot be combined with `{other}`.");
            query_parameter(name, false, &text, schema)
        }
        "format" => format_parameter(endpoint),
        "operation" if own.is_none() => query_parameter(
            name,
            true,
            "The gateway's operation that the task belongs to: Enterprise Manager numbers tasks within logon sessions.",
            json!({"type": "string", "format": "uuid"}),
        ),
        "action" | "type" if endpoint.choice() == Some(name) => {
            let words: Vec<&str> = operations.iter().filter_map(|o| o.action.or(o.query)).collect();
            let required = operations.iter().all(|o| o.action.or(o.query).is_some());
            let about = if name == "type" {
                "What to query."
            } else {
                "What to do."
            };
            query_parameter(name, required, about, json!({"type": "string", "enum": words}))
        }
        _ => own.map_or(json!({}), own_parameter),
    }
}

/// Any text but none.
fn text() -> Value {
    json!({"type": "string", "minLength": 1, "pattern": constraints::TEXT})
}

fn own_parameter(own: &Parameter) -> Value {
    let about = OWN.iter().find(|(name, _)| *name == own.name);
    let schema = if own.boolean {
        json!({"type": "boolean"})
    } else if own.values.is_empty() {
        text()
    } else {
        json!({"type": "string", "enum": own.values})
    };
    query_parameter(
        own.name,
        own.required,
        about.map_or("", |(_, about)| about),
        schema,
    )
}

fn format_parameter(endpoint: &Endpoint) -> Value {
    let words = endpoint
        .operations
        .first()
        .map_or(["Reference", "Entity"], |o| formats(o));
    let is_list = endpoint.choice() == Some("type") || endpoint.resource.is_collection(catalogue());
    let [reference, entity] = words;
    let default = if is_list { reference } else { entity };
    query_parameter(
        "format",
        false,
        "Entities in full, or references to them.",
        json!({"type": "string", "enum": words, "default": default}),
    )
}

fn filter_text(query: Option<&'static catalogue::Query>) -> String {
    let fields = match query {
        Some(query) => {
            let names: Vec<String> = query
                .fields
                .iter()
                .map(|field| format!("`{}`", field.name))
                .collect();
            format!(" Fields: {}.", names.join(", "))
        }
        None => {
            " The fields are those of the type; the answer to an unknown field lists the known ones. Tasks have no filter."
                .to_owned()
        }
    };
    format!(
        "Conditions such as `Name==\"Nightly\"`, joined by `;` (and) or `,` (or), grouped by parentheses; operators `==` `!=` \
         `<` `<=` `>` `>=`; a quote within a value is doubled.{fields}"
    )
}

fn query_parameter(name: &str, required: bool, about: &str, schema: Value) -> Value {
    let mut parameter = json!({"name": name, "in": "query"});
    if required {
        put(&mut parameter, "required", json!(true));
    }
    put(&mut parameter, "description", json!(about));
    put(&mut parameter, "schema", schema);
    parameter
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}
