//! What the store promises of webhooks, statement by statement; what comes of it on the wire is in
//! `tests/it/delivery`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::claims::Claimed;
use super::deliveries::DeliveryFilter;
use super::lanes::Share;
use super::opened::OpenedDestinations;
use super::outcomes::{Attempt, Settled, Settlement};
use crate::clock::{Clock as _, ManualClock, SystemClock};
use crate::domain::access::Tenancy;
use crate::domain::event::{EventType, NewEvent, Routing};
use crate::domain::id::{EmId, EndpointId, EventId, OperationId};
use crate::domain::webhook::endpoint::{Settings, SigningSecret};
use crate::domain::webhook::target::TargetUrl;
use crate::domain::webhook::{AttemptError, Delivery, DeliveryState, Owner};
use crate::store::Store;
use crate::store::config::Retention;
use crate::store::retention::Pruner;
use crate::store::testing::{pass, temporary_with};

struct Fixture {
    store: Store,
    clock: Arc<ManualClock>,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::at(SystemClock.now());
        let store = temporary_with(clock.clone()).await;
        Self { store, clock }
    }

    async fn endpoint(&self, settings: Settings) -> EndpointId {
        let id = EndpointId::new(self.clock.id());
        let target =
            TargetUrl::parse("https://user:word@receiver.example/hook?key=value", false).expect("a URL");
        let mut tx = self.store.begin().await.expect("begun");
        tx.insert_endpoint(
            id,
            &Owner::default(),
            &target,
            &SigningSecret::from_key(&[1; 32]),
            &settings,
        )
        .await
        .expect("inserted");
        tx.commit().await.expect("committed");
        id
    }

    async fn event(&self, kind: EventType, routing: Routing) -> EventId {
        self.clock.advance(Duration::from_millis(1));
        let event = NewEvent {
            id: EventId::new(self.clock.id()),
            kind,
            at: self.clock.now(),
            body: r#"{"type":"x"}"#.into(),
            routing,
        };
        let mut tx = self.store.begin().await.expect("begun");
        tx.append_event(&event).await.expect("appended");
        tx.commit().await.expect("committed");
        event.id
    }

    async fn session_event(&self, session: u8, sequence: i64) -> EventId {
        let session: EmId = format!("a986d473-0248-4884-9832-17ec982ee39{session}")
            .parse()
            .expect("an id");
        let routing = Routing {
            session: Some(session),
            sequence: Some(sequence),
            ..Routing::default()
        };
        self.event(EventType::SessionFinished, routing).await
    }

    /// Claims whatever is due in any lane.
    async fn claim(&self) -> Vec<Claimed> {
        let mut tx = self.store.begin().await.expect("begun");
        let lanes = tx.waiting_lanes().await.expect("lanes");
        let shares = lanes.into_iter().map(|lane| Share {
            lane,
            limit: 10,
            probe: true,
        });
        let shares: Vec<Share> = shares.collect();
        let opened = OpenedDestinations::default();
        let claims = tx.claim(&shares, "me", &opened).await.expect("claimed");
        tx.commit().await.expect("committed");
        claims.claimed
    }

    async fn settle(&self, claimed: &Claimed, settled: Settled, passed: bool) -> bool {
        let mut tx = self.store.begin().await.expect("begun");
        let sending = tx.sending(&[attempt_of(claimed)], "me").await.expect("read");
        let settlements = sending.into_iter().map(|delivery| Settlement {
            delivery,
            settled,
            may_be_passed: passed,
        });
        let settlements: Vec<Settlement> = settlements.collect();
        let written = tx.settle(&settlements).await.expect("settled");
        tx.commit().await.expect("committed");
        written.contains(&claimed.id)
    }

    async fn all(&self) -> Vec<Delivery> {
        let mut all = self
            .store
            .deliveries(&Tenancy::All, &DeliveryFilter::default(), None, 100)
            .await
            .expect("read");
        all.sort_by_key(|delivery| delivery.created_at);
        all
    }

    async fn states(&self) -> Vec<DeliveryState> {
        self.all().await.iter().map(|delivery| delivery.state).collect()
    }

    fn later(&self, seconds: u64) -> Timestamp {
        self.clock.now() + Duration::from_secs(seconds)
    }
}

