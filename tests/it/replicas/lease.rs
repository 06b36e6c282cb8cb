//! The lease to observe: one replica has it, and whoever lost it is recognised.

use emgate::store::replicas::Lease;

use super::world::store_on;
use crate::support::postgres::database;

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_has_the_lease_until_it_leaves_and_its_old_writes_are_refused() {
    let database = database().await;
    let (one, other) = (store_on(&database).await, store_on(&database).await);
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
