//! What attempts see of a receiver: the phases of the connection, its certificate, its clock, and what it asks for.

use std::time::Duration;

use emgate::clock::{Clock as _, ManualClock};
use emgate::domain::webhook::exchange::TlsVersion;
use emgate::domain::webhook::{AttemptError, DeliveryState, DisabledReason, Health};
use emgate::store::webhooks::receivers::Told;
use jiff::Timestamp;
use rstest::rstest;

use super::bench::{Bench, Registered, SWEEP, lab, quiet, until};
use super::peer::{OK, Peer, Reply};
use super::tls::{authority, client, server};

/// An answer whose clock is so many seconds ahead.
fn dated(status: u16, clock: &ManualClock, ahead: i64) -> Reply {
    let theirs = Timestamp::from_second(clock.now().as_second() + ahead).expect("a moment");
    let date = httpdate::fmt_http_date(theirs.into());
    Reply::Bytes(format!("HTTP/1.1 {status} Word\r\ndate: {date}\r\ncontent-length: 0\r\n\r\n").into_bytes())
}

async fn told(bench: &Bench) -> Vec<Told> {
    let mut tx = bench.store.begin().await.expect("begun");
    let receivers = tx.receivers().await.expect("read");
    receivers.into_iter().map(|receiver| receiver.told).collect()
}

