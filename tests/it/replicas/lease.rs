//! The lease to observe: one replica has it, and whoever lost it is recognised.

use emgate::clock::SystemClock;
use emgate::store::replicas::Lease;
use emgate::store::{Config, Store};

use crate::support::postgres::database;

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_has_the_lease_until_it_leaves_and_its_old_writes_are_refused() {
    let database = database().await;
    let config = Config {
        url: database.url,
        encryption_key_file: Some(database.key_file),
    };
    let open = async || {
        Store::open(&config, SystemClock::shared())
            .await
            .expect("a store")
    };
    let (one, other) = (open().await, open().await);
    let first = one.lease(Lease::WATCH).await.expect("asked").expect("free");
    assert_eq!(other.lease(Lease::WATCH).await.expect("asked"), None);
    let kept = one.lease(Lease::WATCH).await.expect("asked");
    assert_eq!(kept, Some(first), "keeping it changes nothing");
    let mut tx = one.begin().await.expect("begun");
    assert!(tx.holds(&first).await.expect("asked"));
    drop(tx);

    one.close().await;
    let second = other.lease(Lease::WATCH).await.expect("asked");
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
