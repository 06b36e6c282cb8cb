//! The mirror in the document: every operation of the catalogue once, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use emgate::catalogue::{Operation, Resource, catalogue};
use emgate::mirror::{is_mirrored, known_parameters};
use emgate::transcode::{self, Mode};
use serde_json::Value;

use super::{operations, parameters};
use crate::support::schema_check::{bare, document};

const ROOT: &str = "/api/v1/em";

/// Every mirrored operation of the catalogue, with the path it has in the document but for its parameters' names.
fn mirrored() -> Vec<(&'static Resource, &'static Operation, String)> {
    let mut all = Vec::new();
    for resource in catalogue()
        .resources()
        .iter()
        .filter(|resource| is_mirrored(resource))
    {
        for operation in &resource.operations {
            let action = operation.action.filter(|_| operation.action_in_path);
            let path = bare(resource.path) + &action.map(|action| format!("/{action}")).unwrap_or_default();
            all.push((
                resource,
                operation,
                format!("{} {ROOT}{path}", operation.method.as_str()),
            ));
        }
    }
    all
}

/// The mirror's operations in the document, by method and path without names.
fn documented() -> BTreeMap<String, &'static Value> {
    let mut all = BTreeMap::new();
    for (place, operation) in operations(document()) {
        if place.contains(&format!(" {ROOT}")) {
            let before = all.insert(bare(&place), operation);
            assert!(before.is_none(), "{place} is given more than once");
        }
    }
    all
}

/// The words with which a parameter chooses what is done.
fn words(operation: &Value, name: &str) -> Vec<String> {
    let chosen = parameters(operation).find(|parameter| parameter["name"] == name);
    let words = chosen.and_then(|parameter| parameter["schema"]["enum"].as_array());
    let text = |word: &Value| word.as_str().expect("a word").to_owned();
    words.into_iter().flatten().map(text).collect()
}

#[test]
fn the_document_holds_exactly_the_catalogues_operations() {
    let documented = documented();
    let mirrored = mirrored();
    assert_eq!(mirrored.len(), 358);
    // What distinguishes each operation of the document: an action, a type, or neither.
    let mut expected: BTreeMap<&str, Vec<(&str, Option<&str>)>> = BTreeMap::new();
    for (_, operation, place) in &mirrored {
        let choice = match (operation.query, operation.action) {
            (Some(query), _) => ("type", Some(query)),
            (None, Some(action)) if !operation.action_in_path => ("action", Some(action)),
            _ => ("", None),
        };
        expected.entry(place).or_default().push(choice);
    }
    let places: Vec<&str> = expected.keys().copied().collect();
    let found: Vec<&str> = documented.keys().map(String::as_str).collect();
    assert_eq!(found, places);
    for (place, choices) in expected {
        let operation = documented[place];
        let name = choices.iter().map(|(name, _)| *name).max().unwrap_or_default();
        let own: Vec<&str> = choices.iter().filter_map(|(_, word)| *word).collect();
        if own.is_empty() {
            continue;
        }
        assert_eq!(words(operation, name), own, "{place}");
        let parameter = parameters(operation).find(|parameter| parameter["name"] == name);
        let required = parameter.is_some_and(|parameter| parameter["required"] == true);
        let always = choices.iter().all(|(_, word)| word.is_some());
        assert_eq!(required, always, "{place}: {name}");
    }
}

#[test]
fn exactly_the_mirrors_parameters_are_documented() {
    let documented = documented();
    let mut known: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (resource, operation, place) in mirrored() {
        known
            .entry(place)
            .or_default()
            .extend(known_parameters(resource, operation));
    }
    for (place, known) in known {
        let queries = parameters(documented[&place]).filter(|parameter| parameter["in"] == "query");
        let reported: BTreeSet<&str> = queries
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        assert_eq!(reported, known, "{place}");
    }
}

#[test]
fn every_operation_that_answers_a_document_has_an_example_of_it() {
    let documented = documented();
    for (_, operation, place) in mirrored() {
        if operation.answer.is_none() || operation.status == 204 {
            continue;
        }
        let answer = &documented[&place]["responses"][operation.status.to_string()];
        let examples = answer["content"]["application/json"]["examples"].as_object();
        let examples = examples.unwrap_or_else(|| panic!("{place} has no example; run `make openapi`"));
        let word = operation.query.or(operation.action).unwrap_or("entity");
        assert!(examples.contains_key(word), "{place} has no example for {word}");
        assert!(
            operation.reference.is_none() || operation.query.is_some() || examples.contains_key("reference"),
            "{place} has no example of its reference"
        );
    }
}

#[test]
fn every_example_of_a_request_is_what_enterprise_manager_can_be_sent() {
    let documented = documented();
    for (_, operation, place) in mirrored() {
        let Some(body) = operation.body else { continue };
        let content = &documented[&place]["requestBody"]["content"]["application/json"];
        let word = operation.action.unwrap_or(body.root.name);
        let example = content["examples"][word]["value"].to_string();
        let sent = transcode::encode(example.as_bytes(), body.root.name, Mode::Request);
        assert!(sent.is_ok(), "{place}: {example}: {sent:?}");
    }
}