fn events(claimed: &[Claimed]) -> Vec<EventId> {
    claimed.iter().map(|claimed| claimed.event).collect()
}

fn attempt_of(claimed: &Claimed) -> Attempt {
    Attempt {
        delivery: claimed.id,
        number: claimed.number,
    }
}

const DELIVERED: Settled = Settled::Ended(DeliveryState::Delivered);

#[tokio::test]
async fn an_event_makes_a_delivery_for_each_endpoint_that_wants_it() {
    let fixture = Fixture::new().await;
    fixture.endpoint(Settings::default()).await;
    fixture
        .endpoint(Settings {
            enabled: false,
            ..Settings::default()
        })
        .await;
    fixture
        .endpoint(Settings {
            event_types: Some(vec![EventType::UpstreamRecovered]),
            ..Settings::default()
        })
        .await;
    fixture
        .event(EventType::UpstreamUnavailable, Routing::default())
        .await;
    let mut states = fixture.states().await;
    states.sort();
    assert_eq!(states, [DeliveryState::Pending, DeliveryState::Held]);
}

#[tokio::test]
async fn secrets_are_not_readable_in_the_tables() {
    let fixture = Fixture::new().await;
    let id = fixture.endpoint(Settings::default()).await;
    let row: (String, String, String, String) =
        sqlx::query_as("select url, secret, headers, shown_url from webhook_endpoints")
            .fetch_one(fixture.store.reader())
            .await
            .expect("read");
    let text = format!("{row:?}");
    assert!(
        !text.contains("word") && !text.contains("whsec") && !text.contains("value"),
        "{text}"
    );
    let endpoint = fixture
        .store
        .endpoint(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(endpoint.shown_url, "https://***@receiver.example/hook?key=***");
}

#[tokio::test]
async fn a_callback_gets_exactly_one_delivery_whatever_happens_later() {
    let fixture = Fixture::new().await;
    let operation = OperationId::new(fixture.clock.id());
    let mut tx = fixture.store.begin().await.expect("begun");
    let url = url::Url::parse("https://receiver.example/once").expect("a URL");
    let secret = SigningSecret::from_key(&[2; 32]);
    tx.add_callback(operation, &url, secret.text())
        .await
        .expect("added");
    tx.commit().await.expect("committed");
    let ends = |ends_operation| Routing {
        operation: Some(operation),
        ends_operation,
        ..Routing::default()
    };
    fixture.event(EventType::SessionStarted, ends(false)).await;
    assert!(fixture.all().await.is_empty());
    fixture.event(EventType::OperationFinished, ends(true)).await;
    fixture.event(EventType::SessionFinished, ends(true)).await;
    let all = fixture.all().await;
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].endpoint, all[0].operation), (None, Some(operation)));
    assert_eq!(all[0].event_type, EventType::OperationFinished);
    let claimed = fixture.claim().await;
    assert_eq!(claimed[0].to.target.url(), &url);
    assert_eq!(claimed[0].to.secret.key(), secret.key());
}

#[tokio::test]
async fn deliveries_of_a_session_are_sent_one_at_a_time_in_order() {
    let fixture = Fixture::new().await;
    fixture.endpoint(Settings::default()).await;
    let first = fixture.session_event(1, 1).await;
    let second = fixture.session_event(1, 2).await;
    let other = fixture.session_event(2, 1).await;
    let third = fixture.session_event(1, 3).await;
    let claimed = fixture.claim().await;
    assert_eq!(events(&claimed), [first, other]);
    assert!(fixture.claim().await.is_empty(), "nothing overtakes");
    assert!(fixture.settle(&claimed[0], DELIVERED, false).await);
    let claimed = fixture.claim().await;
    assert_eq!(events(&claimed), [second]);
    assert!(
        fixture
            .settle(&claimed[0], Settled::Waits(fixture.later(60)), false)
            .await
    );
    assert!(
        fixture.claim().await.is_empty(),
        "a later one waits for the retry of an earlier one"
    );
    fixture.clock.advance(Duration::from_mins(1));
    let claimed = fixture.claim().await;
    assert_eq!(events(&claimed), [second]);
    fixture
        .settle(&claimed[0], Settled::Ended(DeliveryState::Exhausted), false)
        .await;
    assert_eq!(
        events(&fixture.claim().await),
        [third],
        "one that was given up makes way"
    );
}

