//! How figures grow with the work: each at 1, 10 and 100 times as much, and the exponent of the power that fits. An exponent of 0 does
//! not grow, 1 grows as the work does; above 1.1 is a defect.
//!
//! `WORK` makes all sizes smaller, for a try: `WORK=0.1`.

use std::future::Future;
use std::time::{Duration, Instant};

use emgate::clock::SystemClock;
use emgate::domain::access::Tenancy;
use emgate::domain::id::OperationId;
use emgate::domain::operation::OperationResult;
use emgate::reports::{Format, render};
use emgate::store::Store;
use emgate::store::operations::OperationFilter;
use emgate::transcode::decode;
use futures_util::StreamExt as _;

use super::audit::a_command;
use super::reads::asked;
use super::reads::callers::Asked;
use super::reads::subject::{Found, Subject, processor_micros};
use super::reports;
use super::stores;
use super::world::{PATIENCE, World, receiver};
use crate::documents;
use crate::figures::statistics::{Spread, exponent};
use crate::figures::{Figures, Row};
use crate::process;

const ROUNDS: usize = 3;
const STEPS: [usize; 3] = [1, 10, 100];
/// How often something short is done for one value.
const SHORT: usize = 20;
const OBSERVED: Duration = Duration::from_secs(4);
const OFTEN: [(&str, &str); 2] = [
    ("EMGATE_WATCH__INTERVAL", "250ms"),
    ("EMGATE_WATCH__IDLE_INTERVAL", "250ms"),
];

pub async fn measure(figures: &mut Figures) {
    figures.begin(
        "growth",
        "exponents over 1, 10 and 100 times the work: 0 does not grow, 1 grows as the work does",
    );
    transcoder(figures);
    report(figures).await;
    lists(figures).await;
    kept(figures).await;
    fan_out(figures).await;
    waiting(figures).await;
    observed(figures).await;
}

/// The sizes of the work, each step ten times the one before.
fn sizes(least: usize) -> [usize; 3] {
    let share = std::env::var("WORK")
        .ok()
        .and_then(|share| share.parse().ok())
        .unwrap_or(1.0);
    STEPS.map(|step| ((least * step) as f64 * share).ceil() as usize)
}

/// The costs at each size, round by round, as a row.
fn tell(figures: &mut Figures, name: &str, unit: &str, sizes: [usize; 3], costs: &[Vec<f64>; 3]) {
    let rounds = costs.iter().map(Vec::len).min().unwrap_or(0);
    let exponents = (0..rounds).map(|round| {
        let points: Vec<(f64, f64)> = sizes
            .iter()
            .zip(costs)
            .map(|(size, costs)| (*size as f64, costs[round]))
            .collect();
        exponent(&points)
    });
    let medians = sizes.iter().zip(costs).map(|(size, costs)| {
        let median = Spread::of(costs).median;
        format!("{size}: {median:.*}", if median < 10.0 { 3 } else { 0 })
    });
    let last: Vec<(f64, f64)> = sizes
        .iter()
        .zip(costs)
        .skip(1)
        .map(|(size, costs)| (*size as f64, Spread::of(costs).median))
        .collect();
    let remark = format!(
        "{} {unit}; {:.2} in the last step",
        medians.collect::<Vec<_>>().join(", "),
        exponent(&last)
    );
    figures.add(Row::new(name, "exponent", exponents.collect()).remark(remark));
}

/// Milliseconds for one, some times over.
async fn millis<F: Future>(times: usize, mut work: impl FnMut() -> F) -> f64 {
    let begun = Instant::now();
    for _ in 0..times {
        std::hint::black_box(work().await);
    }
    begun.elapsed().as_secs_f64() * 1e3 / times as f64
}

fn transcoder(figures: &mut Figures) {
    let sizes = sizes(20);
    let mut costs: [Vec<f64>; 3] = Default::default();
    let documents = sizes.map(|size| documents::sessions(size, true));
    for _ in 0..ROUNDS {
        for ((document, costs), step) in documents.iter().zip(&mut costs).zip(STEPS) {
            let times = 100 / step;
            let begun = Instant::now();
            for _ in 0..times {
                std::hint::black_box(decode(document.as_bytes()).expect("JSON"));
            }
            costs.push(begun.elapsed().as_secs_f64() * 1e3 / times as f64);
        }
    }
    tell(figures, "XML to JSON, by sessions in it", "ms", sizes, &costs);
}

