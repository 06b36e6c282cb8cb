//! What the wire carries: the headers, the signature, the same bytes and id on every attempt.

use std::time::Duration;

use emgate::clock::Clock as _;
use emgate::domain::webhook::{AttemptError, DeliveryState, Health};
use serde_json::json;

use super::bench::Bench;
use super::peer::{OK, Peer, Reply};
use crate::waiting::holds;

use crate::support::context::operator;

#[tokio::test]
async fn the_signature_of_a_delivery_is_accepted_by_another_library() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    let delivery = bench.settled(event, DeliveryState::Delivered).await;
    let request = peer.received().remove(0);
    request.verify(&endpoint.secret);
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert_eq!(request.id(), event.to_string());
    assert_eq!(request.json()["type"], "upstream.unavailable");
    assert_eq!(request.json()["data"]["account"], "operators — Größe");
    for (name, value) in [
        ("host", peer.addr.to_string().as_str()),
        ("content-type", "application/json"),
        ("accept-encoding", "identity"),
        ("connection", "close"),
        (
            "webhook-timestamp",
            bench.clock.now().as_second().to_string().as_str(),
        ),
    ] {
        assert_eq!(request.headers[name], value, "{name}");
    }
    assert!(request.headers["user-agent"].starts_with("emgate/"));
    let attempt = &delivery.attempts[0];
    assert_eq!(
        (attempt.number, attempt.status, attempt.error),
        (1, Some(204), None)
    );
    assert!(attempt.duration.is_some());
    assert_eq!(bench.get(endpoint.id).await.health.state(), Health::Up);
}

#[tokio::test]
async fn a_retry_sends_the_same_bytes_under_the_same_id_with_a_fresh_timestamp() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(500, "")).await,
    );
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    let waiting = bench.attempted(event, 1, DeliveryState::Pending).await;
    let pause = waiting
        .next_attempt_at
        .expect("a time")
        .duration_since(bench.clock.now());
    assert!(
        (4.0..=6.0).contains(&pause.as_secs_f64()),
        "5 s ± 20 %: {pause:?}"
    );
    peer.now(|_| OK);
    bench.advance(Duration::from_secs(6));
    let delivery = bench.settled(event, DeliveryState::Delivered).await;
    let [first, second] = peer.received().try_into().expect("two requests");
    assert_eq!((first.id(), &first.body), (second.id(), &second.body));
    assert_ne!(
        first.headers["webhook-timestamp"],
        second.headers["webhook-timestamp"]
    );
    first.verify(&endpoint.secret);
    second.verify(&endpoint.secret);
    let outcomes: Vec<_> = delivery
        .attempts
        .iter()
        .map(|attempt| (attempt.status, attempt.error))
        .collect();
    assert_eq!(
        outcomes,
        [(Some(500), Some(AttemptError::HttpStatus)), (Some(204), None)]
    );
}

#[tokio::test]
async fn a_delivery_is_given_up_at_the_end_of_its_schedule() {
    let mut config = super::bench::lab();
    config.retry_schedule = vec![
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(3),
    ];
    let bench = Bench::idle(config).await;
    bench.dispatch();
    let peer = Peer::answering(Reply::Status(500, "")).await;
    bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    for attempt in 1..=3 {
        bench.attempted(event, attempt, DeliveryState::Pending).await;
        bench.advance(Duration::from_secs(4));
    }
    let given_up = bench.attempted(event, 4, DeliveryState::Exhausted).await;
    assert_eq!(given_up.next_attempt_at, None);
    assert_eq!(peer.count(), 4);
}

#[tokio::test]
async fn custom_headers_and_url_credentials_are_sent_but_never_shown() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let url = format!("http://us%40er:pa%3Ass@{}/hook?token=quiet", peer.addr);
    let made = bench
        .endpoint_with(&url, json!({"headers": {"X-Env": "lab", "X-Api-Key": "hush"}}))
        .await;
    bench.event().await;
    holds("a request", || peer.count() == 1).await;
    let request = peer.received().remove(0);
    assert_eq!(request.line, "POST /hook?token=quiet HTTP/1.1");
    assert_eq!(request.headers["x-env"], "lab");
    assert_eq!(request.headers["x-api-key"], "hush");
    assert_eq!(request.headers["authorization"], "Basic dXNAZXI6cGE6c3M=");
    let shown = emgate::api_types::webhooks::WebhookEndpoint::from(&bench.get(made.id).await);
    let shown = serde_json::to_string(&shown).expect("JSON");
    for secret in ["quiet", "pa%3Ass", "us%40er", "hush", "whsec_"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn each_generated_secret_is_new() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let given = bench.endpoint_with(&peer.url(), json!({"secret": secret})).await;
    assert_eq!(given.secret, secret);
    bench.event().await;
    holds("a request", || peer.count() == 1).await;
    peer.received()[0].verify(secret);
    let (one, other) = (
        bench.endpoint(&peer.url()).await,
        bench.endpoint(&peer.url()).await,
    );
    assert_ne!(one.secret, other.secret);
}

#[tokio::test]
async fn a_callback_is_signed_with_its_own_secret() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let checked = bench
        .verbs
        .callback(&operator(), &peer.url(), None)
        .await
        .expect("acceptable");
    assert!(checked.generated);
    let operation = emgate::domain::id::OperationId::new(bench.clock.id());
    let mut tx = bench.store.begin().await.expect("begun");
    let callback = &checked.callback;
    tx.add_callback(operation, &callback.url, &callback.secret)
        .await
        .expect("added");
    tx.commit().await.expect("committed");
    let routing = emgate::domain::event::Routing {
        operation: Some(operation),
        ends_operation: true,
        ..Default::default()
    };
    let kind = emgate::domain::event::EventType::OperationFinished;
    let event = bench.append(kind, routing.clone()).await;
    let delivery = bench.settled(event, DeliveryState::Delivered).await;
    assert_eq!((delivery.endpoint, delivery.operation), (None, Some(operation)));
    peer.received()[0].verify(secrecy::ExposeSecret::expose_secret(&callback.secret));
    bench.append(kind, routing).await;
    super::bench::quiet(&bench).await;
    assert_eq!(peer.count(), 1, "exactly one");
}
