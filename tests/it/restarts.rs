//! What a crash leaves behind, and that the next start goes on from it: real processes, killed without warning.

use serde_json::json;

use crate::support::PLAN;
use crate::support::world::{World, stats};

fn operation_path(operation: &serde_json::Value) -> String {
    format!("/api/v1/operations/{}", operation["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn a_task_is_followed_on_in_its_own_logon_session_after_a_crash() {
    // Undo has no session to be found by: only its task, in the logon session that made it, tells its end.
    let world = World::start(&["--speed", "10", "--collect-delay", "20"]).await;
    let (status, undo) = world
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/undo"), &json!({}))
        .await;
    assert_eq!(status, 202, "{undo}");
    let world = world.crash_and_restart().await;
    let ended = world
        .until(&operation_path(&undo), |operation| {
            operation["state"] == "finished"
        })
        .await;
    assert_eq!(ended["resultSource"], "task", "{ended}");
    assert_eq!(ended["result"], "success", "{ended}");
    assert_eq!(ended["task"]["state"], "finished", "{ended}");
    let (status, simulator) = world.stop_gateway();
    assert!(status.success());
    let counted = stats(&simulator).await;
    assert_eq!(
        counted["activeSessions"], 0,
        "the resumed logon session is logged off too: {counted}"
    );
}

#[tokio::test]
async fn a_write_through_the_mirror_is_followed_on_after_a_crash_and_not_sent_again() {
    let world = World::start(&["--speed", "10", "--collect-delay", "20"]).await;
    let jobs = world.get("/api/v1/em/jobs").await;
    let job = jobs["items"][0]["id"].as_str().expect("a job").to_owned();
    let (status, task) = world
        .post_with_key(&format!("/api/v1/em/jobs/{job}?action=start"), "nightly-1")
        .await;
    assert_eq!(status, 202, "{task}");
    let world = world.crash_and_restart().await;
    let href = task["href"].as_str().expect("an address");
    let operation = href.split("operation=").nth(1).expect("its operation");
    let ended = world
        .until(&format!("/api/v1/operations/{operation}"), |operation| {
            operation["state"] == "finished"
        })
        .await;
    assert_eq!(ended["kind"], "em", "{ended}");
    assert_eq!(ended["resultSource"], "task", "{ended}");
    assert_eq!(ended["result"], "success", "{ended}");
    assert_eq!(ended["task"]["id"], task["taskId"], "{ended}");
    let counted = stats(&world.simulator).await;
    assert_eq!(
        counted["requests"][format!("POST /api/jobs/{job}")],
        1,
        "{counted}"
    );
}

#[tokio::test]
async fn a_failover_that_ends_while_the_gateway_is_down_is_reported_once() {
    let world = World::start(&["--speed", "40"]).await;
    let (status, test) = world
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"), &json!({}))
        .await;
    assert_eq!(status, 202, "{test}");
    let world = world.crash_and_restart().await;
    let ended = world
        .until(&operation_path(&test), |operation| {
            operation["state"] == "finished"
        })
        .await;
    assert_eq!(
        (&ended["result"], &ended["resultSource"]),
        (&json!("success"), &json!("session")),
        "{ended}"
    );
    let world = world.crash_and_restart().await;
    let events = world.get("/api/v1/events?pageSize=100").await;
    let finished = events["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|event| event["type"] == "failover.session.finished")
        .count();
    assert_eq!(finished, 1, "{events:#}");
}

#[tokio::test]
async fn a_key_still_stands_for_its_operation_after_a_crash() {
    let world = World::start(&["--speed", "1"]).await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let (status, first) = world.post_with_key(&path, "drill-1").await;
    assert_eq!(status, 202, "{first}");
    let world = world.crash_and_restart().await;
    let (status, again) = world.post_with_key(&path, "drill-1").await;
    assert_eq!((status, &again["id"]), (200, &first["id"]), "{again}");
    let (status, other) = world
        .post_with_key(&path.replace("/test", "/undo"), "drill-1")
        .await;
    assert_eq!(
        (status, &other["code"]),
        (422, &json!("idempotency-key-reused")),
        "{other}"
    );
    let counted = stats(&world.simulator).await;
    assert_eq!(
        counted["requests"][format!("POST /api/cloud/cloudFailoverPlans/{PLAN}")],
        1,
        "{counted}"
    );
}