async fn report(figures: &mut Figures) {
    let sizes = sizes(10);
    let world = World::start(&["--speed", "100"], &[]).await;
    let report = reports::tested(&world).await;
    drop(world);
    let mut costs: [Vec<f64>; 3] = Default::default();
    let bodies = sizes.map(|size| reports::with_machines(&report, size).to_string());
    for _ in 0..ROUNDS {
        for ((body, costs), step) in bodies.iter().zip(&mut costs).zip(STEPS) {
            let times = 100 / step;
            let begun = Instant::now();
            for _ in 0..times {
                std::hint::black_box(render(Format::Html, body).expect("a page"));
            }
            costs.push(begun.elapsed().as_secs_f64() * 1e3 / times as f64);
        }
    }
    tell(
        figures,
        "the page of a report, by its machines",
        "ms",
        sizes,
        &costs,
    );
}

/// Lists of plans, from memory and from EM.
async fn lists(figures: &mut Figures) {
    const TIME: Duration = Duration::from_millis(500);
    let simulator = process::simulator(&["--plans", "100"]);
    let directory = tempfile::tempdir().expect("a directory");
    let unshared = [
        ("EMGATE_UPSTREAM__CACHE_TTL", "0s"),
        ("EMGATE_UPSTREAM__COALESCE", "false"),
    ];
    for (name, more) in [
        ("a list from memory, by its plans", &[][..]),
        ("a list from EM, by its plans", &unshared[..]),
    ] {
        let gateway =
            asked::gateway(&simulator, (directory.path(), &more.len().to_string()), &[], more).await;
        let subject = Subject::new(gateway.addr, vec![gateway.id()]);
        let mut found: [Found; 3] = Default::default();
        for round in 0..ROUNDS {
            for (found, size) in found.iter_mut().zip(STEPS) {
                let token = asked::token(&format!("reader of {size} in round {round}"));
                let path = format!("/api/v1/cloud-failover-plans?pageSize={size}");
                let asked = Asked::new(&path, &format!("authorization: Bearer {token}\r\n"), 200);
                subject.measure(found, &asked, TIME);
            }
        }
        tell(
            figures,
            name,
            "us of processor",
            STEPS,
            &found.map(|found| found.micros),
        );
    }
}

/// Pages of what the store keeps.
async fn kept(figures: &mut Figures) {
    let sizes = sizes(1_000);
    let directory = tempfile::tempdir().expect("a directory");
    let mut stores = Vec::new();
    for size in sizes {
        let own = directory.path().join(size.to_string());
        std::fs::create_dir(&own).expect("a directory");
        let store = Store::open(&stores::file_in(&own), SystemClock::shared()).await;
        let store = store.expect("a store");
        stores::fill(&store, size).await;
        operations(&store, size).await;
        stores.push(store);
    }
    let everybody = Tenancy::All;
    let (mut events, mut operations): ([Vec<f64>; 3], [Vec<f64>; 3]) = Default::default();
    for _ in 0..ROUNDS {
        for ((store, events), operations) in stores.iter().zip(&mut events).zip(&mut operations) {
            events.push(millis(SHORT, || store.events_before(&everybody, i64::MAX, 50)).await);
            let all = OperationFilter::default();
            let page = || store.operations(&everybody, &all, None, 50);
            operations.push(millis(SHORT, page).await);
        }
    }
    tell(figures, "50 events, by events kept", "ms", sizes, &events);
    tell(
        figures,
        "50 operations, by operations kept",
        "ms",
        sizes,
        &operations,
    );
}

/// Operations that are finished, many in a transaction.
async fn operations(store: &Store, count: usize) {
    let (clock, command) = (store.clock(), a_command());
    let mut left = count;
    while left > 0 {
        let mut tx = store.begin().await.expect("begun");
        for _ in 0..left.min(100) {
            let mut operation = command.operation(OperationId::new(clock.id()), clock.now());
            tx.insert_operation(&operation, &command).await.expect("inserted");
            operation.finish(Some(OperationResult::Success), None, clock.now());
            tx.save_operation(&operation).await.expect("saved");
        }
        tx.commit().await.expect("committed");
        left -= left.min(100);
    }
}

