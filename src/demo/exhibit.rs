//! What the console has to show when the demo stays up: a test that failed, one that passed, one that runs, and a start that waits
//! for approval. All of it is asked for through the API, by a caller who is not the one that the demo's token names.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Options;
use super::because;
use super::client::{Client, Plan};
use super::stage::{HELD_BACK, Stage};
use crate::cli::Failure;

/// How long the test takes that runs while somebody looks.
const RUNNING: Duration = Duration::from_mins(30);
/// How long what ends may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fills the gateway.
pub async fn fill(options: &Options, stage: &Stage) -> Result<(), Failure> {
    let portal = &stage.portal;
    let plans = portal.plans().await?;
    let is_held_back = |plan: &&Plan| {
        plan.tenant
            .as_ref()
            .is_some_and(|tenant| tenant.name == HELD_BACK)
    };
    let waiting = plans.iter().find(is_held_back);
    let waiting = waiting.ok_or_else(|| Failure::new("the simulator has no plan of the tenant"))?;
    let taken = [super::PLAN, waiting.id.as_str()];
    let others = plans.iter().map(|plan| plan.id.as_str());
    let mut others = others.filter(|id| !taken.iter().any(|taken| id.eq_ignore_ascii_case(taken)));
    let mut next = || {
        others
            .next()
            .ok_or_else(|| Failure::new("the simulator has too few plans"))
    };
    let failing = next()?;
    let message = "Unable to power on the virtual machine: not enough memory on the host";
    let wish = json!({"planId": failing, "result": "failed", "failureMessage": message, "seconds": 4.0 * options.speed()});
    outcome(stage, wish).await?;
    let passing = next()?;
    outcome(
        stage,
        json!({"planId": passing, "seconds": 3.0 * options.speed()}),
    )
    .await?;
    let running = next()?;
    outcome(
        stage,
        json!({"planId": running, "seconds": RUNNING.as_secs_f64() * options.speed()}),
    )
    .await?;
    portal
        .start_plan(&waiting.id, "Site outage: the customer asked by phone")
        .await?;
    for plan in [failing, passing] {
        let (_, operation) = portal.test_plan(plan).await?;
        ended(portal, &operation.id).await?;
    }
    portal.test_plan(running).await?;
    Ok(())
}

/// Waits until an operation has ended.
pub async fn ended(client: &Client, operation: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while client.operation(operation).await?.state != "finished" {
        if Instant::now() >= deadline {
            return Err(Failure::new("a failover of the exhibition did not end"));
        }
        sleep(Duration::from_millis(40)).await;
    }
    Ok(())
}

/// Tells the simulator how failovers of a plan are to be from now on.
pub async fn outcome(stage: &Stage, wish: Value) -> Result<(), Failure> {
    control(stage, "outcomes", &wish).await
}

/// An order to the simulator.
pub async fn control(stage: &Stage, path: &str, wish: &Value) -> Result<(), Failure> {
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
    let http = http.map_err(because("cannot make an HTTP client"))?;
    let url = format!("{}/_sim/{path}", stage.simulator_url);
    let sent = http.post(url).body(wish.to_string()).send().await;
    let answer = sent.and_then(reqwest::Response::error_for_status);
    answer
        .map(drop)
        .map_err(because("the simulator refused an order"))
}
