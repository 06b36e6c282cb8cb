//! What the observation of five hundred healthy failover sessions costs beside twenty damaged ones of eight kinds.
//!
//! One gateway; the twenty are damaged and healed in turns, so that whatever else the machine does meets both alike.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{World, processor_seconds};

const HEALTHY: usize = 500;
const DAMAGED: usize = 20;
const KINDS: [&str; 8] = [
    "escByte",
    "invalidUtf8",
    "badEntity",
    "bareAmpersand",
    "mismatchedTag",
    "deep",
    "repeatedPart",
    "noIdentity",
];
const ROUNDS: usize = 6;
/// Until reads of single sessions have become rare, as they are when damage lasts.
const SETTLES: Duration = Duration::from_secs(8);
const MEASURED: Duration = Duration::from_secs(10);

pub async fn measure() {
    let plans = (HEALTHY + DAMAGED).to_string();
    let world = World::start(
        &["--plans", &plans, "--vms", "2", "--progress-zero"],
        &[
            ("EMGATE_WATCH__INTERVAL", "200ms"),
            ("EMGATE_WATCH__IDLE_INTERVAL", "200ms"),
        ],
    )
    .await;
    let mut sessions = Vec::new();
    for plan in world.plans().await {
        let wish = json!({ "planId": plan, "action": "test", "seconds": 1_000_000 });
        let made = world.control(Method::POST, "/_sim/failovers", wish).await;
        sessions.push(made["sessionId"].as_str().expect("a session").to_owned());
    }
    let (mut well, mut beside) = ((0.0, 0.0), (0.0, 0.0));
    for _ in 0..ROUNDS {
        world.control(Method::DELETE, "/_sim/damage", Value::Null).await;
        add(&mut well, cost(&world).await);
        for (place, session) in sessions.iter().take(DAMAGED).enumerate() {
            let kind = KINDS[place % KINDS.len()];
            let wish = json!({ "id": session, "kind": kind, "alone": place % 2 == 0 });
            world.control(Method::POST, "/_sim/damage", wish).await;
        }
        add(&mut beside, cost(&world).await);
    }
    let each = |(seconds, looks): (f64, f64)| seconds / looks * 1e3;
    println!(
        "the observation of {HEALTHY} healthy failover sessions beside {DAMAGED}, processor time for each look"
    );
    println!("  beside healthy ones               {:6.1} ms", each(well));
    println!(
        "  beside damaged ones of {} kinds    {:6.1} ms   {:.2} times as much",
        KINDS.len(),
        each(beside),
        each(beside) / each(well)
    );
}

fn add(sum: &mut (f64, f64), more: (f64, f64)) {
    sum.0 += more.0;
    sum.1 += more.1;
}

/// Processor seconds and complete observations in the measured time.
async fn cost(world: &World) -> (f64, f64) {
    tokio::time::sleep(SETTLES).await;
    let before = (processor_seconds(&world.gateway), looks(world).await);
    tokio::time::sleep(MEASURED).await;
    let after = (processor_seconds(&world.gateway), looks(world).await);
    (after.0 - before.0, after.1 - before.1)
}

async fn looks(world: &World) -> f64 {
    let url = format!("http://{}/metrics", world.gateway.addr);
    let text = reqwest::get(url)
        .await
        .expect("an answer")
        .text()
        .await
        .expect("metrics");
    let line = text
        .lines()
        .find(|line| line.starts_with("emgate_observations_total{outcome=\"complete\"}"));
    let number = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    number.expect("a count")
}
