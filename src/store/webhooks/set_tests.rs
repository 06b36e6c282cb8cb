//! What holds for sets that would not be seen with one row at a time: the events of one transaction, the lanes of one turn.

use std::sync::atomic::Ordering;

use super::deliveries::DeliveryFilter;
use super::lanes::Share;
use super::opened::OpenedDestinations;
use super::outcomes::{Attempt, AttemptEnd, Settled, Settlement};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::access::Tenancy;
use crate::domain::event::{EventType, NewEvent, Routing};
use crate::domain::id::{EmId, EndpointId, EventId, OperationId};
use crate::domain::webhook::endpoint::{Settings, SigningSecret};
use crate::domain::webhook::target::TargetUrl;
use crate::domain::webhook::{Delivery, DeliveryState, Owner};
use crate::store::testing::temporary;
use crate::store::{Store, Tx};

async fn endpoints(store: &Store, number: usize) -> Vec<EndpointId> {
    let mut ids = Vec::new();
    let mut tx = store.begin().await.expect("begun");
    for _ in 0..number {
        let id = EndpointId::new(store.clock().id());
        let target = TargetUrl::parse("https://receiver.example/", false).expect("a URL");
        let secret = SigningSecret::from_key(&[1; 32]);
        tx.insert_endpoint(id, &Owner::default(), &target, &secret, &Settings::default())
            .await
            .expect("inserted");
        ids.push(id);
    }
    tx.commit().await.expect("committed");
    ids
}

async fn append(tx: &mut Tx, kind: EventType, routing: Routing) -> EventId {
    let event = NewEvent {
        id: EventId::new(tx.clock().id()),
        kind,
        at: tx.clock().now(),
        body: r#"{"type":"x"}"#.into(),
        routing,
    };
    tx.append_event(&event).await.expect("appended");
    event.id
}

fn of_session(session: u8, sequence: i64) -> Routing {
    let session: EmId = format!("a986d473-0248-4884-9832-17ec982ee39{session}")
        .parse()
        .expect("an id");
    Routing {
        session: Some(session),
        sequence: Some(sequence),
        ..Routing::default()
    }
}

async fn all(store: &Store) -> Vec<Delivery> {
    let filter = DeliveryFilter::default();
    store
        .deliveries(&Tenancy::All, &filter, None, 5000)
        .await
        .expect("read")
}

/// A turn as the dispatcher has it: everything is claimed and, in the next transaction, delivered. The number of each
/// transaction's statements, and of deliveries.
async fn turn(store: &Store, opened: &OpenedDestinations) -> (usize, usize, usize) {
    let statements = || store.0.health.statements.swap(0, Ordering::SeqCst);
    let mut tx = store.begin().await.expect("begun");
    statements();
    let lanes = tx.waiting_lanes().await.expect("lanes");
    let shares = lanes.into_iter().map(|lane| Share {
        lane,
        limit: 32,
        probe: true,
    });
    let shares: Vec<Share> = shares.collect();
    let claimed = tx.claim(&shares, "me", opened).await.expect("claimed").claimed;
    let claiming = statements();
    tx.commit().await.expect("committed");

    let mut tx = store.begin().await.expect("begun");
    statements();
    let attempts: Vec<Attempt> = claimed
        .iter()
        .map(|claimed| Attempt {
            delivery: claimed.id,
            number: claimed.number,
        })
        .collect();
    let sending = tx.sending(&attempts, "me").await.expect("read");
    let ended: Vec<_> = attempts
        .iter()
        .map(|attempt| attempt.ended_by(SystemClock.now(), &AttemptEnd::default()))
        .collect();
    tx.end_attempts(&ended).await.expect("written");
    let settlements = sending.into_iter().map(|delivery| Settlement {
        delivery,
        settled: Settled::Ended(DeliveryState::Delivered),
        may_be_passed: false,
    });
    let settlements: Vec<Settlement> = settlements.collect();
    assert_eq!(
        tx.settle(&settlements).await.expect("settled").len(),
        claimed.len()
    );
    let settling = statements();
    tx.commit().await.expect("committed");
    (claiming, settling, claimed.len())
}

