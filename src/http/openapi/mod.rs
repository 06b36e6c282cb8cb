//! The OpenAPI document: made from the routes themselves, finished here, checked in as `openapi/emgate.v1.json`.
//!
//! Registering a route documents it (`http/register.rs`). What no route knows (webhooks, callbacks, tags) is added by
//! `finish`, the mirror by [`em`] from the catalogue. Tests compare the file with the program and check the document.

pub(super) mod constraints;
mod em;
mod event_schemas;
mod events;
mod normalize;
mod reachable;
pub(super) mod samples;
mod served;
mod served_events;

pub(super) use events::event_example;
pub use samples::example_event;
pub(super) use served::{Document, checked_in};
pub(super) use served_events::event_schema;

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, InfoBuilder, License, OpenApi, RefOr, Server};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::answers;
use super::register::{BEARER, operations};
use crate::api_types::dry_run::OperationOrDryRun;
use crate::domain::access::Scope;

/// The whole document, made of what the routes registered: indented by two, with a line end.
///
/// # Errors
/// In theory, when it cannot be written as JSON.
pub(super) fn document_json(registered: OpenApi) -> Result<String, serde_json::Error> {
    let mut document = serde_json::to_value(finish(registered))?;
    constraints::add(&mut document);
    em::add(&mut document);
    // The mirror answers with it as well, in places that no route registers.
    if let Some(schema) = document.pointer_mut("/components/schemas/Operation") {
        schema["example"] = samples::of_schema("Operation").into();
    }
    serde_json::to_string_pretty(&document).map(|json| json + "\n")
}

/// Adds what no single route knows.
fn finish(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("emgate")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("introduction.md")))
        .license(Some({
            let mut license = License::new("Apache-2.0");
            license.identifier = Some("Apache-2.0".to_owned());
            license
        }))
        .build();
    document.servers = Some(vec![Server::new("/")]);
    document.tags = Some(
        TAGS.iter()
            .map(|(name, description)| {
                TagBuilder::new()
                    .name(*name)
                    .description(Some(*description))
                    .build()
            })
            .collect(),
    );
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer()));
    answers::add_components(components);
    // Answers that are described apart from their routes bring no schemas along.
    let mut schemas = vec![(
        OperationOrDryRun::name().into_owned(),
        OperationOrDryRun::schema(),
    )];
    OperationOrDryRun::schemas(&mut schemas);
    components.schemas.extend(schemas);
    normalize::name_pages(components);
    events::add(&mut document);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            normalize::operation(operation);
            answers::complete(operation);
            add_examples(operation);
        }
    }
    document
}

/// Gives every JSON body of ours an example, where its schema names one of the samples.
fn add_examples(operation: &mut Operation) {
    // Where 202 is an operation under way, 200 is one that has ended.
    let has_accepted = operation.responses.responses.contains_key("202");
    for (place, content) in normalize::bodies(operation) {
        let Some(RefOr::Ref(schema)) = &content.schema else {
            continue;
        };
        let name = schema.ref_location.rsplit('/').next().unwrap_or_default();
        if content.example.is_none() && content.examples.is_empty() {
            content.example = match name {
                "Operation" if has_accepted && place == "200" => samples::ended_operation(),
                "OperationOrDryRun" => samples::ended_operation(),
                name => samples::of_schema(name),
            };
        }
    }
}

const TAGS: &[(&str, &str)] = &[
    (
        "plans",
        "Cloud failover plans (Veeam Cloud Connect) and on-premises failover plans, and their actions.",
    ),
    (
        "operations",
        "What callers requested, from the request to its outcome.",
    ),
    ("sessions", "Failover sessions, wherever they were started."),
    ("events", "The event log, kept for 30 days."),
    (
        "webhooks",
        "Endpoints that receive events, and the deliveries to them.",
    ),
    (
        "reports",
        "What tests and failovers showed, for auditors: objectives of plans, signed reports, and the keys that sign them.",
    ),
    (
        "audit",
        "The audit log: who did, or was refused, what, as a chain of hashes.",
    ),
    (
        "identity",
        "Who a caller is here, what they reach, and whose tokens are accepted.",
    ),
    (
        "service",
        "The gateway itself: health, readiness, metrics, documentation. No token needed.",
    ),
];

fn bearer() -> utoipa::openapi::security::Http {
    let mut text = String::from(
        "A JSON Web Token of the configured issuer. Its scopes come from `scope` (separated by spaces) or `scp` (an \
         array):\n\n| scope | allows |\n|---|---|\n",
    );
    for scope in Scope::ALL {
        text.push_str(&format!("| `{scope}` | {} |\n", scope.meaning()));
    }
    text.push_str(
        "\nA token without a tenant claim needs `tenants:all` in addition to the scopes of its requests. One with such a claim \
         sees what belongs to these tenants: everything else is 404 and absent from lists, and the mirror is closed to it \
         (403).",
    );
    HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(text))
        .build()
}
