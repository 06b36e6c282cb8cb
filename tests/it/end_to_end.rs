//! The main job with real processes over TCP: the gateway, the simulator, a receiver.

use serde_json::{Value, json};

use crate::support::receiver::WebhookReceiver;
use crate::support::world::{World, json_of, stats};
use crate::support::{PLAN, client};

#[tokio::test]
async fn a_test_of_a_plan_ends_with_a_signed_delivery() {
    let world = World::start(&["--speed", "20", "--vms", "3"]).await;
    let mut receiver = WebhookReceiver::start().await;

    let (status, endpoint) = world
        .post("/api/v1/webhook-endpoints", &json!({"url": receiver.url()}))
        .await;
    assert_eq!(status, 201, "{endpoint}");
    let secret = endpoint["secret"].as_str().expect("the secret, once").to_owned();

    let plans = world.get("/api/v1/cloud-failover-plans").await;
    assert!(
        plans["items"]
            .as_array()
            .expect("items")
            .iter()
            .any(|plan| plan["id"] == PLAN),
        "{plans}"
    );

    let (status, operation) = world
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"), &json!({}))
        .await;
    assert_eq!(status, 202, "{operation}");
    assert_eq!(operation["state"], "running");
    assert_eq!(operation["requestedBy"], "portal");

    let (status, busy) = world
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"), &json!({}))
        .await;
    assert_eq!((status, &busy["code"]), (409, &json!("plan-busy")), "{busy}");
    assert_eq!(busy["operationId"], operation["id"]);

    let started = receiver.next_of("failover.session.started").await;
    started.verify(&secret);
    let session_id = started.json["data"]["session"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let progress = world
        .get(&format!("/api/v1/failover-sessions/{session_id}"))
        .await;
    assert_eq!(
        progress["virtualMachines"].as_array().map(Vec::len),
        Some(3),
        "{progress}"
    );

    let finished = receiver.next_of("failover.session.finished").await;
    finished.verify(&secret);
    let data = &finished.json["data"];
    assert_eq!(data["session"]["result"], "success", "{data}");
    assert_eq!(data["operation"]["id"], operation["id"]);
    assert_eq!(data["session"]["plan"]["id"], PLAN);

    let operation_path = format!("/api/v1/operations/{}", operation["id"].as_str().expect("an id"));
    let ended = world.get(&operation_path).await;
    assert_eq!(ended["state"], "finished");
    assert_eq!(
        (&ended["result"], &ended["resultSource"]),
        (&json!("success"), &json!("session")),
        "{ended}"
    );
    assert_eq!(ended["progress"], 100);
    assert_eq!(ended["session"]["id"], session_id.as_str());

    let elsewhere = json!({"planId": PLAN, "action": "start", "result": "Failed", "failureMessage": "Host is not available", "seconds": 2});
    let answer = client::plain()
        .post(world.simulator.url("/_sim/failovers"))
        .body(elsewhere.to_string())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 201);
    let foreign = json_of(answer).await;
    let finished = receiver.next_of("failover.session.finished").await;
    finished.verify(&secret);
    assert_eq!(finished.json["data"]["session"]["id"], foreign["sessionId"]);
    assert_eq!(finished.json["data"]["operation"], Value::Null);
    assert_eq!(
        finished.json["data"]["session"]["failureMessage"],
        "Host is not available"
    );

    let counted = stats(&world.simulator).await;
    let actions: u64 = counted["requests"]
        .as_object()
        .expect("counters")
        .iter()
        .filter(|(request, _)| request.starts_with("POST ") && request.contains("cloudFailoverPlans"))
        .filter_map(|(_, count)| count.as_u64())
        .sum();
    assert_eq!(actions, 1, "exactly one POST reached EM: {counted}");
    assert!(
        counted["logons"]
            .as_u64()
            .is_some_and(|logons| (1..=2).contains(&logons)),
        "{counted}"
    );

    let (status, simulator) = world.stop_gateway();
    assert!(status.success());
    let counted = stats(&simulator).await;
    assert_eq!(counted["activeSessions"], 0, "{counted}");
    assert_eq!(counted["logons"], counted["logoffs"], "{counted}");
}

#[tokio::test]
async fn a_callback_gets_exactly_one_event() {
    let world = World::start(&["--speed", "40"]).await;
    let mut receiver = WebhookReceiver::start().await;
    let body = json!({"callback": {"url": receiver.url()}, "metadata": {"change": "CHG0042"}});
    let (status, operation) = world
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"), &body)
        .await;
    assert_eq!(status, 202, "{operation}");
    let secret = operation["callback"]["secret"]
        .as_str()
        .expect("the secret, once")
        .to_owned();
    let finished = receiver.next().await;
    finished.verify(&secret);
    assert_eq!(finished.kind(), "failover.session.finished");
    assert_eq!(
        finished.json["data"]["operation"]["metadata"]["change"],
        "CHG0042"
    );
    let read = world
        .get(&format!(
            "/api/v1/operations/{}",
            operation["id"].as_str().expect("an id")
        ))
        .await;
    assert_eq!(
        read["callback"]
            .as_object()
            .map(|callback| callback.contains_key("secret")),
        Some(false)
    );

    let (status, undo) = world
        .post(
            &format!("/api/v1/cloud-failover-plans/{PLAN}/undo"),
            &json!({"callback": {"url": receiver.url(), "secret": secret}}),
        )
        .await;
    assert_eq!(status, 202, "{undo}");
    let ended = receiver.next().await;
    ended.verify(&secret);
    assert_eq!(ended.kind(), "failover.operation.finished");
    assert_eq!(ended.json["data"]["operation"]["resultSource"], "task");
    assert!(receiver.waiting().is_empty());
}
