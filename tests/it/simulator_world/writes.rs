//! Every write: accepted, refused, and visible afterwards.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use emgate::catalogue::{Method, Operation, Resource, catalogue};
use emgate::transcode::{self, Mode};
use serde_json::{Value, json};

use super::client::{Em, roots, tour, walked};
use crate::support::minimal_bodies::minimal;

/// Operations that change something, but for logons and tasks.
pub fn changes() -> Vec<(&'static Resource, &'static Operation)> {
    let mut all: Vec<_> = catalogue()
        .resources()
        .iter()
        .filter(|resource| walked(resource) && !resource.path.starts_with("/logonSessions"))
        .flat_map(|resource| {
            resource
                .operations
                .iter()
                .map(move |operation| (resource, operation))
        })
        .filter(|(_, operation)| operation.method != Method::Get)
        .collect();
    // What is deleted cannot be asked afterwards: the deepest go first, backup servers last.
    all.sort_by_key(|(resource, operation)| {
        let depth = resource.path.matches('/').count();
        (
            operation.method == Method::Delete,
            resource.path.starts_with("/backupServers"),
            usize::MAX - depth,
        )
    });
    all
}

pub fn target(path: &str, operation: &Operation) -> String {
    match operation.action {
        Some(action) if operation.action_in_path => format!("{path}/{action}"),
        Some(action) => format!("{path}?action={action}"),
        None => path.to_owned(),
    }
}

pub fn body(operation: &Operation) -> Option<Vec<u8>> {
    let root = operation.body?.root;
    let json = minimal(catalogue().ty(root.ty));
    let encoded = transcode::encode(json.to_string().as_bytes(), root.name, Mode::Request);
    Some(encoded.unwrap_or_else(|e| panic!("{}: {json}: {e}", root.name)))
}

#[tokio::test]
async fn every_write_accepts_its_minimal_body() {
    let em = Em::start(9, false).await;
    let tour = tour().await;
    let mut faults = Vec::new();
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    let all = changes();
    for (resource, operation) in &all {
        let name = format!(
            "{} {}",
            operation.method.as_str(),
            target(resource.path, operation)
        );
        let paths: Vec<&String> = match tour.paths.get(resource.path) {
            // A file rather than a directory.
            Some(paths) => paths
                .iter()
                .filter(|path| !resource.path.ends_with("{filepath}") || path.contains('.'))
                .collect(),
            None => Vec::new(),
        };
        // Plans at work refuse the next action: every operation has a thing of its own where there are enough.
        let turn = used.entry(resource.path).or_default();
        let Some(path) = paths.get(*turn % paths.len().max(1)) else {
            faults.push(format!("{name}: nothing to do it with"));
            continue;
        };
        *turn += 1;
        let answer = em
            .send(operation.method, &target(path, operation), body(operation))
            .await;
        if answer.status != operation.status {
            faults.push(format!("{name}: {} {}", answer.status, answer.text()));
            continue;
        }
        let documented = operation.status != 204 && operation.answer.is_some();
        if !documented {
            if !answer.body.is_empty() {
                faults.push(format!("{name}: a body"));
            }
            continue;
        }
        if let Some(fault) = answer.fault(&roots(operation, false)) {
            faults.push(format!("{name}: {fault}"));
            continue;
        }
        let document: Value = serde_json::from_slice(&transcode::decode(&answer.body).unwrap().json).unwrap();
        if let Some(task) = operation.task
            && document["operation"].as_str().map(str::to_lowercase) != Some(task.to_lowercase())
        {
            faults.push(format!("{name}: {document}"));
        }
    }
    assert!(faults.is_empty(), "of {}:\n{}", all.len(), faults.join("\n"));
}

