//! Approvals over restarts and replicas: real processes.

use serde_json::{Value, json};

use crate::replicas::world::{Replica, Shared, answer};
use crate::support::world::{World, stats};
use crate::support::{PLAN, client, token};

const PLAN_PATH: &str = "/api/v1/cloud-failover-plans";
const POLICY: [(&str, &str); 3] = [
    ("EMGATE_POLICIES__0__NAME", "production"),
    ("EMGATE_POLICIES__0__MATCH__ACTION", "test"),
    ("EMGATE_POLICIES__0__APPROVALS", "1"),
];

fn approver(name: &str) -> String {
    token(&json!({"sub": name, "scope": "plans:approve operations:read tenants:all"}))
}

fn approve(url: String, name: &str) -> reqwest::RequestBuilder {
    client::plain().post(url).bearer_auth(approver(name))
}

fn path(operation: &Value, rest: &str) -> String {
    format!(
        "/api/v1/operations/{}{rest}",
        operation["id"].as_str().expect("an id")
    )
}

async fn sent(simulator: &crate::support::process::Process) -> u64 {
    let counted = stats(simulator).await;
    let path = format!("POST /api/cloud/cloudFailoverPlans/{PLAN}");
    counted["requests"][path].as_u64().unwrap_or(0)
}

/// `env` with the policy, and more.
fn starter(more: &str) -> Vec<String> {
    let mut starter = vec!["env".to_owned()];
    starter.extend(POLICY.iter().map(|(name, value)| format!("{name}={value}")));
    starter.push(more.to_owned());
    starter
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_outlives_its_process_and_expires_in_the_next() {
    let starter = starter("EMGATE_POLICIES__0__APPROVAL_EXPIRES=1s");
    let starter: Vec<&str> = starter.iter().map(String::as_str).collect();
    let world = World::start_by(&starter, &["--speed", "20"]).await;
    let (status, asked) = world.post(&format!("{PLAN_PATH}/{PLAN}/test"), &json!({})).await;
    assert_eq!(
        (status, &asked["state"]),
        (202, &json!("awaitingApproval")),
        "{asked}"
    );
    let world = world.crash_and_restart().await;
    let ended = world
        .until(&path(&asked, ""), |operation| operation["state"] == "finished")
        .await;
    assert_eq!(ended["failure"]["source"], "policy", "{ended}");
    assert_eq!(sent(&world.simulator).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_approved_after_a_restart_and_sent_as_it_was_stored() {
    let starter = starter("EMGATE_POLICIES__0__APPROVAL_EXPIRES=1h");
    let starter: Vec<&str> = starter.iter().map(String::as_str).collect();
    let world = World::start_by(&starter, &["--speed", "20"]).await;
    let (status, asked) = world.post(&format!("{PLAN_PATH}/{PLAN}/test"), &json!({})).await;
    assert_eq!(status, 202, "{asked}");
    let world = world.crash_and_restart().await;
    let url = world.gateway.url(&path(&asked, "/approve"));
    let (status, approved) = answer(approve(url, "dr-lead")).await;
    assert_eq!(
        (status, &approved["state"]),
        (202, &json!("running")),
        "{approved}"
    );
    let ended = world
        .until(&path(&asked, ""), |operation| operation["state"] == "finished")
        .await;
    assert_eq!(ended["result"], "success", "{ended}");
    assert_eq!(sent(&world.simulator).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_submits() {
    let shared = Shared::start(&["--speed", "50"]).await;
    let (one, other) = (
        shared.replica_with(&POLICY).await,
        shared.replica_with(&POLICY).await,
    );
    for round in 1..=4 {
        let (status, asked) = one
            .post(&format!("{PLAN_PATH}/{PLAN}/test"), &[], &json!({}))
            .await;
        assert_eq!(
            (status, &asked["state"]),
            (202, &json!("awaitingApproval")),
            "{asked}"
        );
        let by = |replica: &Replica, name: &str| {
            tokio::spawn(answer(approve(
                replica.process.url(&path(&asked, "/approve")),
                name,
            )))
        };
        let approvals = [
            by(&one, "lead"),
            by(&other, "board"),
            by(&one, "chief"),
            by(&other, "night"),
        ];
        let mut statuses = Vec::new();
        for approval in approvals {
            statuses.push(approval.await.expect("an answer").0);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 409, 409, 409]);
        let ended = other.wait_for(&asked).await;
        assert_eq!(ended["result"], "success", "{ended}");
        assert_eq!(sent(&shared.simulator).await, round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_windows_of_the_last_approval_count() {
    let shared = Shared::start(&["--speed", "50"]).await;
    let one = shared.replica_with(&POLICY).await;
    // Open for a minute, in a week of which that minute is not now.
    let window = ("EMGATE_POLICIES__0__WINDOWS__0", closed_window());
    let mut with_window = POLICY.to_vec();
    with_window.push((window.0, &window.1));
    let other = shared.replica_with(&with_window).await;
    let (_, asked) = one
        .post(&format!("{PLAN_PATH}/{PLAN}/test"), &[], &json!({}))
        .await;
    let (status, denied) = answer(approve(other.process.url(&path(&asked, "/approve")), "lead")).await;
    assert_eq!(
        (status, &denied["code"]),
        (403, &json!("policy-denied")),
        "{denied}"
    );
    assert!(denied["nextWindow"]["from"].is_string(), "{denied}");
    assert_eq!(one.get(&path(&asked, "")).await, asked, "it waits as before");
    let (status, approved) = answer(approve(one.process.url(&path(&asked, "/approve")), "lead")).await;
    assert_eq!(status, 202, "{approved}");
    assert_eq!(sent(&shared.simulator).await, 1);
}

/// A minute three days from now.
fn closed_window() -> String {
    use emgate::clock::{Clock as _, SystemClock};
    use jiff::ToSpan as _;
    let now = jiff::tz::TimeZone::UTC.to_datetime(SystemClock.now());
    let day = (now.date() + 3.days()).strftime("%a").to_string();
    format!("{day} 12:00 - {day} 12:01 UTC")
}
