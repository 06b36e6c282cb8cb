//! A restart with a hundred thousand deliveries that wait: how soon the first goes out, and what it costs in memory.

use std::time::{Duration, Instant};

use emgate::api_types::events::{UpstreamEventData, event};
use emgate::app::webhooks::Webhooks;
use emgate::clock::SystemClock;
use emgate::domain::event::{EventType, Routing};
use emgate::domain::id::EventId;
use emgate::store::{self, Store};
use emgate::webhooks::{Config, EgressPolicy};
use serde_json::json;

use super::world::{PATIENCE, gateway, megabytes, ready, receiver};
use crate::context::operator;
use crate::process;

const DELIVERIES: usize = 100_000;
const DRAINED: Duration = Duration::from_secs(10);

pub async fn measure() {
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
    fill(directory.path(), &format!("http://{addr}/hook")).await;
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
    println!("restart with {DELIVERIES} deliveries that wait");
    println!(
        "  ready after           {:6.0} ms",
        ready_after.as_secs_f64() * 1e3
    );
    println!(
        "  first delivery        {:+6.0} ms from ready; goal 1000 ms or less",
        (first_after.as_secs_f64() - ready_after.as_secs_f64()) * 1e3
    );
    println!(
        "  memory                {peak:6.1} MB at the most, {:+.1} MB beside idle; goal 32 MiB or less",
        peak - idle
    );
    println!(
        "  delivered             {:6.0} a second, one endpoint, SQLite with synchronous=FULL",
        f64::from(taken) / DRAINED.as_secs_f64()
    );
}

/// Writes the deliveries as a gateway would have: an endpoint, and events in transactions.
async fn fill(directory: &std::path::Path, url: &str) {
    let clock = SystemClock::shared();
    let config = store::Config {
        url: format!("sqlite://{}", directory.join("emgate.db").display()),
        encryption_key_file: None,
    };
    let store = Store::open(&config, clock.clone()).await.expect("a store");
    let rules = Config {
        allow_private_networks: true,
        allow_http: true,
        ..Config::default()
    };
    let verbs = Webhooks::new(
        store.clone(),
        EgressPolicy::new(&rules, Vec::new()),
        clock.clone(),
    );
    let endpoint = json!({ "url": url, "eventTypes": ["upstream.unavailable"] });
    verbs
        .create(
            &operator(),
            serde_json::from_value(endpoint).expect("an endpoint"),
        )
        .await
        .expect("created");
    for _ in 0..DELIVERIES / 1_000 {
        let mut tx = store.begin().await.expect("begun");
        for _ in 0..1_000 {
            let now = clock.now();
            let data = UpstreamEventData {
                account: "operators".to_owned(),
                since: now.into(),
                reason: None,
            };
            let made = event(
                EventId::new(clock.id()),
                EventType::UpstreamUnavailable,
                now,
                data,
                Routing::default(),
            );
            tx.append_event(&made.expect("an event")).await.expect("appended");
        }
        tx.commit().await.expect("committed");
    }
    store.close().await;
    drop((verbs, store));
    // The lock of the store goes with its last user.
    let deadline = Instant::now() + PATIENCE;
    let lock = directory.join("emgate.db.lock");
    while std::fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_err()) {
        assert!(Instant::now() < deadline, "somebody still uses the store");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
