//! Error answers in the document, all from the one table of codes, and which codes a kind of route may answer.
//!
//! Both the registration of routes and the mirror's half of the document describe their refusals by this file.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{Components, ContentBuilder, ObjectBuilder, Ref, RefOr};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::codes::Code;
use super::openapi::samples;
use super::problem::{PROBLEM_JSON, ProblemBody};
use crate::domain::field_error::FieldError;

/// What a route answers that knows its query parameters, if it has any: others are refused.
pub(super) const UNKNOWN_PARAMETER: Code = Code::InvalidRequest;

/// What every route under `/api` may answer.
pub(super) const GUARDED: &[Code] = &[
    Code::Unauthenticated,
    Code::InsufficientScope,
    UNKNOWN_PARAMETER,
    Code::RateLimited,
    Code::Internal,
    Code::Overloaded,
    Code::GatewayTimeout,
];

/// What a route may answer that any valid token opens.
pub(super) const AUTHENTICATED: &[Code] = &[
    Code::Unauthenticated,
    UNKNOWN_PARAMETER,
    Code::RateLimited,
    Code::Internal,
    Code::Overloaded,
    Code::GatewayTimeout,
];

/// What an open page may answer.
pub(super) const PUBLIC: &[Code] = &[Code::RateLimited, Code::Internal];

/// What a probe may answer.
pub(super) const PROBE: &[Code] = &[Code::Internal];

/// What reading from Enterprise Manager may end in.
pub(super) const UPSTREAM_READ: &[Code] = &[
    Code::UpstreamConflict,
    Code::UpstreamForbidden,
    Code::UpstreamRejected,
    Code::UpstreamAuthFailed,
    Code::UpstreamError,
    Code::UpstreamInvalidResponse,
    Code::UpstreamUnavailable,
    Code::UpstreamTimeout,
];

/// What a write to Enterprise Manager may end in; never 504, since a write of unknown outcome is answered 202.
pub(super) const UPSTREAM_WRITE: &[Code] = &[
    Code::UpstreamConflict,
    Code::UpstreamForbidden,
    Code::UpstreamRejected,
    Code::UpstreamAuthFailed,
    Code::UpstreamError,
    Code::UpstreamInvalidResponse,
    Code::UpstreamUnavailable,
    Code::StoreUnavailable,
];

/// What only callers with the console's cookie are answered, whom the document is not for.
const OF_THE_CONSOLE: &[Code] = &[Code::CrossSite, Code::TlsRequired];

/// What every route may answer that works on the store alone.
pub(super) const STORED: &[Code] = &[Code::StoreUnavailable];

/// What a route with a body may answer, and one that looks whether there is none.
pub(super) const BODY: &[Code] = &[
    Code::MalformedRequest,
    Code::InvalidRequest,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
];

const REQUEST_ID: &str = "RequestId";
const RETRY_AFTER: &str = "RetryAfter";
const EVENT_ID: &str = "EmgateEventId";
/// Headers of every answer to a valid token, by their name and that of their component. They are documented where they matter.
const RATE_LIMIT: (&str, &str) = ("RateLimit", "RateLimit");
const RATE_LIMIT_POLICY: (&str, &str) = ("RateLimit-Policy", "RateLimitPolicy");

/// Documents the answers for these codes and for those that follow from the operation's body and path.
pub(super) fn document(operation: &mut Operation, codes: &[Code]) {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    let has = |place: ParameterIn| {
        operation
            .parameters
            .iter()
            .flatten()
            .any(|parameter| match parameter {
                RefOr::T(parameter) => parameter.parameter_in == place,
                RefOr::Ref(_) => false,
            })
    };
    let body: &[Code] = if operation.request_body.is_some() {
        BODY
    } else {
        &[]
    };
    let path: &[Code] = if has(ParameterIn::Path) {
        &[Code::NotFound]
    } else {
        &[]
    };
    for code in codes.iter().chain(body).chain(path) {
        let group = by_status.entry(code.status().as_u16()).or_default();
        if !group.contains(code) {
            group.push(*code);
        }
    }
    for (status, mut group) in by_status {
        group.sort_unstable();
        let response = ResponseBuilder::new()
            .description(
                group
                    .iter()
                    .map(|code| format!("`{}`: {}", code.as_str(), code.happened()))
                    .collect::<Vec<_>>()
                    .join("\n\n"),
            )
            .content(PROBLEM_JSON, {
                let mut content = ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name(ProblemBody::name())))
                    .build();
                content.examples = group
                    .iter()
                    .map(|code| (code.as_str().to_owned(), example_reference(*code)))
                    .collect();
                content
            });
        let mut response = response.build();
        if status == Code::RateLimited.status().as_u16() {
            for name in [RATE_LIMIT, RATE_LIMIT_POLICY] {
                let reference = RefOr::Ref(header_reference(name.1));
                response.headers.insert(name.0.to_owned(), reference);
            }
        }
        if group.iter().any(|code| says_when(*code)) {
            response.headers.insert(
                "Retry-After".to_owned(),
                RefOr::Ref(header_reference(RETRY_AFTER)),
            );
        }
        operation
            .responses
            .responses
            .insert(status.to_string(), RefOr::T(response));
    }
}

