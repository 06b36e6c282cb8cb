//! What the log says of operations and failovers: a line for each begin and each end, by which an operator without the API knows
//! how it went.

use serde_json::{Value, json};

use crate::support::PLAN;
use crate::support::client;
use crate::support::world::World;

async fn requested(world: &World, action: &str) -> Value {
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/{action}");
    let (status, operation) = world.post(&path, &json!({})).await;
    assert_eq!(status, 202, "{operation}");
    operation
}

async fn ended_as_counted(world: &World, action: &str, result: &str) -> bool {
    let scrape = client::plain().get(world.gateway.url("/metrics")).send().await;
    let scrape = scrape.expect("an answer").text().await.expect("a scrape");
    let line = format!("emgate_operations_ended_total{{action=\"{action}\",result=\"{result}\"}} 1");
    scrape.lines().any(|seen| seen == line)
}

#[tokio::test]
async fn the_log_says_how_an_operation_ended() {
    let mut world = World::start(&["--speed", "30"]).await;
    let operation = requested(&world, "test").await;
    let line = world.gateway.wait_for_line("an operation ended");
    assert_eq!(line["level"], "INFO", "{line}");
    assert_eq!(line["operation"], operation["id"], "{line}");
    assert_eq!(line["action"], "test", "{line}");
    assert_eq!(line["result"], "success", "{line}");
    assert_eq!(line["plan_name"], operation["plan"]["name"], "{line}");
}

#[tokio::test]
async fn an_operation_that_waits_for_approval_is_logged_with_its_plan_and_its_end() {
    let policy = [
        "env",
        "EMGATE_POLICIES__0__NAME=production",
        "EMGATE_POLICIES__0__APPROVALS=1",
    ];
    let mut world = World::start_by(&policy, &["--speed", "30"]).await;
    let operation = requested(&world, "test").await;
    let line = world.gateway.wait_for_line("an operation waits for approval");
    assert_eq!(line["plan_name"], operation["plan"]["name"], "{line}");
    let id = operation["id"].as_str().expect("an id");
    let cancel = format!("/api/v1/operations/{id}/cancel");
    assert_eq!(world.post(&cancel, &json!({})).await.0, 202);
    let line = world.gateway.wait_for_line("an operation ended");
    assert_eq!(
        (line["operation"].as_str(), line["result"].as_str()),
        (Some(id), Some("cancelled"))
    );
}

#[tokio::test]
async fn a_cancelled_operation_is_logged_and_counted() {
    // So slow that it has no session yet when it is cancelled.
    let mut world = World::start(&["--speed", "0.01"]).await;
    let operation = requested(&world, "undo").await;
    let id = operation["id"].as_str().expect("an id");
    let (status, cancelled) = world
        .post(&format!("/api/v1/operations/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(status, 202, "{cancelled}");
    assert_eq!(cancelled["result"], "cancelled", "{cancelled}");
    let line = world.gateway.wait_for_line("an operation ended");
    assert_eq!(line["operation"], id, "{line}");
    assert_eq!(line["result"], "cancelled", "{line}");
    assert_eq!(line["reason"], cancelled["failure"]["message"], "{line}");
    assert!(ended_as_counted(&world, "undo", "cancelled").await);
}

#[tokio::test]
async fn an_operation_whose_answer_was_lost_is_logged_when_it_is_found() {
    let mut world = World::start(&["--speed", "0.5"]).await;
    let fault = json!({
        "kind": "executeThenClose", "count": 1, "method": "POST", "path": "/api/cloud/cloudFailoverPlans",
    });
    world.control("faults", &fault).await;
    let operation = requested(&world, "start").await;
    assert_eq!(operation["state"], "submitting", "{operation}");
    let line = world
        .gateway
        .wait_for_line("the session of an operation was found at Enterprise Manager");
    assert_eq!(line["operation"], operation["id"], "{line}");
    assert_eq!(line["plan_name"], operation["plan"]["name"], "{line}");
    // No task is known by which it could be stopped, which is another reason than that of a task that is gone.
    let id = operation["id"].as_str().expect("an id");
    let (status, refused) = world
        .post(&format!("/api/v1/operations/{id}/cancel"), &json!({}))
        .await;
    assert_eq!((status, &refused["code"]), (409, &json!("not-cancellable")));
    let why = refused["detail"].as_str().expect("a detail");
    assert!(
        why.starts_with("Enterprise Manager's answer, which names its task, was lost"),
        "{why}"
    );
}

#[tokio::test]
async fn a_write_through_the_mirror_is_logged_with_its_path_from_begin_to_end() {
    let mut world = World::start(&["--speed", "30"]).await;
    let jobs = world.get("/api/v1/em/jobs").await;
    let path = format!("/jobs/{}", jobs["items"][0]["id"].as_str().expect("a job"));
    let action = format!("/api/v1/em{path}?action=start");
    let (status, task) = world.post_with_key(&action, "nightly-1").await;
    assert_eq!(status, 202, "{task}");
    for message in ["an operation was recorded", "an operation ended"] {
        let line = world.gateway.wait_for_line(message);
        assert_eq!(line["path"], path.as_str(), "{line}");
    }
}

#[tokio::test]
async fn the_log_says_how_a_failover_that_was_started_elsewhere_ended() {
    let mut world = World::start(&["--speed", "30"]).await;
    let failover = json!({
        "planId": PLAN, "action": "start", "result": "Failed", "failureMessage": "no host has room", "seconds": 1,
    });
    world.control("failovers", &failover).await;
    let line = world
        .gateway
        .wait_for_line("a failover that was started elsewhere ended");
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(line["result"], "failed", "{line}");
    assert_eq!(line["reason"], "no host has room", "{line}");
    assert_eq!(line["plan_name"], "ABC Company Failover Plan", "{line}");
}
