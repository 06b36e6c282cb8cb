//! The simulated world, whole: every operation of the catalogue is reached as a client would reach it, from the
//! logon by links, and answers what its page promises.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use emgate::catalogue::{Method, Operation, Resource, catalogue};
use emgate::sim::{Options, Running, Simulator};
use emgate::transcode;
use reqwest::{Client, Response};
use serde_json::Value;

/// As many things of one resource are visited; more of them show nothing new.
const VISITS: usize = 6;

struct Em {
    running: Running,
    client: Client,
    token: String,
}

struct Answer {
    status: u16,
    content_type: String,
    disposition: Option<String>,
    body: Vec<u8>,
}

impl Em {
    async fn start(seed: u64, plain: bool) -> Self {
        let options = Options {
            seed: Some(seed),
            plain,
            history: 3,
            ..Options::on_any_port()
        };
        let (user, password) = (options.user.clone(), options.password.clone());
        let running = Simulator::start(options).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        let logon = client
            .post(format!("{}/api/sessionMngr/?v=latest", running.base_url()))
            .basic_auth(user, Some(password))
            .header("content-length", "0")
            .send()
            .await
            .unwrap();
        let token = logon.headers()["X-RestSvcSessionId"].to_str().unwrap().to_owned();
        Self {
            running,
            client,
            token,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_str().as_bytes()).unwrap();
        let writes = method == reqwest::Method::POST || method == reqwest::Method::PUT;
        let mut request = self
            .client
            .request(method, format!("{}/api{path}", self.running.base_url()))
            .header("X-RestSvcSessionId", &self.token);
        if writes {
            let body = body.unwrap_or_default();
            request = request
                .header("content-type", "application/xml")
                .header("content-length", body.len())
                .body(body);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::Get, path, None).await
    }

    /// The answer as JSON, whatever came with it.
    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&transcode::decode(&answer.body).unwrap().json).unwrap()
    }
}

