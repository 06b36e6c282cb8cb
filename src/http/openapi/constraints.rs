//! What the gateway checks of texts and bodies beyond their types, for the document: bounds, patterns, closed lists.
//!
//! The checks themselves are where the values are read; `make api-fuzz` holds both against each other. What no schema
//! can express (a plan that is sent back as it was read, at most one order of a list) is said in descriptions.

use serde_json::{Map, Value, json};

use crate::app::supported_formats;
use crate::domain::event::EventType;
use crate::domain::webhook::connection::{PEM_LIMIT, RATE_MOST, TIMEOUT_LEAST, TIMEOUT_MOST};
use crate::domain::webhook::endpoint::{
    CONCURRENCY_LIMIT, DESCRIPTION_LIMIT, FILTER_LIMIT, HEADER_VALUE_LIMIT, HEADERS_LIMIT, RESERVED, RESULTS,
};
use crate::domain::webhook::options::{CONTENT_TYPE_LIMIT, TEMPLATE_LIMIT, VALUE_LIMIT};
use crate::domain::webhook::signing::{BodySignature, SIGNATURES};
use crate::domain::webhook::target::URL_LIMIT;

/// An id of Enterprise Manager's, bare or as URN.
pub(in crate::http) const EM_ID: &str =
    "^([Uu][Rr][Nn]:(.*:)?)?[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$";
/// The id of a webhook endpoint.
pub(in crate::http) const ENDPOINT_ID: &str = "^ep_[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$";
/// A cursor of a log whose places are ids: 16 bytes in base64.
pub(in crate::http) const CURSOR: &str = "^[A-Za-z0-9_-]{21}[AQgw]$";
/// A place in the log of events: 8 bytes in base64, an event's id, or `start`.
pub(in crate::http) const EVENT_CURSOR: &str =
    "^([A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]|evt_[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|start)$";
/// A place in the audit log: 8 bytes in base64, or the number of a row.
pub(in crate::http) const AUDIT_CURSOR: &str = "^([A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]|[0-9]{1,10})$";
/// Where a stream begins: an event's id, or `start`.
pub(in crate::http) const STREAM_START: &str =
    "^(evt_[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|start)$";
/// An operation's id.
pub(in crate::http) const OPERATION_ID: &str = "^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$";
/// 1 to 255 visible ASCII characters.
pub(in crate::http) const IDEMPOTENCY_KEY: &str = "^[!-~]{1,255}$";
/// `*`, or entity tags separated by commas.
pub(in crate::http) const ENTITY_TAGS: &str = "^(\\*|(W/)?\"[!#-~]*\"([ \\t]*,[ \\t]*(W/)?\"[!#-~]*\")*)$";
/// Text without U+0000.
pub(in crate::http) const TEXT: &str = "^[^\\u0000]*$";
/// Text of the characters that an XML document can hold.
pub(in crate::http) const XML_TEXT: &str = "^[^\\u0000-\\u0008\\u000B\\u000C\\u000E-\\u001F\\uFFFE\\uFFFF]*$";
/// Where a webhook may point; the rest is checked by address.
const URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s#]+$";
/// A proxy: host and port, with or without user and password.
const PROXY: &str = "^[Hh][Tt][Tt][Pp]://[^\\s/?#]+/?$";
/// `whsec_` and 24 to 64 bytes in base64.
const SECRET: &str = "^whsec_([A-Za-z0-9+/]{4}){8,20}([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{5}[AQgw]==)?$";
/// The same as text, whose bytes are the key.
const SECRET_TEXT: &str = "^[ -~]{24,64}$";
/// `type/subtype` and parameters.
const CONTENT_TYPE: &str = "^ *[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+ *(;[ -~]*)?$";
/// Keys, tokens and ids of channels: visible ASCII.
const VALUE: &str = "^[!-~]+$";
/// Visible ASCII without spaces at its ends; empty is allowed.
const HEADER_VALUE: &str = "^([!-~]([\\t -~]*[!-~])?)?$";

/// The schema of the body of a plan's PUT.
const PLAN_UPDATE: &str = "PlanUpdate";

