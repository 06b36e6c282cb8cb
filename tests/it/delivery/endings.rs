//! Endpoints that go away or ask for silence, and what becomes of what waits for them.

use std::time::Duration;

use emgate::clock::Clock as _;
use emgate::domain::webhook::{DeliveryState, DisabledReason};
use serde_json::json;

use super::bench::{Bench, quiet, until};
use super::peer::{OK, Peer, Reply};
use crate::waiting::holds;

use crate::support::context::operator;

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled_with_its_events_held() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(410, "")).await,
    );
    let witness = Peer::answering(OK).await;
    let gone = bench.endpoint(&peer.url()).await;
    let first = bench.session_event(1, 1).await;
    bench.attempted(first, 1, DeliveryState::Held).await;
    let endpoint = bench.get(gone.id).await;
    assert!(!endpoint.settings.enabled);
    assert_eq!(endpoint.disabled_reason, Some(DisabledReason::Gone));
    bench
        .endpoint_with(
            &witness.url(),
            json!({"eventTypes": ["webhook.endpoint.disabled"]}),
        )
        .await;
    let mut ids = vec![first.to_string()];
    for session in 2..=6 {
        ids.push(bench.session_event(session, 1).await.to_string());
    }
    quiet(&bench).await;
    assert_eq!(peer.count(), 1, "nothing is sent to a disabled endpoint");
    peer.now(|_| OK);
    let patched = bench
        .patch(gone.id, json!({"enabled": true, "maxConcurrency": 1}))
        .await;
    assert_eq!(patched.disabled_reason, None);
    holds("what was held", || peer.count() == 7).await;
    assert_eq!(peer.ids()[1..], ids, "in order");
}

#[tokio::test]
async fn a_disabled_endpoint_is_announced_to_the_others() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(410, "")).await,
    );
    let witness = Peer::answering(OK).await;
    let gone = bench
        .endpoint_with(&peer.url(), json!({"description": "Portal"}))
        .await;
    bench
        .endpoint_with(
            &witness.url(),
            json!({"eventTypes": ["webhook.endpoint.disabled"]}),
        )
        .await;
    bench.event().await;
    holds("the news", || witness.count() == 1).await;
    let news = witness.received()[0].json();
    assert_eq!(news["type"], "webhook.endpoint.disabled");
    assert_eq!(news["data"]["endpoint"]["id"], gone.id.to_string());
    assert_eq!(news["data"]["endpoint"]["description"], "Portal");
    assert_eq!(news["data"]["endpoint"]["reason"], "it answered 410 Gone");
    let about_itself = bench
        .deliveries()
        .await
        .into_iter()
        .filter(|delivery| delivery.endpoint == Some(gone.id));
    assert_eq!(about_itself.count(), 1, "the one that met 410");
}

#[tokio::test]
async fn retry_after_pauses_the_endpoint_for_429_and_503() {
    let day = 86_400;
    for (status, line, pause) in [
        (429, "retry-after: 120\r\n", Some(120)),
        (503, "retry-after: 3600\r\n", Some(3600)),
        (429, "retry-after: 31536000\r\n", Some(day)),
        (429, "retry-after: 0\r\n", None),
        (429, "retry-after: -5\r\n", None),
        (429, "retry-after: soon\r\n", None),
        (429, "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", None),
        (429, "", None),
        (500, "retry-after: 120\r\n", None),
        (404, "retry-after: 120\r\n", None),
    ] {
        let (bench, peer) = (
            Bench::start().await,
            Peer::answering(Reply::Status(status, line)).await,
        );
        let endpoint = bench.endpoint(&peer.url()).await;
        let event = bench.event().await;
        let waiting = bench.attempted(event, 1, DeliveryState::Pending).await;
        let health = bench.get(endpoint.id).await.health;
        let until = health
            .paused_until
            .map(|until| until.duration_since(bench.clock.now()).as_secs());
        assert_eq!(until, pause, "{status} {line:?}");
        if let Some(pause) = pause {
            assert_eq!(waiting.next_attempt_at, health.paused_until);
            peer.now(|_| OK);
            let other = bench.event().await;
            bench.advance(Duration::from_secs(u64::try_from(pause).expect("positive") - 1));
            quiet(&bench).await;
            assert_eq!(peer.count(), 1, "silence was asked for");
            bench.advance(Duration::from_secs(1));
            bench.settled(event, DeliveryState::Delivered).await;
            bench.settled(other, DeliveryState::Delivered).await;
        }
    }
}

