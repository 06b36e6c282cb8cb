//! Hundreds wait for one operation, and the database is far away: they get their answer, and delay no other request.

use std::collections::BTreeMap;

use serde_json::json;

use super::wire::Wire;
use super::world::{Shared, path_of};
use crate::support::PLAN;
use crate::support::postgres::database;

const WAITERS: usize = 400;
/// Were each of them to read by itself, as often as anything changes, ten connections would not be enough.
const PACE: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_who_wait_leave_the_store_to_the_others() {
    let wire = Wire::before(&database().await).await;
    // Slow enough to outlast the wait.
    let shared = Shared::on(wire.database(), &["--speed", "0.1"]);
    let replica = shared.replica().await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let (status, operation) = replica.post(&path, &[], &json!({})).await;
    assert_eq!(status, 202, "{operation}");
    wire.slow_down(PACE);
    let waiting: Vec<_> = (0..WAITERS)
        .map(|_| {
            let null = serde_json::Value::Null;
            let request = replica.request(reqwest::Method::GET, &path_of(&operation), &null);
            let request = request.header("prefer", "wait=8");
            tokio::spawn(async move { request.send().await.expect("an answer").status().as_u16() })
        })
        .collect();
    let mut others = 0;
    while !waiting.iter().all(tokio::task::JoinHandle::is_finished) {
        let (status, _, body) = replica.ask("/api/v1/operations").await;
        assert_eq!(status, 200, "the {others}th other request: {body}");
        others += 1;
    }
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for one in waiting {
        *statuses.entry(one.await.expect("whole")).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(200, WAITERS)]));
}
