//! Endpoints that are down: probed, and flooded with what waited as soon as they take one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use emgate::api_types::webhooks::WebhookEndpoint;
use emgate::domain::webhook::{DeliveryState, Health};
use jiff::SignedDuration;

use super::bench::{Bench, quiet, until};
use super::peer::{OK, Peer, Reply};
use crate::support::context::operator;
use crate::waiting::holds;

/// An endpoint that is down, and one event that waits for it.
async fn down() -> (Bench, Peer, super::bench::Registered, emgate::domain::id::EventId) {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(503, "")).await,
    );
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    for attempt in 1..=3 {
        bench.attempted(event, attempt, DeliveryState::Pending).await;
        if attempt < 3 {
            bench.advance(Duration::from_mins(6));
        }
    }
    assert_eq!(bench.get(endpoint.id).await.health.state(), Health::Down);
    (bench, peer, endpoint, event)
}

#[tokio::test]
async fn an_endpoint_that_is_down_hears_within_about_a_minute_of_its_return() {
    let (bench, peer, endpoint, event) = down().await;
    let mut events = vec![event];
    for session in 1..=30 {
        events.push(bench.session_event(session, 1).await);
    }
    quiet(&bench).await;
    assert_eq!(peer.count(), 3, "nothing but probes");
    peer.now(|_| OK);
    bench.advance(Duration::from_secs(72));
    holds("everything that waited", || peer.count() == 3 + events.len()).await;
    for event in events {
        bench.settled(event, DeliveryState::Delivered).await;
    }
    let health = bench.get(endpoint.id).await.health;
    assert_eq!((health.state(), health.first_failure_at), (Health::Up, None));
}

#[tokio::test]
async fn what_waits_for_an_endpoint_that_is_down_is_due_with_its_probe() {
    let (bench, peer, endpoint, first) = down().await;
    let second = bench.session_event(1, 1).await;
    let behind = bench.session_event(1, 2).await;
    let endpoint = bench.get(endpoint.id).await;
    let shown = WebhookEndpoint::from(&endpoint);
    assert_eq!(
        (shown.health, shown.last_error.as_deref()),
        ("down", Some("the receiver answered 503"))
    );
    let probe = endpoint.health.next_probe_at.expect("a probe");
    for event in [first, second] {
        let next = bench.delivery_of(event).await.next_attempt_at.expect("a moment");
        let beyond = next.duration_since(probe);
        assert!(
            beyond >= SignedDuration::ZERO && beyond < SignedDuration::from_millis(1),
            "{next} {probe}"
        );
        assert_eq!(
            next.subsec_nanosecond() % 1_000_000,
            0,
            "as every time of the gateway's own: {next}"
        );
    }
    assert_eq!(
        bench.delivery_of(behind).await.next_attempt_at,
        None,
        "behind another"
    );
    // Nothing goes out before that moment.
    quiet(&bench).await;
    assert_eq!(peer.count(), 3);
    // A person's test does not wait for it.
    bench.verbs.test(&operator(), endpoint.id).await.expect("a test");
    holds("the test", || peer.count() == 4).await;
}

#[tokio::test]
async fn a_thousand_deliveries_go_out_at_once_after_two_hours() {
    let (bench, peer, _, first) = down().await;
    for session in 1..1_000 {
        bench.session_event(session, 1).await;
    }
    // Each hour a probe, of whichever waits.
    for hour in 1..=2 {
        bench.advance(Duration::from_hours(1));
        holds("a probe", || peer.count() == 3 + hour).await;
        quiet(&bench).await;
    }
    peer.now(|_| OK);
    bench.advance(Duration::from_secs(72));
    holds("the backlog", || peer.count() == 3 + 2 + 1_000).await;
    bench.settled(first, DeliveryState::Delivered).await;
}

#[tokio::test]
async fn one_poisonous_body_cannot_keep_an_endpoint_down() {
    let (bench, peer, endpoint, poison) = down().await;
    let healthy = bench.session_event(1, 1).await;
    let bad = poison.to_string();
    peer.now(move |request| {
        if request.id() == bad {
            Reply::Status(500, "")
        } else {
            OK
        }
    });
    bench.advance(Duration::from_secs(72));
    bench.settled(healthy, DeliveryState::Delivered).await;
    assert_ne!(bench.delivery_of(poison).await.state, DeliveryState::Delivered);
    until("the endpoint to be up", || async {
        let health = bench.get(endpoint.id).await.health;
        health.last_success_at.map(|_| ())
    })
    .await;
}

#[tokio::test]
async fn a_poisonous_event_of_the_only_session_that_waits_gives_way_to_the_next() {
    let bench = Bench::start().await;
    let bad = Arc::new(Mutex::new(String::new()));
    let seen = bad.clone();
    let peer = Peer::start(move |request| {
        let mut bad = seen.lock().expect("the id");
        if bad.is_empty() {
            request.id().clone_into(&mut bad);
        }
        if *bad == request.id() {
            Reply::Status(500, "")
        } else {
            OK
        }
    })
    .await;
    bench.endpoint(&peer.url()).await;
    let first = bench.session_event(1, 1).await;
    let second = bench.session_event(1, 2).await;
    let third = bench.session_event(1, 3).await;
    for attempt in 1..=3 {
        bench.attempted(first, attempt, DeliveryState::Pending).await;
        bench.advance(Duration::from_mins(6));
    }
    // The endpoint is down now, and only this session waits: the probes alternate.
    bench.settled(second, DeliveryState::Delivered).await;
    bench.settled(third, DeliveryState::Delivered).await;
    assert_eq!(bench.delivery_of(first).await.state, DeliveryState::Pending);
}

#[tokio::test]
async fn deliveries_to_an_endpoint_that_stays_down_are_given_up_with_the_schedule() {
    let (bench, peer, endpoint, event) = down().await;
    for _ in 0..5 {
        bench.advance(Duration::from_hours(19));
        quiet(&bench).await;
    }
    bench.settled(event, DeliveryState::Exhausted).await;
    assert!(peer.count() >= 4, "it was probed");
    assert!(
        bench.get(endpoint.id).await.settings.enabled,
        "5 days are not over"
    );
}