#[tokio::test]
async fn what_a_finished_task_links_is_there() {
    let em = Em::start(9, false).await;
    let tour = tour().await;
    let mut faults = Vec::new();
    for (resource, operation) in changes() {
        let own = matches!(
            resource.path,
            "/cloud/cloudFailoverPlans/{ID}" | "/failoverPlans/{ID}"
        );
        if operation.task_links.is_empty() || own || operation.method == Method::Delete {
            continue;
        }
        let name = format!(
            "{} {}",
            operation.method.as_str(),
            target(resource.path, operation)
        );
        let mut paths = tour.paths[resource.path].iter();
        let path = paths
            .find(|path| !resource.path.ends_with("{filepath}") || path.contains('.'))
            .unwrap();
        let answer = em
            .send(operation.method, &target(path, operation), body(operation))
            .await;
        let task: Value = serde_json::from_slice(&transcode::decode(&answer.body).unwrap().json).unwrap();
        let task = format!("/tasks/{}", task["taskId"].as_str().unwrap());
        // The simulator's clock is the machine's, a thousand times faster.
        let deadline = Instant::now() + Duration::from_secs(20);
        let finished = loop {
            assert!(Instant::now() < deadline, "{name} does not finish");
            let document = em.json(&task).await;
            if document["state"]
                .as_str()
                .unwrap()
                .eq_ignore_ascii_case("finished")
            {
                break document;
            }
        };
        let links = finished["links"].as_array().unwrap();
        let Some(link) = links
            .iter()
            .find(|link| !link["rel"].as_str().unwrap().eq_ignore_ascii_case("delete"))
        else {
            faults.push(format!("{name}: {finished}"));
            continue;
        };
        let href = link["href"]
            .as_str()
            .unwrap()
            .strip_prefix("/api/v1/em")
            .unwrap()
            .to_owned();
        let linked = em.get(&href).await;
        if linked.status != 200 {
            faults.push(format!("{name}: {href}: {} {}", linked.status, linked.text()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn a_document_that_was_read_can_be_put_back() {
    let em = Em::start(4, false).await;
    let tour = tour().await;
    let mut faults = Vec::new();
    let mut count = 0;
    for (resource, operation) in changes().into_iter().filter(|(_, o)| o.method == Method::Put) {
        let root = operation.body.unwrap().root;
        if resource.entity != Some(root.ty) {
            continue;
        }
        for path in &tour.paths[resource.path] {
            let read = em.json(&format!("{path}?format=Entity")).await;
            match transcode::encode(read.to_string().as_bytes(), root.name, Mode::Request) {
                Err(e) => faults.push(format!("{path}: {e}")),
                Ok(xml) => {
                    let answer = em.send(Method::Put, &target(path, operation), Some(xml)).await;
                    if answer.status != operation.status {
                        faults.push(format!("{path}: {}", answer.text()));
                    }
                    let again = em.json(&format!("{path}?format=Entity")).await;
                    if again != read {
                        faults.push(format!("{path} changed: {read} {again}"));
                    }
                    count += 1;
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 20, "{count}");
}

#[tokio::test]
async fn changes_are_seen_afterwards() {
    let em = Em::start(4, false).await;
    let first = |list: Value| list["items"][0]["id"].as_str().unwrap().to_owned();
    let xml = |root: &str, json: Value| {
        transcode::encode(json.to_string().as_bytes(), root, Mode::Request).unwrap()
    };

    let job = format!("/jobs/{}", first(em.json("/jobs").await));
    let entity = format!("{job}?format=Entity");
    let mut document = em.json(&entity).await;
    document["description"] = json!("Said by <me> & nobody else");
    let put = em
        .send(
            Method::Put,
            &format!("{job}?action=edit"),
            Some(xml("Job", document)),
        )
        .await;
    assert_eq!(put.status, 202, "{}", put.text());
    let before = em.json(&entity).await;
    assert_eq!(before["description"], "Said by <me> & nobody else");
    let toggled = em
        .send(Method::Post, &format!("{job}?action=toggleScheduleEnabled"), None)
        .await;
    assert_eq!(toggled.status, 202);
    let after = em.json(&entity).await["scheduleEnabled"].clone();
    assert_ne!(after, before["scheduleEnabled"]);

    assert_eq!(em.send(Method::Delete, &job, None).await.status, 202);
    assert_eq!(em.get(&job).await.status, 404);
    let id = job.rsplit('/').next().unwrap();
    let left = em.json("/jobs").await.to_string() + &em.json("/query?type=Job").await.to_string();
    assert!(!left.contains(id));

    let mut spec = minimal(catalogue().ty(catalogue().root("CreateCloudTenantSpec").unwrap().ty));
    spec["name"] = json!("New & \"shiny\"");
    let count = em.json("/cloud/tenants").await["items"].as_array().unwrap().len();
    let created = em
        .send(
            Method::Post,
            "/cloud/tenants",
            Some(xml("CreateCloudTenantSpec", spec)),
        )
        .await;
    assert_eq!(created.status, 202, "{}", created.text());
    let tenants = em.json("/cloud/tenants").await;
    let tenants = tenants["items"].as_array().unwrap();
    assert_eq!(tenants.len(), count + 1);
    assert_eq!(tenants[count]["name"], "New & \"shiny\"");
}

#[tokio::test]
async fn a_wrong_body_is_refused_before_anything_changes() {
    let em = Em::start(6, false).await;
    let tour = tour().await;
    let mut faults = Vec::new();
    for (resource, operation) in changes() {
        let name = format!(
            "{} {}",
            operation.method.as_str(),
            target(resource.path, operation)
        );
        let Some(expected) = operation.body else { continue };
        let mut paths = tour.paths[resource.path].iter();
        let path = paths
            .find(|path| !resource.path.ends_with("{filepath}") || path.contains('.'))
            .unwrap();
        let target = target(path, operation);
        let root = expected.root.name;
        let space = "xmlns=\"http://www.veeam.com/ent/v1.0\"";
        for (wrong, body) in [
            ("another root", format!("<Novel {space}/>")),
            ("no namespace", format!("<{root}/>")),
            ("a foreign namespace", format!("<{root} xmlns=\"urn:x\"/>")),
            ("an unknown element", format!("<{root} {space}><Novel/></{root}>")),
            ("a cut body", format!("<{root} {space}><Nov")),
            ("no body", String::new()),
        ] {
            if body.is_empty() && expected.optional {
                continue;
            }
            let answer = em.send(operation.method, &target, Some(body.into_bytes())).await;
            if answer.status != 400 || answer.fault(&["Error"]).is_some() {
                faults.push(format!(
                    "{name} with {wrong}: {} {}",
                    answer.status,
                    answer.text()
                ));
            }
        }
    }
    // An action that is missing or unknown, a body where there is none, and one that is not announced.
    let job = tour.paths["/jobs/{ID}"].first().unwrap();
    for (target, body, status) in [
        (job.clone(), "", 400),
        (format!("{job}?action=dance"), "", 400),
        (format!("{job}?action=start"), "<Job/>", 400),
    ] {
        let answer = em
            .send(Method::Post, &target, Some(body.as_bytes().to_vec()))
            .await;
        if answer.status != status {
            faults.push(format!("{target}: {}", answer.status));
        }
    }
    let unannounced = em
        .client
        .post(format!("{}/api{job}?action=start", em.running.base_url()))
        .header("X-RestSvcSessionId", &em.token)
        .header("content-length", "0")
        .send()
        .await
        .unwrap();
    assert_eq!(unannounced.status(), 415);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
