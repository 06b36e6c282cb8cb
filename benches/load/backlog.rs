//! A restart with a hundred thousand deliveries that wait: how soon the first goes out, and what it costs in memory.

use std::time::{Duration, Instant};

use emgate::clock::SystemClock;
use emgate::store::Store;

use super::stores;
use super::world::{PATIENCE, gateway, megabytes, ready, receiver};
use crate::figures::{Figures, Row};
use crate::process;

const DELIVERIES: usize = 100_000;
/// What an endpoint has that says nothing about it.
const CONCURRENCY: usize = 4;
const DRAINED: Duration = Duration::from_secs(10);

pub async fn measure(figures: &mut Figures) {
    let directory = tempfile::tempdir().expect("a directory");
    let simulator = process::simulator(&[]);
    let (addr, mut received) = receiver().await;
    // The same gateway without a backlog, for the memory.
    let idle = {
        let other = tempfile::tempdir().expect("a directory");
        let gateway = gateway(&simulator, other.path(), &[]);
        ready(&gateway).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        megabytes(&gateway)
    };
    let store = Store::open(&stores::file_in(directory.path()), SystemClock::shared()).await;
    let store = store.expect("a store");
    stores::endpoints(&store, &[format!("http://{addr}/hook")], CONCURRENCY).await;
    stores::fill(&store, DELIVERIES).await;
    stores::close(store, directory.path()).await;
    let begun = Instant::now();
    let gateway = gateway(&simulator, directory.path(), &[]);
    ready(&gateway).await;
    let ready_after = begun.elapsed();
    let first = tokio::time::timeout(PATIENCE, received.recv())
        .await
        .expect("a delivery in time");
    first.expect("a delivery");
    let first_after = begun.elapsed();
    let (mut taken, mut peak) = (1, megabytes(&gateway));
    while begun.elapsed() < first_after + DRAINED {
        while received.try_recv().is_ok() {
            taken += 1;
        }
        peak = peak.max(megabytes(&gateway));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    figures.begin(
        "backlog",
        format!(
            "a restart with {DELIVERIES} deliveries that wait, one endpoint, SQLite with synchronous=FULL"
        ),
    );
    // Before readiness is told, as a rule.
    let first = (first_after.as_secs_f64() - ready_after.as_secs_f64()) * 1e3;
    let each = f64::from(taken) / DRAINED.as_secs_f64();
    for row in [
        Row::new("ready after", "ms", vec![ready_after.as_secs_f64() * 1e3]),
        Row::new("first delivery after ready", "ms", vec![first]),
        Row::new("memory beside idle", "MB", vec![peak - idle]).remark(format!("{peak:.1} MB at the most")),
        Row::new("delivered", "/s", vec![each]),
    ] {
        figures.add(row);
    }
}
