//! What the store promises of sending again and of changed secrets; what comes of it on the wire is in
//! `tests/it/delivery/again.rs` and `tests/it/delivery/secrets.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::deliveries::DeliveryFilter;
use super::destination::Destination;
use super::lanes::Share;
use super::opened::OpenedDestinations;
use super::outcomes::{Attempt, Settled, Settlement};
use super::resend::Redelivered;
use crate::clock::{Clock as _, ManualClock, SystemClock};
use crate::domain::access::Tenancy;
use crate::domain::event::{EventType, NewEvent, Routing};
use crate::domain::id::{DeliveryId, EmId, EndpointId, EventId, JobId};
use crate::domain::webhook::endpoint::{Settings, Signer, SigningSecret};
use crate::domain::webhook::job::{BATCH, Job, JobKind, JobState};
use crate::domain::webhook::signing::OVERLAP;
use crate::domain::webhook::target::TargetUrl;
use crate::domain::webhook::{Delivery, DeliveryState, Owner};
use crate::store::testing::{pass, temporary_with};
use crate::store::{Store, Tx};

struct Fixture {
    store: Store,
    clock: Arc<ManualClock>,
    began: Timestamp,
}

impl Fixture {
    async fn new() -> Self {
        let clock = ManualClock::at(SystemClock.now());
        let store = temporary_with(clock.clone()).await;
        let began = clock.now();
        Self { store, clock, began }
    }

    /// A transaction as the verbs and the worker have it.
    async fn begin(&self) -> Tx {
        let mut tx = self.store.begin().await.expect("begun");
        tx.lock_event_log().await.expect("locked");
        tx
    }

    async fn endpoint(&self) -> EndpointId {
        let id = EndpointId::new(self.clock.id());
        let target = TargetUrl::parse("https://receiver.example/hook", false).expect("a URL");
        let mut tx = self.begin().await;
        tx.insert_endpoint(id, &Owner::default(), &target, &secret(1), &Settings::default())
            .await
            .expect("inserted");
        tx.commit().await.expect("committed");
        id
    }

    /// Writes so many events, of one session or of none.
    async fn events(&self, number: i64, session: Option<&str>) -> Vec<EventId> {
        let session: Option<EmId> = session.map(|id| id.parse().expect("an id"));
        let mut tx = self.begin().await;
        let mut ids = Vec::new();
        for sequence in 1..=number {
            // Ids of one millisecond have no order.
            self.clock.advance(Duration::from_millis(1));
            let event = NewEvent {
                id: EventId::new(self.clock.id()),
                kind: EventType::SessionFinished,
                at: self.clock.now(),
                body: "{}".into(),
                routing: Routing {
                    session: session.clone(),
                    sequence: session.as_ref().map(|_| sequence),
                    ..Routing::default()
                },
            };
            tx.append_event(&event).await.expect("appended");
            ids.push(event.id);
        }
        tx.commit().await.expect("committed");
        ids
    }

    /// Claims what is due, and ends it so.
    async fn end(&self, settled: Settled) {
        let mut tx = self.begin().await;
        let lanes = tx.waiting_lanes().await.expect("lanes").into_iter();
        let share = |lane| Share {
            lane,
            limit: 10,
            probe: true,
        };
        let shares: Vec<Share> = lanes.map(share).collect();
        let claims = tx.claim(&shares, "me", &OpenedDestinations::default()).await;
        let attempts = claims.expect("claimed").claimed.into_iter().map(|one| Attempt {
            delivery: one.id,
            number: one.number,
        });
        let attempts: Vec<Attempt> = attempts.collect();
        let sending = tx.sending(&attempts, "me").await.expect("read").into_iter();
        let settlements = sending.map(|delivery| Settlement {
            delivery,
            settled,
            may_be_passed: false,
        });
        tx.settle(&settlements.collect::<Vec<_>>())
            .await
            .expect("settled");
        tx.commit().await.expect("committed");
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        let filter = DeliveryFilter::default();
        let mut all = self
            .store
            .deliveries(&Tenancy::All, &filter, None, 5000)
            .await
            .expect("read");
        all.sort_by_key(|delivery| delivery.event.to_string());
        all
    }

    async fn redeliver(&self, id: DeliveryId) -> Redelivered {
        let mut tx = self.begin().await;
        let redelivered = tx.redeliver(id, &Tenancy::All).await.expect("redelivered");
        tx.commit().await.expect("committed");
        redelivered
    }

