//! How many deliveries a second go out, one endpoint and a hundred, on both stores: beside single-row commits of the same store,
//! beside pgbench and beside a loop of the same client without a store, rounds in turn.

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
use crate::figures::{Figures, Row};
use crate::process::{self, Running};

const ROUNDS: usize = 3;
/// How long a rate is measured, and how many deliveries wait at the most.
const MEASURED: Duration = Duration::from_secs(3);
const DELIVERIES: usize = 30_000;

/// How many requests the loop without a store has under way: as many as an endpoint may have.
const CONCURRENCY: usize = 32;

const ENDPOINTS: [usize; 2] = [1, 100];

pub async fn measure(figures: &mut Figures) {
    let receiver = Counter::start().await;
    let simulator = process::simulator(&[]);
    figures.begin(
        "deliveries",
        format!("deliveries a second, bodies of 900 bytes, one machine for all; the client alone with {CONCURRENCY} at once, 8 clients commit; synchronous=FULL, fsync=on"),
    );
    for kind in Kind::both().await {
        let (mut bare, mut commits, mut pgbench) = (Vec::new(), Vec::new(), Vec::new());
        let mut rates: [Vec<Rate>; 2] = Default::default();
        for _ in 0..ROUNDS {
            bare.push(bare_loop(&receiver).await);
            commits.push(kind.commits().await);
            pgbench.extend(kind.pgbench().await);
            for (endpoints, rates) in ENDPOINTS.into_iter().zip(&mut rates) {
                rates.push(drain(&kind, &simulator, &receiver, endpoints).await);
            }
        }
        for (endpoints, rates) in ENDPOINTS.into_iter().zip(rates) {
            let name = |what: &str| format!("{}, to {endpoints}, {what}", kind.name());
            let all = |of: fn(&Rate) -> f64| rates.iter().map(of).collect::<Vec<f64>>();
            let sent = |what: &str| Row::new(name(what), "/s", all(|rate| rate.deliveries));
            figures.add(sent("beside commits").beside("single-row commits", commits.clone()));
            if !pgbench.is_empty() {
                figures.add(sent("beside pgbench").beside("pgbench -N", pgbench.clone()));
            }
            figures.add(sent("beside the client").beside("the client alone", bare.clone()));
            figures.add(Row::new(
                name("processor"),
                "us",
                all(|rate| rate.processor * 1e6),
            ));
            figures.add(Row::new(
                name("in one turn"),
                "deliveries",
                all(|rate| rate.a_turn),
            ));
            figures.add(Row::new(name("written"), "/s", all(|rate| rate.written)));
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
    let waiting = DELIVERIES;
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
