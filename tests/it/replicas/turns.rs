//! Concurrent transactions: requests to two replicas beside the writes of dispatcher and watcher.

use emgate::api_types::events::{TestEventData, event};
use emgate::clock::{Clock as _, SystemClock};
use emgate::domain::event::{EventType, NewEvent, Routing};
use emgate::domain::id::{EndpointId, EventId};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{Replica, Shared, answer, until_waiting};
use crate::support::PLAN;
use crate::support::world::stats;

/// An endpoint at an address without a listener.
async fn endpoint(replica: &Replica, settings: Value) -> EndpointId {
    let mut wanted = json!({"url": "http://127.0.0.1:9/hook"});
    wanted
        .as_object_mut()
        .expect("an object")
        .extend(settings.as_object().expect("an object").clone());
    let (status, made) = replica.post("/api/v1/webhook-endpoints", &[], &wanted).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().expect("an id").parse().expect("an id")
}

fn event_of(kind: EventType) -> NewEvent {
    let data = TestEventData {
        message: "made by a test".to_owned(),
        example: serde_json::Map::new(),
    };
    let id = EventId::new(SystemClock.id());
    event(id, kind, SystemClock.now(), data, Routing::default()).expect("an event")
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_endpoints_and_the_dispatcher_never_deadlock() {
    let shared = Shared::start(&[]).await;
    let replica = shared.replica().await;
    let store = shared.store().await;
    let mut connection = shared.connection().await;
    for (method, path, body, wished) in [
        (Method::POST, "/test", json!({}), 202),
        (Method::PATCH, "", json!({"enabled": false}), 200),
        (Method::PATCH, "", json!({"enabled": true}), 200),
        (Method::DELETE, "", json!({}), 204),
    ] {
        let id = endpoint(&replica, json!({})).await;
        // What a turn does: it waits for its turn, and locks an endpoint later.
        let mut turn = store.begin().await.expect("begun");
        turn.lock_event_log().await.expect("its turn");
        turn.append_event(&event_of(EventType::UpstreamRecovered))
            .await
            .expect("appended");
        let path = format!("/api/v1/webhook-endpoints/{id}{path}");
        let asked = tokio::spawn(answer(replica.request(method.clone(), &path, &body)));
        until_waiting(&mut connection, 1, || asked.is_finished()).await;
        assert!(!asked.is_finished(), "{method} {path} did not wait for the turn");
        let found = turn
            .endpoint(id, &emgate::domain::access::Tenancy::All)
            .await
            .expect("locked at once");
        assert!(found.is_some());
        turn.commit().await.expect("committed");
        let (status, answer) = asked.await.expect("an answer");
        assert_eq!(status, wished, "{method} {path}: {answer}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_written_while_its_endpoint_is_enabled_is_not_held_for_ever() {
    let shared = Shared::start(&[]).await;
    let replica = shared.replica().await;
    let id = endpoint(&replica, json!({"enabled": false})).await;
    let store = shared.store().await;
    let mut connection = shared.connection().await;
    let mut writing = store.begin().await.expect("begun");
    writing
        .append_event(&event_of(EventType::UpstreamRecovered))
        .await
        .expect("appended");
    let path = format!("/api/v1/webhook-endpoints/{id}");
    let enabled = tokio::spawn(answer(replica.request(
        Method::PATCH,
        &path,
        &json!({"enabled": true}),
    )));
    until_waiting(&mut connection, 1, || enabled.is_finished()).await;
    writing.commit().await.expect("committed");
    let (status, answer) = enabled.await.expect("an answer");
    assert_eq!(status, 200, "{answer}");
    let deliveries = replica.get("/api/v1/webhook-deliveries").await;
    let states: Vec<&Value> = deliveries["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|delivery| &delivery["state"])
        .collect();
    assert_eq!(states.len(), 1, "{deliveries:#}");
    assert_ne!(states[0], "held", "{deliveries:#}");
    store.close().await;
}

/// The same request twice at once, each to a replica of its own, both held up where they write the operation.
async fn twice_at_once(shared: &Shared, replicas: [&Replica; 2], path: &str, key: &str) -> [(u16, Value); 2] {
    let mut connection = shared.connection().await;
    let run = async |connection: &mut sqlx::PgConnection, sql: &'static str| {
        sqlx::raw_sql(sql).execute(connection).await.expect("executed");
    };
    run(&mut connection, "begin").await;
    run(
        &mut connection,
        "lock table operations in share row exclusive mode",
    )
    .await;
    let headers = [("idempotency-key", key)];
    let body = Value::Null;
    let held_up = async {
        until_waiting(&mut connection, 2, || false).await;
        run(&mut connection, "rollback").await;
    };
    let (first, second, ()) = tokio::join!(
        replicas[0].post(path, &headers, &body),
        replicas[1].post(path, &headers, &body),
        held_up
    );
    [first, second]
}

async fn posts(shared: &Shared, part: &str) -> u64 {
    let counted = stats(&shared.simulator).await;
    let requests = counted["requests"].as_object().expect("an object");
    requests
        .iter()
        .filter(|(line, _)| line.starts_with("POST") && line.contains(part))
        .map(|(_, times)| times.as_u64().expect("a number"))
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_under_one_key_is_sent_once_however_two_requests_meet() {
    let shared = Shared::start(&["--speed", "1"]).await;
    let (one, other) = (shared.replica().await, shared.replica().await);
    let jobs = one.get("/api/v1/em/jobs").await;
    let job = jobs["items"][0]["id"].as_str().expect("a job").to_owned();
    let path = format!("/api/v1/em/jobs/{job}?action=start");
    let answers = twice_at_once(&shared, [&one, &other], &path, "nightly-1").await;
    let sent = posts(&shared, &job).await;
    assert_eq!(sent, 1, "{answers:?}");
    let operations = one.get("/api/v1/operations").await;
    assert_eq!(
        operations["items"].as_array().map(Vec::len),
        Some(1),
        "{operations}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_request_under_a_key_gets_the_operation_of_the_first() {
    let shared = Shared::start(&["--speed", "1"]).await;
    let (one, other) = (shared.replica().await, shared.replica().await);
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let [first, second] = twice_at_once(&shared, [&one, &other], &path, "drill-1").await;
    assert!(
        first.0 < 300 && second.0 < 300 && first.1["id"] == second.1["id"],
        "{first:?} {second:?}"
    );
    assert_eq!(posts(&shared, PLAN).await, 1);
}
