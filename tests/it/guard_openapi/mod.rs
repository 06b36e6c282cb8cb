//! Checks the OpenAPI document: the checked-in file is the program's own, every promise in it is complete, and every
//! example is valid against its schema by the validator of another library.

mod mirror;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::schema_check::{SchemaCheck, document};

const FILE: &str = "openapi/emgate.v1.json";
const METHODS: &[&str] = &["get", "put", "post", "delete", "patch"];

/// Every operation under `paths`, as (`GET /path`, operation).
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            if METHODS.contains(&method.as_str()) {
                found.push((format!("{} {path}", method.to_uppercase()), operation));
            }
        }
    }
    found
}

/// Every operation of the document, webhooks and callbacks included.
fn all_operations(document: &Value) -> Vec<(String, &Value)> {
    let mut found = operations(document);
    for (name, item) in document["webhooks"].as_object().expect("webhooks") {
        found.push((format!("webhook {name}"), &item["post"]));
    }
    for (place, operation) in operations(document) {
        for (name, callback) in operation["callbacks"].as_object().into_iter().flatten() {
            for item in callback.as_object().expect("a callback").values() {
                found.push((format!("{place} callback {name}"), &item["post"]));
            }
        }
    }
    found
}

/// What a reference leads to.
fn followed(value: &Value) -> &Value {
    SchemaCheck::of_the_program().followed(value)
}

/// The parameters of an operation, each where it is written.
fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    let parameters = operation["parameters"].as_array();
    parameters.into_iter().flatten().map(followed)
}

#[test]
fn the_checked_in_document_is_the_programs_own() {
    let own = emgate::http::document_json().expect("the document can be written");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        own == checked_in,
        "{FILE} is stale: what the routes promise has changed. Run `make openapi`, look at the difference as a caller \
         would, and commit it with the change."
    );
}

#[test]
fn references_and_components_match() {
    let document = document();
    fn walk<'a>(value: &'a Value, used: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => {
                used.extend(fields.get("$ref").and_then(Value::as_str));
                // The content of an example is data.
                let structure = fields
                    .iter()
                    .filter(|(name, _)| *name != "example" && *name != "value");
                structure.for_each(|(_, field)| walk(field, used));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, used)),
            _ => {}
        }
    }
    let mut used = BTreeSet::new();
    walk(document, &mut used);
    for reference in &used {
        let pointer = reference
            .strip_prefix('#')
            .expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for kind in ["schemas", "examples", "headers", "responses", "parameters"] {
        for name in document["components"][kind]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            let reference = format!("#/components/{kind}/{name}");
            // No documented operation answers these: a wrong method is no operation, and nothing is limited by rate yet.
            let ahead = ["rate-limited", "method-not-allowed"].contains(&name.as_str());
            assert!(
                ahead || used.contains(reference.as_str()),
                "{reference} is used nowhere"
            );
        }
    }
}