    async fn job(&self, endpoint: EndpointId, kind: JobKind) -> Job {
        let mut tx = self.begin().await;
        let found = tx.endpoint(endpoint, &Tenancy::All).await.expect("read");
        let job = tx
            .insert_job(
                JobId::new(self.clock.id()),
                &found.expect("there"),
                kind,
                self.began,
            )
            .await
            .expect("a job");
        tx.commit().await.expect("committed");
        job
    }

    /// One batch of a job.
    async fn batch(&self) -> Option<usize> {
        let mut tx = self.begin().await;
        let done = tx.go_on_with_a_job().await.expect("a batch");
        tx.commit().await.expect("committed");
        done
    }

    async fn read(&self, job: &Job) -> Job {
        let found = self.store.job(job.endpoint, job.id, &Tenancy::All).await;
        found.expect("read").expect("there")
    }

    async fn destination(&self, id: EndpointId) -> Arc<Destination> {
        let mut tx = self.begin().await;
        let opened = OpenedDestinations::default();
        let mut found = tx.endpoint_destinations([id], &opened).await.expect("read");
        found.remove(&id).expect("there").expect("readable")
    }
}

fn secret(number: u8) -> SigningSecret {
    SigningSecret::from_key(&[number; 32])
}

fn signer(number: u8) -> Signer {
    Signer {
        secret: secret(number),
        key: None,
    }
}

const SESSION: &str = "a986d473-0248-4884-9832-17ec982ee391";

#[tokio::test]
async fn a_redelivery_begins_anew_and_passes_what_waits_of_its_session() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint().await;
    fixture.events(2, Some(SESSION)).await;
    fixture.end(Settled::Ended(DeliveryState::Exhausted)).await;
    let [first, second] = fixture.deliveries().await.try_into().expect("two");
    assert_eq!(
        (first.state, second.state),
        (DeliveryState::Exhausted, DeliveryState::Pending)
    );
    assert_eq!(fixture.redeliver(first.id).await, Redelivered::Due);
    let [first, second] = fixture.deliveries().await.try_into().expect("two");
    assert_eq!(
        (first.state, first.next_attempt_at),
        (DeliveryState::Pending, Some(fixture.clock.now()))
    );
    assert!(second.next_attempt_at.is_some(), "it is not held up");
    let mut tx = fixture.begin().await;
    tx.disable_endpoint(endpoint, crate::domain::webhook::DisabledReason::Gone)
        .await
        .expect("disabled");
    tx.commit().await.expect("committed");
    fixture.redeliver(first.id).await;
    assert_eq!(fixture.deliveries().await[0].state, DeliveryState::Held);
}

#[tokio::test]
async fn a_redelivery_needs_a_delivery_that_is_seen_and_an_endpoint() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint().await;
    fixture.events(1, None).await;
    let id = fixture.deliveries().await[0].id;
    let nobodys = DeliveryId::new(fixture.clock.id());
    assert_eq!(fixture.redeliver(nobodys).await, Redelivered::Missing);
    let mut tx = fixture.begin().await;
    let others = Tenancy::Only(["another tenant".to_owned()].into());
    let unseen = tx.redeliver(id, &others).await.expect("redelivered");
    assert_eq!(unseen, Redelivered::Missing);
    assert!(
        tx.delete_endpoint(endpoint, &Tenancy::All)
            .await
            .expect("deleted")
    );
    tx.commit().await.expect("committed");
    assert_eq!(fixture.redeliver(id).await, Redelivered::Homeless);
}

#[tokio::test]
async fn a_recovery_makes_due_what_was_given_up_and_nothing_else() {
    let fixture = Fixture::new().await;
    let endpoint = fixture.endpoint().await;
    fixture.events(3, None).await;
    fixture.end(Settled::Ended(DeliveryState::Exhausted)).await;
    fixture.events(1, None).await;
    fixture.end(Settled::Ended(DeliveryState::Delivered)).await;
    let job = fixture.job(endpoint, JobKind::Recover).await;
    assert_eq!((job.total, job.done), (3, 0));
    assert!(fixture.store.has_open_jobs().await.expect("read"));
    assert_eq!(fixture.batch().await, Some(3));
    assert_eq!(fixture.batch().await, None, "it has finished");
    let job = fixture.read(&job).await;
    assert_eq!((job.state, job.total, job.done), (JobState::Finished, 3, 3));
    let states: Vec<_> = fixture.deliveries().await.iter().map(|one| one.state).collect();
    let (pending, delivered) = (DeliveryState::Pending, DeliveryState::Delivered);
    assert_eq!(states, [pending, pending, pending, delivered]);
}

