//! Events in the document: a `webhooks` entry for each type, and the callbacks of actions.

use serde_json::Value;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{
    Components, ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder,
    ResponsesBuilder,
};

use super::event_schemas::{schema_name, schemas, words};
use super::{operations, samples};
use crate::app::webhooks::example_signature;
use crate::domain::event::EventType;
use crate::domain::webhook::receiver::Control;

/// When the examples were sent, in seconds since 1970.
const SENT_AT: i64 = 1_770_969_714;

/// An event's body.
pub(in crate::http) fn event_example(kind: EventType) -> Value {
    samples::event(kind)
}

/// Adds the `webhooks` section, its schemas, and the callback of each operation that accepts one.
pub(super) fn add(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.extend(schemas());
    components.headers.insert(CONTROL.to_owned(), RefOr::T(control()));
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

/// What the document calls the header by which a receiver ends deliveries.
const CONTROL: &str = "WebhookDeliveryControl";

fn control_reference() -> Ref {
    Ref::new(format!("#/components/headers/{CONTROL}"))
}

/// What a receiver may ask for in any answer.
fn control() -> Header {
    let words = Control::ALL.iter().map(|control| control.as_str());
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words));
    let meanings = Control::ALL
        .iter()
        .map(|control| format!("`{control}`: {}", control.meaning()));
    HeaderBuilder::new()
        .description(Some(meanings.collect::<Vec<_>>().join(" ")))
        .schema(Some(schema))
        .build()
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
        ("2XX", "Accepted."),
        ("410", "No longer wanted: the gateway disables the endpoint."),
        (
            "429",
            "Too many requests: deliveries to the endpoint pause for `Retry-After`.",
        ),
        (
            "503",
            "Unavailable: deliveries to the endpoint pause for `Retry-After`.",
        ),
        (
            "default",
            "Failed: sent again on the retry schedule, with the same `webhook-id` and the same bytes.",
        ),
    ];
    let opt_in = if kind.opt_in() {
        " Only endpoints that name this type receive it."
    } else {
        ""
    };
    // A receiver can be tried with an example: its headers belong to its body.
    let (event, body) = samples::example_event(kind).unwrap_or_default();
    let signature = example_signature(samples::SECRET, &event, SENT_AT, &body).unwrap_or_default();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .description(Some(format!("{}{opt_in}", kind.meaning())))
        .tag("webhooks")
        .parameter(header(
            "webhook-id",
            "The event's id, the same on every attempt; an id that was received before is a repetition.",
            &event,
        ))
        .parameter(header(
            "webhook-timestamp",
            "When this attempt was made, in seconds since 1970. Refuse what is older than five minutes.",
            &SENT_AT.to_string(),
        ))
        .parameter(header(
            "webhook-signature",
            &format!(
                "`v1,` and HMAC-SHA256 in base64 over id, timestamp and body, joined by full stops (Standard \
                 Webhooks); several signatures are separated by spaces, and `v1a,` begins one by Ed25519. The example \
                 is true: the body's example, written without blanks, by the secret `{}`.",
                samples::SECRET
            ),
            &signature,
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
                .responses_from_iter(answers.map(|(status, meaning)| {
                    let answer = ResponseBuilder::new().description(meaning);
                    (status, answer.header_ref("webhook-delivery", control_reference()))
                }))
                .build(),
        )
        .build();
    // The receiver knows the sender by the signature, not by a token of ours.
    operation.security = Some(Vec::new());
    operation
}
