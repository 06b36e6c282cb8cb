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

const MEASURED: Duration = Duration::from_secs(10);
const HEALTHY: usize = 50;
/// What waits for those that hang.
const QUEUED: usize = 1_000;

pub async fn measure() {
    for kind in Kind::both().await {
        println!(
            "from commit to the head of the request at the receiver, {}",
            kind.name()
        );
        let mut commits = Vec::new();
        let lone = run(&kind, (1, 0), Duration::from_millis(5), &mut commits).await;
        println!(
            "  one commit takes {:5.1} ms at the 95th percentile",
            at(&commits, 0.95)
        );
        tell("1 endpoint, 200 a second", &lone);
        let mut without = None;
        for hung in [0, 1, 50] {
            let delays = run(&kind, (HEALTHY, hung), Duration::from_millis(250), &mut commits).await;
            tell(&format!("{HEALTHY} healthy beside {hung} that hang"), &delays);
            let p99 = at(&delays, 0.99);
            let base = *without.get_or_insert(p99);
            println!("      p99 {:.2} times that without (goal 1.2)", p99 / base);
        }
    }
}

fn tell(name: &str, delays: &[f64]) {
    println!(
        "  {name:34}  p50 {:6.1} ms  p95 {:6.1} ms  p99 {:6.1} ms  ({} deliveries)",
        at(delays, 0.5),
        at(delays, 0.95),
        at(delays, 0.99),
        delays.len()
    );
}

/// The value at a share of sorted ones.
fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
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