impl Answer {
    async fn of(response: Response) -> Self {
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        Self {
            status: response.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            disposition: header("content-disposition"),
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What is wrong with a document of one of these roots, if anything.
    fn fault(&self, roots: &[&str]) -> Option<String> {
        if !self.content_type.starts_with("application/xml") {
            return Some(format!("content type {}", self.content_type));
        }
        match transcode::decode(&self.body) {
            Err(e) => Some(format!("{e}: {}", self.text())),
            Ok(decoded) if !roots.contains(&decoded.root) => Some(format!("root {}", decoded.root)),
            Ok(decoded) if !decoded.anomalies.is_empty() => Some(format!(
                "{:?}",
                decoded.anomalies.iter().take(4).collect::<Vec<_>>()
            )),
            Ok(_) => None,
        }
    }

    /// The paths below `/api` that the document links.
    fn links(&self) -> Vec<String> {
        let text = self.text();
        text.split(" Href=\"")
            .skip(1)
            .filter_map(|rest| rest.split_once('"'))
            .map(|(href, _)| {
                href.replace("&#x2F;", "/")
                    .replace("&#39;", "'")
                    .replace("&amp;", "&")
            })
            .filter_map(|href| Some(href.split_once("/api")?.1.to_owned()))
            .collect()
    }
}

fn parameter(target: &str, name: &str) -> Option<String> {
    let (_, query) = target.split_once('?')?;
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}

fn path_of(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// What was visited: paths by resource, forms and actions by resource, and all that was wrong.
#[derive(Default)]
struct Tour {
    paths: BTreeMap<&'static str, BTreeSet<String>>,
    seen: BTreeSet<(&'static str, String)>,
    faults: Vec<String>,
    documents: usize,
}

/// Everything that EM of the tour can be asked with GET, but for logons and the query service.
fn walked(resource: &Resource) -> bool {
    !matches!(resource.path, "/" | "/query" | "/sessionMngr/") && !resource.path.starts_with("/tasks")
}

fn roots(operation: &Operation, reference: bool) -> Vec<&'static str> {
    let ty = if reference {
        operation.reference
    } else {
        operation.answer
    };
    let Some(ty) = ty else { return Vec::new() };
    catalogue().ty(ty).roots.to_vec()
}

/// Follows links from the logon session until there is nothing new, as a client would.
async fn walk(em: &Em) -> Tour {
    let mut tour = Tour::default();
    let mut left: VecDeque<String> = VecDeque::from(["/logonSessions".to_owned()]);
    let mut known: BTreeSet<String> = left.iter().cloned().collect();
    let mut visits: BTreeMap<(&str, String), usize> = BTreeMap::new();
    while let Some(target) = left.pop_front() {
        let action = parameter(&target, "action");
        let Ok(found) = catalogue().operation(Method::Get, path_of(&target), action.as_deref()) else {
            // Links of actions and of what can only be deleted lead to other methods.
            let other = [Method::Post, Method::Put, Method::Delete]
                .into_iter()
                .any(|method| {
                    catalogue()
                        .operation(method, path_of(&target), action.as_deref())
                        .is_ok()
                });
            if !other {
                tour.faults.push(format!("{target} leads nowhere"));
            }
            continue;
        };
        let (resource, operation) = (found.path.resource, found.operation);
        if !walked(resource) {
            continue;
        }
        let entity = parameter(&target, "format").is_some();
        let how = action
            .clone()
            .unwrap_or_else(|| if entity { "Entity" } else { "" }.to_owned());
        let count = visits.entry((resource.path, how.clone())).or_default();
        *count += 1;
        if *count > VISITS {
            continue;
        }
        let answer = em.get(&target).await;
        tour.documents += 1;
        tour.seen.insert((resource.path, how.to_lowercase()));
        let paths = tour.paths.entry(resource.path).or_default();
        paths.insert(path_of(&target).to_owned());
        if answer.status != operation.status {
            tour.faults
                .push(format!("{target}: {} {}", answer.status, answer.text()));
            continue;
        }
        if how == "download" {
            if answer.disposition.is_none() || answer.content_type != "application/octet-stream" {
                tour.faults.push(format!("{target}: no download"));
            }
            continue;
        }
        let reference = operation.reference.is_some() && !entity;
        if let Some(fault) = answer.fault(&roots(operation, reference)) {
            tour.faults.push(format!("{target}: {fault}"));
            continue;
        }
        let mut next = answer.links();
        if operation.reference.is_some() && !entity {
            next.push(format!("{}?format=Entity", path_of(&target)));
        }
        for link in next {
            if known.insert(link.clone()) {
                left.push_back(link);
            }
        }
    }
    tour
}

#[tokio::test]
async fn every_resource_is_reached_by_links_and_answers_as_documented() {
    for (seed, plain) in [(1, true), (2, false), (77, false)] {
        let em = Em::start(seed, plain).await;
        let mut tour = walk(&em).await;
        for resource in catalogue().resources().iter().filter(|resource| walked(resource)) {
            for operation in resource.operations.iter().filter(|o| o.method == Method::Get) {
                let mut wanted = vec![String::new()];
                if operation.reference.is_some() {
                    wanted.push("entity".to_owned());
                }
                let actions = operation.parameters.iter().filter(|p| p.name == "action");
                wanted.extend(actions.flat_map(|p| p.values.iter().map(|value| value.to_lowercase())));
                if resource.path == "/lookup" || resource.path.ends_with("/{filepath}") {
                    wanted.remove(0);
                }
                for how in wanted {
                    if !tour.seen.contains(&(resource.path, how.clone())) {
                        tour.faults
                            .push(format!("{} was not reached ({how})", resource.path));
                    }
                }
            }
        }
        assert!(tour.faults.is_empty(), "seed {seed}:\n{}", tour.faults.join("\n"));
        assert!(tour.documents > 800, "only {} documents", tour.documents);
    }
}

/// All pages of a query.
async fn query(em: &Em, parameters: &str, faults: &mut Vec<String>) -> Vec<Value> {
    let mut items = Vec::new();
    for page in 1..40 {
        let target = format!("/query?{parameters}&page={page}");
        let answer = em.get(&target).await;
        if answer.status != 200 {
            faults.push(format!("{target}: {} {}", answer.status, answer.text()));
            return items;
        }
        if let Some(fault) = answer.fault(&["QueryResult"]) {
            faults.push(format!("{target}: {fault}"));
            return items;
        }
        let json: Value = serde_json::from_slice(&transcode::decode(&answer.body).unwrap().json).unwrap();
        items.extend(json["items"].as_array().unwrap().iter().cloned());
        if json["page"]["next"].is_null() {
            return items;
        }
    }
    faults.push(format!("{parameters} has no last page"));
    items
}

#[tokio::test]
async fn every_query_gives_its_rows_filtered_sorted_and_in_pages() {
    let em = Em::start(5, false).await;
    // Tasks are asked for as well, so there must be one.
    let plan = "/cloud/cloudFailoverPlans/3f56fa52-c902-4655-9774-2022fde214d2?action=test";
    assert_eq!(em.send(Method::Post, plan, None).await.status, 202);
    let mut faults = Vec::new();
    let mut many = 0;
    for q in catalogue().queries() {
        let name = q.name;
        let all = query(&em, &format!("type={name}"), &mut faults).await;
        if all.is_empty() {
            faults.push(format!("{name} has no rows"));
        }
        many += usize::from(all.len() > 100);
        let entities = query(
            &em,
            &format!("type={name}&format=Entities&pageSize=7"),
            &mut faults,
        )
        .await;
        if entities.len() != all.len() {
            faults.push(format!(
                "{name}: {} references, {} entities",
                all.len(),
                entities.len()
            ));
        }
        for field in &q.fields {
            let field = field.name;
            let sorted = query(&em, &format!("type={name}&sortDesc={field}"), &mut faults).await;
            if sorted.len() != all.len() {
                faults.push(format!(
                    "{name} sorted by {field} has {} rows of {}",
                    sorted.len(),
                    all.len()
                ));
            }
        }
        let Some(uid) = all.first().and_then(|row| row["uid"].as_str()) else {
            continue;
        };
        if q.field("UID").is_some() {
            let one = query(&em, &format!("type={name}&filter=UID==\"{uid}\""), &mut faults).await;
            let other = query(&em, &format!("type={name}&filter=UID!=\"{uid}\""), &mut faults).await;
            if (one.len(), other.len()) != (1, all.len() - 1) {
                faults.push(format!(
                    "{name}: {} with {uid}, {} without",
                    one.len(),
                    other.len()
                ));
            }
        }
        if q.field("Name").is_some() {
            let sorted = query(&em, &format!("type={name}&sortAsc=Name"), &mut faults).await;
            let names: Vec<String> = sorted
                .iter()
                .map(|row| row["name"].to_string().to_lowercase())
                .collect();
            if !names.is_sorted() {
                faults.push(format!("{name} is not sorted by name"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(many >= 3, "only {many} queries have more than one page");
}

#[tokio::test]
async fn a_filter_finds_what_the_documents_say() {
    let em = Em::start(5, false).await;
    let mut faults = Vec::new();
    let sessions = query(&em, "type=BackupJobSession&format=Entities", &mut faults).await;
    for (filter, holds) in [
        ("State==Stopped;Result==Failed", "failed"),
        ("Result>Success;State==Stopped", "failed warning"),
    ] {
        let found = query(
            &em,
            &format!("type=BackupJobSession&format=Entities&filter={filter}"),
            &mut faults,
        )
        .await;
        let wanted = |row: &&Value| holds.contains(&row["result"].as_str().unwrap().to_lowercase());
        assert_eq!(found.len(), sessions.iter().filter(wanted).count(), "{filter}");
        assert!(!found.is_empty(), "{filter}");
    }
    // A job's sessions are the same by link and by query, and name that job.
    let job = sessions
        .iter()
        .find(|row| row["jobUid"].as_str().unwrap().contains(":Job:"))
        .unwrap();
    let id = job["jobUid"].as_str().unwrap().rsplit(':').next().unwrap();
    let below = em.json(&format!("/jobs/{id}/backupSessions?format=Entity")).await;
    let asked = query(
        &em,
        &format!("type=BackupJobSession&format=Entities&filter=JobUid==\"{id}\""),
        &mut faults,
    )
    .await;
    let ids = |rows: &[Value]| -> BTreeSet<String> { rows.iter().map(|row| row["id"].to_string()).collect() };
    assert_eq!(ids(below["items"].as_array().unwrap()), ids(&asked));
    assert!(asked.iter().all(|row| row["jobName"] == job["jobName"]));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let bad = em.get("/query?type=Job&filter=Nothing==1").await;
    assert_eq!((bad.status, bad.fault(&["Error"])), (500, None));
}

#[tokio::test]
async fn what_does_not_exist_is_refused_with_an_error_document() {
    let em = Em::start(3, false).await;
    let unknown = "00000000-0000-0000-0000-000000000001";
    for (method, path, status) in [
        (Method::Get, "/nothing".to_owned(), 404),
        (Method::Get, format!("/jobs/{unknown}"), 404),
        (Method::Get, "/jobs/not-an-id".to_owned(), 404),
        (Method::Get, format!("/jobs/{unknown}/includes"), 404),
        (Method::Delete, format!("/jobs/{unknown}"), 404),
        (Method::Put, "/jobs".to_owned(), 405),
        (Method::Delete, "/backupServers".to_owned(), 405),
        (Method::Delete, "/failoverPlans/x".to_owned(), 405),
        (Method::Get, "/query?type=Nothing".to_owned(), 400),
        (Method::Get, "/jobs?format=Poem".to_owned(), 400),
    ] {
        let answer = em.send(method, &path, Some(Vec::new())).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.fault(&["Error"]), None, "{path}");
    }
}
