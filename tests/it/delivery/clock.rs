//! A clock that is ahead for a while: nothing is given up for an age it does not have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use emgate::clock::Clock as _;
use emgate::domain::webhook::DeliveryState;

use super::bench::{Bench, lab, quiet};
use super::peer::{OK, Peer, Reply};
use crate::waiting::holds;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn a_clock_that_is_far_ahead_ends_nothing() {
    let bench = Bench::start().await;
    let peer = Peer::answering(Reply::Status(500, "")).await;
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    bench.attempted(event, 1, DeliveryState::Pending).await;
    bench.store.save_trusted_time().await.expect("remembered");
    let bench = bench.reopen().await;
    let right = bench.clock.now();
    bench.clock.advance(400 * DAY);
    assert!(bench.store.clock_doubted().is_some());
    bench.dispatch();
    bench.attempted(event, 2, DeliveryState::Pending).await;
    bench.advance(Duration::from_secs(30));
    quiet(&bench).await;
    assert!(bench.get(endpoint.id).await.settings.enabled);

    bench.clock.set(right + Duration::from_mins(2));
    assert!(bench.store.clock_doubted().is_none());
    peer.now(|_| OK);
    let planned = bench.delivery_of(event).await.next_attempt_at;
    assert!(planned.is_some_and(|at| at > right + 300 * DAY), "{planned:?}");
    bench.store.deliveries_nudge().now();
    bench.settled(event, DeliveryState::Delivered).await;
}

#[tokio::test]
async fn what_waited_for_days_while_the_gateway_was_away_is_tried_before_it_is_given_up() {
    let mut config = lab();
    config.retry_schedule = vec![Duration::from_secs(5); 8];
    let bench = Bench::idle(config).await;
    let peer = Peer::answering(Reply::Status(500, "")).await;
    bench.endpoint(&peer.url()).await;
    bench.dispatch();
    let event = bench.event().await;
    bench.attempted(event, 1, DeliveryState::Pending).await;
    bench.store.save_trusted_time().await.expect("remembered");
    let bench = bench.reopen().await;
    bench.clock.advance(3 * DAY);
    bench.dispatch();
    let delivery = bench.attempted(event, 2, DeliveryState::Pending).await;
    peer.now(|_| OK);
    assert!(delivery.next_attempt_at.is_some());
    bench.advance(Duration::from_secs(10));
    bench.settled(event, DeliveryState::Delivered).await;
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_sends_no_more_at_once_than_the_endpoint_takes() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(503, "")).await,
    );
    let limits = serde_json::json!({"maxConcurrency": 2, "rate": 3});
    bench.endpoint_with(&peer.url(), limits).await;
    for _ in 0..8 {
        bench.event().await;
    }
    holds("the first of them", || peer.count() == 3).await;
    // Three failures over hours would be an outage: they are recorded before the clock jumps.
    quiet(&bench).await;
    // Everything is due now, and a healthy receiver gets it at its rate.
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    peer.now(move |_| Reply::Once(gate.clone()));
    bench.clock.advance(Duration::from_hours(3));
    bench.store.deliveries_nudge().now();
    holds("the first under way", || peer.open() >= 1).await;
    quiet(&bench).await;
    assert!(peer.open() <= 2, "{} at once", peer.open());
    open.store(true, Ordering::SeqCst);
    holds("the rate is used up", || peer.count() >= 6).await;
    quiet(&bench).await;
    assert!(peer.count() <= 6, "{} requests", peer.count());
    for _ in 0..10 {
        bench.advance(Duration::from_secs(1));
        quiet(&bench).await;
    }
    for delivery in bench.deliveries().await {
        assert_eq!(delivery.state, DeliveryState::Delivered);
    }
    assert!(peer.most_open() <= 2);
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_up_no_new_delivery() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    bench
        .endpoint_with(&peer.url(), serde_json::json!({"rate": 1}))
        .await;
    let event = bench.event().await;
    bench.settled(event, DeliveryState::Delivered).await;
    bench.clock.set(bench.clock.now() - Duration::from_hours(5));
    let event = bench.event().await;
    bench.settled(event, DeliveryState::Delivered).await;
}
