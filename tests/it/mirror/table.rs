//! The whole catalogue through the mirror: every operation once, with a minimal body, against the simulator.

use std::collections::{BTreeMap, BTreeSet};

use emgate::catalogue::{Form, Method, Operation, Resource, catalogue};
use emgate::mirror::queryable;
use serde_json::Value;

use crate::simulator_world::client::{tour as links, walked};
use crate::simulator_world::writes::changes;
use crate::support::TestGateway;
use crate::support::client::Answer;
use crate::support::minimal_bodies::minimal_body;
use crate::support::schema_check::SchemaCheck;

/// What one operation of Enterprise Manager's answered through the mirror.
pub struct Visit {
    pub operation: &'static Operation,
    pub method: Method,
    /// The path's template as the catalogue writes it, below `/api/v1/em`; an action in the path included.
    pub template: String,
    /// The query that was sent, `type=Job&format=Entities` for example.
    pub query: String,
    pub status: u16,
    /// The body; null when there is none, or when it is a file.
    pub json: Value,
    pub location: String,
}

impl Visit {
    fn name(&self) -> String {
        format!("{} {}?{}", self.method.as_str(), self.template, self.query)
    }
}

/// A gateway before a world that has something of every kind, in which tasks are over at once.
pub async fn world() -> TestGateway {
    TestGateway::builder()
        .sim(|sim| {
            sim.seed = Some(9);
            sim.history = 3;
            sim.plans = 6;
            sim.speed = 1_000.0;
        })
        .start()
        .await
}

/// Every operation of the catalogue but those of logons, through the mirror: reads in all their forms first, then
/// what changes something, then tasks.
pub async fn tour(test: &TestGateway) -> Vec<Visit> {
    let mut visits = Vec::new();
    for resource in catalogue().resources() {
        let reads = resource.operations.iter().filter(|o| o.method == Method::Get);
        for operation in reads.filter(|_| is_mirrored(resource) && !resource.path.starts_with("/tasks")) {
            for query in queries(resource, operation) {
                let path = some_path(resource, 0, query.contains("list"), operation).await;
                visits.push(visit(test, resource, operation, &path, query).await);
            }
        }
    }
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for (resource, operation) in changes() {
        // Plans at work refuse the next action: every operation has a thing of its own where there are enough.
        let turn = used.entry(resource.path).or_default();
        let path = some_path(resource, *turn, false, operation).await;
        *turn += 1;
        let query = match operation.action {
            Some(action) if !operation.action_in_path => format!("action={action}"),
            _ => String::new(),
        };
        visits.push(visit(test, resource, operation, &path, query).await);
    }
    tasks(test, &mut visits).await;
    visits
}

/// Tasks are those of the operations that this tour made.
async fn tasks(test: &TestGateway, visits: &mut Vec<Visit>) {
    let job = super::first(test, "/jobs").await;
    let made = test
        .client
        .post(&format!("/api/v1/em/jobs/{job}?action=start"))
        .send()
        .await
        .expect(202);
    let href = made.body["href"].as_str().expect("an address").to_owned();
    let (path, query) = href.strip_prefix("/api/v1/em").unwrap().split_once('?').unwrap();
    for resource in catalogue()
        .resources()
        .iter()
        .filter(|r| r.path.starts_with("/tasks"))
    {
        for operation in &resource.operations {
            let (path, query) = match resource.path {
                "/tasks" => ("/tasks", ""),
                _ => (path, query),
            };
            visits.push(visit(test, resource, operation, path, query.to_owned()).await);
        }
    }
}

pub fn is_mirrored(resource: &Resource) -> bool {
    !resource.path.starts_with("/sessionMngr") && !resource.path.starts_with("/logonSessions")
}

/// The queries with which an operation answers in all its forms.
fn queries(resource: &Resource, operation: &Operation) -> Vec<String> {
    if let Some(name) = operation.query {
        let forms = ["References", "Entities"];
        return forms.map(|form| format!("type={name}&format={form}")).to_vec();
    }
    let actions = operation.parameters.iter().find(|own| own.name == "action");
    if let Some(actions) = actions {
        return actions
            .values
            .iter()
            .map(|action| format!("action={action}"))
            .collect();
    }
    match (resource.path, operation.reference) {
        ("/lookup", _) => vec!["host=6745a759-2205-4cd2-b172-8ec8f7e60ef8".to_owned()],
        (_, Some(_)) => vec!["format=Reference".to_owned(), "format=Entity".to_owned()],
        (_, None) => vec![String::new()],
    }
}

/// A path that the simulator links; of guest files a directory for lists, a file for all else.
async fn some_path(resource: &Resource, turn: usize, directory: bool, operation: &Operation) -> String {
    let known = links()
        .await
        .paths
        .get(resource.path)
        .filter(|_| walked(resource));
    let path = match known {
        Some(paths) => {
            let is_file =
                |path: &&String| !resource.path.ends_with("{filepath}") || path.contains('.') != directory;
            let paths: Vec<&String> = paths.iter().filter(is_file).collect();
            paths
                .get(turn % paths.len().max(1))
                .map_or_else(|| resource.path.to_owned(), |path| (*path).clone())
        }
        None => resource.path.to_owned(),
    };
    match operation.action {
        Some(action) if operation.action_in_path => format!("{path}/{action}"),
        _ => path,
    }
}

