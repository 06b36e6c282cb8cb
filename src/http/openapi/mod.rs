//! The OpenAPI document: made from the routes themselves, finished here, checked in as `openapi/emgate.v1.json`.
//!
//! Registering a route documents it: [`require_scope`] puts the scope on the route and into the document by one call, and
//! adds the error answers that follow from what the route takes. The documented query parameters are the only ones that
//! the route accepts. What cannot be derived (webhooks, callbacks, tags)
//! is added by `finish`, the mirror by [`em`] from the catalogue. A test compares the file, another judges the document.

mod answers;
pub(super) mod constraints;
mod em;
mod events;
mod samples;
mod tidy;

pub(super) use events::{event_example, event_schema};

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::Method;
use axum::middleware::from_fn;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem, Paths};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, InfoBuilder, License, OpenApi, RefOr, Server};
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use super::extract::{KnownParameters, only_known};
use super::problem::Code;
use super::{auth, routes};
use crate::domain::access::Scope;
use crate::domain::links::Links;

/// The name of the security scheme.
const BEARER: &str = "bearer";

/// The checked-in file, part of the program's text and so never in memory unless read.
const DOCUMENT: &str = include_str!("../../../openapi/emgate.v1.json");

/// The whole document as it is served and checked in, made anew: indented by two, with a line end.
///
/// # Errors
/// In theory, when it cannot be written as JSON.
pub fn document_json() -> Result<String, serde_json::Error> {
    let (_, document) = routes::all().split_for_parts();
    let mut document = serde_json::to_value(finish(document))?;
    constraints::add(&mut document);
    em::add(&mut document);
    serde_json::to_string_pretty(&document).map(|json| json + "\n")
}

/// What the document says of where the gateway is, as it is written in the file.
const SERVERS: &str = "\"servers\": [\n    {\n      \"url\": \"/\"\n    }\n  ]";

/// The document as it is served: the checked-in file, with the public URL as its server where there is one.
pub(super) fn served(links: &Links) -> Bytes {
    match links.base() {
        None => Bytes::from_static(DOCUMENT.as_bytes()),
        Some(base) => {
            let url = serde_json::Value::from(base);
            let servers = SERVERS.replace("\"/\"", &url.to_string());
            DOCUMENT.replacen(SERVERS, &servers, 1).into()
        }
    }
}

/// Registers routes that need `scope` and know the query parameters they document, and documents the error answers: those that every guarded
/// route may give, those that follow from its parameters and body, and `more`.
pub(super) fn require_scope<S>(
    scope: Scope,
    more: &[Code],
    routes: UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (schemas, mut paths, router) = routes;
    let known = known_parameters(&paths);
    for operation in paths.paths.values_mut().flat_map(operations) {
        operation.security = Some(vec![SecurityRequirement::new(BEARER, [scope.as_str()])]);
        answers::document(operation, &[answers::GUARDED, more].concat());
    }
    // The layer added last runs first: who may not call the route learns nothing about its parameters.
    only_known_parameters((schemas, paths, router), known)
        .map(|router| router.route_layer(from_fn(move |request, next| auth::require(scope, request, next))))
}

/// Registers routes that anybody may call. Those that take no parameters ignore any, as probes and browsers expect.
pub(super) fn open<S>(more: &[Code], routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (schemas, mut paths, router) = routes;
    let known = known_parameters(&paths);
    for operation in paths.paths.values_mut().flat_map(operations) {
        operation.security = Some(Vec::new());
        answers::document(operation, &[answers::OPEN, more].concat());
    }
    if known.is_empty() {
        (schemas, paths, router)
    } else {
        only_known_parameters((schemas, paths, router), known)
    }
}

/// Refuses query parameters that the routes do not document, before their handlers run.
fn only_known_parameters<S>(routes: UtoipaMethodRouter<S>, known: KnownParameters) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let known = Arc::new(known);
    routes.map(|router| {
        router.route_layer(from_fn(move |request, next| {
            only_known(known.clone(), request, next)
        }))
    })
}

/// The query parameters that the routes document.
fn known_parameters(paths: &Paths) -> KnownParameters {
    let mut known = KnownParameters::default();
    for item in paths.paths.values() {
        for (method, operation) in [
            (Method::GET, &item.get),
            (Method::PUT, &item.put),
            (Method::POST, &item.post),
            (Method::DELETE, &item.delete),
            (Method::PATCH, &item.patch),
        ] {
            let Some(operation) = operation else { continue };
            let names = operation
                .parameters
                .iter()
                .flatten()
                .filter_map(|parameter| match parameter {
                    RefOr::T(one) if one.parameter_in == ParameterIn::Query => Some(one.name.clone()),
                    _ => None,
                });
            known.add(method, names.collect());
        }
    }
    known
}

/// Every operation of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
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
    tidy::name_pages(components);
    events::add(&mut document);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            tidy::operation(operation);
            answers::complete(operation);
            add_examples(operation);
        }
    }
    document
}

/// Gives every JSON body of ours an example, where its schema names one of the samples.
fn add_examples(operation: &mut Operation) {
    // Where 202 tells of an operation under way, 200 tells of one that has ended.
    let told_apart = operation.responses.responses.contains_key("202");
    for (place, content) in tidy::bodies(operation) {
        let Some(RefOr::Ref(schema)) = &content.schema else {
            continue;
        };
        let name = schema.ref_location.rsplit('/').next().unwrap_or_default();
        if content.example.is_none() && content.examples.is_empty() {
            content.example = match name {
                "Operation" if told_apart && place == "200" => samples::ended_operation(),
                name => samples::of_schema(name),
            };
        }
    }
}

const TAGS: &[(&str, &str)] = &[
    (
        "plans",
        "Failover plans of Veeam Cloud Connect tenants and of one's own replicas, and what can be done with them.",
    ),
    (
        "operations",
        "What the gateway was asked to do, from the request to the outcome.",
    ),
    ("sessions", "Failover sessions, wherever they were started."),
    ("events", "What happened, as a log kept for 30 days."),
    (
        "webhooks",
        "Endpoints that are told of events, and what was delivered to them.",
    ),
    (
        "service",
        "The gateway itself: health, readiness, metrics, documentation. No token needed.",
    ),
];

fn bearer() -> utoipa::openapi::security::Http {
    let mut text = String::from(
        "A JSON Web Token of the configured issuer. Its scopes come from `scope` (separated by blanks) or `scp` (an \
         array):\n\n| scope | allows |\n|---|---|\n",
    );
    for scope in Scope::ALL {
        text.push_str(&format!("| `{scope}` | {} |\n", scope.meaning()));
    }
    text.push_str("\nA token without a tenant claim needs `tenants:all` beside the scopes of what it does.");
    HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(text))
        .build()
}
