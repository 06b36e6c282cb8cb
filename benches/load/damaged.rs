//! What the observation of five hundred healthy failover sessions costs beside twenty damaged ones of eight kinds.
//!
//! One gateway; the twenty are damaged and healed in turns, so that whatever else the machine does meets both alike.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::world::{World, processor_seconds};
use crate::figures::{Figures, Row};

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
const ROUNDS: usize = 3;
/// Until reads of single sessions have become rare, as they are when damage lasts.
const SETTLES: Duration = Duration::from_secs(8);
const MEASURED: Duration = Duration::from_secs(5);

pub async fn measure(figures: &mut Figures) {
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
    let (mut well, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        world.control(Method::DELETE, "/_sim/damage", Value::Null).await;
        well.push(cost(&world).await);
        for (place, session) in sessions.iter().take(DAMAGED).enumerate() {
            let kind = KINDS[place % KINDS.len()];
            let wish = json!({ "id": session, "kind": kind, "alone": place % 2 == 0 });
            world.control(Method::POST, "/_sim/damage", wish).await;
        }
        beside.push(cost(&world).await);
    }
    figures.begin(
        "damaged",
        format!("processor time for each look at {HEALTHY} healthy failover sessions beside {DAMAGED}"),
    );
    let row = Row::new(
        format!("beside damaged ones of {} kinds", KINDS.len()),
        "ms",
        beside,
    );
    figures.add(row.beside("healthy ones", well));
}

/// Milliseconds of processor time for each complete observation.
async fn cost(world: &World) -> f64 {
    tokio::time::sleep(SETTLES).await;
    let before = (processor_seconds(&world.gateway), looks(world).await);
    tokio::time::sleep(MEASURED).await;
    let after = (processor_seconds(&world.gateway), looks(world).await);
    (after.0 - before.0) / (after.1 - before.1) * 1e3
}

async fn looks(world: &World) -> f64 {
    world
        .metric("emgate_observations_total{outcome=\"complete\"}")
        .await
}
