//! How many deliveries a second go out, one endpoint and a hundred, on both stores: beside single-row commits of the same
//! store and beside a loop of the same client without a store, all of one run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use emgate::clock::SystemClock;
use emgate::domain::webhook::target::TargetUrl;
use emgate::store::Store;
use emgate::webhooks::{Client, EgressPolicy};
use futures_util::future::join_all;

use super::stores::{self, Fresh, Kind};
use super::world::{LAB, PATIENCE, processor_seconds, ready};
use crate::process::{self, Running};

/// How long a rate is measured, and how many deliveries wait at the most.
const MEASURED: Duration = Duration::from_secs(10);
const DELIVERIES: usize = 60_000;

/// How many requests the loop without a store has under way: as many as an endpoint may have.
const CONCURRENCY: usize = 32;

pub async fn measure() {
    let receiver = Counter::start().await;
    let bare = bare_loop(&receiver).await;
    println!("deliveries a second, bodies of 900 bytes, one machine for all");
    println!("  the same client alone                 {bare:7.0} a second, {CONCURRENCY} at once");
    let simulator = process::simulator(&[]);
    for kind in Kind::both().await {
        let commits = kind.commits().await;
        println!(
            "  {:36}  {commits:7.0} single-row commits a second, 8 clients",
            kind.name()
        );
        for endpoints in [1, 100] {
            let rate = drain(&kind, &simulator, &receiver, endpoints).await;
            println!(
                "    {endpoints:3} endpoints  {:7.0} a second, {:.2} of the commits (goal 0.5), {:.2} of the client alone (goal 0.2); \
                 {:5.0} us of processor time each, {:4.1} a turn; written with their events at {:6.0} a second",
                rate.deliveries,
                rate.deliveries / commits,
                rate.deliveries / bare,
                rate.processor * 1e6,
                rate.a_turn,
                rate.written
            );
        }
    }
}

struct Rate {
    /// Deliveries a second.
    deliveries: f64,
    /// Seconds of the gateway's processor time for each.
    processor: f64,
    /// Deliveries for each turn of the dispatcher.
    a_turn: f64,
    /// Deliveries written a second, by fan-out.
    written: f64,
}

/// A gateway that starts with deliveries that wait.
async fn drain(kind: &Kind, simulator: &Running, receiver: &Counter, endpoints: usize) -> Rate {
    let Fresh { config, directory } = kind.fresh().await;
    let store = Store::open(&config, SystemClock::shared())
        .await
        .expect("a store");
    stores::endpoints(&store, &vec![receiver.url.clone(); endpoints], CONCURRENCY).await;
    let waiting = DELIVERIES / (if endpoints == 1 { 2 } else { 1 });
    let written = waiting as f64 / stores::fill(&store, waiting / endpoints).await;
    stores::close(store, directory.path()).await;

    let upstream = format!("http://{}", simulator.addr);
    let mut settings = process::settings(&upstream, &config.url);
    settings.extend(LAB);
    let key = config.encryption_key_file.map(|path| path.display().to_string());
    if let Some(key) = &key {
        settings.push(("EMGATE_STORE__ENCRYPTION_KEY_FILE", key));
    }
    let already = receiver.taken();
    let gateway = process::start(&["serve"], &settings);
    ready(&gateway).await;
    let deadline = Instant::now() + PATIENCE;
    while receiver.taken() - already < waiting / 100 {
        assert!(Instant::now() < deadline, "nothing is delivered");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let turns_before = turns(&gateway).await;
    let (from, processor, begun) = (receiver.taken(), processor_seconds(&gateway), Instant::now());
    while begun.elapsed() < MEASURED && receiver.taken() - already < waiting {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let taken = (receiver.taken() - from) as f64;
    Rate {
        deliveries: taken / seconds,
        processor: (processor_seconds(&gateway) - processor) / taken,
        a_turn: taken / (turns(&gateway).await - turns_before),
        written,
    }
}

/// How many turns the dispatcher has had.
async fn turns(gateway: &Running) -> f64 {
    let url = format!("http://{}/metrics", gateway.addr);
    let answer = reqwest::get(url).await.expect("an answer");
    let text = answer.text().await.expect("a body");
    let of_dispatcher =
        |line: &&str| line.starts_with("emgate_worker_turns_total") && line.contains("\"webhooks\"");
    let counts = text.lines().filter(of_dispatcher);
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// The client that sends deliveries, in a loop, without anything else.
async fn bare_loop(receiver: &Counter) -> f64 {
    let rules = stores::lab();
    let client = Client::new(EgressPolicy::new(&rules, Vec::new()), rules.timeout);
    let target = TargetUrl::parse(&receiver.url, true).expect("a URL");
    let body = Bytes::from(vec![b'x'; 900]);
    let begun = Instant::now();
    let before = receiver.taken();
    join_all((0..CONCURRENCY).map(|_| async {
        while begun.elapsed() < MEASURED {
            let report = client.post(&target, http::HeaderMap::new(), body.clone()).await;
            report.result.expect("an answer");
        }
    }))
    .await;
    (receiver.taken() - before) as f64 / begun.elapsed().as_secs_f64()
}

/// A receiver that counts and answers 200.
struct Counter {
    url: String,
    taken: Arc<AtomicUsize>,
}

impl Counter {
    async fn start() -> Self {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = taken.clone();
        let take = move |_: Bytes| {
            counted.fetch_add(1, Ordering::Relaxed);
            async {}
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let addr = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
        Self {
            url: format!("http://{addr}/hook"),
            taken,
        }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}
