//! Policies, approvals and dry runs: what is held back, who lets it pass, and what reaches Enterprise Manager.

mod dry_runs;
mod edits;
mod policies;
mod restarts;
mod waits;

use std::time::Duration;

use emgate::domain::plan::PlanKind;
use emgate::domain::policy::{Admitted, Matching, PlanAction, Policies, Policy};
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::{PLAN, TestGateway, plan};

/// A policy that matches everything and holds nothing back.
fn policy(name: &str) -> Policy {
    Policy {
        name: name.to_owned(),
        matching: Matching::default(),
        callers: Admitted::default(),
        windows: Vec::new(),
        approvals: 0,
        approval_expires: Duration::from_hours(4),
        reason_required: false,
    }
}

/// One that asks for so many approvals of starts and undos of cloud plans.
pub fn held_back(approvals: usize) -> Policy {
    Policy {
        matching: Matching {
            kinds: vec![PlanKind::Cloud],
            actions: vec![PlanAction::Start, PlanAction::Undo],
            ..Matching::default()
        },
        approvals,
        ..policy("production")
    }
}

async fn gateway(policies: Vec<Policy>) -> TestGateway {
    gateway_at(50.0, policies).await
}

async fn gateway_at(speed: f64, policies: Vec<Policy>) -> TestGateway {
    TestGateway::builder()
        .sim(move |sim| sim.speed = speed)
        .config(|config| {
            config.policies = Policies(policies);
            config.webhooks.allow_private_networks = true;
            config.webhooks.allow_http = true;
        })
        .start()
        .await
}

/// Another caller, who may approve.
pub fn approver(test: &TestGateway, name: &str) -> Client {
    let scope = "plans:approve plans:start operations:read operations:cancel tenants:all";
    test.client_as(&json!({"sub": name, "scope": scope}))
}

/// Asks for a start, which waits.
async fn request(test: &TestGateway) -> Answer {
    let asked = test.client.post(&plan("/start")).send().await.expect(202);
    assert_eq!(asked.body["state"], "awaitingApproval", "{}", asked.text);
    asked
}

fn path(operation: &Answer, rest: &str) -> String {
    format!(
        "/api/v1/operations/{}{rest}",
        operation.body["id"].as_str().expect("an id")
    )
}

/// How many requests of this method the plan got at EM.
async fn sent(test: &TestGateway, method: &str) -> u64 {
    let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
    let path = format!("{method} /api/cloud/cloudFailoverPlans/{PLAN}");
    stats["requests"][path].as_u64().unwrap_or(0)
}

/// The events of this type.
async fn events(test: &TestGateway, kind: &str) -> Vec<Value> {
    let log = test
        .client
        .get("/api/v1/events?pageSize=100")
        .send()
        .await
        .expect(200);
    let items = log.body["items"].as_array().cloned().unwrap_or_default();
    items.into_iter().filter(|event| event["type"] == kind).collect()
}

/// Expects an end without anything sent, by a policy.
async fn ended_by_policy(test: &TestGateway, operation: &Answer, words: &str) -> Value {
    let ended = test
        .until(&path(operation, ""), |operation| operation["state"] == "finished")
        .await;
    assert_eq!(ended["result"], "cancelled", "{ended}");
    assert_eq!(ended["failure"]["source"], "policy", "{ended}");
    let message = ended["failure"]["message"].as_str().expect("a message");
    assert!(message.contains(words), "{message}");
    assert_eq!(sent(test, "POST").await, 0);
    ended
}
