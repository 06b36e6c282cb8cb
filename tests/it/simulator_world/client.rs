//! A client that knows EM's links, and a walk through all of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use emgate::catalogue::{Method, Operation, Resource, catalogue};
use emgate::clock::{SharedClock, SystemClock};
use emgate::sim::{Options, Running, Simulator};
use emgate::transcode;
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::sync::OnceCell;

/// As many things of one resource are visited; more of them show nothing new.
const VISITS: usize = 6;

pub struct Em {
    pub running: Running,
    pub client: Client,
    pub token: String,
}

pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub disposition: Option<String>,
    pub body: Vec<u8>,
}

impl Em {
    pub async fn start(seed: u64, plain: bool) -> Self {
        Self::start_at(seed, plain, SystemClock::shared()).await
    }

    pub async fn start_at(seed: u64, plain: bool, clock: SharedClock) -> Self {
        let options = Options {
            seed: Some(seed),
            plain,
            history: 3,
            plans: 6,
            // Tasks and failovers are over at once.
            speed: 1_000.0,
            ..Options::on_any_port()
        };
        let (user, password) = (options.user.clone(), options.password.clone());
        let running = Simulator::start_at(options, clock).await.unwrap();
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

    pub async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
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

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::Get, path, None).await
    }

    /// The answer as JSON, whatever came with it.
    pub async fn json(&self, path: &str) -> Value {
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

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What is wrong with a document of one of these roots, if anything.
    pub fn fault(&self, roots: &[&str]) -> Option<String> {
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
    pub fn links(&self) -> Vec<String> {
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
pub struct Tour {
    pub paths: BTreeMap<&'static str, BTreeSet<String>>,
    pub seen: BTreeSet<(&'static str, String)>,
    pub faults: Vec<String>,
    pub documents: usize,
    /// How many lists had none, one, more.
    pub lists: [usize; 3],
    pub largest: u64,
    /// The members of each document by root.
    pub members: BTreeMap<String, Vec<BTreeSet<String>>>,
}

impl Tour {
    fn note(&mut self, body: &[u8]) {
        let decoded = transcode::decode(body).unwrap();
        let json: Value = serde_json::from_slice(&decoded.json).unwrap();
        let members = json.as_object().unwrap().keys().cloned().collect();
        self.members
            .entry(decoded.root.to_owned())
            .or_default()
            .push(members);
        self.look(&json);
    }

    fn look(&mut self, json: &Value) {
        match json {
            Value::Array(items) => {
                self.lists[items.len().min(2)] += 1;
                for item in items {
                    self.look(item);
                }
            }
            Value::Object(members) => members.values().for_each(|member| self.look(member)),
            Value::Number(number) => self.largest = self.largest.max(number.as_u64().unwrap_or(0)),
            _ => {}
        }
    }
}

/// Everything that EM of the tour can be asked with GET, but for logons and the query service.
pub fn walked(resource: &Resource) -> bool {
    !matches!(resource.path, "/" | "/query" | "/sessionMngr/") && !resource.path.starts_with("/tasks")
}

pub fn roots(operation: &Operation, reference: bool) -> Vec<&'static str> {
    let ty = if reference {
        operation.reference
    } else {
        operation.answer
    };
    let Some(ty) = ty else { return Vec::new() };
    catalogue().ty(ty).roots.to_vec()
}

/// Follows links from the logon session until there is nothing new, as a client would.
pub async fn walk(em: &Em) -> Tour {
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
                .find_map(|method| {
                    catalogue()
                        .operation(method, path_of(&target), action.as_deref())
                        .ok()
                });
            match other {
                Some(found) if found.path.action.is_some() => {}
                Some(found) => {
                    let paths = tour.paths.entry(found.path.resource.path).or_default();
                    paths.insert(path_of(&target).to_owned());
                }
                None => tour.faults.push(format!("{target} leads nowhere")),
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
        tour.note(&answer.body);
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

/// One walk for all tests that need paths: ids do not depend on the seed.
pub async fn tour() -> &'static Tour {
    static TOUR: OnceCell<Tour> = OnceCell::const_new();
    TOUR.get_or_init(|| async { walk(&Em::start(9, false).await).await })
        .await
}
