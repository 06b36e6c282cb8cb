//! What it costs to watch 20, 200 and 2,000 failovers: where nothing changes between two looks, and where each of them
//! makes progress; started at EM, or through the gateway, which follows an operation for each then. `CASES=still,moving,asked`
//! and `FAILOVERS` choose among them; `TIME` says how long each is watched.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{PATIENCE, World, megabytes, processor_seconds};

const CROWDS: [usize; 3] = [20, 200, 2_000];

/// How the failovers go on: by the simulator the first 4 % of a session's length show nothing new, and what comes then is
/// a percent of each machine in 1/250 of it.
const CASES: [Case; 3] = [
    Case {
        name: "still",
        length: 1e7,
        is_asked: false,
    },
    Case {
        name: "moving",
        length: 400.0,
        is_asked: false,
    },
    Case {
        name: "asked",
        length: 1e7,
        is_asked: true,
    },
];

struct Case {
    name: &'static str,
    /// How long a failover takes, in seconds.
    length: f64,
    /// Whether the gateway is asked for it.
    is_asked: bool,
}

/// The intervals of the configuration's defaults, in seconds: while something runs, and while nothing does.
const INTERVALS: [f64; 2] = [2.0, 15.0];

pub async fn measure() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    let (crowd, cases) = (number("FAILOVERS"), std::env::var("CASES").ok());
    let watched = Duration::from_secs(number("TIME").unwrap_or(16) as u64);
    println!(
        "failovers watched every {} s for {watched:?}; of a turn: milliseconds of processor (of the simulator's too), requests \
         to it, events, commits, KB to the disk; per cent of a core as watched, and with a turn every {INTERVALS:?} s",
        INTERVALS[0]
    );
    for one in CASES {
        let is_named = |cases: String| cases.split(',').any(|name| name == one.name);
        if !cases.clone().is_none_or(is_named) {
            continue;
        }
        let mut before: Option<(usize, f64)> = None;
        for failovers in CROWDS {
            if crowd.is_some_and(|crowd| crowd != failovers) {
                continue;
            }
            let turn = watch(&one, failovers, watched).await;
            if let Some((fewer, less)) = before {
                let growth = (turn / less).ln() / (failovers as f64 / fewer as f64).ln();
                println!("         processor time of a turn grew by the power of {growth:.2}");
            }
            before = Some((failovers, turn));
        }
    }
}

/// Watches so many failovers; the processor time of a turn, in seconds.
async fn watch(case: &Case, failovers: usize, watched: Duration) -> f64 {
    let plans = failovers.to_string();
    let world = World::start(&["--plans", &plans, "--vms", "2"], &[]).await;
    let ids = world.plans().await;
    let begun = Instant::now();
    futures_util::stream::iter(&ids)
        .for_each_concurrent(8, |plan| case.begin(&world, plan))
        .await;
    // The last of them has begun to show progress, where it is to show any.
    let working = Duration::from_secs_f64((case.length * 0.045).min(20.0)).saturating_sub(begun.elapsed());
    let (deadline, working) = (Instant::now() + PATIENCE, Instant::now() + working);
    while Instant::now() < working || active(&world).await < ids.len() {
        assert!(Instant::now() < deadline, "not all failovers were seen");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    come_to_rest(&world).await;
    let first = Count::of(&world).await;
    let begun = Instant::now();
    tokio::time::sleep(watched).await;
    let wall = begun.elapsed().as_secs_f64();
    let last = Count::of(&world).await;
    let of = |count: fn(&Count) -> f64| count(&last) - count(&first);
    let turns = of(|count| count.turns).max(1.0);
    let turn = of(|count| count.processor) / turns;
    let [short, idle] = INTERVALS.map(|interval| turn / interval * 100.0);
    println!(
        "{failovers:5} {:6} {:7.1} ms ({:.1}), {:.1} requests, {:.1} events, {:.1} commits, {:.0} KB; {:.1} % of a core, {short:.1} and {idle:.1} %; \
         {turns:.0} turns of {:.0} ms, {:.1} MB resident",
        case.name,
        turn * 1e3,
        of(|count| count.simulator) / turns * 1e3,
        of(|count| count.queries) / turns,
        of(|count| count.events) / turns,
        of(|count| count.commits) / turns,
        of(|count| count.written) / turns / 1e3,
        of(|count| count.processor) / wall * 100.0,
        of(|count| count.looking) / turns * 1e3,
        megabytes(&world.gateway),
    );
    turn
}

/// Waits until the evidence of new failovers is kept, for which EM is asked for each of their restore points; not for long.
async fn come_to_rest(world: &World) {
    let deadline = Instant::now() + PATIENCE;
    let mut before = Count::of(world).await;
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = Count::of(world).await;
        if now.points <= before.points {
            return;
        }
        before = now;
    }
}

impl Case {
    async fn begin(&self, world: &World, plan: &str) {
        if !self.is_asked {
            return world.failover(plan, self.length).await;
        }
        let outcome = json!({ "planId": plan, "seconds": self.length });
        world.control(Method::POST, "/_sim/outcomes", outcome).await;
        let path = format!("/api/v1/cloud-failover-plans/{plan}/test");
        world.call(Method::POST, &path, None).await;
    }
}

/// What has been counted up to a moment.
struct Count {
    /// Seconds of processor time.
    processor: f64,
    simulator: f64,
    /// Complete observations.
    turns: f64,
    /// Their duration together, in seconds.
    looking: f64,
    queries: f64,
    /// Requests for restore points.
    points: f64,
    events: f64,
    commits: f64,
    /// Bytes to the disk.
    written: f64,
}

impl Count {
    async fn of(world: &World) -> Self {
        let text = metrics(world).await;
        let stats: Value = world.control(Method::GET, "/_sim/stats", json!(null)).await;
        Self {
            processor: processor_seconds(&world.gateway),
            simulator: processor_seconds(&world.simulator),
            turns: sum(&text, "emgate_observations_total{outcome=\"complete\"}"),
            looking: sum(&text, "emgate_watch_look_duration_seconds_sum"),
            queries: stats["requests"]["GET /api/query"].as_f64().unwrap_or(0.0),
            points: requests_for(&stats, "/cloud/vmReplicaPoints/"),
            events: sum(&text, "emgate_events_total"),
            commits: sum(&text, "emgate_store_transaction_duration_seconds_count"),
            written: written(world.gateway.id()),
        }
    }
}

/// How many sessions the gateway sees at work.
async fn active(world: &World) -> usize {
    sum(&metrics(world).await, "emgate_failover_sessions_active") as usize
}

async fn metrics(world: &World) -> String {
    let url = format!("http://{}/metrics", world.gateway.addr);
    let answer = reqwest::get(url).await.expect("an answer");
    answer.text().await.expect("a body")
}

/// The values of the lines that begin with that, together.
fn sum(metrics: &str, name: &str) -> f64 {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let is_whole = rest.starts_with(['{', ' ']);
        rest.rsplit(' ').next().filter(|_| is_whole)?.parse::<f64>().ok()
    });
    values.sum()
}

/// How many requests the simulator got whose line has this in it.
fn requests_for(stats: &Value, path: &str) -> f64 {
    let requests = stats["requests"].as_object().into_iter().flatten();
    let counts = requests
        .filter(|(line, _)| line.contains(path))
        .map(|(_, count)| count);
    counts.filter_map(Value::as_f64).sum()
}

/// The bytes that a process has sent to the disk.
fn written(process: u32) -> f64 {
    let io = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0.0)
}
