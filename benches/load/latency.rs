//! How soon a delivery arrives once its event is committed, at 200 a second to one endpoint, and with endpoints that hang:
//! fifty healthy ones beside none, one and fifty that accept and never answer, with a thousand deliveries waiting for them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use emgate::clock::SystemClock;
use emgate::domain::id::EventId;
use emgate::runtime::Tasks;
use emgate::store::Store;
use emgate::store::replicas::Heartbeat;
use emgate::webhooks::{Client, Dispatcher, EgressPolicy};
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::stores::{self, Fresh, Kind};
use super::world::PATIENCE;
use crate::figures::statistics::percentile;
use crate::figures::{Figures, Row};

const ROUNDS: usize = 3;
const MEASURED: Duration = Duration::from_secs(3);
const HEALTHY: usize = 50;
/// What waits for those that hang.
const QUEUED: usize = 1_000;

/// Endpoints that hang beside the healthy ones.
const HUNG: [usize; 3] = [0, 1, 50];

pub async fn measure(figures: &mut Figures) {
    figures.begin(
        "latency",
        format!("milliseconds from commit to the head of the request at the receiver: one endpoint at 200 a second, {HEALTHY} at 4 a second beside others that hang"),
    );
    for kind in Kind::both().await {
        let mut commits = Vec::new();
        let (mut lone, mut committed) = (Vec::new(), Vec::new());
        let mut beside: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            lone.push(run(&kind, (1, 0), Duration::from_millis(5), &mut commits).await);
            committed.push(percentile(&commits, 0.95));
            for (hung, found) in HUNG.into_iter().zip(&mut beside) {
                let delays = run(&kind, (HEALTHY, hung), Duration::from_millis(250), &mut commits).await;
                found.push(percentile(&delays, 0.99));
            }
        }
        let name = kind.name();
        for (what, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            let found = lone.iter().map(|delays| percentile(delays, share)).collect();
            let row = Row::new(format!("{name}, one endpoint, {what}"), "ms", found);
            figures.add(row.beside("a commit, p95", committed.clone()));
        }
        let [none, one, fifty] = beside;
        for (hung, found) in [(1, one), (50, fifty)] {
            let row = Row::new(format!("{name}, beside {hung} that hang, p99"), "ms", found);
            figures.add(row.beside("none hangs", none.clone()));
        }
    }
}

/// The delays of deliveries to the healthy endpoints in milliseconds, sorted, with an event each `pause`.
async fn run(
    kind: &Kind,
    (healthy, hung): (usize, usize),
    pause: Duration,
    commits: &mut Vec<f64>,
) -> Vec<f64> {
    let Fresh { config, directory } = kind.fresh().await;
    let clock = SystemClock::shared();
    let store = Store::open(&config, clock.clone()).await.expect("a store");
    // A replica without a heartbeat claims nothing.
    let heartbeat = tokio::spawn(Heartbeat::new(store.for_workers(), ()).run());
    let (url, mut arrivals) = receiver().await;
    let deaf = hang().await;
    stores::endpoints(&store, &vec![deaf; hung], 4).await;
    stores::fill(&store, QUEUED.checked_div(hung).unwrap_or_default()).await;
    stores::endpoints(&store, &vec![url; healthy], 4).await;
    let rules = stores::lab();
    let client = Client::new(EgressPolicy::new(&rules, Vec::new()), rules.timeout);
    let tasks = Tasks::new();
    Dispatcher::new(store.for_workers(), client, &rules, clock, tasks.clone()).start();
    // Those that hang have taken what they may before it begins.
    tokio::time::sleep(Duration::from_secs(1)).await;

    commits.clear();
    let mut committed: HashMap<EventId, Instant> = HashMap::new();
    let mut ticks = tokio::time::interval(pause);
    let begun = Instant::now();
    while begun.elapsed() < MEASURED {
        ticks.tick().await;
        let event = stores::an_event(&store);
        let mut tx = store.begin().await.expect("begun");
        tx.append_event(&event).await.expect("appended");
        let before = Instant::now();
        tx.commit().await.expect("committed");
        commits.push(before.elapsed().as_secs_f64() * 1e3);
        committed.insert(event.id, Instant::now());
    }
    let mut delays = Vec::new();
    while delays.len() < committed.len() * healthy {
        let next = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
        let (id, arrived) = next.expect("a delivery in time").expect("a delivery");
        let delay = arrived.saturating_duration_since(committed[&id]);
        delays.push(delay.as_secs_f64() * 1e3);
    }
    tasks.stop(Duration::from_millis(10)).await;
    heartbeat.abort();
    drop((store, directory));
    commits.sort_unstable_by(f64::total_cmp);
    delays.sort_unstable_by(f64::total_cmp);
    delays
}

/// A receiver that tells when the head of each request came.
async fn receiver() -> (String, UnboundedReceiver<(EventId, Instant)>) {
    let (sender, arrivals) = unbounded_channel();
    let take = move |headers: HeaderMap| {
        let at = Instant::now();
        let id = headers["webhook-id"].to_str().expect("text");
        let _ = sender.send((id.parse().expect("an id"), at));
        async {}
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
    (format!("http://{addr}/hook"), arrivals)
}

/// A receiver that accepts and never answers.
async fn hang() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    format!("http://{addr}/deaf")
}
