//! What is asked of a gateway: the rows of the table of reads, and the world that they need.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::callers::{self, Asked};
use crate::process::{self, Running, SECRET};
use crate::world::{gateway_by, ready};

const PLANS: usize = 20;
const OPERATIONS: usize = 50;
const LIMIT: Duration = Duration::from_mins(2);

/// One kind of request.
pub struct Read {
    pub name: &'static str,
    path: String,
    headers: String,
    status: u16,
    /// Of its answer.
    pub body: Vec<u8>,
}

impl Read {
    /// The request as a caller sends it whom nobody has met, since no subject may ask as often as a bench does altogether.
    pub fn asked(&self, subject: &str) -> Asked {
        let token = token(subject);
        let headers = format!("authorization: Bearer {token}\r\n{}", self.headers);
        Asked::new(&self.path, &headers, self.status)
    }
}

const WORLD: [&str; 6] = ["--plans", "20", "--speed", "600", "--history", "60"];

/// The simulator that all reads are measured with. It spells its answers now one way, now another.
pub fn simulator() -> Running {
    process::simulator(&WORLD)
}

/// The same with one spelling for all answers, as one version of EM has.
pub fn plain_simulator() -> Running {
    process::simulator(&[&WORLD[..], &["--plain"]].concat())
}

/// A gateway before it, its store in a new `folder` of `directory`, ready.
pub async fn gateway(
    simulator: &Running,
    (directory, folder): (&Path, &str),
    starter: &[&str],
    more: &[(&str, &str)],
) -> Running {
    let own = directory.join(folder);
    std::fs::create_dir(&own).expect("a directory");
    let gateway = gateway_by(starter, simulator, &own, more);
    ready(&gateway).await;
    gateway
}

/// Runs enough tests of plans for a page of operations and of events.
pub async fn prepare(addr: SocketAddr) {
    let token = token("preparation");
    let plans = get(addr, "/api/v1/cloud-failover-plans?pageSize=100", &token).await;
    let ids: Vec<String> = (plans["items"].as_array().expect("plans").iter())
        .map(|plan| plan["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), PLANS);
    let (client, token) = (&client(), &token);
    let all: Vec<&String> = ids.iter().cycle().take(OPERATIONS).collect();
    // A plan runs once at a time.
    for together in all.chunks(PLANS) {
        join_all(together.iter().map(|id| async move {
            let url = format!("http://{addr}/api/v1/cloud-failover-plans/{id}/test");
            let request = client.post(url).bearer_auth(token).header("prefer", "wait=60");
            let answer = request.send().await.expect("an answer");
            assert!(answer.status().is_success(), "{}", answer.status());
        }))
        .await;
    }
}

/// All that is asked of a gateway that is prepared.
pub async fn reads(addr: SocketAddr) -> Vec<Read> {
    let token = token("preparation");
    let plan = a_plan(addr).await;
    let authorization = format!("authorization: Bearer {token}\r\n");
    let one = format!("/api/v1/cloud-failover-plans/{plan}");
    let mirrored = format!("/api/v1/em/cloud/cloudFailoverPlans/{plan}?format=Entity");
    let mut reads = Vec::new();
    let paths = [
        ("health, without a token", "/healthz".to_owned()),
        ("the caller (/me)", "/api/v1/me".to_owned()),
        ("plan", one.clone()),
        ("list of 20 plans", "/api/v1/cloud-failover-plans".to_owned()),
        (
            "list of 20 plans, gzip",
            "/api/v1/cloud-failover-plans?page=1".to_owned(),
        ),
        ("plan through the mirror", mirrored.clone()),
        (
            "plans through the mirror",
            "/api/v1/em/query?type=CloudFailoverPlan&format=Entities&pageSize=20".to_owned(),
        ),
        ("50 sessions", "/api/v1/failover-sessions".to_owned()),
        ("50 operations", "/api/v1/operations".to_owned()),
        ("50 events", "/api/v1/events".to_owned()),
    ];
    for (name, path) in paths {
        let headers = if name.ends_with("gzip") {
            "accept-encoding: gzip\r\n"
        } else {
            ""
        };
        let all = format!("{authorization}{headers}");
        let (status, _, body) = callers::once(addr, &Asked::new(&path, &all, 200));
        assert_eq!(status, 200, "{path}");
        reads.push(Read {
            name,
            path,
            headers: headers.to_owned(),
            status,
            body,
        });
    }
    for (name, path) in [("plan, 304", one), ("plan through the mirror, 304", mirrored)] {
        let (_, head, _) = callers::once(addr, &Asked::new(&path, &authorization, 200));
        let tag = (head.lines().find_map(|line| line.strip_prefix("etag: "))).expect("an entity tag");
        reads.push(Read {
            name,
            path,
            headers: format!("if-none-match: {tag}\r\n"),
            status: 304,
            body: Vec::new(),
        });
    }
    reads
}

/// The id of a plan.
pub async fn a_plan(addr: SocketAddr) -> String {
    let plans = get(addr, "/api/v1/cloud-failover-plans", &token("preparation")).await;
    plans["items"][0]["id"].as_str().expect("an id").to_owned()
}

async fn get(addr: SocketAddr, path: &str, token: &str) -> Value {
    let request = client().get(format!("http://{addr}{path}")).bearer_auth(token);
    let answer = request.send().await.expect("an answer");
    serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(LIMIT).no_proxy();
    client.build().expect("a client")
}

/// A token of that subject for everything that is read here.
pub fn token(subject: &str) -> String {
    let scopes =
        "plans:read plans:test sessions:read operations:read events:read webhooks:read em:read tenants:all";
    let claims = json!({ "sub": subject, "scope": scopes, "exp": Timestamp::now().as_second() + 36_000 });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
}
