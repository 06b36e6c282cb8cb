//! Checks answers by the OpenAPI document, with the validator of another library.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

/// The document, and the validators made of it so far: each is made once.
pub struct SchemaCheck {
    document: Value,
    validators: Mutex<HashMap<String, &'static Validator>>,
}

/// The program's own document, made once for all tests.
pub fn document() -> &'static Value {
    &SchemaCheck::of_the_program().document
}

/// A path without the names of its parameters, below the mirror's root where it is one of Enterprise Manager's.
pub fn bare(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect::<Vec<_>>()
        .join("/")
        .trim_end_matches('/')
        .to_owned()
}

impl SchemaCheck {
    /// The check by the document of this program.
    pub fn of_the_program() -> &'static Self {
        static CHECK: LazyLock<SchemaCheck> = LazyLock::new(|| {
            let text = emgate::http::document_json().expect("the document can be written");
            SchemaCheck {
                document: serde_json::from_str(&text).expect("the document is JSON"),
                validators: Mutex::default(),
            }
        });
        &CHECK
    }

    /// What is wrong with an answer of the mirror: `path` is Enterprise Manager's, such as `/jobs/{ID}`, and names the
    /// operation's action at its end where that is in the path.
    pub fn faults(&self, method: &str, path: &str, status: u16, answer: &Value) -> Vec<String> {
        let place = format!("{method} {path}: {status}");
        let wanted = bare(&format!("/api/v1/em{path}"));
        let paths = self.document["paths"].as_object().expect("paths");
        let Some((_, item)) = paths.iter().find(|(known, _)| bare(known) == wanted) else {
            return vec![format!("{place}: the document has no such path")];
        };
        let operation = &item[method.to_lowercase()];
        let response = self.followed(&operation["responses"][status.to_string()]);
        let content = response["content"].as_object();
        let body = content.and_then(|content| content.iter().find(|(kind, _)| kind.ends_with("json")));
        let may_be_empty = response["x-may-be-empty"] == true;
        match body {
            None if response.is_null() => vec![format!("{place}: the document has no such answer")],
            None if answer.is_null() => Vec::new(),
            Some(_) if answer.is_null() && may_be_empty => Vec::new(),
            None => vec![format!("{place}: the document has no body here: {answer}")],
            Some((_, content)) => self
                .schema_faults(&content["schema"], answer)
                .into_iter()
                .map(|fault| format!("{place}: {fault}"))
                .collect(),
        }
    }

    /// What in `value` does not fit `schema`.
    pub fn schema_faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        self.validator(schema)
            .iter_errors(value)
            .map(|fault| format!("{fault} at {}", fault.instance_path()))
            .collect()
    }

    /// What a reference leads to.
    pub fn followed<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference
                    .strip_prefix('#')
                    .expect("a reference within the document");
                let target = self.document.pointer(pointer);
                self.followed(target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
            }
            None => value,
        }
    }

    fn validator(&self, schema: &Value) -> &'static Validator {
        let key = schema.to_string();
        let mut known = self.validators.lock().expect("no test panics within");
        known.entry(key).or_insert_with(|| {
            let whole = json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "components": self.needed(schema),
                "allOf": [schema],
            });
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&whole)
                .unwrap_or_else(|error| panic!("the schema is not valid: {error}: {schema}"));
            Box::leak(Box::new(validator))
        })
    }

    /// The schemas that `schema` refers to, and those that they refer to: few, and a validator of few is made fast.
    fn needed(&self, schema: &Value) -> Value {
        let mut schemas = serde_json::Map::new();
        let mut left = vec![schema];
        while let Some(value) = left.pop() {
            match value {
                Value::Object(members) => {
                    let name = members.get("$ref").and_then(Value::as_str);
                    let name = name.and_then(|target| target.strip_prefix("#/components/schemas/"));
                    if let Some(name) = name
                        && !schemas.contains_key(name)
                    {
                        let target = &self.document["components"]["schemas"][name];
                        schemas.insert(name.to_owned(), target.clone());
                        left.push(target);
                    }
                    left.extend(members.values());
                }
                Value::Array(items) => left.extend(items),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        json!({ "schemas": schemas })
    }
}