#[tokio::test]
async fn a_turn_runs_as_many_statements_for_many_deliveries_as_for_one() {
    let mut counts = Vec::new();
    for (endpoints_wanted, events) in [(1, 1), (20, 8)] {
        let store = temporary().await;
        endpoints(&store, endpoints_wanted).await;
        let mut tx = store.begin().await.expect("begun");
        for session in 0..events {
            append(&mut tx, EventType::SessionFinished, of_session(session, 1)).await;
        }
        store.0.health.statements.store(0, Ordering::SeqCst);
        tx.commit().await.expect("committed");
        let fan_out = store.0.health.statements.load(Ordering::SeqCst);
        let (claiming, settling, delivered) = turn(&store, &OpenedDestinations::default()).await;
        assert_eq!(delivered, endpoints_wanted * usize::from(events));
        counts.push((fan_out, claiming, settling));
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn events_of_one_transaction_go_out_in_order_at_each_endpoint() {
    let store = temporary().await;
    endpoints(&store, 2).await;
    let mut tx = store.begin().await.expect("begun");
    for sequence in 1..=3 {
        for session in 1..=2 {
            append(&mut tx, EventType::SessionFinished, of_session(session, sequence)).await;
        }
    }
    tx.commit().await.expect("committed");
    let opened = OpenedDestinations::default();
    for delivered in [4, 4, 4, 0] {
        assert_eq!(
            turn(&store, &opened).await.2,
            delivered,
            "one of each session at each endpoint"
        );
    }
}

#[tokio::test]
async fn an_event_of_a_session_that_waits_is_blocked_whenever_it_is_written() {
    let store = temporary().await;
    endpoints(&store, 1).await;
    for sequences in [1..=1, 2..=3] {
        let mut tx = store.begin().await.expect("begun");
        for sequence in sequences {
            append(&mut tx, EventType::SessionFinished, of_session(1, sequence)).await;
        }
        tx.commit().await.expect("committed");
    }
    let waiting = all(&store).await;
    let free = waiting
        .iter()
        .filter(|delivery| delivery.next_attempt_at.is_some());
    assert_eq!((waiting.len(), free.count()), (3, 1));
}

#[tokio::test]
async fn an_event_that_was_undone_leaves_no_delivery() {
    let store = temporary().await;
    endpoints(&store, 1).await;
    let mut tx = store.begin().await.expect("begun");
    let kept = append(&mut tx, EventType::UpstreamUnavailable, Routing::default()).await;
    let mark = tx.mark().await.expect("marked");
    append(&mut tx, EventType::UpstreamRecovered, Routing::default()).await;
    tx.undo(mark).await.expect("undone");
    tx.commit().await.expect("committed");
    let events: Vec<EventId> = all(&store).await.iter().map(|delivery| delivery.event).collect();
    assert_eq!(events, [kept]);
}

#[tokio::test]
async fn of_two_ends_in_one_transaction_the_first_reaches_the_callback() {
    let store = temporary().await;
    let mut tx = store.begin().await.expect("begun");
    let operation = OperationId::new(store.clock().id());
    let url = url::Url::parse("https://receiver.example/once").expect("a URL");
    tx.add_callback(operation, &url, SigningSecret::from_key(&[2; 32]).text())
        .await
        .expect("added");
    let ends = || Routing {
        operation: Some(operation),
        ends_operation: true,
        ..Routing::default()
    };
    let first = append(&mut tx, EventType::SessionFinished, ends()).await;
    append(&mut tx, EventType::OperationFinished, ends()).await;
    tx.commit().await.expect("committed");
    let all = all(&store).await;
    let found: Vec<_> = all.iter().map(|one| (one.event, one.operation)).collect();
    assert_eq!(found, [(first, Some(operation))]);
}

#[tokio::test]
async fn more_deliveries_than_one_statement_takes_are_written() {
    let store = temporary().await;
    endpoints(&store, 30).await;
    let mut tx = store.begin().await.expect("begun");
    for _ in 0..40 {
        append(&mut tx, EventType::UpstreamUnavailable, Routing::default()).await;
    }
    tx.commit().await.expect("committed");
    assert_eq!(all(&store).await.len(), 1200);
}

#[tokio::test]
async fn a_changed_secret_is_used_at_once() {
    let store = temporary().await;
    let id = endpoints(&store, 1).await.remove(0);
    let opened = OpenedDestinations::default();
    let mut keys = Vec::new();
    for changed in [false, true] {
        let mut tx = store.begin().await.expect("begun");
        if changed {
            // Within the same moment: the row's time alone would not tell.
            let secret = SigningSecret::from_key(&[9; 32]);
            let sealed = tx.sealer().seal(super::purpose::ENDPOINT_SECRET, secret.text());
            sqlx::query("update webhook_endpoints set secret = $1")
                .bind(sealed.expect("sealed"))
                .execute(tx.connection())
                .await
                .expect("changed");
        }
        let found = tx.endpoint_destinations([id], &opened).await.expect("read");
        let destination = found[&id].as_ref().expect("readable");
        keys.push(destination.secret.key().expect("a key"));
        tx.commit().await.expect("committed");
    }
    assert_eq!(keys, [vec![1; 32], vec![9; 32]]);
}
