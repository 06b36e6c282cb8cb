//! Events in the document: a `webhooks` entry for each type, and the callback of actions. Schema and example of a type
//! are made from the very types and functions that make events, so that they cannot lag behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{
    Components, ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder,
    ResponsesBuilder, Schema,
};
use utoipa::{PartialSchema as _, ToSchema};

use super::{operations, samples};
use crate::api_types::Moment;
use crate::api_types::events::{FailoverEventData, TestEventData, UpstreamEventData};
use crate::api_types::webhooks::EndpointEventData;
use crate::domain::event::EventType;

const SCHEMAS: &str = "#/components/schemas/";

/// The name of an event's schema: `failover.session.finished` is `FailoverSessionFinishedEvent`.
fn schema_name(kind: EventType) -> String {
    let mut name = words(kind);
    name.push_str("Event");
    name
}

fn words(kind: EventType) -> String {
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
        | EventType::OperationFinished => take::<FailoverEventData>(found),
        EventType::EndpointFailing | EventType::EndpointRecovered | EventType::EndpointDisabled => {
            take::<EndpointEventData>(found)
        }
        EventType::UpstreamUnavailable | EventType::UpstreamRecovered => take::<UpstreamEventData>(found),
        EventType::WebhookTest => take::<TestEventData>(found),
    }
}

/// The schemas of all events and of what they refer to.
fn schemas() -> BTreeMap<String, RefOr<Schema>> {
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

/// An event's body.
pub(in crate::http) fn event_example(kind: EventType) -> Value {
    samples::event(kind)
}

/// Adds the `webhooks` section, its schemas, and the callback of each operation that accepts one.
pub(super) fn add(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.extend(schemas());
    document.webhooks = Some(
        EventType::ALL
            .iter()
            .fold(PathsBuilder::new(), |paths, kind| {
                let item = PathItem::new(
                    HttpMethod::Post,
                    delivery(*kind, kind.as_str(), &format!("on{}", words(*kind))),
                );
                paths.path(kind.as_str(), item)
            })
            .build(),
    );
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            if operation.tags.iter().flatten().any(|tag| tag == "plans") && takes_a_callback(operation) {
                add_callback(operation);
            }
        }
    }
}

fn takes_a_callback(operation: &Operation) -> bool {
    match &operation.request_body {
        Some(RefOr::T(body)) => serde_json::to_string(body).is_ok_and(|body| {
            ["/ActionOptions", "/StartOptions"]
                .iter()
                .any(|name| body.contains(name))
        }),
        _ => false,
    }
}

/// Exactly one event goes to the address in `callback.url`: the session's end, or the operation's where it has none.
fn add_callback(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    for (name, kind) in [
        ("sessionFinished", EventType::SessionFinished),
        ("operationFinished", EventType::OperationFinished),
    ] {
        let mut post = delivery(kind, kind.meaning(), &format!("{id}On{}", words(kind)));
        post.summary = Some(format!("The operation's end: {}", kind.as_str()));
        let item = PathItem::new(HttpMethod::Post, post);
        let callback = [("{$request.body#/callback/url}".to_owned(), RefOr::T(item))]
            .into_iter()
            .collect();
        operation.callbacks.insert(name.to_owned(), RefOr::T(callback));
    }
}

/// One delivery of an event, as its receiver sees it.
fn delivery(kind: EventType, summary: &str, id: &str) -> Operation {
    let header = |name: &str, description: &str, example: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::True)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .example(Some(example.into()))
    };
    let answers = [
        ("2XX", "Taken."),
        ("410", "No longer wanted: the endpoint is disabled."),
        ("429", "Too much: the endpoint pauses as `Retry-After` says."),
        ("503", "Not now: the endpoint pauses as `Retry-After` says."),
        (
            "default",
            "Not taken; sent again by the schedule, with the same `webhook-id` and the same bytes.",
        ),
    ];
    let opt_in = if kind.opt_in() {
        " Only endpoints that name it get it."
    } else {
        ""
    };
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(format!("{}{opt_in}", kind.meaning())))
        .tag("webhooks")
        .parameter(header(
            "webhook-id",
            "The event's id, the same on every attempt: what you have seen before is a repetition.",
            "evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e",
        ))
        .parameter(header(
            "webhook-timestamp",
            "When this attempt was made, in seconds since 1970. Refuse what is older than five minutes.",
            "1770969714",
        ))
        .parameter(header(
            "webhook-signature",
            "`v1,` and HMAC-SHA256 in base64 over id, timestamp and body with full stops between (Standard Webhooks); \
             several are separated by blanks.",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ))
        .request_body(Some(
            RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content(
                    "application/json",
                    ContentBuilder::new()
                        .schema(Some(Ref::from_schema_name(schema_name(kind))))
                        .example(Some(samples::event(kind)))
                        .build(),
                )
                .build(),
        ))
        .responses(
            ResponsesBuilder::new()
                .responses_from_iter(
                    answers.map(|(status, meaning)| (status, ResponseBuilder::new().description(meaning))),
                )
                .build(),
        )
        .build();
    // The receiver knows the sender by the signature, not by a token of ours.
    operation.security = Some(Vec::new());
    operation
}
