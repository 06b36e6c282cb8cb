//! The order of deliveries: those of a session wait for each other, those of different endpoints never do.

use std::time::{Duration, Instant};

use emgate::domain::webhook::DeliveryState;
use serde_json::json;

use super::bench::{Bench, lab, quiet};
use super::peer::{OK, Peer, Reply};
use crate::waiting::holds;

#[tokio::test]
async fn events_of_a_session_arrive_one_at_a_time_in_order() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    bench
        .endpoint_with(&peer.url(), json!({"maxConcurrency": 32}))
        .await;
    let mut ids = Vec::new();
    for sequence in 1..=20 {
        ids.push(bench.session_event(1, sequence).await.to_string());
    }
    holds("all of them", || peer.count() == 20).await;
    assert_eq!(peer.ids(), ids);
    assert_eq!(peer.most_open(), 1);
}

#[tokio::test]
async fn a_later_event_waits_for_the_retry_of_an_earlier_one() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(500, "")).await,
    );
    bench.endpoint(&peer.url()).await;
    let first = bench.session_event(1, 1).await;
    bench.attempted(first, 1, DeliveryState::Pending).await;
    peer.now(|_| OK);
    let second = bench.session_event(1, 2).await;
    let other = bench.session_event(2, 1).await;
    bench.settled(other, DeliveryState::Delivered).await;
    quiet(&bench).await;
    assert_eq!(bench.delivery_of(second).await.state, DeliveryState::Pending);
    assert_eq!(
        bench.delivery_of(second).await.next_attempt_at,
        None,
        "it waits for an earlier one"
    );
    bench.advance(Duration::from_secs(6));
    bench.settled(second, DeliveryState::Delivered).await;
    assert_eq!(peer.ids()[2..], [first.to_string(), second.to_string()]);
}

#[tokio::test]
async fn an_event_refused_for_its_content_is_retried_later() {
    for (status, passes) in [
        (400, true),
        (404, true),
        (422, true),
        (408, false),
        (425, false),
        (429, false),
        (500, false),
    ] {
        let bench = Bench::start().await;
        let peer = Peer::start(move |request| {
            if request.json()["data"]["reason"].is_null() && request.headers["x-first"] == "yes" {
                Reply::Status(status, "")
            } else {
                OK
            }
        })
        .await;
        let endpoint = bench
            .endpoint_with(&peer.url(), json!({"headers": {"X-First": "yes"}}))
            .await;
        let first = bench.session_event(1, 1).await;
        bench.attempted(first, 1, DeliveryState::Pending).await;
        peer.now(|_| OK);
        let second = bench.session_event(1, 2).await;
        if passes {
            bench.settled(second, DeliveryState::Delivered).await;
        } else {
            quiet(&bench).await;
            assert_eq!(
                bench.delivery_of(second).await.state,
                DeliveryState::Pending,
                "{status}"
            );
        }
        bench.advance(Duration::from_secs(6));
        bench.settled(first, DeliveryState::Delivered).await;
        bench.settled(second, DeliveryState::Delivered).await;
        assert!(bench.get(endpoint.id).await.settings.enabled);
    }
}

#[tokio::test]
async fn a_failing_event_is_passed_once_the_endpoint_accepts_others() {
    let bench = Bench::start().await;
    let poison = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let poisonous = poison.clone();
    let peer = Peer::start(move |request| {
        if *poisonous.lock().expect("the id") == request.id() {
            Reply::Status(500, "")
        } else {
            OK
        }
    })
    .await;
    bench.endpoint(&peer.url()).await;
    // The dispatcher has nothing to do until the id is known.
    peer.now({
        let poison = poison.clone();
        move |request| {
            let mut id = poison.lock().expect("the id");
            if id.is_empty() {
                request.id().clone_into(&mut id);
            }
            if *id == request.id() {
                Reply::Status(500, "")
            } else {
                OK
            }
        }
    });
    let first = bench.session_event(1, 1).await;
    let second = bench.session_event(1, 2).await;
    for attempt in 1..=2 {
        bench.attempted(first, attempt, DeliveryState::Pending).await;
        bench.advance(Duration::from_mins(6));
        // Another event is accepted meanwhile, so the endpoint is alive.
        let other = bench.event().await;
        bench.settled(other, DeliveryState::Delivered).await;
    }
    bench.attempted(first, 3, DeliveryState::Pending).await;
    bench.settled(second, DeliveryState::Delivered).await;
    assert_eq!(
        bench.delivery_of(first).await.state,
        DeliveryState::Pending,
        "it is still tried"
    );
}

#[tokio::test]
async fn no_endpoint_has_more_under_way_than_it_asked_for() {
    let bench = Bench::start().await;
    let peer = Peer::answering(Reply::Stall(b"HTTP/1.1 ".to_vec())).await;
    bench
        .endpoint_with(&peer.url(), json!({"maxConcurrency": 3}))
        .await;
    for _ in 0..12 {
        bench.event().await;
    }
    holds("all of them", || peer.count() == 12).await;
    assert_eq!(peer.most_open(), 3);
}

#[tokio::test]
async fn hung_endpoints_with_long_queues_do_not_delay_others() {
    let mut config = lab();
    config.timeout = Duration::from_secs(10);
    let bench = Bench::idle(config).await;
    bench.dispatch();
    let (hung, healthy) = (
        Peer::answering(Reply::Stall(Vec::new())).await,
        Peer::answering(OK).await,
    );
    for _ in 0..5 {
        bench
            .endpoint_with(&hung.url(), json!({"maxConcurrency": 32}))
            .await;
    }
    for _ in 0..40 {
        bench.event().await;
    }
    holds("them to hang", || hung.open() == 5 * 32).await;
    bench.endpoint(&healthy.url()).await;
    let start = Instant::now();
    for _ in 0..50 {
        bench.event().await;
    }
    holds("the healthy one to have all", || healthy.count() == 50).await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(hung.open(), 5 * 32, "the others still hang");
}
