//! The lease to observe: one replica has it, and writes under a lost lease are refused.

use std::time::{Duration, Instant};

use emgate::clock::SystemClock;
use emgate::runtime::Worker as _;
use emgate::sim::{Options, Simulator};
use emgate::store::Store;
use emgate::store::replicas::{Heartbeat, LeaseName};
use emgate::upstream::EmClient;
use emgate::watcher::{self, Watcher};

use super::world::store_on;
use crate::em_bench::config;
use crate::support::postgres::database;

#[tokio::test(flavor = "multi_thread")]
async fn writes_under_a_lost_lease_are_refused() {
    let database = database().await;
    let (one, other) = (store_on(&database).await, store_on(&database).await);
    let first = one.lease(LeaseName::Watch).await.expect("asked").expect("free");
    assert_eq!(other.lease(LeaseName::Watch).await.expect("asked"), None);
    let kept = one.lease(LeaseName::Watch).await.expect("asked");
    assert_eq!(kept, Some(first), "keeping it changes nothing");
    let mut tx = one.begin().await.expect("begun");
    assert!(tx.holds(&first).await.expect("asked"));
    drop(tx);

    one.close().await;
    let second = other.lease(LeaseName::Watch).await.expect("asked");
    let second = second.expect("free at once");
    let mut tx = other.begin().await.expect("begun");
    assert!(
        !tx.holds(&first).await.expect("asked"),
        "a write under the old one"
    );
    assert!(tx.holds(&second).await.expect("asked"));
    drop(tx);
    other.close().await;
}

fn watcher(url: &str, store: &Store) -> Watcher {
    let clock = SystemClock::shared();
    let em = EmClient::new(&config(url), clock.clone()).expect("a room");
    let unknown_after = Duration::from_mins(20);
    Watcher::new(
        em,
        store.clone(),
        clock,
        watcher::Config::default(),
        unknown_after,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_em_does_not_answer_leaves_the_observation_to_one_that_it_answers() {
    let database = database().await;
    let (one, other) = (store_on(&database).await, store_on(&database).await);
    let hearts = [one.clone(), other.clone()].map(|store| tokio::spawn(Heartbeat::new(store, ()).run()));
    let sim = Simulator::start(Options::on_any_port())
        .await
        .expect("a simulator");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    let mut cut_off = watcher(&format!("http://{address}"), &one);
    let mut reaching = watcher(&sim.base_url(), &other);
    cut_off.activate().await;
    assert_eq!(
        other.lease(LeaseName::Watch).await.expect("asked"),
        None,
        "it has the lease"
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    while other.observation().await.expect("read") == 0 {
        assert!(Instant::now() < deadline, "nobody observes");
        reaching.activate().await;
        cut_off.activate().await;
    }
    for _ in 0..5 {
        cut_off.activate().await;
        reaching.activate().await;
    }
    assert!(
        other.lease(LeaseName::Watch).await.expect("asked").is_some(),
        "and it stays there"
    );
    for heart in hearts {
        heart.abort();
    }
    one.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lease_is_never_given_to_a_replica_that_em_does_not_answer() {
    let database = database().await;
    let (one, other) = (store_on(&database).await, store_on(&database).await);
    let lease = one.lease(LeaseName::Watch).await.expect("asked").expect("free");
    assert!(!one.hand_over(lease).await.expect("asked"), "no answer is known");
    one.record_em_contact().await.expect("noted");
    assert!(!one.hand_over(lease).await.expect("asked"), "not to itself");
    other.record_em_contact().await.expect("noted");
    assert!(one.hand_over(lease).await.expect("asked"));
    assert!(
        !one.hand_over(lease).await.expect("asked"),
        "it is not its own any more"
    );
    assert!(other.lease(LeaseName::Watch).await.expect("asked").is_some());
    one.close().await;
    other.close().await;
}
