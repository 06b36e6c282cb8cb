//! Two thousand failovers at once, watched by one query (all its pages) a turn.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{PATIENCE, World, megabytes, processor_seconds};

const FAILOVERS: usize = 2_000;
const WATCHED: Duration = Duration::from_secs(20);

pub async fn measure() {
    let plans = FAILOVERS.to_string();
    let world = World::start(&["--plans", &plans, "--vms", "2"], &[]).await;
    let idle = megabytes(&world.gateway);
    let ids = world.plans().await;
    futures_util::stream::iter(&ids)
        .for_each_concurrent(8, |plan| world.failover(plan, 3_600.0))
        .await;
    let deadline = Instant::now() + PATIENCE;
    while active(&world).await < ids.len() {
        assert!(Instant::now() < deadline, "not all failovers were seen");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (before, queries, turns, looking) = (
        processor_seconds(&world.gateway),
        queries(&world).await,
        turns(&world).await,
        looking(&world).await,
    );
    let begun = Instant::now();
    tokio::time::sleep(WATCHED).await;
    let wall = begun.elapsed().as_secs_f64();
    let used = processor_seconds(&world.gateway) - before;
    let turns = self::turns(&world).await - turns;
    let pages = self::queries(&world).await - queries;
    let looking = self::looking(&world).await - looking;
    println!(
        "{} failovers at once, watched every 2 s for {wall:.0} s",
        ids.len()
    );
    println!("  processor  {:5.1} % of one core", used / wall * 100.0);
    println!(
        "  memory     {:5.1} MB resident, {idle:.1} MB before",
        megabytes(&world.gateway)
    );
    println!(
        "  at EM      {:5.1} requests a turn (pages of one query), {turns:.0} turns of {:.0} ms each",
        pages / turns.max(1.0),
        looking / turns.max(1.0) * 1e3
    );
}

/// How many sessions the gateway sees at work.
async fn active(world: &World) -> usize {
    gauge(world, "emgate_failover_sessions_active").await as usize
}

async fn turns(world: &World) -> f64 {
    gauge(world, "emgate_observations_total{outcome=\"complete\"}").await
}

/// The duration of all turns together, in seconds.
async fn looking(world: &World) -> f64 {
    gauge(world, "emgate_watch_look_duration_seconds_sum").await
}

async fn gauge(world: &World, name: &str) -> f64 {
    let url = format!("http://{}/metrics", world.gateway.addr);
    let text = reqwest::get(url)
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

async fn queries(world: &World) -> f64 {
    let stats: Value = world.control(Method::GET, "/_sim/stats", json!(null)).await;
    stats["requests"]["GET /api/query"].as_f64().unwrap_or(0.0)
}
