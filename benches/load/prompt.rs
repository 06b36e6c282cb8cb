//! From the end of a session at EM to the webhook at the receiver.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::world::{PATIENCE, World, receiver};
use crate::figures::statistics::percentile;
use crate::figures::{Figures, Row};

const FAILOVERS: usize = 60;
const INTERVAL: Duration = Duration::from_millis(500);

pub async fn measure(figures: &mut Figures) {
    let world = World::start(
        &["--plans", "60", "--vms", "2"],
        &[
            ("EMGATE_WATCH__INTERVAL", "500ms"),
            ("EMGATE_WATCH__IDLE_INTERVAL", "500ms"),
        ],
    )
    .await;
    let (addr, mut received) = receiver().await;
    let endpoint =
        json!({ "url": format!("http://{addr}/hook"), "eventTypes": ["failover.session.finished"] });
    world
        .call(Method::POST, "/api/v1/webhook-endpoints", Some(endpoint))
        .await;
    for (number, plan) in world.plans().await.iter().take(FAILOVERS).enumerate() {
        // Ends that fall evenly on the watcher's interval.
        world.failover(plan, 2.0 + number as f64 * 0.053).await;
    }
    let mut delays = Vec::new();
    while delays.len() < FAILOVERS {
        let next = tokio::time::timeout(PATIENCE, received.recv())
            .await
            .expect("a webhook in time");
        let (at, event) = next.expect("a webhook");
        let ended: jiff::Timestamp = event["data"]["session"]["endedAt"]
            .as_str()
            .expect("an end")
            .parse()
            .expect("a time");
        delays.push(at.duration_since(ended).as_secs_f64() * 1e3);
    }
    delays.sort_unstable_by(f64::total_cmp);
    let interval = INTERVAL.as_secs_f64() * 1e3;
    figures.begin(
        "prompt",
        format!("milliseconds from a session's end at EM to the webhook at the receiver, {FAILOVERS} failovers, watched every {interval:.0} ms"),
    );
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let row = Row::new(name, "ms", vec![percentile(&delays, share)]);
        figures.add(row.beside("the interval", vec![interval]));
    }
}
