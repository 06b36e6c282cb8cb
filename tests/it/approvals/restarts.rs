//! Approvals over restarts and replicas: real processes.

use std::time::Duration;

use emgate::clock::{Clock as _, SystemClock};
use emgate::domain::approval::Approval;
use emgate::domain::command::Command;
use emgate::domain::id::OperationId;
use emgate::domain::operation::{Operation, OperationState};
use emgate::domain::plan::{Action, PlanKind, PlanRef};
use emgate::store::{self, Store};
use serde_json::{Value, json};

use crate::replicas::world::{Replica, Shared, answer};
use crate::support::world::{World, stats};
use crate::support::{PLAN, TestGateway, client, plan, token};

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
    use jiff::ToSpan as _;
    let now = jiff::tz::TimeZone::UTC.to_datetime(SystemClock.now());
    let day = (now.date() + 3.days()).strftime("%a").to_string();
    format!("{day} 12:00 - {day} 12:01 UTC")
}

/// A store in `folder` as a process leaves it that ended after the last approval: before its sending began, or after that.
async fn left_behind(folder: &std::path::Path, sending: bool) -> (store::Config, Operation) {
    let config = store::Config {
        url: format!("sqlite://{}", folder.join("emgate.db").display()),
        encryption_key_file: None,
    };
    let left = Store::open(&config, SystemClock::shared())
        .await
        .expect("a store");
    let now = SystemClock.now();
    let command = Command::Act {
        plan: PlanRef {
            id: PLAN.parse().expect("an id"),
            kind: PlanKind::Cloud,
            name: "ABC Company Failover Plan".into(),
            tenant: None,
            backup_server: None,
        },
        action: Action::Test,
    };
    let mut operation = command.operation(OperationId::new(SystemClock.id()), now);
    operation.state = OperationState::AwaitingApproval;
    operation.history[0].state = operation.state;
    operation.approval = Some(Approval {
        confinement: None,
        required: 1,
        given: Vec::new(),
        expires_at: now + Duration::from_hours(1),
        plan_digest: String::new(),
    });
    let mut tx = left.begin().await.expect("begun");
    tx.insert_operation(&operation, &command).await.expect("inserted");
    operation.step(OperationState::Submitting, now, None);
    operation.answer_due = now + Duration::from_mins(2);
    operation.evidence_deadline = now + Duration::from_secs(1);
    tx.submit_approved(&operation).await.expect("submitted");
    tx.commit().await.expect("committed");
    if sending {
        let mut tx = left.begin().await.expect("begun");
        assert!(tx.begin_sending(operation.id).await.expect("marked"));
        tx.commit().await.expect("committed");
    }
    left.close().await;
    (config, operation)
}

#[rstest::rstest]
#[case::before_its_sending_began(false)]
#[case::after_its_sending_began(true)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_is_never_sent_by_the_next_process(#[case] sending: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, left) = left_behind(folder.path(), sending).await;
    let test = TestGateway::builder()
        .config(|config| config.store = store)
        .start()
        .await;
    let ended = test
        .until(&format!("/api/v1/operations/{}", left.id), |operation| {
            operation["state"] == "finished" || operation["state"] == "unknown"
        })
        .await;
    let message = ended["failure"]["message"].as_str().expect("a message");
    if sending {
        assert_eq!(ended["state"], "unknown", "{ended}");
    } else {
        assert_eq!(
            (&ended["state"], &ended["result"]),
            (&json!("finished"), &json!("failed")),
            "{ended}"
        );
        assert!(message.contains("nothing was sent"), "{message}");
    }
    assert_eq!(super::events(&test, "failover.operation.finished").await.len(), 1);
    assert_eq!(super::sent(&test, "POST").await, 0);
    // The plan is free again.
    test.client.post(&plan("/test")).send().await.expect(202);
    test.stop().await;
}