/// Members of schemas, and what their schema says beside its type.
fn members() -> Vec<(&'static str, &'static str, Value)> {
    let url = json!({"format": "uri", "pattern": URL, "maxLength": URL_LIMIT});
    let description = json!({"maxLength": DESCRIPTION_LIMIT, "pattern": TEXT});
    let types: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    let one_type: Vec<Option<&str>> = types.iter().copied().map(Some).chain([None]).collect();
    let one_type = json!({ "enum": one_type });
    let types = json!({"minItems": 1, "items": {"type": "string", "enum": types}});
    let formats: Vec<Option<&str>> = supported_formats()
        .map(|format| Some(format.as_str()))
        .chain([None])
        .collect();
    let formats = json!({ "enum": formats });
    let concurrency = json!({"minimum": 1, "maximum": CONCURRENCY_LIMIT});
    let timeout = json!({"minimum": TIMEOUT_LEAST.as_secs(), "maximum": TIMEOUT_MOST.as_secs()});
    let rate = json!({"minimum": 1, "maximum": RATE_MOST});
    let certificates = json!({"minLength": 1, "maxLength": PEM_LIMIT});
    let proxy = json!({"format": "uri", "pattern": PROXY, "maxLength": URL_LIMIT});
    let secret = json!({ "pattern": SECRET });
    let secret_text = json!({ "pattern": SECRET_TEXT });
    // The limit is one of bytes; a character has one at the least.
    let template = json!({"minLength": 1, "maxLength": TEMPLATE_LIMIT, "pattern": TEXT});
    let content_type = json!({"maxLength": CONTENT_TYPE_LIMIT, "pattern": CONTENT_TYPE});
    let value_of_service = json!({"maxLength": VALUE_LIMIT, "pattern": VALUE});
    let signatures = json!({
        "minItems": 1,
        "uniqueItems": true,
        "items": {"type": "string", "enum": SIGNATURES},
        "contains": {"const": "v1"},
    });
    let body_signatures = BodySignature::ALL.iter().map(|word| Some(word.as_str()));
    let body_signatures: Vec<Option<&str>> = body_signatures.chain([None]).collect();
    let body_signature = json!({ "enum": body_signatures });
    let plans = json!({"maxItems": FILTER_LIMIT, "items": {"type": "string", "pattern": EM_ID}});
    let tenants = json!({
        "maxItems": FILTER_LIMIT,
        "items": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": TEXT},
    });
    let results = json!({"maxItems": FILTER_LIMIT, "items": {"type": "string", "enum": RESULTS}});
    let headers = |value: Value| {
        json!({
            "maxProperties": HEADERS_LIMIT,
            "propertyNames": {"pattern": header_name()},
            "additionalProperties": value,
        })
    };
    let value = |kind: Value| json!({"type": kind, "maxLength": HEADER_VALUE_LIMIT, "pattern": HEADER_VALUE});
    let mut all = vec![
        (
            "WebhookEndpointCreate",
            "headers",
            headers(value(json!("string"))),
        ),
        (
            "WebhookEndpointPatch",
            "headers",
            headers(value(json!(["string", "null"]))),
        ),
        ("WebhookEndpointCreate", "secret", secret.clone()),
        ("WebhookEndpointCreate", "secretText", secret_text.clone()),
        ("WebhookSecretRotation", "secret", secret.clone()),
        ("WebhookSecretRotation", "secretText", secret_text),
        ("WebhookPreviewInput", "eventType", one_type),
        ("WebhookPreviewInput", "format", formats.clone()),
        ("WebhookPreviewInput", "template", template.clone()),
        ("WebhookPreviewInput", "contentType", content_type.clone()),
        ("CallbackRequest", "secret", secret),
        ("CallbackRequest", "url", url.clone()),
    ];
    let of_bots = ["token", "channel", "channelId"];
    all.extend(of_bots.map(|member| ("WebhookBotInput", member, value_of_service.clone())));
    for schema in ["WebhookEndpointCreate", "WebhookEndpointPatch"] {
        all.extend([
            (schema, "template", template.clone()),
            (schema, "contentType", content_type.clone()),
            (schema, "routingKey", value_of_service.clone()),
            (schema, "signatures", signatures.clone()),
            (schema, "bodySignature", body_signature.clone()),
            (schema, "url", url.clone()),
            (schema, "description", description.clone()),
            (schema, "eventTypes", types.clone()),
            (schema, "format", formats.clone()),
            (schema, "maxConcurrency", concurrency.clone()),
            (schema, "timeout", timeout.clone()),
            (schema, "rate", rate.clone()),
            (schema, "caCertificate", certificates.clone()),
            (schema, "proxy", proxy.clone()),
        ]);
    }
    for schema in ["WebhookFilterInput", "WebhookFilterPatch"] {
        all.extend([
            (schema, "planIds", plans.clone()),
            (schema, "tenants", tenants.clone()),
            (schema, "results", results.clone()),
        ]);
    }
    all
}

