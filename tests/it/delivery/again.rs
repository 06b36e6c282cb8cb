//! Sending again: one delivery, what was given up, what an endpoint never got.

use std::time::Duration;

use emgate::app::Error;
use emgate::clock::Clock as _;
use emgate::domain::webhook::job::{Job, JobKind, JobState};
use emgate::domain::webhook::{Delivery, DeliveryState};
use emgate::runtime::Worker as _;
use emgate::store::config::Retention;
use emgate::store::retention::Pruner;
use emgate::webhooks::{Config, Jobs};
use jiff::Timestamp;
use serde_json::json;

use super::bench::{Bench, lab, quiet};
use super::peer::{OK, Peer, Reply};
use crate::support::context::operator;
use crate::waiting::holds;

/// One attempt, and then none.
fn hasty() -> Config {
    Config {
        retry_schedule: vec![Duration::from_secs(1)],
        ..lab()
    }
}

async fn begin(bench: &Bench, id: emgate::domain::id::EndpointId, kind: JobKind, since: Timestamp) -> Job {
    let begun = bench.verbs.begin_job(&operator(), id, kind, since).await;
    begun.expect("a job")
}

async fn finished(bench: &Bench, job: &Job) -> Job {
    let jobs = Jobs::new(bench.store.clone());
    while jobs.step().await.expect("a step") {}
    let job = bench
        .verbs
        .job(&operator(), job.endpoint, job.id)
        .await
        .expect("the job");
    assert_eq!(job.state, JobState::Finished);
    assert!(job.finished_at.is_some());
    job
}

async fn redelivered(bench: &Bench, delivery: &Delivery) -> Delivery {
    let again = bench.verbs.redeliver(&operator(), delivery.id).await;
    again.expect("redelivered")
}

#[tokio::test]
async fn a_delivery_that_arrived_is_sent_again_under_the_same_id() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    bench.endpoint(&peer.url()).await;
    let event = bench.session_event(1, 1).await;
    let first = bench.settled(event, DeliveryState::Delivered).await;
    redelivered(&bench, &first).await;
    let second = bench.attempted(event, 2, DeliveryState::Delivered).await;
    assert_eq!(second.id, first.id);
    let [one, other] = peer.received().try_into().expect("two requests");
    assert_eq!((one.id(), &one.body), (other.id(), &other.body));
}

#[tokio::test]
async fn a_redelivery_goes_through_a_pause_and_a_test_does_as_well() {
    let (bench, peer) = (
        Bench::start().await,
        Peer::answering(Reply::Status(503, "retry-after: 3600\r\n")).await,
    );
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    let waiting = bench.attempted(event, 1, DeliveryState::Pending).await;
    peer.now(|_| OK);
    quiet(&bench).await;
    assert_eq!(peer.count(), 1, "the endpoint asked for silence");
    redelivered(&bench, &waiting).await;
    bench.settled(event, DeliveryState::Delivered).await;
    bench.verbs.test(&operator(), endpoint.id).await.expect("a test");
    holds("the test", || peer.count() == 3).await;
}

#[tokio::test]
async fn a_redelivery_waits_for_a_disabled_endpoint_and_needs_one_at_all() {
    let (bench, peer) = (Bench::start().await, Peer::answering(OK).await);
    let endpoint = bench.endpoint(&peer.url()).await;
    let event = bench.event().await;
    let delivery = bench.settled(event, DeliveryState::Delivered).await;
    bench.patch(endpoint.id, json!({"enabled": false})).await;
    assert_eq!(redelivered(&bench, &delivery).await.state, DeliveryState::Held);
    bench.patch(endpoint.id, json!({"enabled": true})).await;
    bench.attempted(event, 2, DeliveryState::Delivered).await;
    bench
        .verbs
        .delete(&operator(), endpoint.id, None)
        .await
        .expect("deleted");
    let again = bench.verbs.redeliver(&operator(), delivery.id).await;
    assert!(matches!(again, Err(Error::Invalid(_))), "{again:?}");
}

