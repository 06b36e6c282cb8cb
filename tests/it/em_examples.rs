//! Answers of Enterprise Manager for the OpenAPI document, produced: the simulator's documents, read by the transcoder.
//! They are recorded in `src/http/openapi/em/examples.json`; `make openapi` records them anew.

use std::collections::BTreeMap;
use std::path::Path;

use emgate::catalogue::{Method, Operation, Resource, catalogue};
use emgate::clock::ManualClock;
use emgate::mirror::is_mirrored;
use emgate::transcode;
use serde_json::Value;

use crate::simulator_world::client::{Answer, Em, tour};
use crate::simulator_world::writes::{body, changes, target};
use crate::support::schema_check::SchemaCheck;

const FILE: &str = "src/http/openapi/em/examples.json";
/// Set to record instead of comparing.
const RECORD: &str = "EMGATE_RECORD_EXAMPLES";

/// Lists are cut to their first item.
fn cut(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.truncate(1);
            items.iter_mut().for_each(cut);
        }
        Value::Object(members) => members.values_mut().for_each(cut),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The path as the document has it: an action may be at its end.
fn target_path(path: &str, action: Option<&str>) -> String {
    action.map_or_else(|| path.to_owned(), |action| format!("{path}/{action}"))
}

/// A task's address as the mirror writes it: with the operation that knows its logon session.
fn address_tasks(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(address_tasks),
        Value::Array(items) => items.iter_mut().for_each(address_tasks),
        Value::String(text) if text.starts_with("/api/v1/em/tasks/") => {
            text.push_str("?operation=0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01");
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What was answered, whole, by the operation and form it belongs to.
struct Answers(BTreeMap<String, (String, u16, Value)>);

impl Answers {
    fn take(&mut self, resource: &Resource, operation: &Operation, form: &str, answer: &Answer) {
        let mut key = format!("{} {}", operation.method.as_str(), resource.path);
        if let Some(word) = operation.action {
            key += &format!("?action={word}");
        }
        if let Some(word) = operation.query {
            key += &format!("?type={word}");
        }
        key += form;
        assert_eq!(answer.status, operation.status, "{key}: {}", answer.text());
        if answer.body.is_empty() {
            return;
        }
        let json = transcode::decode(&answer.body).unwrap_or_else(|e| panic!("{key}: {e}"));
        let json = serde_json::from_slice(&json.json).expect("the transcoder writes JSON");
        let action = operation.action.filter(|_| operation.action_in_path);
        let path = target_path(resource.path, action);
        self.0.insert(key, (path, answer.status, json));
    }
}

/// Every answer of the catalogue from one simulator with a fixed clock.
async fn answers() -> Answers {
    let clock = ManualClock::at("2026-05-06T07:08:09Z".parse().expect("a moment"));
    let em = Em::start_at(9, true, clock.clone()).await;
    let tour = tour().await;
    let mut all = Answers(BTreeMap::new());
    let plan = "/cloud/cloudFailoverPlans/3f56fa52-c902-4655-9774-2022fde214d2?action=test";
    let task = em.send(Method::Post, plan, None).await.text();
    let task = task
        .split("TaskId>")
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    let task = format!("/tasks/{}", task.expect("a task's id"));
    for resource in catalogue()
        .resources()
        .iter()
        .filter(|resource| is_mirrored(resource))
    {
        let path = match resource.path {
            "/" | "/query" | "/tasks" | "/lookup" => resource.path.to_owned(),
            "/tasks/{ID}" => task.clone(),
            path => match tour.paths.get(path).and_then(|paths| paths.first()) {
                Some(path) => path.clone(),
                None => continue,
            },
        };
        for operation in resource.operations.iter().filter(|o| o.method == Method::Get) {
            let forms: &[(&str, &str)] = if operation.query.is_some() {
                &[("format=Entities&pageSize=1", "")]
            } else if operation.reference.is_some() {
                &[("format=Entity", ""), ("", " as reference")]
            } else if operation.parameters.iter().any(|p| p.name == "action") {
                &[("action=listAll", "")]
            } else {
                &[("", "")]
            };
            for (query, form) in forms {
                let path = match operation.query {
                    Some(kind) => format!("{path}?type={kind}&{query}"),
                    None if query.is_empty() => path.clone(),
                    None => format!("{path}?{query}"),
                };
                let answer = em.get(&path).await;
                all.take(resource, operation, form, &answer);
            }
        }
    }
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for (resource, operation) in changes() {
        let paths: Vec<&String> = tour.paths[resource.path]
            .iter()
            .filter(|path| !resource.path.ends_with("{filepath}") || path.contains('.'))
            .collect();
        // Plans at work refuse the next action: every operation has a thing of its own where there are enough.
        let turn = used.entry(resource.path).or_default();
        // The first plan is at work already.
        let path = paths[(*turn + usize::from(resource.path.ends_with("FailoverPlans/{ID}"))) % paths.len()];
        *turn += 1;
        let answer = em
            .send(operation.method, &target(path, operation), body(operation))
            .await;
        all.take(resource, operation, "", &answer);
    }
    all
}

#[tokio::test]
async fn every_answer_fits_its_schema_and_recorded_example() {
    let answers = answers().await;
    let check = SchemaCheck::of_the_program();
    let mut faults = Vec::new();
    let mut recorded = Vec::new();
    for (key, (path, status, json)) in answers.0 {
        let (method, _) = key.split_once(' ').expect("a method");
        faults.extend(check.faults(method, &path, status, &json));
        let mut example = json;
        cut(&mut example);
        address_tasks(&mut example);
        faults.extend(check.faults(method, &path, status, &example));
        recorded.push(format!("{}: {example}", Value::from(key)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let text = format!("{{\n{}\n}}\n", recorded.join(",\n"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os(RECORD).is_some() {
        std::fs::write(&file, &text).expect("the file can be written");
    }
    let checked_in = std::fs::read_to_string(&file).expect("the recorded examples");
    assert!(
        text == checked_in,
        "{FILE} is stale: the simulator, the transcoder or the catalogue has changed. Run `make openapi`."
    );
}
