//! Rows that were sealed with another key or are damaged are quarantined, and no other delivery is delayed.

use emgate::app::Error;
use emgate::domain::event::{EventType, Routing};
use emgate::domain::id::OperationId;
use emgate::domain::webhook::{AttemptError, DeliveryState, DisabledReason};
use serde_json::json;
use sqlx::Connection as _;

use super::bench::{Bench, SWEEP};
use super::peer::{OK, Peer};
use crate::waiting::holds;
use emgate::clock::Clock as _;

use crate::support::context::operator;

/// Changes the store behind the gateway's back.
async fn change(bench: &Bench, statement: &'static str) {
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(&bench.store_url())
        .await
        .expect("a second connection");
    sqlx::query(statement).execute(&mut other).await.expect("changed");
    other.close().await.expect("closed");
}

#[tokio::test]
async fn an_unreadable_endpoint_is_disabled() {
    let bench = Bench::idle(super::bench::lab()).await;
    let health = bench.dispatch();
    let (peer, witness) = (Peer::answering(OK).await, Peer::answering(OK).await);
    let lost = bench
        .endpoint_with(
            &peer.url(),
            json!({"description": "lost", "headers": {"X-Site": "7"}}),
        )
        .await;
    let other = bench.endpoint(&witness.url()).await;
    change(
        &bench,
        "update webhook_endpoints set secret = 'AAAA', headers = 'AAAA' where description = 'lost'",
    )
    .await;
    let event = bench.event().await;
    holds("the event and the news of the other endpoint", || {
        witness.count() == 2
    })
    .await;
    let mut types: Vec<String> = witness
        .received()
        .iter()
        .map(|request| request.json()["type"].as_str().expect("a type").to_owned())
        .collect();
    types.sort();
    assert_eq!(types, ["upstream.unavailable", "webhook.endpoint.disabled"]);
    assert_eq!(peer.count(), 0);
    let of_lost = bench
        .deliveries()
        .await
        .into_iter()
        .find(|delivery| delivery.event == event && delivery.endpoint == Some(lost.id));
    assert_eq!(of_lost.expect("a delivery").state, DeliveryState::Held);
    bench.advance(SWEEP);
    holds("the gateway to be degraded", || health.failing().is_some()).await;
    let reason = health.failing().map(|(_, reason)| reason);
    assert_eq!(
        reason,
        Some("an endpoint cannot be decrypted with the encryption key")
    );

    let shown = bench.get(lost.id).await;
    assert_eq!(shown.disabled_reason, Some(DisabledReason::Unreadable));
    assert!(!shown.readable && !shown.settings.enabled);
    let all = bench.verbs.list(&operator(), None, 10).await.expect("the list");
    assert_eq!(all.items.len(), 2);
    assert!(bench.get(other.id).await.readable);
    let patch = serde_json::from_value(json!({"enabled": true})).expect("a patch");
    let refusals = [
        bench.verbs.patch(&operator(), lost.id, patch).await.map(|_| ()),
        bench.verbs.test(&operator(), lost.id).await.map(|_| ()),
    ];
    for refused in refusals {
        let Err(Error::Invalid(faults)) = refused else {
            panic!("another refusal: {refused:?}")
        };
        assert!(faults[0].detail.contains("encryption key"), "{faults:?}");
    }
    bench
        .verbs
        .delete(&operator(), lost.id, None)
        .await
        .expect("deleted");
}

#[tokio::test]
async fn an_unreadable_callback_is_quarantined() {
    let bench = Bench::idle(super::bench::lab()).await;
    let peer = Peer::answering(OK).await;
    let mut events = Vec::new();
    for _ in 0..2 {
        let operation = OperationId::new(bench.clock.id());
        let mut tx = bench.store.begin().await.expect("begun");
        let url = peer.url().parse().expect("a URL");
        let secret = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into();
        tx.add_callback(operation, &url, &secret).await.expect("added");
        tx.commit().await.expect("committed");
        let routing = Routing {
            operation: Some(operation),
            ends_operation: true,
            ..Routing::default()
        };
        events.push(bench.append(EventType::OperationFinished, routing).await);
        bench.advance(std::time::Duration::from_millis(5));
    }
    change(
        &bench,
        "update webhook_callbacks set url = 'AAAA' where created_at = (select min(created_at) from webhook_callbacks)",
    )
    .await;
    let health = bench.dispatch();
    bench.settled(events[1], DeliveryState::Delivered).await;
    let lost = bench.settled(events[0], DeliveryState::Quarantined).await;
    assert_eq!(lost.attempts[0].error, Some(AttemptError::Unreadable));
    assert_eq!(health.failing(), None, "the turn went on");
}

#[tokio::test]
async fn readiness_reports_that_nothing_can_be_claimed() {
    let bench = Bench::idle(super::bench::lab()).await;
    let peer = Peer::answering(OK).await;
    bench.endpoint(&peer.url()).await;
    change(&bench, "alter table webhook_attempts rename to away").await;
    let health = bench.dispatch();
    let event = bench.event().await;
    holds("the trouble", || health.failing().is_some()).await;
    let reason = health.failing().map(|(_, reason)| reason);
    assert_eq!(reason, Some("no delivery can be claimed"));
    change(&bench, "alter table away rename to webhook_attempts").await;
    bench.settled(event, DeliveryState::Delivered).await;
    holds("its end", || health.failing().is_none()).await;
}