#[tokio::test]
async fn recover_sends_what_was_given_up_in_order() {
    let bench = Bench::idle(hasty()).await;
    bench.dispatch();
    let peer = Peer::answering(Reply::Status(422, "")).await;
    let endpoint = bench.endpoint(&peer.url()).await;
    let begin_at = bench.clock.now();
    let mut events = Vec::new();
    for sequence in 1..=3 {
        let event = bench.session_event(1, sequence).await;
        bench.attempted(event, 1, DeliveryState::Pending).await;
        bench.advance(Duration::from_secs(2));
        bench.settled(event, DeliveryState::Exhausted).await;
        events.push(event.to_string());
    }
    let before = peer.count();
    peer.now(|_| OK);
    bench.advance(Duration::from_secs(1));
    let late = begin(&bench, endpoint.id, JobKind::Recover, bench.clock.now()).await;
    finished(&bench, &late).await;
    let job = begin(&bench, endpoint.id, JobKind::Recover, begin_at).await;
    let job = finished(&bench, &job).await;
    bench.store.deliveries_nudge().now();
    holds("all three", || peer.count() >= before + 3).await;
    assert_eq!(peer.ids()[before..], events, "in the order of the session");
    assert_eq!((late.total, job.total, job.done), (0, 3, 3));
}

#[tokio::test]
async fn replay_sends_what_the_endpoint_wants_and_never_got() {
    let (bench, peer) = (Bench::idle(lab()).await, Peer::answering(OK).await);
    let begin_at = bench.clock.now();
    let mut wanted = Vec::new();
    for sequence in 1..=150 {
        let event = bench.session_event(sequence as usize % 7, sequence).await;
        wanted.push(event.to_string());
    }
    bench.event().await;
    let settings = json!({"eventTypes": ["failover.session.finished"]});
    let endpoint = bench.endpoint_with(&peer.url(), settings).await;
    bench
        .verbs
        .test(&operator(), endpoint.id)
        .await
        .expect("a test, which is not replayed");
    let got = bench.session_event(1, 151).await;
    bench.dispatch();
    bench.settled(got, DeliveryState::Delivered).await;
    let job = begin(&bench, endpoint.id, JobKind::Replay, begin_at).await;
    assert_eq!((job.state, job.total, job.done), (JobState::Pending, 150, 0));
    let again = bench
        .verbs
        .begin_job(&operator(), endpoint.id, JobKind::Replay, begin_at)
        .await;
    assert!(matches!(again, Err(Error::TooManyJobs(_))), "{again:?}");
    let job = finished(&bench, &job).await;
    assert_eq!((job.total, job.done), (150, 150));
    bench.store.deliveries_nudge().now();
    holds("all of them", || peer.count() == 152).await;
    let mut ids = peer.ids();
    ids.retain(|id| wanted.contains(id));
    for session in 0..7 {
        let of = |ids: &[String]| -> Vec<String> {
            let own = |id: &&String| {
                wanted
                    .iter()
                    .position(|known| known == *id)
                    .is_some_and(|at| (at + 1) % 7 == session)
            };
            ids.iter().filter(own).cloned().collect()
        };
        assert_eq!(of(&ids), of(&wanted), "each session in its order");
    }
    let second = begin(&bench, endpoint.id, JobKind::Replay, begin_at).await;
    assert_eq!(second.total, 0, "it has all by now");
}

#[tokio::test]
async fn a_replay_over_what_retention_removed_says_from_when_it_can() {
    let mut bench = Bench::idle(lab()).await;
    let kept = Duration::from_hours(24);
    let retention = Retention {
        events: kept,
        ..Retention::default()
    };
    let begin_at = bench.clock.now();
    bench.event().await;
    bench.advance(Duration::from_hours(30));
    bench.event().await;
    let mut pruner = Pruner::new(bench.store.clone(), &retention);
    pruner.activate().await;
    bench.verbs = bench.verbs.clone().with_events_kept(kept);
    let endpoint = bench.endpoint("https://receiver.example/").await;
    let context = operator();
    let replay = async |since| {
        bench
            .verbs
            .begin_job(&context, endpoint.id, JobKind::Replay, since)
            .await
    };
    let Err(Error::Invalid(faults)) = replay(begin_at).await else {
        panic!("it was accepted")
    };
    assert_eq!(faults[0].pointer, "/since");
    let said = faults[0].detail.split_whitespace().find_map(|word| {
        let word = word.trim_end_matches(';');
        word.parse::<Timestamp>().ok()
    });
    let said = said.unwrap_or_else(|| panic!("no moment in {}", faults[0].detail));
    assert!(said > begin_at);
    assert_eq!(replay(said).await.expect("a job").total, 1, "from then on it can");
}