/// Whether an answer with this code may have `Retry-After`.
fn says_when(code: Code) -> bool {
    // After its own credentials were refused the gateway pauses before it tries them again.
    code.retry_after().is_some() || code == Code::UpstreamAuthFailed
}

fn example_reference(code: Code) -> RefOr<utoipa::openapi::example::Example> {
    RefOr::Ref(Ref::new(format!("#/components/examples/{}", code.as_str())))
}

fn header_reference(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

/// What every answer has: the request's id, and a description (a document without one is not valid).
pub(super) fn complete(operation: &mut Operation) {
    let name = operation.operation_id.as_deref().unwrap_or_default();
    // The types of events are the same whatever the log holds.
    let lists = name.starts_with("list") && name != "listEventTypes";
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        response.headers.insert(
            "x-request-id".to_owned(),
            RefOr::Ref(header_reference(REQUEST_ID)),
        );
        if status == "202" {
            response.headers.insert(
                "Retry-After".to_owned(),
                RefOr::Ref(header_reference(RETRY_AFTER)),
            );
        }
        if status == "200" && lists {
            response.headers.insert(
                "emgate-event-id".to_owned(),
                RefOr::Ref(header_reference(EVENT_ID)),
            );
        }
        if response.description.is_empty() {
            response.description = format!("Status {status}.");
        }
    }
}

/// The parts that the answers refer to.
pub(super) fn add_components(components: &mut Components) {
    components
        .schemas
        .insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    components
        .schemas
        .insert(FieldError::name().into_owned(), FieldError::schema());
    let text = || ObjectBuilder::new().schema_type(Type::String);
    components.headers.insert(
        REQUEST_ID.to_owned(),
        RefOr::T(
            HeaderBuilder::new()
                .description(Some(
                    "The request's id in the gateway's log: the caller's own `x-request-id`, if that is valid.",
                ))
                .schema(Some(text()))
                .build(),
        ),
    );
    components.headers.insert(
        EVENT_ID.to_owned(),
        RefOr::T(
            HeaderBuilder::new()
                .description(Some(
                    "The position of the event log that the list includes. A stream that begins after it (`Last-Event-ID`, \
                     `after`) has what the list does not.",
                ))
                .schema(Some(text()))
                .build(),
        ),
    );
    components.headers.insert(
        RETRY_AFTER.to_owned(),
        RefOr::T(
            HeaderBuilder::new()
                .description(Some("Seconds to wait before another try."))
                .schema(Some(
                    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)),
                ))
                .build(),
        ),
    );
    for (name, about) in [
        (
            RATE_LIMIT.1,
            "What is left of the caller's limits, in every answer to a valid token: `r` requests may be made at once, and the \
             whole burst again in `t` seconds (draft-ietf-httpapi-ratelimit-headers).",
        ),
        (
            RATE_LIMIT_POLICY.1,
            "The caller's limits, in every answer to a valid token: `q` requests in `w` seconds, `burst` of them at once.",
        ),
    ] {
        let header = HeaderBuilder::new().description(Some(about)).schema(Some(text()));
        components
            .headers
            .insert(name.to_owned(), RefOr::T(header.build()));
    }
    for code in Code::ALL.iter().filter(|code| !OF_THE_CONSOLE.contains(code)) {
        let example = ExampleBuilder::new()
            .summary(code.title())
            .description(code.remedy())
            .value(Some(example(*code)))
            .build();
        components
            .examples
            .insert(code.as_str().to_owned(), RefOr::T(example));
    }
}

fn example(code: Code) -> Value {
    let mut body = json!({
        "type": code.uri(),
        "title": code.title(),
        "status": code.status().as_u16(),
        "detail": code.happened(),
        "instance": "/api/v1/cloud-failover-plans/3f56fa52-c902-4655-9774-2022fde214d2/test",
        "code": code.as_str(),
        "requestId": "0199a5c8-7a3e-7b1c-9f60-2f3f1d0c5b11",
    });
    let more = match code {
        Code::InvalidRequest => json!({
            "errors": [{"pointer": "/restorePoint/before", "detail": "must not be in the future"}]
        }),
        Code::PolicyDenied => json!({
            "nextWindow": {"from": "2026-02-14T19:00:00.000Z", "to": "2026-02-15T05:00:00.000Z"}
        }),
        Code::OperationFailed => {
            let operation = samples::failed_operation();
            json!({"operationId": operation.get("id"), "operation": operation})
        }
        Code::PlanBusy
        | Code::OperationFinished
        | Code::OperationRunning
        | Code::SelfApproval
        | Code::PlanChanged => json!({
            "operationId": "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01"
        }),
        _ => Value::Null,
    };
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}
