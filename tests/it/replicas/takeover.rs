//! A replica ends, or is silent for a while: the other continues its work, and late writes of the first are refused.

use std::collections::HashSet;
use std::time::Instant;

use axum::http::StatusCode;
use emgate::domain::access::Tenancy;
use emgate::domain::event::{EventType, NewEvent, Routing};
use emgate::domain::id::{EndpointId, EventId, JobId};
use emgate::domain::webhook::job::JobState;
use emgate::store::webhooks::deliveries::DeliveryFilter;
use serde_json::json;
use sqlx::Connection as _;
use tokio::sync::{mpsc, oneshot};

use super::world::{Shared, path_of};
use crate::support::PLAN;
use crate::support::process::PATIENCE;
use crate::support::receiver::WebhookReceiver;
use crate::support::world::stats;
use crate::waiting::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replicas_work_is_taken_over() {
    let shared = Shared::start(&["--speed", "5", "--collect-delay", "60"]).await;
    let (killed, left) = (shared.replica().await, shared.replica().await);
    let mut receiver = WebhookReceiver::start().await;
    let (status, endpoint) = left
        .post("/api/v1/webhook-endpoints", &[], &json!({"url": receiver.url()}))
        .await;
    assert_eq!(status, 201, "{endpoint}");
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/undo");
    let (status, undo) = killed.post(&path, &[], &json!({})).await;
    assert_eq!(status, 202, "{undo}");
    killed.process.kill();
    let begun = Instant::now();
    shared.failover_elsewhere().await;
    receiver.next_of("failover.session.finished").await;
    eprintln!(
        "taken over and delivered {:?} after the kill, a second of failover included",
        begun.elapsed()
    );
    assert_eq!(left.events("failover.session.finished", 1).await.len(), 1);
    let ended = left
        .until(&path_of(&undo), |operation| operation["state"] == "finished")
        .await;
    assert_eq!(
        (&ended["resultSource"], &ended["task"]["state"]),
        (&json!("task"), &json!("finished")),
        "the task is followed in the session of the one that was killed: {ended}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stops_leaves_no_session_behind() {
    let shared = Shared::start(&["--speed", "5", "--collect-delay", "2"]).await;
    let (stopped, left) = (shared.replica().await, shared.replica().await);
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/undo");
    let (status, undo) = stopped.post(&path, &[], &json!({})).await;
    assert_eq!(status, 202, "{undo}");
    assert!(stopped.process.terminate().success());
    let ended = left.wait_for(&undo).await;
    assert_eq!(ended["resultSource"], "task", "{ended}");
    assert!(left.process.terminate().success());
    let counted = stats(&shared.simulator).await;
    assert_eq!(counted["activeSessions"], 0, "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_frozen_replica_writes_after_it_was_replaced_changes_nothing() {
    let shared = Shared::start(&["--speed", "20"]).await;
    let frozen = shared.replica().await;
    let (url, mut requests) = held_receiver().await;
    let (status, endpoint) = frozen
        .post(
            "/api/v1/webhook-endpoints",
            &[],
            &json!({"url": url, "eventTypes": ["failover.session.finished"]}),
        )
        .await;
    assert_eq!(status, 201, "{endpoint}");
    shared.failover_elsewhere().await;
    let (first, answer_first) = next(&mut requests).await;
    frozen.process.freeze();
    let begun = Instant::now();
    let other = shared.replica().await;
    let (second, answer_second) = next(&mut requests).await;
    eprintln!("sent by the other {:?} after the freeze", begun.elapsed());
    assert_eq!(first, second, "the same delivery");
    answer_second.send(StatusCode::NO_CONTENT).expect("it waits");
    let delivered = |list: &serde_json::Value| list["items"][0]["state"] == "delivered";
    let list = "/api/v1/webhook-deliveries";
    let before = other.until(list, delivered).await;
    // The frozen one would now write a failure over it.
    answer_first
        .send(StatusCode::INTERNAL_SERVER_ERROR)
        .expect("it waits");
    frozen.process.thaw();
    let fenced = "emgate_webhook_fenced_total";
    eventually(
        "its write",
        async || frozen.counter(fenced).await,
        |count| *count >= 1.0,
    )
    .await;
    assert_eq!(other.get(list).await, before);
    // It is registered again, and nothing is reported twice.
    shared.failover_elsewhere().await;
    let (_, answer) = next(&mut requests).await;
    answer.send(StatusCode::NO_CONTENT).expect("it waits");
    assert_eq!(frozen.events("failover.session.finished", 2).await.len(), 2);
    frozen.until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_send_of_a_living_replica_is_not_taken_over() {
    let shared = Shared::start(&["--speed", "20"]).await;
    let patient = [("EMGATE_WEBHOOKS__TIMEOUT", "60s")];
    let (one, other) = (
        shared.replica_with(&patient).await,
        shared.replica_with(&patient).await,
    );
    let (url, mut requests) = held_receiver().await;
    let endpoint = json!({"url": url, "eventTypes": ["failover.session.finished"]});
    let (status, endpoint) = one.post("/api/v1/webhook-endpoints", &[], &endpoint).await;
    assert_eq!(status, 201, "{endpoint}");
    shared.failover_elsewhere().await;
    let (_, answer) = requests.recv().await.expect("the delivery");
    // A replica counts as dead after 8 s of silence; both have beaten for longer than that, by the server's clock.
    let mut database = sqlx::PgConnection::connect(&shared.database.url)
        .await
        .expect("connected");
    let beats = "select min(beat_at) from replicas";
    let begun: i64 = sqlx::query_scalar(beats)
        .fetch_one(&mut database)
        .await
        .expect("beats");
    let beat = async || -> i64 {
        let beat = sqlx::query_scalar(beats).fetch_one(&mut database);
        beat.await.expect("beats")
    };
    eventually("beats for 12 s", beat, |beat| *beat >= begun + 12_000_000).await;
    let list = "/api/v1/webhook-deliveries";
    let sending = other.get(list).await;
    assert_eq!(sending["items"][0]["state"], "sending", "{sending}");
    assert!(requests.try_recv().is_err(), "sent once");
    answer.send(StatusCode::NO_CONTENT).expect("it waits");
    let delivered = other
        .until(list, |list| list["items"][0]["state"] == "delivered")
        .await;
    assert_eq!(
        delivered["items"][0]["attempts"].as_array().map(Vec::len),
        Some(1),
        "{delivered}"
    );
    assert!(requests.try_recv().is_err(), "sent once");
    for replica in [&one, &other] {
        assert_eq!(replica.counter("emgate_webhook_fenced_total").await as u64, 0);
    }
}

/// The next attempt.
async fn next(
    requests: &mut mpsc::UnboundedReceiver<(String, oneshot::Sender<StatusCode>)>,
) -> (String, oneshot::Sender<StatusCode>) {
    tokio::time::timeout(PATIENCE, requests.recv())
        .await
        .expect("an attempt in time")
        .expect("the receiver lives")
}

/// A receiver whose answers the test gives: the delivery's id and where the status goes.
async fn held_receiver() -> (
    String,
    mpsc::UnboundedReceiver<(String, oneshot::Sender<StatusCode>)>,
) {
    let (sender, requests) = mpsc::unbounded_channel();
    let router = axum::Router::new().fallback(async move |headers: axum::http::HeaderMap| {
        let id = headers["webhook-id"].to_str().expect("text").to_owned();
        let (answer, given) = oneshot::channel();
        sender.send((id, answer)).expect("the test listens");
        given.await.unwrap_or(StatusCode::GONE)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    (url, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_goes_on_with_the_job_of_a_killed_one() {
    const EVENTS: usize = 5000;
    let shared = Shared::start(&[]).await;
    let killed = shared.replica().await;
    let store = shared.store().await;
    let since = store.clock().now();
    let mut tx = store.begin().await.expect("begun");
    for _ in 0..EVENTS {
        let event = NewEvent {
            id: EventId::new(store.clock().id()),
            kind: EventType::UpstreamRecovered,
            at: store.clock().now(),
            body: "{}".into(),
            routing: Routing::default(),
        };
        tx.append_event(&event).await.expect("appended");
    }
    tx.commit().await.expect("committed");
    // Held, so that nothing but the job works on them.
    let wanted = json!({
        "url": "https://receiver.example/", "enabled": false, "eventTypes": ["upstream.recovered"],
    });
    let (status, endpoint) = killed.post("/api/v1/webhook-endpoints", &[], &wanted).await;
    assert_eq!(status, 201, "{endpoint}");
    let id = endpoint["id"].as_str().expect("an id");
    let path = format!("/api/v1/webhook-endpoints/{id}/replay");
    let (status, job) = killed
        .post(&path, &[], &json!({"since": since.to_string()}))
        .await;
    assert_eq!(
        (status, &job["total"]),
        (StatusCode::ACCEPTED.as_u16(), &json!(EVENTS)),
        "{job}"
    );
    let job: JobId = job["id"].as_str().expect("an id").parse().expect("an id");
    let endpoint: EndpointId = id.parse().expect("an id");
    let read = async || {
        let found = store.job(endpoint, job, &Tenancy::All).await;
        found.expect("read").expect("there")
    };
    eventually("the job to run", read, |job| job.state == JobState::Running).await;
    killed.process.kill();
    let left = read().await;
    assert_eq!(
        left.state,
        JobState::Running,
        "it was killed before the end: {left:?}"
    );
    let _other = shared.replica().await;
    let job = eventually("the job to end", read, |job| job.state == JobState::Finished).await;
    assert_eq!(usize::try_from(job.done).expect("fits"), EVENTS);
    let filter = DeliveryFilter {
        endpoint: Some(endpoint),
        ..DeliveryFilter::default()
    };
    let all = store
        .deliveries(&Tenancy::All, &filter, None, 10_000)
        .await
        .expect("read");
    let events: HashSet<EventId> = all.iter().map(|delivery| delivery.event).collect();
    assert_eq!((all.len(), events.len()), (EVENTS, EVENTS), "each event once");
}
