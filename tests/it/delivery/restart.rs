//! What a stop and a crash leave behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use emgate::domain::webhook::{AttemptError, DeliveryState};
use sqlx::Connection as _;

use super::bench::{Bench, lab, until};
use super::peer::{OK, Peer, Reply};
use crate::waiting::{holds, slowly};

#[tokio::test]
async fn what_was_under_way_at_a_crash_goes_out_again_at_once_under_the_same_id() {
    let mut config = lab();
    config.timeout = Duration::from_mins(1);
    let bench = Bench::idle(config).await;
    let peer = Peer::answering(Reply::Stall(Vec::new())).await;
    // A separate runtime, ended in the middle of a send as a kill would.
    let endpoint = bench.endpoint(&peer.url()).await;
    let doomed = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let first = bench.event().await;
    {
        let _inside = doomed.enter();
        bench.dispatch();
    }
    holds("a request", || peer.count() == 1).await;
    doomed.shutdown_background();
    let bench = bench.reopen().await;
    let left = bench.delivery_of(first).await;
    assert_eq!((left.state, left.attempts.len()), (DeliveryState::Sending, 1));
    peer.now(|_| OK);
    bench.dispatch();
    let delivery = bench.settled(first, DeliveryState::Delivered).await;
    assert_eq!(peer.ids(), [first.to_string(), first.to_string()]);
    let [lost, taken] = delivery.attempts.try_into().expect("two attempts");
    assert_eq!(
        (lost.error, lost.duration),
        (Some(AttemptError::Interrupted), None)
    );
    assert_eq!((taken.number, taken.error), (2, None));
    peer.received()[1].verify(&endpoint.secret);
}

#[tokio::test]
async fn a_stop_records_the_attempts_in_flight_and_begins_no_other() {
    // The attempts must not end by their time-out, however slow the machine is.
    let mut config = lab();
    config.timeout = Duration::from_mins(1);
    let bench = Bench::idle(config).await;
    bench.dispatch();
    let gate = Arc::new(AtomicBool::new(false));
    let peer = Peer::answering(Reply::Once(gate.clone())).await;
    bench
        .endpoint_with(&peer.url(), serde_json::json!({"maxConcurrency": 2}))
        .await;
    for _ in 0..5 {
        bench.event().await;
    }
    holds("two requests", || peer.count() == 2).await;
    // The stop begins while both are unanswered: the gate opens after its first poll.
    let open = async { gate.store(true, Ordering::SeqCst) };
    let (stopped, ()) = tokio::join!(biased; bench.tasks.stop(Duration::from_mins(1)), open);
    assert!(stopped, "in time");
    let mut states: Vec<_> = bench
        .deliveries()
        .await
        .iter()
        .map(|delivery| delivery.state)
        .collect();
    states.sort();
    let (pending, delivered) = (DeliveryState::Pending, DeliveryState::Delivered);
    assert_eq!(states, [pending, pending, pending, delivered, delivered]);
    assert_eq!(peer.count(), 2);
}

#[tokio::test]
async fn what_waited_goes_out_after_a_restart() {
    let bench = Bench::idle(lab()).await;
    let peer = Peer::answering(OK).await;
    bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    let bench = bench.reopen().await;
    bench.dispatch();
    bench.settled(event, DeliveryState::Delivered).await;
    assert_eq!(peer.count(), 1);
}

#[tokio::test]
async fn a_dispatcher_finds_due_deliveries_without_a_wake_up() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(500, "")).await,
    );
    bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    bench.attempted(event, 1, DeliveryState::Pending).await;
    peer.now(|_| OK);
    // The clock moves without a nudge.
    bench.clock.advance(Duration::from_secs(6));
    bench.settled(event, DeliveryState::Delivered).await;
}

#[tokio::test]
async fn an_outcome_is_written_once_the_store_accepts_it() {
    let mut config = lab();
    config.timeout = Duration::from_secs(30);
    let bench = Bench::idle(config).await;
    bench.dispatch();
    let gate = Arc::new(AtomicBool::new(false));
    let peer = Peer::answering(Reply::Once(gate.clone())).await;
    bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    until("the attempt", || async {
        Some(bench.delivery_of(event).await).filter(|delivery| delivery.state == DeliveryState::Sending)
    })
    .await;
    holds("the request", || peer.count() == 1).await;
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&bench.store_url())
        .await
        .expect("connected");
    sqlx::query("begin immediate")
        .execute(&mut other)
        .await
        .expect("held");
    gate.store(true, Ordering::SeqCst);
    // Longer than a writer waits for the store: the first try to write the outcome fails.
    slowly(Duration::from_secs(6)).await;
    assert_eq!(bench.delivery_of(event).await.state, DeliveryState::Sending);
    sqlx::query("rollback")
        .execute(&mut other)
        .await
        .expect("released");
    let delivery = bench.settled(event, DeliveryState::Delivered).await;
    assert_eq!((delivery.attempts.len(), peer.count()), (1, 1));
}