async fn visit(
    test: &TestGateway,
    resource: &'static Resource,
    operation: &'static Operation,
    path: &str,
    query: String,
) -> Visit {
    let mark = if query.is_empty() { "" } else { "?" };
    let target = format!("/api/v1/em{path}{mark}{query}");
    let mut request = test.client.request(operation.method.as_str(), &target);
    if let Some(body) = minimal_body(operation) {
        request = request.json(&body);
    }
    let answer: Answer = request.send().await;
    let template = match operation.action {
        Some(action) if operation.action_in_path => format!("{}/{action}", resource.path),
        _ => resource.path.to_owned(),
    };
    Visit {
        operation,
        method: operation.method,
        template,
        query,
        status: answer.status,
        location: place_of_operation(&answer),
        json: answer.body,
    }
}

/// Where the operation is: the `Location`, but where that would name what was made.
pub fn place_of_operation(answer: &Answer) -> String {
    if answer.status == 201 {
        assert_eq!(answer.header("location"), "");
        let link = answer.header("link");
        let (place, _) = link.split_once('>').expect("a link");
        return place.trim_start_matches('<').to_owned();
    }
    answer.header("location").to_owned()
}

/// What is wrong with an answer, checked by the catalogue.
fn fault(visit: &Visit) -> Option<String> {
    let operation = visit.operation;
    if visit.status != operation.status {
        return Some(format!("{} {}", visit.status, visit.json));
    }
    if visit.method != Method::Get && !visit.location.starts_with("/api/v1/operations/") {
        return Some("no operation".to_owned());
    }
    if visit.query == "action=download" {
        return None;
    }
    let references = visit.query == "format=Reference";
    let expected = operation.reference.filter(|_| references).or(operation.answer);
    let Some(ty) = expected.filter(|_| operation.status != 204) else {
        return (!visit.json.is_null()).then(|| format!("a body: {}", visit.json));
    };
    let ty = catalogue().ty(ty);
    let Some(members) = visit.json.as_object() else {
        return Some(format!("no object: {}", visit.json));
    };
    if matches!(ty.form, Form::List | Form::QueryResult) {
        let listed = visit.json["items"].is_array() && visit.json["page"]["size"].is_u64();
        return (!listed || members.len() != 2).then(|| format!("no list: {}", visit.json));
    }
    let strange = |name: &&String| ty.by_json(name).is_none() && !(ty.has_uid && *name == "id");
    if let Some(name) = members.keys().find(strange) {
        return Some(format!("{} has no {name}", ty.name));
    }
    if let Some(task) = operation.task
        && !visit.json["operation"]
            .as_str()
            .is_some_and(|named| named.eq_ignore_ascii_case(task))
    {
        return Some(format!("another task: {}", visit.json));
    }
    if ty.name == "TaskType" {
        let operation = visit.location.rsplit('/').next().unwrap_or_default();
        let href = visit.json["href"].as_str().unwrap_or_default();
        let named = visit.method == Method::Get || href.ends_with(&format!("?operation={operation}"));
        return (!named).then(|| format!("{href} does not lead to the task"));
    }
    None
}

/// What is wrong with an answer, checked by the OpenAPI document.
fn undocumented(visit: &Visit) -> Vec<String> {
    if visit.query == "action=download" {
        return Vec::new();
    }
    let (method, path) = (visit.method.as_str(), &visit.template);
    SchemaCheck::of_the_program().faults(method, path, visit.status, &visit.json)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_catalogue_answers_as_documented() {
    let test = world().await;
    let visits = tour(&test).await;
    let faults: Vec<String> = visits
        .iter()
        .filter_map(|visit| Some(format!("{}: {}", visit.name(), fault(visit)?)))
        .chain(visits.iter().flat_map(undocumented))
        .collect();
    let reached: BTreeSet<_> = visits
        .iter()
        .map(|visit| std::ptr::from_ref(visit.operation).addr())
        .collect();
    let all: usize = catalogue()
        .resources()
        .iter()
        .filter(|resource| is_mirrored(resource))
        .map(|resource| resource.operations.len())
        .sum();
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        visits.len(),
        faults.join("\n")
    );
    assert_eq!((reached.len(), all), (358, 358));
    test.stop().await;
}

/// The fifth of docs/behaviour.md#guarantees: no shape depends on the data, nor on whether a list is read or searched, but
/// where the document says so.
#[tokio::test(flavor = "multi_thread")]
async fn every_collection_that_can_be_searched_answers_as_documented_when_it_is() {
    let test = world().await;
    let mut searched = 0;
    let mut faults = Vec::new();
    for resource in catalogue().resources() {
        let plain = |operation: &&Operation| operation.method == Method::Get && operation.action.is_none();
        let Some(read) = resource.operations.iter().find(plain) else {
            continue;
        };
        if !is_mirrored(resource) || queryable(resource).is_none() {
            continue;
        }
        searched += 1;
        let path = some_path(resource, 0, false, read).await;
        let forms: &[&str] = if read.reference.is_some() {
            &["", "&format=Entity"]
        } else {
            &[""]
        };
        for form in forms {
            let target = format!("/api/v1/em{path}?pageSize=2{form}");
            let answer = test.client.get(&target).send().await;
            if answer.status == 200 {
                faults.extend(SchemaCheck::of_the_program().faults("GET", resource.path, 200, &answer.body));
            } else {
                faults.push(format!("{target}: {} {}", answer.status, answer.text));
            }
        }
    }
    assert_eq!(searched, 48);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    test.stop().await;
}
