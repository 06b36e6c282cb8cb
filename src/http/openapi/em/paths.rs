//! The mirror's operations in the document: one for each endpoint, with its parameters, body and answers.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use super::schemas::{Schemas, Way, put, reference, sentence};
use super::{examples, names, parameters, problems, samples};
use crate::catalogue::{Operation, Resource, catalogue};
use crate::domain::access::Scope;
use crate::http::register::BEARER;
use crate::mirror::{PlanVerb, is_task, queryable};

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
/// Said of an answer that only some of several actions have a body for.
const EMPTY: &str = "The body may be empty.";
/// The same for programs: OpenAPI has no word for it.
const MAY_BE_EMPTY: &str = "x-may-be-empty";

/// The endpoint as an OpenAPI operation.
pub(super) fn operation(
    endpoint: &Endpoint,
    schemas: &mut Schemas,
    problems: &mut problems::Problems,
) -> Value {
    let is_list = endpoint.reads() && endpoint.resource.is_collection(catalogue());
    let (id, title) = names::of_operations(endpoint.resource, endpoint.method, &endpoint.operations, is_list);
    let mut operation = json!({
        "tags": [names::tag(endpoint.resource.area)],
        "summary": title,
        "description": description(endpoint),
        "operationId": id,
        "parameters": parameters::of(endpoint, schemas),
    });
    if let Some(body) = request_body(endpoint, schemas) {
        put(&mut operation, "requestBody", body);
    }
    let mut responses = responses(endpoint, schemas);
    responses.extend(problems.of(endpoint));
    put(&mut operation, "responses", Value::Object(responses));
    put(&mut operation, "security", security(endpoint));
    operation
}

fn description(endpoint: &Endpoint) -> String {
    let resource = endpoint.resource;
    let method = endpoint.method.as_str();
    let action = endpoint.operations.iter().find(|own| own.action_in_path);
    let action = action
        .and_then(|own| own.action)
        .map_or_else(String::new, |word| format!("/{word}"));
    let mut text = format!("Enterprise Manager's `{method} {}{action}`.", resource.path);
    let entity = || catalogue().ty(resource.entity?).about;
    if let Some(about) = resource.about.or_else(entity) {
        let _ = write!(text, " {}", sentence(about));
    }
    if let Some(days) = resource.window_days {
        let _ = write!(text, " Covers the last {days} days.");
    }
    if references_when_searched(endpoint) {
        text.push_str(" When filtered, sorted or paged, it returns references.");
    }
    if endpoint.choice() == Some("action") {
        text.push('\n');
        for operation in &endpoint.operations {
            let word = operation
                .action
                .map_or_else(|| "no action".to_owned(), |word| format!("`{word}`"));
            let _ = write!(text, "\n- {word}");
            if let Some(task) = operation.task {
                let _ = write!(text, ": a task `{task}`");
            }
            if let Some(body) = operation.body {
                let may = if body.optional {
                    "the optional body is"
                } else {
                    "the body is"
                };
                let _ = write!(text, "; {may} a `{}`", body.root.name);
            }
            if let Some(scope) = plan_scope(resource, operation) {
                let _ = write!(text, "; requires `{scope}` as well");
            }
        }
    }
    text
}

/// What a change of a failover plan needs beside `em:write`.
fn plan_scope(resource: &Resource, operation: &Operation) -> Option<Scope> {
    PlanVerb::of(resource, operation).map(PlanVerb::scope)
}

/// One requirement, or one for each action where they differ.
fn security(endpoint: &Endpoint) -> Value {
    let own = if endpoint.reads() {
        Scope::EmRead
    } else {
        Scope::EmWrite
    };
    let mut all: Vec<Value> = Vec::new();
    for operation in &endpoint.operations {
        let more = plan_scope(endpoint.resource, operation);
        let scopes: Vec<&str> = [Some(own), more]
            .into_iter()
            .flatten()
            .map(Scope::as_str)
            .collect();
        let requirement = json!({BEARER: scopes});
        if !all.contains(&requirement) {
            all.push(requirement);
        }
    }
    Value::Array(all)
}

fn request_body(endpoint: &Endpoint, schemas: &mut Schemas) -> Option<Value> {
    let mut choices: Vec<Value> = Vec::new();
    let mut examples = Map::new();
    for operation in &endpoint.operations {
        let Some(body) = operation.body else { continue };
        let schema = schemas.of(Way::Request, body.root.ty);
        if !choices.contains(&schema) {
            choices.push(schema);
        }
        let name = operation.action.unwrap_or(body.root.name);
        examples.insert(name.to_owned(), json!({"value": samples::of(body.root.ty)}));
    }
    let schema = match choices.as_slice() {
        [] => return None,
        [one] => one.clone(),
        _ => json!({ "oneOf": choices }),
    };
    let required = endpoint
        .operations
        .iter()
        .all(|o| o.body.is_some_and(|body| !body.optional));
    Some(json!({"required": required, "content": {JSON: {"schema": schema, "examples": examples}}}))
}