/// Waits for the sweep that told the log this.
async fn once_told(bench: &Bench, expected: Told) {
    bench.advance(SWEEP);
    until("the log to be told", || async {
        (told(bench).await == [expected]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_attempt_records_the_phases_that_took_place_and_whom_it_spoke_to() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    let delivery = bench.settled(event, DeliveryState::Delivered).await;
    let attempt = &delivery.attempts[0];
    let seen = &attempt.exchange;
    assert_eq!((seen.remote, seen.reused), (Some(peer.addr), Some(false)));
    assert_eq!((seen.tls, seen.tls_version), (None, None), "without TLS");
    let parts = [seen.dns, seen.connect, seen.first_byte].map(|time| time.expect("it took place"));
    let total = attempt.duration.expect("it ended");
    // Each is kept to the microsecond.
    assert!(
        parts.iter().sum::<Duration>() <= total + Duration::from_micros(3),
        "{seen:?}"
    );
    let shown = emgate::api_types::webhooks::WebhookDelivery::from(&delivery);
    let shown = serde_json::to_value(&shown).expect("JSON");
    let shown = &shown["attempts"][0];
    assert_eq!(shown["remoteAddress"], peer.addr.to_string());
    assert_eq!(shown["connectionReused"], false);
    let phases: Vec<&String> = shown["phases"].as_object().expect("phases").keys().collect();
    assert_eq!(phases, ["dns", "connect", "firstByte", "total"]);
}

#[tokio::test]
async fn an_attempt_that_ends_early_has_no_later_phases() {
    let bench = Bench::start().await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = unused.local_addr().expect("an address");
    drop(unused);
    bench.endpoint(&format!("http://{addr}/")).await;
    let event = bench.event().await;
    let refused = bench.attempted(event, 1, DeliveryState::Pending).await;
    let seen = &refused.attempts[0].exchange;
    assert_eq!(refused.attempts[0].error, Some(AttemptError::Connect));
    assert!(seen.dns.is_some());
    assert_eq!(
        (seen.connect, seen.first_byte, seen.remote, seen.reused),
        (None, None, None, None)
    );
}

#[tokio::test]
async fn an_answer_that_never_ends_shows_when_it_began() {
    let half = Reply::Stall(b"HTTP/1.1 20".to_vec());
    let (bench, peer) = (Bench::start().await, Peer::answering(half).await);
    bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    let delivery = bench.attempted(event, 1, DeliveryState::Pending).await;
    let attempt = &delivery.attempts[0];
    assert_eq!(attempt.error, Some(AttemptError::Timeout));
    assert!(attempt.exchange.first_byte < attempt.duration, "{attempt:?}");
    assert!(attempt.exchange.first_byte.is_some());
}

/// A delivery to a receiver behind TLS whose certificate ends in so many days.
async fn behind_tls(days: i64) -> (Bench, Registered, Timestamp) {
    let authority = authority();
    let bench = Bench::idle(lab()).await;
    let end = Timestamp::from_second(bench.clock.now().as_second() + days * 86_400).expect("a moment");
    let day = end.strftime("%Y-%m-%d").to_string();
    let parts: Vec<i32> = day
        .split('-')
        .map(|part| part.parse().expect("a number"))
        .collect();
    let date = rcgen::date_time_ymd(
        parts[0],
        u8::try_from(parts[1]).expect("a month"),
        u8::try_from(parts[2]).expect("a day"),
    );
    let addr = server(&authority, "127.0.0.1", |params| params.not_after = date).await;
    bench.dispatch_with(client(&authority));
    let endpoint = bench.endpoint(&format!("https://{addr}/hook")).await;
    let event = bench.event().await;
    let delivery = bench.settled(event, DeliveryState::Delivered).await;
    let seen = &delivery.attempts[0].exchange;
    assert_eq!(seen.tls_version, Some(TlsVersion::V13));
    assert!(seen.tls.is_some(), "{seen:?}");
    let midnight = Timestamp::from_second(date.unix_timestamp()).expect("a moment");
    (bench, endpoint, midnight)
}

#[tokio::test]
async fn a_certificate_that_ends_within_14_days_is_shown_and_told_once() {
    let (bench, endpoint, end) = behind_tls(5).await;
    let shown = bench.get(endpoint.id).await;
    assert_eq!(shown.receiver.certificate_not_after, Some(end));
    assert!(shown.certificate_expires_soon);
    let expected = Told {
        certificate: true,
        skew: false,
    };
    once_told(&bench, expected).await;
    // Another address has a certificate of its own.
    let peer = Peer::answering(OK).await;
    let moved = bench
        .patch(endpoint.id, serde_json::json!({"url": peer.url()}))
        .await;
    assert_eq!(moved.receiver.certificate_not_after, None);
    assert!(told(&bench).await.is_empty());
}

#[tokio::test]
async fn a_certificate_is_told_when_its_end_comes_near_without_a_delivery() {
    let (bench, endpoint, _) = behind_tls(40).await;
    assert!(!bench.get(endpoint.id).await.certificate_expires_soon);
    once_told(&bench, Told::default()).await;
    bench.advance(Duration::from_hours(27 * 24));
    let expected = Told {
        certificate: true,
        skew: false,
    };
    once_told(&bench, expected).await;
}

#[tokio::test]
async fn a_receivers_clock_is_shown_and_told_beyond_the_tolerance() {
    let bench = Bench::idle(lab()).await;
    let health = bench.dispatch();
    let peer = Peer::answering(dated(200, &bench.clock, -400)).await;
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    bench.settled(event, DeliveryState::Delivered).await;
    assert_eq!(bench.get(endpoint.id).await.receiver.clock_skew, Some(-400));
    let expected = Told {
        certificate: false,
        skew: true,
    };
    once_told(&bench, expected).await;
    assert_eq!(health.failing(), None, "it takes deliveries all the same");
    let right = dated(200, &bench.clock, 0);
    peer.now(move |_| right.clone());
    let event = bench.event().await;
    bench.settled(event, DeliveryState::Delivered).await;
    assert_eq!(bench.get(endpoint.id).await.receiver.clock_skew, Some(0));
    once_told(&bench, Told::default()).await;
}

#[tokio::test]
async fn a_refusal_by_another_clock_has_its_class_and_makes_the_gateway_degraded() {
    let bench = Bench::idle(lab()).await;
    let health = bench.dispatch();
    let peer = Peer::answering(dated(401, &bench.clock, 250)).await;
    bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    let refused = bench.attempted(event, 1, DeliveryState::Pending).await;
    assert_eq!(refused.attempts[0].error, Some(AttemptError::ClockSkew));
    bench.advance(SWEEP);
    until("the gateway to be degraded", || async { health.failing() }).await;
    let (_, reason) = health.failing().expect("degraded");
    assert!(reason.contains("clocks"), "{reason}");
    let right = dated(204, &bench.clock, 0);
    peer.now(move |_| right.clone());
    // An attempt that was refused in between puts the next one off.
    until("the delivery to be delivered", || async {
        bench.advance(Duration::from_mins(10));
        Some(bench.delivery_of(event).await).filter(|delivery| delivery.state == DeliveryState::Delivered)
    })
    .await;
    bench.advance(SWEEP);
    until("the gateway to be well", || async {
        health.failing().is_none().then_some(())
    })
    .await;
}

#[rstest]
#[case(200, DeliveryState::Delivered)]
#[case(500, DeliveryState::Held)]
#[case(403, DeliveryState::Held)]
#[tokio::test]
async fn a_receiver_that_asks_for_no_more_is_disabled(#[case] status: u16, #[case] becomes: DeliveryState) {
    let bench = Bench::start().await;
    let peer = Peer::answering(Reply::Status(status, "Webhook-Delivery: disable\r\n")).await;
    let endpoint = bench.endpoint(&peer.url()).await;
    let first = bench.event().await;
    let delivery = bench.settled(first, becomes).await;
    assert_eq!(delivery.attempts[0].status, Some(status));
    let shown = bench.get(endpoint.id).await;
    assert!(!shown.settings.enabled);
    assert_eq!(shown.disabled_reason, Some(DisabledReason::Requested));
    let next = bench.event().await;
    bench.settled(next, DeliveryState::Held).await;
    peer.now(|_| OK);
    bench
        .patch(endpoint.id, serde_json::json!({"enabled": true}))
        .await;
    bench.settled(next, DeliveryState::Delivered).await;
    bench.settled(first, DeliveryState::Delivered).await;
}

#[rstest]
#[case(500, DeliveryState::Exhausted)]
#[case(422, DeliveryState::Exhausted)]
#[case(202, DeliveryState::Delivered)]
#[tokio::test]
async fn a_receiver_that_aborts_a_message_gets_it_no_more(
    #[case] status: u16,
    #[case] becomes: DeliveryState,
) {
    let bench = Bench::start().await;
    let reply = Reply::Status(status, "webhook-delivery: abort-message\r\n");
    let peer = Peer::answering(reply).await;
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.session_event(1, 1).await;
    let delivery = bench.attempted(event, 1, becomes).await;
    assert_eq!(delivery.attempts[0].status, Some(status));
    bench.advance(Duration::from_mins(10));
    quiet(&bench).await;
    assert_eq!(peer.count(), 1);
    let shown = bench.get(endpoint.id).await;
    assert!(shown.settings.enabled);
    assert_eq!(
        shown.health.state(),
        Health::Up,
        "it has decided, it does not fail"
    );
    peer.now(|_| OK);
    let next = bench.session_event(1, 2).await;
    bench.settled(next, DeliveryState::Delivered).await;
}
