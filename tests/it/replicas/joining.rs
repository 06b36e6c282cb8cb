//! A replica is killed while it waits for EM's answer: the failover that the request started is still reported with its
//! operation.

use serde_json::{Value, json};

use super::world::{Replica, Shared};
use crate::support::PLAN;
use crate::support::world::stats;
use crate::waiting::eventually;

const POST: &str = "POST /api/cloud/cloudFailoverPlans/";

/// Asks for a test of the plan, to which EM says nothing, and kills the replica once EM has the request.
async fn killed_while_asking(shared: &Shared, killed: Replica) {
    let fault = json!({"kind": "hang", "method": "POST", "path": "/api/cloud/"});
    let answer = crate::support::client::plain()
        .post(shared.simulator.url("/_sim/faults"))
        .body(fault.to_string())
        .send()
        .await;
    assert!(answer.expect("an answer").status().is_success());
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let body = json!({});
    tokio::select! {
        answer = killed.post(&path, &[], &body) => panic!("answered without EM: {answer:?}"),
        () = until_asked(shared) => {}
    }
    killed.process.kill();
}

async fn until_asked(shared: &Shared) {
    let asked = async || stats(&shared.simulator).await["requests"][format!("{POST}{PLAN}")].clone();
    eventually("EM gets the request", asked, |count| *count == 1).await;
}

/// The only operation, once it has ended.
async fn ended(left: &Replica) -> Value {
    let list = left
        .until("/api/v1/operations", |list| {
            list["items"][0]["state"] == "finished"
        })
        .await;
    assert_eq!(list["items"][0]["result"], "success", "{list}");
    list["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_observer_joins_a_failover_with_its_operation() {
    let shared = Shared::start(&["--speed", "10"]).await;
    let (observing, left) = (shared.replica().await, shared.replica().await);
    killed_while_asking(&shared, observing).await;
    shared.failover_elsewhere().await;
    let operation = ended(&left).await;
    for kind in ["failover.session.started", "failover.session.finished"] {
        let events = left.events(kind, 1).await;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["data"]["operation"]["id"], operation["id"], "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_failover_waits_until_it_is_known_that_its_replica_is_gone() {
    let shared = Shared::start(&["--speed", "10"]).await;
    let (left, killed) = (shared.replica().await, shared.replica().await);
    killed_while_asking(&shared, killed).await;
    shared.failover_elsewhere().await;
    let operation = ended(&left).await;
    let finished = left.events("failover.session.finished", 1).await;
    assert_eq!(
        finished[0]["data"]["operation"]["id"], operation["id"],
        "{finished:?}"
    );
    assert_eq!(left.events("failover.session.started", 1).await.len(), 1);
}