/// The names that a custom header may have, in any letter case.
fn header_name() -> String {
    let reserved: Vec<String> = RESERVED
        .iter()
        .map(|name| {
            let (start, rest) = name.strip_suffix('*').map_or((*name, ""), |start| (start, ".*"));
            let letters = start.chars().map(|letter| {
                if letter.is_ascii_alphabetic() {
                    format!("[{}{letter}]", letter.to_ascii_uppercase())
                } else {
                    letter.to_string()
                }
            });
            letters.collect::<String>() + rest
        })
        .collect();
    format!(
        "^(?!({})$)[A-Za-z0-9!#$%&'*+.^_`|~-]{{1,100}}$",
        reserved.join("|")
    )
}

/// Adds them to the document. Pointers of [`members`] that lead nowhere are returned, for a test to name.
pub(super) fn add(document: &mut Value) -> Vec<String> {
    let mut missing = Vec::new();
    for (schema, member, more) in members() {
        let pointer = format!("/components/schemas/{schema}/properties/{member}");
        match (document.pointer_mut(&pointer), more) {
            (Some(Value::Object(into)), Value::Object(more)) => into.extend(more),
            _ => missing.push(pointer),
        }
    }
    if let Some(Value::Object(metadata)) = document.pointer_mut("/components/schemas/Metadata") {
        metadata.extend([
            ("maxProperties".to_owned(), json!(50)),
            ("propertyNames".to_owned(), json!({ "pattern": TEXT })),
            (
                "additionalProperties".to_owned(),
                json!({"type": "string", "pattern": TEXT}),
            ),
        ]);
    }
    add_plan_update(document);
    missing
}

/// The body of a PUT: a plan with every member that was read, and none besides.
fn add_plan_update(document: &mut Value) {
    let Some(schemas) = document.pointer("/components/schemas").cloned() else {
        return;
    };
    let Some(mut update) = schemas.get("Plan").map(|plan| closed(plan, &schemas)) else {
        return;
    };
    if let Value::Object(members) = &mut update {
        let about = "The plan as it was read, with the changes applied. Fields that may not change must be as they were read.";
        members.insert("description".to_owned(), json!(about));
        restrict_text(members);
    }
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        schemas.insert(PLAN_UPDATE.to_owned(), update);
    }
    let reference = json!({ "$ref": format!("#/components/schemas/{PLAN_UPDATE}") });
    for path in ["cloud-failover-plans", "failover-plans"] {
        let pointer =
            format!("/paths/~1api~1v1~1{path}~1{{planId}}/put/requestBody/content/application~1json/schema");
        if let Some(schema) = document.pointer_mut(&pointer) {
            schema.clone_from(&reference);
        }
    }
}

/// Texts in a schema become parts of an XML document.
fn restrict_text(schema: &mut Map<String, Value>) {
    let is_text = schema.get("type").is_some_and(|kind| {
        kind == "string"
            || kind
                .as_array()
                .is_some_and(|kinds| kinds.contains(&json!("string")))
    });
    if is_text {
        schema.insert("pattern".to_owned(), json!(XML_TEXT));
    }
    for member in schema.values_mut() {
        match member {
            Value::Object(inner) => restrict_text(inner),
            Value::Array(items) => items
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(restrict_text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// The schema with what it refers to written out, and all its objects closed.
fn closed(schema: &Value, schemas: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let name = members.get("$ref").and_then(Value::as_str);
            if let Some(target) = name.and_then(|name| schemas.get(name.rsplit('/').next()?)) {
                return closed(target, schemas);
            }
            let mut all: Map<String, Value> = members
                .iter()
                .map(|(name, value)| (name.clone(), closed(value, schemas)))
                .collect();
            if all.contains_key("properties") && all.get("type") == Some(&json!("object")) {
                all.insert("additionalProperties".to_owned(), json!(false));
            }
            Value::Object(all)
        }
        Value::Array(items) => items.iter().map(|item| closed(item, schemas)).collect(),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constraint_finds_its_member() {
        let document = crate::http::routes::all().into_document();
        let mut document = serde_json::to_value(crate::http::openapi::finish(document)).expect("a document");
        assert_eq!(add(&mut document), Vec::<String>::new());
    }
}