/// What EM's operations answer, by status.
fn responses(endpoint: &Endpoint, schemas: &mut Schemas) -> Map<String, Value> {
    let mut statuses: Vec<u16> = endpoint.operations.iter().map(|o| o.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let mut all = Map::new();
    for status in statuses {
        let of_status: Vec<&Operation> = endpoint
            .operations
            .iter()
            .copied()
            .filter(|o| o.status == status)
            .collect();
        let about = match status {
            200 if endpoint.reads() => "Enterprise Manager's answer.",
            201 => "Made.",
            202 => "Accepted: a task, which the gateway follows as an operation.",
            204 => "Done.",
            _ => "Enterprise Manager's answer.",
        };
        let mut response = json!({"description": about, "headers": headers(endpoint, status)});
        let content = content(endpoint, &of_status, schemas);
        if status != 204 && !content.is_empty() {
            if of_status.iter().any(|o| o.answer.is_none()) {
                may_be_empty(&mut response);
            }
            put(&mut response, "content", Value::Object(content));
        }
        all.insert(status.to_string(), response);
    }
    if !endpoint.reads() && !is_task(endpoint.resource) {
        operations(&mut all);
    }
    if endpoint.reads() {
        let response = json!({
            "description": "The caller already has this state (`If-None-Match`).",
            "headers": {"x-request-id": header("RequestId")},
        });
        all.insert("304".to_owned(), response);
    }
    all
}

fn may_be_empty(response: &mut Value) {
    let about = response
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let about = format!("{about} {EMPTY}");
    put(response, "description", json!(about));
    put(response, MAY_BE_EMPTY, json!(true));
}

/// What a write answers beside what EM answers: its operation, where that is what the caller wants or all that is known.
fn operations(responses: &mut Map<String, Value>) {
    for (status, about) in [
        (
            "200",
            "The operation, when the request waited for its end (`Prefer`) or repeats an earlier one with the same key.",
        ),
        (
            "202",
            "The operation, while its outcome at Enterprise Manager is not known.",
        ),
    ] {
        let response = responses.entry(status).or_insert_with(
            || json!({"headers": {"Location": header("EmOperation"), "x-request-id": header("RequestId")}}),
        );
        if status == "202"
            && let Some(headers) = response.pointer_mut("/headers").and_then(Value::as_object_mut)
        {
            headers.insert("Retry-After".to_owned(), header("RetryAfter"));
        }
        let before = response
            .get("description")
            .and_then(Value::as_str)
            .map(ToOwned::to_owned);
        let about = before
            .as_ref()
            .map_or_else(|| about.to_owned(), |before| format!("{before} Or: {about}"));
        put(response, "description", json!(about));
        let body = response.pointer("/content/application~1json").cloned();
        if before.is_some() && body.is_none() {
            may_be_empty(response);
        }
        let schema = match body.as_ref().and_then(|body| body.get("schema")) {
            Some(own) => json!({"anyOf": [own, reference("Operation")]}),
            None => reference("Operation"),
        };
        let mut body = body.unwrap_or_else(|| json!({}));
        put(&mut body, "schema", schema);
        put(response, "content", json!({ JSON: body }));
        if let Some(headers) = response.get_mut("headers") {
            put(headers, "Preference-Applied", header("EmWaited"));
            if status == "200" {
                put(headers, "Idempotency-Replayed", header("EmReplayed"));
            }
        }
    }
}

fn headers(endpoint: &Endpoint, status: u16) -> Value {
    let mut headers = json!({});
    if endpoint.reads() {
        put(&mut headers, "ETag", header("EmEntityTag"));
    } else if status == 201 {
        put(&mut headers, "Link", header("EmOperationLink"));
    } else {
        put(&mut headers, "Location", header("EmOperation"));
    }
    put(&mut headers, "x-request-id", header("RequestId"));
    headers
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// The forms of the answer, entities before references, each with its example.
fn content(endpoint: &Endpoint, operations: &[&Operation], schemas: &mut Schemas) -> Map<String, Value> {
    let mut forms: Vec<Value> = Vec::new();
    let mut examples = Map::new();
    let mut bytes = false;
    for operation in operations {
        for (id, is_reference) in [(operation.answer, false), (operation.reference, true)] {
            let Some(id) = id else { continue };
            let schema = schemas.of(Way::Answer, id);
            if !forms.contains(&schema) {
                forms.push(schema);
            }
            let key = example_key(endpoint.resource, operation, is_reference);
            if let Some(example) = examples::of(&key) {
                let form = if is_reference { "reference" } else { "entity" };
                let name = operation.action.or(operation.query).unwrap_or(form);
                examples.insert(name.to_owned(), json!({ "value": example }));
            }
        }
        let mut actions = operation.parameters.iter().filter(|own| own.name == "action");
        bytes |= actions.any(|own| own.values.contains(&"download"));
    }
    if references_when_searched(endpoint)
        && let Some(list) = catalogue().type_named("EntityReferenceListType")
    {
        forms.push(schemas.of(Way::Answer, list));
    }
    let schema = match forms.as_slice() {
        [] => return Map::new(),
        [one] => one.clone(),
        _ => json!({ "anyOf": forms }),
    };
    let mut body = json!({ "schema": schema });
    if !examples.is_empty() {
        put(&mut body, "examples", Value::Object(examples));
    }
    let mut content = Map::from_iter([(JSON.to_owned(), body)]);
    if bytes {
        let file = json!({"schema": {"type": "string", "format": "binary", "description": "The file, for `action=download`."}});
        content.insert(BYTES.to_owned(), file);
    }
    content
}

/// Whether the collection's only form is one that EM's query service does not have.
fn references_when_searched(endpoint: &Endpoint) -> bool {
    let one_form = endpoint.reads()
        && endpoint
            .operations
            .iter()
            .all(|o| o.reference.is_none() && o.query.is_none());
    one_form && queryable(endpoint.resource).is_some_and(|listing| !listing.has_entities())
}

/// Under which name an answer is recorded.
fn example_key(resource: &Resource, operation: &Operation, is_reference: bool) -> String {
    let mut key = format!("{} {}", operation.method.as_str(), resource.path);
    if let Some(word) = operation.action {
        let _ = write!(key, "?action={word}");
    }
    if let Some(word) = operation.query {
        let _ = write!(key, "?type={word}");
    }
    if is_reference {
        key.push_str(" as reference");
    }
    key
}