#[tokio::test]
async fn a_replay_goes_on_after_its_last_commit_and_makes_one_delivery_of_each_event() {
    let fixture = Fixture::new().await;
    let number = BATCH * 2 + 50;
    let events = fixture.events(number, Some(SESSION)).await;
    let endpoint = fixture.endpoint().await;
    let job = fixture.job(endpoint, JobKind::Replay).await;
    assert_eq!(job.total, number);
    let batch = usize::try_from(BATCH).expect("fits");
    assert_eq!(fixture.batch().await, Some(batch));
    // The process ends before its commit.
    let mut tx = fixture.begin().await;
    assert_eq!(tx.go_on_with_a_job().await.expect("a batch"), Some(batch));
    drop(tx);
    let running = fixture.read(&job).await;
    assert_eq!((running.state, running.done), (JobState::Running, BATCH));
    assert_eq!(fixture.batch().await, Some(batch));
    assert_eq!(fixture.batch().await, Some(50));
    let job = fixture.read(&job).await;
    assert_eq!((job.state, job.done), (JobState::Finished, number));
    let deliveries = fixture.deliveries().await;
    let sent: BTreeSet<EventId> = deliveries.iter().map(|one| one.event).collect();
    assert_eq!(deliveries.len(), events.len());
    assert_eq!(sent, events.into_iter().collect());
    let due = deliveries.iter().filter(|one| one.next_attempt_at.is_some());
    assert_eq!(due.count(), 1, "the first of the session goes before the others");
}

#[tokio::test]
async fn an_emptied_log_is_known_to_have_held_something() {
    let fixture = Fixture::new().await;
    let start = async || fixture.begin().await.log_start().await.expect("read").place;
    assert_eq!(start().await, 1, "nothing was ever written");
    fixture.events(2, None).await;
    assert_eq!(start().await, 1);
    let mut tx = fixture.begin().await;
    tx.run("delete from events").await.expect("removed");
    tx.commit().await.expect("committed");
    assert_eq!(start().await, 3);
}

#[tokio::test]
async fn both_secrets_sign_until_the_older_is_forgotten() {
    let fixture = Fixture::new().await;
    let id = fixture.endpoint().await;
    let mut tx = fixture.begin().await;
    tx.rotate_endpoint(id, &signer(2), &signer(1))
        .await
        .expect("rotated");
    tx.commit().await.expect("committed");
    let destination = fixture.destination(id).await;
    assert_eq!(destination.secret, secret(2));
    assert_eq!(destination.previous, Some(signer(1)));
    let bounds = || {
        let now = fixture.store.trusted_now();
        (crate::domain::webhook::rules::earlier(now, OVERLAP), now)
    };
    let (before, now) = bounds();
    assert!(
        !fixture
            .store
            .previous_secrets_due(before, now)
            .await
            .expect("read")
    );
    pass(&fixture.store, &fixture.clock, OVERLAP);
    let (before, now) = bounds();
    assert!(
        fixture
            .store
            .previous_secrets_due(before, now)
            .await
            .expect("read")
    );
    let mut tx = fixture.begin().await;
    assert_eq!(tx.forget_previous_secrets(before, now).await.expect("removed"), 1);
    tx.commit().await.expect("committed");
    let destination = fixture.destination(id).await;
    assert_eq!((&destination.secret, &destination.previous), (&secret(2), &None));
}

#[tokio::test]
async fn a_rotation_by_a_clock_that_was_ahead_counts_from_now() {
    let fixture = Fixture::new().await;
    let id = fixture.endpoint().await;
    let mut tx = fixture.begin().await;
    tx.rotate_endpoint(id, &signer(2), &signer(1))
        .await
        .expect("rotated");
    let past = crate::domain::webhook::rules::earlier(fixture.clock.now(), Duration::from_hours(48));
    let before = crate::domain::webhook::rules::earlier(past, OVERLAP);
    assert_eq!(
        tx.forget_previous_secrets(before, past).await.expect("removed"),
        0
    );
    // A day after that moment it has ended, however far ahead the clock was.
    let day_later = crate::clock::later(past, OVERLAP);
    assert_eq!(
        tx.forget_previous_secrets(past, day_later)
            .await
            .expect("removed"),
        1
    );
}
