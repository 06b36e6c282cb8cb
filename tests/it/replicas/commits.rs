//! The connection breaks during a commit, so that its outcome is unknown. An action is sent once
//! its record is known to be there, and is not recorded where it is not sent.

use serde_json::{Value, json};

use super::wire::{Loss, Wire};
use super::world::{Replica, Shared, connection_to, until_waiting};
use crate::support::PLAN;
use crate::support::client;
use crate::support::postgres::{Database, database};
use crate::support::world::json_of;

async fn stage() -> (Database, Wire, Shared, Replica) {
    let database = database().await;
    let wire = Wire::before(&database).await;
    let shared = Shared::on(wire.database(), &["--speed", "20"]);
    let replica = shared.replica().await;
    (database, wire, shared, replica)
}

fn path() -> String {
    format!("/api/v1/cloud-failover-plans/{PLAN}/test")
}

/// How many actions EM got.
async fn actions(shared: &Shared) -> Value {
    let stats = client::plain().get(shared.simulator.url("/_sim/stats"));
    let stats = json_of(stats.send().await.expect("an answer")).await;
    stats["requests"][format!("POST /api/cloud/cloudFailoverPlans/{PLAN}")].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_record_was_committed_unheard_is_sent_once() {
    let (_database, wire, shared, replica) = stage().await;
    wire.lose(Loss::Answer);
    let (status, operation) = replica.post(&path(), &[], &json!({})).await;
    assert!(wire.lost(), "nothing was cut");
    assert_eq!(
        (status, &operation["state"]),
        (202, &json!("running")),
        "{operation}"
    );
    assert_eq!(replica.wait_for(&operation).await["result"], "success");
    assert_eq!(actions(&shared).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_commit_arrives_late_is_sent_once() {
    let (database, wire, shared, replica) = stage().await;
    let mut connection = connection_to(&database).await;
    wire.lose(Loss::Late);
    let (path, options) = (path(), json!({}));
    let asked = replica.post(&path, &[], &options);
    let arrives = async {
        until_waiting(&mut connection, 1, || false).await;
        wire.arrives();
    };
    let ((status, operation), ()) = tokio::join!(asked, arrives);
    assert_eq!(
        (status, &operation["state"]),
        (202, &json!("running")),
        "{operation}"
    );
    assert_eq!(replica.wait_for(&operation).await["result"], "success");
    assert_eq!(actions(&shared).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_commit_never_arrived_leaves_its_plan_free() {
    let (_database, wire, shared, replica) = stage().await;
    wire.lose(Loss::Commit);
    let key = [("idempotency-key", "k")];
    let (status, problem) = replica.post(&path(), &key, &json!({})).await;
    assert!(wire.lost(), "nothing was cut");
    assert_eq!(
        (status, &problem["code"], &problem["operationId"]),
        (503, &json!("store-unavailable"), &Value::Null),
        "{problem}"
    );
    assert_eq!(replica.get("/api/v1/operations").await["items"], json!([]));
    assert_eq!(actions(&shared).await, Value::Null);
    let (status, operation) = replica.post(&path(), &key, &json!({})).await;
    assert_eq!(
        (status, &operation["state"]),
        (202, &json!("running")),
        "{operation}"
    );
    assert_eq!(actions(&shared).await, 1);
}
