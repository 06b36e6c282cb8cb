//! The mirror: Enterprise Manager's own paths, as JSON.

mod files; // guest files: encodings of their paths, their bytes as a stream
mod plans; // failover plans: the verbs and scopes of the curated routes
mod reads; // documents, filters, entity tags, refusals
mod sparing; // many readers, one request; no stale read after a write
mod table; // every operation of the catalogue, once
mod tasks; // listed, read, removed, by those who asked for them
mod writes; // bodies, statuses, operations, at most one request on the wire

use serde_json::Value;

use crate::support::scripted_server::ScriptedServer;
use crate::support::{PLAN, TestGateway};

/// A gateway whose Enterprise Manager gives scripted answers.
async fn between() -> (TestGateway, ScriptedServer) {
    let scripted = ScriptedServer::start().await;
    let before = scripted.clone();
    let test = TestGateway::builder()
        .config(move |config| before.put_before(&mut config.upstream))
        .start()
        .await;
    (test, scripted)
}

fn plan_path() -> String {
    format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}")
}

/// The id of the first thing in a collection of the mirror.
async fn first(test: &TestGateway, collection: &str) -> String {
    let list = test
        .client
        .get(&format!("/api/v1/em{collection}"))
        .send()
        .await
        .expect(200);
    list.body["items"][0]["id"].as_str().expect("an id").to_owned()
}

/// How often Enterprise Manager was asked with a line that holds these words.
async fn asked(test: &TestGateway, method: &str, part: &str) -> u64 {
    let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
    stats["requests"]
        .as_object()
        .expect("counts")
        .iter()
        .filter(|(line, _)| line.starts_with(method) && line.contains(part))
        .map(|(_, count)| count.as_u64().unwrap_or(0))
        .sum()
}