#[tokio::test]
async fn a_delivery_that_may_be_passed_unblocks_one_other_of_its_session() {
    let fixture = Fixture::new().await;
    fixture.endpoint(Settings::default()).await;
    let mut ids = Vec::new();
    for sequence in 1..=4 {
        ids.push(fixture.session_event(1, sequence).await);
    }
    let refused = fixture.claim().await;
    fixture
        .settle(&refused[0], Settled::Waits(fixture.later(60)), true)
        .await;
    let second = fixture.claim().await;
    assert_eq!(events(&second), ids[1..2]);
    fixture.clock.advance(Duration::from_mins(2));
    assert!(
        fixture.claim().await.is_empty(),
        "one of the session is under way"
    );
    fixture.settle(&second[0], DELIVERED, false).await;
    let again = fixture.claim().await;
    assert_eq!(
        events(&again),
        ids[..1],
        "of two that are due the lower goes first"
    );
    fixture.settle(&again[0], DELIVERED, false).await;
    let third = fixture.claim().await;
    assert_eq!(
        events(&third),
        ids[2..3],
        "the end of a passed one does not let two go"
    );
    assert!(fixture.claim().await.is_empty());
    fixture.settle(&third[0], DELIVERED, false).await;
    assert_eq!(events(&fixture.claim().await), ids[3..]);
}

#[tokio::test]
async fn whoever_lost_a_delivery_changes_nothing() {
    let fixture = Fixture::new().await;
    fixture.endpoint(Settings::default()).await;
    fixture
        .event(EventType::UpstreamUnavailable, Routing::default())
        .await;
    let old = fixture.claim().await;
    let mut tx = fixture.store.begin().await.expect("begun");
    assert_eq!(tx.reclaim(&HashSet::new()).await.expect("reclaimed"), 1);
    tx.commit().await.expect("committed");
    let new = fixture.claim().await;
    assert_eq!((new[0].id, new[0].number), (old[0].id, 2));
    assert!(
        !fixture.settle(&old[0], DELIVERED, false).await,
        "the earlier attempt is fenced off"
    );
    // Twice over: it is not found, and what was found before is not written.
    let (id, earlier, number) = (new[0].id, old[0].number, new[0].number);
    for (number, owner) in [(earlier, "me"), (number, "another")] {
        let mut tx = fixture.store.begin().await.expect("begun");
        let other = Attempt { delivery: id, number };
        assert!(tx.sending(&[other], owner).await.expect("read").is_empty());
        let mut found = tx.sending(&[attempt_of(&new[0])], "me").await.expect("read");
        let mut stale = found.remove(0);
        (stale.attempt, stale.owner) = (other, owner.to_owned());
        let settlement = Settlement {
            delivery: stale,
            settled: DELIVERED,
            may_be_passed: false,
        };
        assert!(tx.settle(&[settlement]).await.expect("refused").is_empty());
    }
    assert!(fixture.settle(&new[0], DELIVERED, false).await);
    let delivery = fixture.all().await.remove(0);
    assert_eq!(delivery.attempts[0].error, Some(AttemptError::Interrupted));
    assert_eq!(delivery.attempts[0].duration, None);
}

#[tokio::test]
async fn what_a_registered_replica_sends_is_left_to_it_until_it_is_no_more() {
    let fixture = Fixture::new().await;
    fixture.endpoint(Settings::default()).await;
    fixture
        .event(EventType::UpstreamUnavailable, Routing::default())
        .await;
    let mut tx = fixture.store.begin().await.expect("begun");
    sqlx::query("insert into replicas (id, started_at, beat_at) values ('me', 1, 1)")
        .execute(tx.connection())
        .await
        .expect("registered");
    tx.commit().await.expect("committed");
    let claimed = fixture.claim().await;
    fixture
        .event(EventType::UpstreamUnavailable, Routing::default())
        .await;
    let mut tx = fixture.store.begin().await.expect("begun");
    let lanes = tx.waiting_lanes().await.expect("read");
    assert_eq!(lanes[0].under_way, 1, "others' attempts count as well");
    assert_eq!(tx.reclaim(&HashSet::new()).await.expect("looked"), 0);
    tx.remove_replica("me").await.expect("removed");
    tx.commit().await.expect("committed");
    assert_eq!(fixture.claim().await[0].number, 2, "released with it");
    assert!(!fixture.settle(&claimed[0], DELIVERED, false).await, "fenced off");
}