#[tokio::test]
async fn a_test_goes_through_a_pause() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(429, "retry-after: 3600\r\n")).await,
    );
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    bench.attempted(event, 1, DeliveryState::Pending).await;
    peer.now(|_| OK);
    let test = bench
        .verbs
        .test(&operator(), endpoint.id)
        .await
        .expect("a delivery");
    bench.settled(test.event, DeliveryState::Delivered).await;
    assert_eq!(peer.received()[1].json()["type"], "webhook.test");
    quiet(&bench).await;
    assert_eq!(peer.count(), 2, "all else keeps waiting");
}

#[tokio::test]
async fn a_failing_endpoint_is_disabled_after_5_days() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(500, "")).await,
    );
    let witness = Peer::answering(OK).await;
    let operational = json!([
        "webhook.endpoint.failing",
        "webhook.endpoint.recovered",
        "webhook.endpoint.disabled"
    ]);
    let dead = bench.endpoint(&peer.url()).await;
    bench
        .endpoint_with(&witness.url(), json!({"eventTypes": operational}))
        .await;
    let event = bench.event().await;
    for attempt in 1..=3 {
        bench.attempted(event, attempt, DeliveryState::Pending).await;
        bench.advance(Duration::from_mins(6));
    }
    holds("the first news", || witness.count() == 1).await;
    assert_eq!(witness.received()[0].json()["type"], "webhook.endpoint.failing");
    bench.advance(Duration::from_hours(5 * 24));
    holds("the second news", || witness.count() == 2).await;
    let news = witness.received()[1].json();
    assert_eq!(news["type"], "webhook.endpoint.disabled");
    assert_eq!(
        news["data"]["endpoint"]["reason"],
        "it has accepted no delivery for 5 days; the last attempt failed: the receiver answered 500"
    );
    let endpoint = bench.get(dead.id).await;
    assert_eq!(endpoint.disabled_reason, Some(DisabledReason::NoSuccess));
    let later = bench.event().await;
    let of_dead = |deliveries: Vec<emgate::domain::webhook::Delivery>| {
        deliveries
            .into_iter()
            .find(|delivery| delivery.event == later && delivery.endpoint == Some(dead.id))
            .expect("a delivery")
    };
    assert_eq!(of_dead(bench.deliveries().await).state, DeliveryState::Held);
    peer.now(|_| OK);
    bench.patch(dead.id, json!({"enabled": true})).await;
    until("what was held", || async {
        Some(of_dead(bench.deliveries().await)).filter(|delivery| delivery.state == DeliveryState::Delivered)
    })
    .await;
    holds("the third news", || witness.count() == 3).await;
    assert_eq!(witness.received()[2].json()["type"], "webhook.endpoint.recovered");
}

#[tokio::test]
async fn an_endpoint_can_be_changed_while_deliveries_wait() {
    let (bench, old) = (
        Bench::start().await,
        Peer::answering(Reply::Status(500, "")).await,
    );
    let new = Peer::answering(OK).await;
    let endpoint = bench.endpoint(&old.url()).await;
    let event = bench.event().await;
    bench.attempted(event, 1, DeliveryState::Pending).await;
    bench.patch(endpoint.id, json!({"enabled": false})).await;
    assert_eq!(bench.delivery_of(event).await.state, DeliveryState::Held);
    bench.patch(endpoint.id, json!({"enabled": true})).await;
    bench.attempted(event, 2, DeliveryState::Pending).await;
    bench.patch(endpoint.id, json!({"url": new.url()})).await;
    bench.settled(event, DeliveryState::Delivered).await;
    assert_eq!(
        (old.count(), new.count()),
        (2, 1),
        "what waits goes to where it points now"
    );
    new.now(|_| Reply::Status(500, ""));
    let doomed = bench.event().await;
    bench.attempted(doomed, 1, DeliveryState::Pending).await;
    bench
        .verbs
        .delete(&operator(), endpoint.id, None)
        .await
        .expect("deleted");
    assert_eq!(bench.delivery_of(doomed).await.state, DeliveryState::Cancelled);
    assert!(bench.verbs.get(&operator(), endpoint.id).await.is_err());
}

#[tokio::test]
async fn a_delivery_in_flight_outlives_its_endpoint_without_retries() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Stall(Vec::new())).await,
    );
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    holds("a request", || peer.count() == 1).await;
    bench
        .verbs
        .delete(&operator(), endpoint.id, None)
        .await
        .expect("deleted");
    let delivery = bench.settled(event, DeliveryState::Cancelled).await;
    assert_eq!(delivery.attempts.len(), 1);
    assert!(delivery.attempts[0].error.is_some());
}