/// An event for more and more endpoints.
async fn fan_out(figures: &mut Figures) {
    let mut costs: [Vec<f64>; 3] = Default::default();
    let directory = tempfile::tempdir().expect("a directory");
    let mut stores = Vec::new();
    for size in STEPS {
        let own = directory.path().join(size.to_string());
        std::fs::create_dir(&own).expect("a directory");
        let store = Store::open(&stores::file_in(&own), SystemClock::shared()).await;
        let store = store.expect("a store");
        let urls: Vec<String> = (0..size)
            .map(|place| format!("http://127.0.0.1:9/hook/{place}"))
            .collect();
        stores::endpoints(&store, &urls, 4).await;
        stores.push(store);
    }
    for _ in 0..ROUNDS {
        for (store, costs) in stores.iter().zip(&mut costs) {
            costs.push(stores::fill(store, 100).await * 1e3 / 100.0);
        }
    }
    tell(figures, "an event written, by its endpoints", "ms", STEPS, &costs);
}

/// A start with more and more deliveries that wait, until the first goes out.
async fn waiting(figures: &mut Figures) {
    let sizes = sizes(300);
    let simulator = process::simulator(&[]);
    let mut costs: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (size, costs) in sizes.into_iter().zip(&mut costs) {
            let (addr, mut received) = receiver().await;
            let directory = tempfile::tempdir().expect("a directory");
            let store = Store::open(&stores::file_in(directory.path()), SystemClock::shared()).await;
            let store = store.expect("a store");
            stores::endpoints(&store, &[format!("http://{addr}/hook")], 4).await;
            stores::fill(&store, size).await;
            stores::close(store, directory.path()).await;
            let begun = Instant::now();
            let gateway = super::world::gateway(&simulator, directory.path(), &[]);
            let first = tokio::time::timeout(PATIENCE, received.recv()).await;
            first.expect("a delivery in time").expect("a delivery");
            costs.push(begun.elapsed().as_secs_f64() * 1e3);
            drop(gateway);
        }
    }
    tell(
        figures,
        "a start to the first delivery, by those that wait",
        "ms",
        sizes,
        &costs,
    );
}

/// A look at EM while more and more failovers run, and with more and more that ended before.
async fn observed(figures: &mut Figures) {
    let sizes = sizes(20);
    let mut running: [Vec<f64>; 3] = Default::default();
    for (size, costs) in sizes.into_iter().zip(&mut running) {
        let world = World::start(&["--plans", &size.to_string(), "--vms", "2"], &OFTEN).await;
        let plans = world.plans().await;
        futures_util::stream::iter(&plans)
            .for_each_concurrent(8, |plan| world.failover(plan, 3_600.0))
            .await;
        let deadline = Instant::now() + PATIENCE;
        while world.metric("emgate_failover_sessions_active").await < size as f64 {
            assert!(Instant::now() < deadline, "not all failovers were seen");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        *costs = looks(&world).await;
    }
    let unit = "ms of processor";
    tell(
        figures,
        "a look at EM, by failovers that run",
        unit,
        sizes,
        &running,
    );
    let mut past: [Vec<f64>; 3] = Default::default();
    for (size, costs) in sizes.into_iter().zip(&mut past) {
        let world = World::start(&["--history", &size.to_string()], &OFTEN).await;
        *costs = looks(&world).await;
    }
    tell(
        figures,
        "a look at EM, by failovers of the past",
        unit,
        sizes,
        &past,
    );
}

/// Milliseconds of processor time for a look, by round.
async fn looks(world: &World) -> Vec<f64> {
    let turns = async || {
        world
            .metric("emgate_observations_total{outcome=\"complete\"}")
            .await
    };
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let before = (processor_micros(world.gateway.id()), turns().await);
        tokio::time::sleep(OBSERVED).await;
        let after = (processor_micros(world.gateway.id()), turns().await);
        costs.push((after.0 - before.0) / 1e3 / (after.1 - before.1));
    }
    costs
}
