//! What a crash leaves behind, and that the next start continues from it: real processes, killed without warning.

use serde_json::json;

use crate::support::PLAN;
use crate::support::receiver::WebhookReceiver;
use crate::support::world::{World, stats};
use crate::waiting::eventually;

fn operation_path(operation: &serde_json::Value) -> String {
    format!("/api/v1/operations/{}", operation["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn after_a_crash_a_task_is_followed_in_its_logon_session() {
    // Undo has no session to be found by: only its task, in the logon session that made it, shows its end.
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
async fn after_a_crash_a_mirrored_write_is_followed_not_resent() {
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
async fn after_a_crash_the_version_of_em_is_told_by_the_session_that_was_taken_up() {
    let world = World::start(&["--speed", "20", "--collect-delay", "20"]).await;
    let (status, test) = world
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"), &json!({}))
        .await;
    assert_eq!(status, 202, "{test}");
    let version = world.get("/api/v1/system").await["em"]["apiVersion"].clone();
    assert!(version.is_string(), "{version}");
    let logons = async |world: &World| {
        let counted = stats(&world.simulator).await;
        let requests = counted["requests"].as_object().expect("counts").clone();
        requests
            .into_iter()
            .filter(|(line, _)| line.starts_with("POST /api/sessionMngr"))
            .filter_map(|(_, count)| count.as_u64())
            .sum::<u64>()
    };
    let before = logons(&world).await;
    let world = world.crash_and_restart().await;
    let system = world.get("/api/v1/system").await;
    let ended = world
        .until(&operation_path(&test), |operation| {
            operation["state"] == "finished"
        })
        .await;
    let report = world.get(&format!("{}/report", operation_path(&ended))).await;
    assert!(before > 0);
    assert_eq!(logons(&world).await, before, "nothing logged on again");
    assert_eq!(system["em"]["apiVersion"], version, "{system}");
    assert_eq!(report["provenance"]["emApiVersion"], version, "{report}");
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
async fn a_key_still_names_its_operation_after_a_crash() {
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

#[tokio::test]
async fn a_kill_before_em_acted_causes_no_second_request() {
    let world = World::start(&["--speed", "10"]).await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    world
        .control(
            "faults",
            &json!({"kind": "hang", "method": "POST", "path": "/api/cloud/"}),
        )
        .await;
    let world = killed_while_asking(world, &path, "drill-2").await;
    // It may have been sent, and stays `submitting`: the same key finds it, another request finds the plan busy.
    let (status, again) = world.post_with_key(&path, "drill-2").await;
    assert_eq!((status, &again["state"]), (200, &json!("submitting")), "{again}");
    let (status, other) = world.post(&path, &json!({})).await;
    assert_eq!((status, &other["code"]), (409, &json!("plan-busy")), "{other}");
    assert_eq!(other["operationId"], again["id"], "{other}");
    assert_eq!(posts(&world).await, 1);
}

#[tokio::test]
async fn a_kill_before_ems_answer_is_recorded_loses_nothing() {
    use sqlx::Connection as _;
    // A session is joined with the request once the answer to it can no longer arrive.
    let hasty = [
        "env",
        "EMGATE_UPSTREAM__REQUEST_TIMEOUT=3s",
        "EMGATE_UPSTREAM__CONNECT_TIMEOUT=1s",
    ];
    let mut world = World::start_by(&hasty, &["--speed", "10", "--latency", "1000"]).await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let file = format!("sqlite://{}", world.folder().join("emgate.db").display());
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&file)
        .await
        .expect("a second connection");
    let asked = tokio::spawn(world.post_with_key(&path, "drill-3"));
    // From the moment of its record on nothing more can be written down; EM's answer takes a second.
    let is_recorded = async || {
        let operation = sqlx::query("select id from operations limit 1").fetch_optional(&mut other);
        operation.await.expect("read").is_some()
    };
    eventually("its record", is_recorded, |recorded| *recorded).await;
    sqlx::query("begin immediate")
        .execute(&mut other)
        .await
        .expect("the write lock");
    world
        .gateway
        .wait_for_line("the outcome of an operation cannot be stored yet");
    assert!(!asked.is_finished(), "answered without a record");
    asked.abort();
    // It gets no turn between the end of the lock, without which the next start would wait for it, and its own.
    world.gateway.freeze();
    sqlx::query("rollback").execute(&mut other).await.expect("let go");
    other.close().await.expect("closed");
    let world = world.crash_and_restart().await;
    let (status, again) = world.post_with_key(&path, "drill-3").await;
    assert_eq!(status, 200, "{again}");
    let ended = world
        .until(&operation_path(&again), |operation| {
            operation["state"] == "finished"
        })
        .await;
    assert_eq!(
        (&ended["result"], &ended["resultSource"]),
        (&json!("success"), &json!("session")),
        "{ended}"
    );
    assert_eq!(posts(&world).await, 1);
}

#[tokio::test]
async fn a_request_whose_process_was_killed_is_joined_as_soon_as_its_session_shows() {
    let world = World::start(&["--speed", "10"]).await;
    let mut receiver = WebhookReceiver::start().await;
    world
        .control(
            "faults",
            &json!({"kind": "hang", "method": "POST", "path": "/api/cloud/"}),
        )
        .await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let body = json!({"callback": {"url": receiver.url()}});
    tokio::select! {
        answer = world.post(&path, &body) => panic!("answered without EM: {answer:?}"),
        () = until_asked(&world) => {}
    }
    // It gets no turn to see what its request started.
    world.gateway.freeze();
    let failover = json!({"planId": PLAN, "action": "test", "result": "Success", "seconds": 10});
    world.control("failovers", &failover).await;
    let world = world.crash_and_restart().await;
    let finished = receiver.next_of("failover.session.finished").await;
    let operation = &finished.json["data"]["operation"];
    assert_eq!(
        (&operation["state"], &operation["result"]),
        (&json!("finished"), &json!("success")),
        "{operation}"
    );
    let log = world.get("/api/v1/events?pageSize=100").await;
    let of_session: Vec<_> = (log["items"].as_array().expect("items").iter())
        .filter(|event| !event["data"]["session"].is_null())
        .collect();
    for (number, event) in (1..).zip(&of_session) {
        assert_eq!(event["data"]["sequence"], number, "{event}");
        assert_eq!(event["data"]["operation"]["id"], operation["id"], "{event}");
    }
    assert_eq!(of_session[0]["type"], "failover.session.started");
    assert_eq!(posts(&world).await, 1);
}

/// Asks, kills the gateway while the answer is awaited, and starts it again.
async fn killed_while_asking(world: World, path: &str, key: &str) -> World {
    let asked = tokio::spawn(world.post_with_key(path, key));
    until_asked(&world).await;
    assert!(!asked.is_finished(), "answered without EM");
    asked.abort();
    world.crash_and_restart().await
}

async fn until_asked(world: &World) {
    eventually(
        "EM gets the request",
        async || posts(world).await,
        |count| *count > 0,
    )
    .await;
}

/// How often EM was asked to run the plan.
async fn posts(world: &World) -> u64 {
    let counted = stats(&world.simulator).await;
    counted["requests"][format!("POST /api/cloud/cloudFailoverPlans/{PLAN}")]
        .as_u64()
        .unwrap_or(0)
}