#[test]
fn every_operation_has_a_description_and_a_unique_name() {
    let document = document();
    let tags: BTreeSet<&str> = document["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .filter_map(|tag| tag["name"].as_str())
        .collect();
    let mut ids = BTreeSet::new();
    for (place, operation) in all_operations(document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let shaped = id.starts_with(|letter: char| letter.is_ascii_lowercase())
            && id.chars().all(|letter| letter.is_ascii_alphanumeric());
        assert!(shaped, "{place}: `{id}` makes no good function name");
        assert!(
            ids.insert(id),
            "{place}: the operationId `{id}` is given more than once"
        );
        assert!(
            !operation["summary"].as_str().unwrap_or_default().is_empty(),
            "{place} has no summary"
        );
        for tag in operation["tags"].as_array().into_iter().flatten() {
            assert!(
                tags.contains(tag.as_str().unwrap_or_default()),
                "{place}: tag {tag} is not explained"
            );
        }
        for parameter in parameters(operation) {
            let described = !parameter["description"].as_str().unwrap_or_default().is_empty();
            assert!(described, "{place}: {} is not described", parameter["name"]);
        }
        let answers = operation["responses"].as_object().expect("responses");
        assert!(
            answers.keys().any(|status| status.starts_with(['2', '3'])),
            "{place} never succeeds"
        );
        for (status, answer) in answers {
            let described = !followed(answer)["description"]
                .as_str()
                .unwrap_or_default()
                .is_empty();
            assert!(described, "{place}: answer {status} is not described");
        }
    }
}

#[test]
fn a_path_names_each_parameter_once() {
    let document = document();
    for (place, operation) in operations(document) {
        let mut named = BTreeSet::new();
        let mut in_path = BTreeSet::new();
        for parameter in parameters(operation) {
            let (name, location) = (
                parameter["name"].as_str().expect("a name"),
                parameter["in"].as_str().expect("in"),
            );
            assert!(
                named.insert((name, location)),
                "{place}: {name} is given more than once"
            );
            if location == "path" {
                in_path.insert(name);
                assert_eq!(parameter["required"], true, "{place}: {name}");
            }
        }
        let written: BTreeSet<&str> = place
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(written, in_path, "{place}");
    }
}

#[test]
fn every_operation_names_its_scope_or_says_that_it_needs_none() {
    let document = document();
    let schemes = &document["components"]["securitySchemes"];
    let scopes: BTreeSet<&str> = emgate::domain::access::Scope::ALL
        .iter()
        .map(|scope| scope.as_str())
        .collect();
    for (place, operation) in operations(document) {
        let security = operation["security"]
            .as_array()
            .unwrap_or_else(|| panic!("{place} says nothing of security"));
        if place == "GET /api/v1" || place == "GET /api/v1/me" || place == "GET /api/v1/system" {
            assert_eq!(security, &[json!({"bearer": []})], "{place} is for any token");
            continue;
        }
        if !place.contains(" /api/") {
            assert!(security.is_empty(), "{place} is outside /api and must be open");
            continue;
        }
        assert!(!security.is_empty(), "{place}");
        // What has several actions may need a scope for each; a ticket opens streams of both kinds.
        assert!(
            security.len() == 1
                || place.starts_with("POST /api/v1/em/")
                || place == "POST /api/v1/stream-tickets",
            "{place}"
        );
        let all = security
            .iter()
            .flat_map(|one| one.as_object().expect("a requirement"));
        for (scheme, needed) in all {
            assert!(
                schemes[scheme].is_object(),
                "{place} names the scheme {scheme}, which is not defined"
            );
            let needed = needed.as_array().expect("scopes");
            assert!(!needed.is_empty(), "{place} needs no scope");
            for scope in needed {
                assert!(
                    scopes.contains(scope.as_str().unwrap_or_default()),
                    "{place}: {scope} is no scope of ours"
                );
            }
        }
    }
    for (place, operation) in all_operations(document).iter().skip(operations(document).len()) {
        assert_eq!(
            operation["security"],
            json!([]),
            "{place}: receivers have no token of ours"
        );
    }
}

#[test]
fn every_operation_lists_its_problems() {
    let document = document();
    for (place, operation) in operations(document) {
        let answers = operation["responses"].as_object().expect("responses");
        let mut expected = vec!["500"];
        if place.contains(" /api/") {
            expected.extend(["401", "503"]);
        }
        if operation["security"].to_string().contains(':') && operation["security"] != json!([{"bearer": []}])
        {
            expected.push("403");
        }
        if place.contains('{') {
            expected.push("404");
        }
        if operation["requestBody"].is_object() {
            expected.extend(["400", "413", "415", "422"]);
        }
        if parameters(operation).any(|parameter| parameter["in"] == "query") {
            expected.push("422");
        }
        for status in expected {
            assert!(answers.contains_key(status), "{place} does not document {status}");
        }
        for (status, answer) in answers
            .iter()
            .filter(|(status, _)| status.starts_with(['4', '5']))
        {
            let problem = &followed(answer)["content"]["application/problem+json"];
            // Readiness has its own body for 503.
            if place == "GET /readyz" && status == "503" {
                continue;
            }
            assert_eq!(
                problem["schema"]["$ref"], "#/components/schemas/Problem",
                "{place}: {status}"
            );
            for example in problem["examples"].as_object().expect("examples").values() {
                let example = followed(example);
                assert_eq!(
                    example["value"]["status"].to_string(),
                    *status,
                    "{place}: {example}"
                );
            }
        }
    }
}

#[test]
fn every_body_has_a_valid_example() {
    let document = document();
    let mut checked = 0;
    let mut bodies: Vec<(String, &Value)> = Vec::new();
    for (place, operation) in all_operations(document) {
        for (kind, content) in operation["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten()
        {
            bodies.push((format!("{place}: request, {kind}"), content));
        }
        for (status, answer) in operation["responses"].as_object().expect("responses") {
            for (kind, content) in followed(answer)["content"].as_object().into_iter().flatten() {
                bodies.push((format!("{place}: {status}, {kind}"), content));
            }
        }
        for parameter in parameters(operation) {
            if parameter.get("example").is_some() {
                check_example(
                    &parameter["schema"],
                    &parameter["example"],
                    &format!("{place}: {}", parameter["name"]),
                );
                checked += 1;
            }
        }
    }
    for (place, content) in bodies {
        let schema = &content["schema"];
        let mut examples: Vec<&Value> = content["examples"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, example)| &followed(example)["value"])
            .collect();
        examples.extend(content.get("example"));
        let own = followed(schema);
        examples.extend(own.get("example"));
        let is_json = place.ends_with("json") && !place.starts_with("GET /openapi.json");
        assert!(
            !is_json || !examples.is_empty() || has_field_examples(own),
            "{place} has no example; add one to http/openapi/samples.rs or to its schema"
        );
        for example in examples {
            check_example(schema, example, &place);
            checked += 1;
        }
    }
    assert!(
        checked > 800,
        "only {checked} examples were found: does the test still see them?"
    );
}

/// Small bodies carry their examples field by field; a list is no example.
fn has_field_examples(schema: &Value) -> bool {
    let mut fields = schema["properties"].as_object().into_iter().flatten();
    fields.any(|(_, field)| field.get("example").is_some())
}

fn check_example(schema: &Value, example: &Value, place: &str) {
    let faults = SchemaCheck::of_the_program().schema_faults(schema, example);
    assert!(
        faults.is_empty(),
        "{place}: the example does not fit its schema: {faults:#?}\n{example:#}"
    );
}

#[test]
fn every_event_type_is_a_documented_webhook() {
    let document = document();
    let webhooks = document["webhooks"].as_object().expect("webhooks");
    let mut left: BTreeMap<&String, &Value> = webhooks.iter().collect();
    for kind in emgate::domain::event::EventType::ALL {
        let name = kind.as_str().to_owned();
        let item = left
            .remove(&name)
            .unwrap_or_else(|| panic!("{name} is not in the document"));
        let parameters = item["post"]["parameters"].as_array().expect("headers");
        let headers: Vec<&str> = parameters
            .iter()
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(
            headers,
            ["webhook-id", "webhook-timestamp", "webhook-signature"],
            "{name}"
        );
        let content = &item["post"]["requestBody"]["content"]["application/json"];
        assert_eq!(content["example"]["type"], *name);
        check_example(&content["schema"], &content["example"], &name);
    }
    assert!(left.is_empty(), "{left:?} are no event types");
}

#[test]
fn the_examples_of_webhooks_carry_true_signatures() {
    let document = document();
    let created = &document["paths"]["/api/v1/webhook-endpoints"]["post"]["responses"]["201"];
    let secret = created["content"]["application/json"]["example"]["secret"].as_str();
    let secret = secret.expect("the example of an endpoint has its secret");
    let webhook = standardwebhooks::Webhook::new(secret).expect("a secret");
    let mut checked = 0;
    for (place, operation) in all_operations(document).iter().skip(operations(document).len()) {
        let of = |name: &str| {
            let named = parameters(operation).find(|parameter| parameter["name"] == name);
            named
                .and_then(|parameter| parameter["example"].as_str())
                .expect("an example")
        };
        let body = operation["requestBody"]["content"]["application/json"]["example"].to_string();
        let timestamp = of("webhook-timestamp").parse().expect("seconds");
        let signature = webhook.sign(of("webhook-id"), timestamp, body.as_bytes());
        assert_eq!(
            signature.expect("a signature"),
            of("webhook-signature"),
            "{place}"
        );
        checked += 1;
    }
    assert!(
        checked > emgate::domain::event::EventType::ALL.len(),
        "webhooks and callbacks"
    );
}

#[test]
fn actions_announce_their_callbacks() {
    let document = document();
    for (place, operation) in operations(document) {
        let is_action = ["/test", "/start", "/undo"]
            .iter()
            .any(|action| place.ends_with(action))
            && place.starts_with("POST");
        let is_on_a_plan = place.contains("failover-plans");
        let callbacks = operation["callbacks"].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(
            callbacks,
            if is_action && is_on_a_plan { 2 } else { 0 },
            "{place}"
        );
    }
}
