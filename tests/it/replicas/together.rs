//! Two replicas that are both well: everything happens once, whichever gets the request.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::world::{Shared, path_of};
use crate::support::PLAN;
use crate::support::receiver::WebhookReceiver;
use crate::support::world::stats;
use crate::waiting::slowly;

#[tokio::test(flavor = "multi_thread")]
async fn each_end_is_delivered_once() {
    let shared = Shared::start(&["--speed", "20"]).await;
    let (one, other) = (shared.replica().await, shared.replica().await);
    let mut receiver = WebhookReceiver::start().await;
    let (status, endpoint) = other
        .post("/api/v1/webhook-endpoints", &[], &json!({"url": receiver.url()}))
        .await;
    assert_eq!(status, 201, "{endpoint}");
    for _ in 0..10 {
        shared.failover_elsewhere().await;
    }
    let finished = other.events("failover.session.finished", 10).await;
    assert_eq!(finished.len(), 10);
    let awaited: HashSet<String> = finished
        .iter()
        .map(|event| event["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(awaited.len(), 10);
    // Both lists are the same, since both replicas read one log.
    assert_eq!(one.events("failover.session.finished", 10).await, finished);
    let done = |list: &serde_json::Value| {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.len() >= 20 && items.iter().all(|delivery| delivery["state"] == "delivered")
    };
    one.until("/api/v1/webhook-deliveries?pageSize=100", done).await;
    let mut arrived: Vec<String> = receiver
        .waiting()
        .iter()
        .filter(|received| received.kind() == "failover.session.finished")
        .map(|received| received.headers["webhook-id"].clone())
        .collect();
    arrived.sort();
    let mut expected: Vec<String> = awaited.into_iter().collect();
    expected.sort();
    assert_eq!(arrived, expected, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoints_bound_holds_for_all_replicas_together() {
    let shared = Shared::start(&["--speed", "20"]).await;
    let (one, _other) = (shared.replica().await, shared.replica().await);
    let (url, most) = slow_receiver().await;
    let endpoint = json!({"url": url, "maxConcurrency": 2, "eventTypes": ["failover.session.finished"]});
    let (status, endpoint) = one.post("/api/v1/webhook-endpoints", &[], &endpoint).await;
    assert_eq!(status, 201, "{endpoint}");
    for _ in 0..12 {
        shared.failover_elsewhere().await;
    }
    let delivered = |list: &serde_json::Value| {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.len() == 12 && items.iter().all(|delivery| delivery["state"] == "delivered")
    };
    one.until("/api/v1/webhook-deliveries?pageSize=100", delivered)
        .await;
    assert_eq!(most.load(Ordering::SeqCst), 2, "as many as it takes, and no more");
}

/// A receiver that takes its time, and the most requests that it had at once.
async fn slow_receiver() -> (String, Arc<AtomicUsize>) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let router = axum::Router::new().fallback(async move || {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        slowly(Duration::from_millis(200)).await;
        now.fetch_sub(1, Ordering::SeqCst);
        axum::http::StatusCode::NO_CONTENT
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    (url, most)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_followed_by_another_replica() {
    // Undo has no session: its task is only seen in the logon session of the replica that was asked.
    let shared = Shared::start(&["--speed", "20", "--collect-delay", "2"]).await;
    let (observing, asked) = (shared.replica().await, shared.replica().await);
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/undo");
    let (status, undo) = asked.post(&path, &[], &json!({})).await;
    assert_eq!(status, 202, "{undo}");
    let ended = asked.wait_for(&undo).await;
    assert_eq!(
        (&ended["result"], &ended["resultSource"], &ended["task"]["state"]),
        (&json!("success"), &json!("task"), &json!("finished")),
        "{ended}"
    );
    // The guest of the one is the other's to close.
    assert!(observing.process.terminate().success());
    assert!(asked.process.terminate().success());
    let counted = stats(&shared.simulator).await;
    assert_eq!(counted["activeSessions"], 0, "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_does_not_log_what_the_database_notes() {
    let shared = Shared::start(&[]).await;
    let (_first, mut second) = (shared.replica().await, shared.replica().await);
    second
        .process
        .wait_for_line("the store is open; requests are accepted");
    let log = second.process.log();
    assert!(!log.contains("already exists"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_what_another_replica_committed_at_once() {
    let shared = Shared::start(&["--speed", "20"]).await;
    let (one, other) = (shared.replica().await, shared.replica().await);
    let mut known = 0;
    for _ in 0..5 {
        for (asked, reading) in [(&one, &other), (&other, &one)] {
            let list = reading.get("/api/v1/operations").await;
            assert_eq!(list["items"].as_array().expect("operations").len(), known);
            let path = format!("/api/v1/cloud-failover-plans/{PLAN}/undo");
            let (status, undo) = asked.post(&path, &[], &json!({})).await;
            assert_eq!(status, 202, "{undo}");
            known += 1;
            let list = reading.get("/api/v1/operations").await;
            assert_eq!(list["items"][0]["id"], undo["id"], "{list}");
            asked.wait_for(&undo).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_task_after_the_other_in_the_same_logon_session_is_followed_there() {
    let shared = Shared::start(&["--speed", "20", "--collect-delay", "2"]).await;
    let (_observing, asked) = (shared.replica().await, shared.replica().await);
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/undo");
    for round in 0..5 {
        // At once after the end of the last one, when the observing replica has just left that session.
        let (status, undo) = asked.post(&path, &[], &json!({})).await;
        assert_eq!(status, 202, "{undo}");
        let ended = asked.wait_for(&undo).await;
        assert_eq!(ended["task"]["state"], "finished", "round {round}: {ended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_operation_can_be_cancelled_at_another_replica_than_was_asked() {
    let shared = Shared::start(&["--speed", "1"]).await;
    let (_observing, asked, other) = (
        shared.replica().await,
        shared.replica().await,
        shared.replica().await,
    );
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/undo");
    let (status, undo) = asked.post(&path, &[], &json!({})).await;
    assert_eq!(status, 202, "{undo}");
    let (status, cancelled) = other
        .post(&format!("{}/cancel", path_of(&undo)), &[], &json!({}))
        .await;
    assert_eq!(status, 202, "{cancelled}");
    let ended = asked.wait_for(&undo).await;
    assert_eq!(ended["state"], "finished", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_at_two_replicas_at_once_starts_one_operation() {
    let shared = Shared::start(&["--speed", "1"]).await;
    let (one, other) = (shared.replica().await, shared.replica().await);
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    for round in 0..5 {
        let key = format!("drill-{round}");
        let headers = [("idempotency-key", key.as_str())];
        let body = json!({});
        let (first, second) = tokio::join!(
            one.post(&path, &headers, &body),
            other.post(&path, &headers, &body)
        );
        let mut statuses = [first.0, second.0];
        statuses.sort_unstable();
        // Of the first round one starts it, the other finds it there or under way; later ones find the plan busy.
        let expected: &[[u16; 2]] = if round == 0 {
            &[[200, 202], [202, 202], [202, 409]]
        } else {
            &[[409, 409]]
        };
        assert!(
            expected.contains(&statuses),
            "{statuses:?} {} {}",
            first.1,
            second.1
        );
    }
    let operations = one.get("/api/v1/operations").await;
    assert_eq!(
        operations["items"].as_array().map(Vec::len),
        Some(1),
        "{operations}"
    );
    let counted = stats(&shared.simulator).await;
    let asked: u64 = counted["requests"]
        .as_object()
        .expect("an object")
        .iter()
        .filter(|(line, _)| line.starts_with("POST") && line.contains(PLAN))
        .map(|(_, times)| times.as_u64().expect("a number"))
        .sum();
    assert_eq!(asked, 1, "{counted:#}");
}