#[tokio::test]
async fn what_is_alive_is_not_reclaimed() {
    let fixture = Fixture::new().await;
    fixture.endpoint(Settings::default()).await;
    fixture
        .event(EventType::UpstreamUnavailable, Routing::default())
        .await;
    let claimed = fixture.claim().await;
    let mut tx = fixture.store.begin().await.expect("begun");
    let alive = HashSet::from([attempt_of(&claimed[0])]);
    assert_eq!(tx.reclaim(&alive).await.expect("reclaimed"), 0);
}

#[tokio::test]
async fn held_deliveries_go_out_in_the_order_of_the_log() {
    let fixture = Fixture::new().await;
    let id = fixture
        .endpoint(Settings {
            enabled: false,
            ..Settings::default()
        })
        .await;
    let mut ids = Vec::new();
    for session in 1..=5 {
        ids.push(fixture.session_event(session, 1).await);
    }
    assert!(fixture.claim().await.is_empty());
    let mut tx = fixture.store.begin().await.expect("begun");
    let mut endpoint = tx
        .endpoint(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there");
    endpoint.settings.enabled = true;
    let target = endpoint.sealed.clone().expect("readable").target;
    tx.update_endpoint(&endpoint, &target).await.expect("updated");
    tx.release_deliveries(id).await.expect("released");
    tx.commit().await.expect("committed");
    assert_eq!(events(&fixture.claim().await), ids);
}

#[tokio::test]
async fn deleting_an_endpoint_cancels_its_waiting_deliveries_only() {
    let fixture = Fixture::new().await;
    let id = fixture.endpoint(Settings::default()).await;
    fixture.session_event(1, 1).await;
    fixture.session_event(1, 2).await;
    let in_flight = fixture.claim().await;
    let mut tx = fixture.store.begin().await.expect("begun");
    assert!(tx.delete_endpoint(id, &Tenancy::All).await.expect("deleted"));
    tx.commit().await.expect("committed");
    assert_eq!(
        fixture.states().await,
        [DeliveryState::Sending, DeliveryState::Cancelled]
    );
    assert!(fixture.settle(&in_flight[0], DELIVERED, false).await);
    assert!(
        fixture
            .store
            .endpoint(id, &Tenancy::All)
            .await
            .expect("read")
            .is_none()
    );
}

#[tokio::test]
async fn a_test_event_goes_to_its_endpoint_alone() {
    let fixture = Fixture::new().await;
    let id = fixture.endpoint(Settings::default()).await;
    fixture
        .endpoint(Settings {
            event_types: Some(vec![EventType::WebhookTest]),
            ..Settings::default()
        })
        .await;
    let mut tx = fixture.store.begin().await.expect("begun");
    let mut health = tx
        .endpoint(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there")
        .health;
    health.pause(fixture.later(3600));
    tx.save_health(id, &health).await.expect("saved");
    tx.commit().await.expect("committed");
    fixture
        .event(EventType::UpstreamUnavailable, Routing::default())
        .await;
    assert!(fixture.claim().await.is_empty(), "the endpoint asked for silence");
    let about = Routing {
        about_endpoint: Some(id),
        ..Routing::default()
    };
    let test = fixture.event(EventType::WebhookTest, about).await;
    assert_eq!(events(&fixture.claim().await), [test]);
}

#[tokio::test]
async fn probes_take_turns_over_the_sessions_that_wait() {
    let fixture = Fixture::new().await;
    let id = fixture.endpoint(Settings::default()).await;
    let a1 = fixture.session_event(1, 1).await;
    let a2 = fixture.session_event(1, 2).await;
    let b1 = fixture.session_event(2, 1).await;
    let alone = fixture
        .event(EventType::UpstreamUnavailable, Routing::default())
        .await;
    let mut tx = fixture.store.begin().await.expect("begun");
    let mut health = tx
        .endpoint(id, &Tenancy::All)
        .await
        .expect("read")
        .expect("there")
        .health;
    health.failed(fixture.clock.now(), "timeout");
    health.down_since = Some(fixture.clock.now());
    tx.save_health(id, &health).await.expect("saved");
    tx.commit().await.expect("committed");
    let mut seen = Vec::new();
    for _ in 0..9 {
        fixture.clock.advance(Duration::from_mins(1));
        let probe = fixture.claim().await;
        assert_eq!(probe.len(), 1);
        assert!(probe[0].probe);
        seen.push(probe[0].event);
        let mut tx = fixture.store.begin().await.expect("begun");
        let mut found = tx.sending(&[attempt_of(&probe[0])], "me").await.expect("read");
        let mut sending = found.remove(0);
        sending.progress.failures += 1;
        sending
            .progress
            .first_failed_at
            .get_or_insert(fixture.clock.now());
        let settlement = Settlement {
            delivery: sending,
            settled: Settled::Waits(fixture.later(5)),
            may_be_passed: false,
        };
        tx.settle(&[settlement]).await.expect("settled");
        tx.commit().await.expect("committed");
    }
    // After three failures over two minutes the next of the session takes its turn as well.
    assert_eq!(seen[..7], [a1, b1, alone, a1, b1, alone, a1]);
    assert_eq!(seen[7], a2);
}

#[tokio::test]
async fn only_old_ended_deliveries_are_removed() {
    let fixture = Fixture::new().await;
    fixture.endpoint(Settings::default()).await;
    let held = Settings {
        enabled: false,
        ..Settings::default()
    };
    fixture.endpoint(held).await;
    let operation = OperationId::new(fixture.clock.id());
    let mut tx = fixture.store.begin().await.expect("begun");
    let url = url::Url::parse("https://receiver.example/once").expect("a URL");
    tx.add_callback(operation, &url, SigningSecret::from_key(&[2; 32]).text())
        .await
        .expect("added");
    tx.commit().await.expect("committed");
    let routing = Routing {
        operation: Some(operation),
        ends_operation: true,
        ..Routing::default()
    };
    fixture.event(EventType::OperationFinished, routing).await;
    for claimed in fixture.claim().await {
        fixture.settle(&claimed, DELIVERED, false).await;
    }
    pass(&fixture.store, &fixture.clock, Duration::from_hours(31 * 24));
    fixture
        .event(EventType::UpstreamRecovered, Routing::default())
        .await;
    fixture.claim().await;
    let pruner = Pruner::new(fixture.store.clone(), &Retention::default());
    pruner.step().await.expect("a step");
    let mut states = fixture.states().await;
    states.sort();
    assert_eq!(
        states,
        [DeliveryState::Sending, DeliveryState::Held],
        "those of the last day"
    );
    let left: (i64,) = sqlx::query_as("select count(*) from webhook_callbacks")
        .fetch_one(fixture.store.reader())
        .await
        .expect("read");
    assert_eq!(left.0, 0);
}

#[tokio::test]
async fn a_second_callback_of_one_operation_is_refused() {
    let fixture = Fixture::new().await;
    let operation = OperationId::new(fixture.clock.id());
    let url = url::Url::parse("https://receiver.example/once").expect("a URL");
    let mut tx = fixture.store.begin().await.expect("begun");
    let secret = SecretString::from("whsec_x");
    tx.add_callback(operation, &url, &secret).await.expect("added");
    assert!(tx.add_callback(operation, &url, &secret).await.is_err());
}

#[tokio::test]
async fn an_answer_with_a_character_that_no_column_can_hold_is_logged() {
    let fixture = Fixture::new().await;
    fixture.endpoint(Settings::default()).await;
    fixture.session_event(0, 1).await;
    let claimed = fixture.claim().await;
    let end = super::outcomes::AttemptEnd {
        status: Some(500),
        error: Some(AttemptError::HttpStatus),
        location: Some("https://receiver.example/\0".into()),
        response: Some("a\0b".into()),
        ..Default::default()
    };
    let mut tx = fixture.store.begin().await.expect("begun");
    tx.end_attempts(&[attempt_of(&claimed[0]).ended_by(jiff::Timestamp::UNIX_EPOCH, &end)])
        .await
        .expect("written");
    tx.commit().await.expect("committed");
    let delivery = fixture.all().await.remove(0);
    assert_eq!(delivery.attempts[0].response.as_deref(), Some("a\u{fffd}b"));
}
