//! What recovery reports cost: the forms of one of 100 and of 1,000 machines, in milliseconds and bytes, and the programme over
//! 5,000 plans.

use std::time::Instant;

use emgate::reports::{Format, integrity, render};
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{PATIENCE, World};
use crate::figures::{Figures, Row};

const ROUNDS: usize = 15;
const PLANS: usize = 5_000;

pub async fn measure(figures: &mut Figures) {
    figures.begin(
        "reports",
        "milliseconds for a recovery report in each form, and for the programme of a year",
    );
    let world = World::start(&["--speed", "100"], &[]).await;
    let report = tested(&world).await;
    drop(world);
    for count in [100, 1000] {
        let body = with_machines(&report, count).to_string();
        for format in Format::ALL {
            let (bytes, millis) = timed(|| render(format, &body).expect("a form"));
            let row = Row::new(format!("{count} machines as {}", format.word()), "ms", millis);
            figures.add(row.remark(format!("{} bytes", bytes.len())));
        }
        let value: Value = serde_json::from_str(&body).expect("JSON");
        let (_, millis) = timed(|| integrity::digest(&value).expect("a digest"));
        figures.add(Row::new(format!("{count} machines, digest"), "ms", millis));
    }
    let plans = PLANS.to_string();
    let world = World::start(&["--speed", "100", "--plans", &plans], &[]).await;
    let path = "/api/v1/reports/recovery-tests?kind=cloud";
    let mut times = Vec::new();
    let mut programme = Value::Null;
    for _ in 0..3 {
        let begun = Instant::now();
        programme = world.call(Method::GET, path, None).await;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    assert_eq!(programme["population"], PLANS);
    let row = Row::new(format!("programme of {PLANS} plans"), "ms", times);
    figures.add(row.remark(format!("{} bytes", programme.to_string().len())));
    let (page, millis) = timed(|| emgate::reports::html::programme(&programme).expect("a page"));
    let row = Row::new("the programme as a page", "ms", millis);
    figures.add(row.remark(format!("{} bytes", page.len())));
}

/// The result and the times in milliseconds.
pub fn timed<T>(work: impl Fn() -> T) -> (T, Vec<f64>) {
    let times = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            std::hint::black_box(work());
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    (work(), times)
}

/// The report of a test.
pub async fn tested(world: &World) -> Value {
    let plan = world.plans().await.swap_remove(0);
    let path = format!("/api/v1/cloud-failover-plans/{plan}/test");
    let asked = world.call(Method::POST, &path, Some(json!({}))).await;
    let operation = format!("/api/v1/operations/{}", asked["id"].as_str().expect("an id"));
    let deadline = Instant::now() + PATIENCE;
    while world.call(Method::GET, &operation, None).await["state"] != "finished" {
        assert!(Instant::now() < deadline, "the test did not end");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    world
        .call(Method::GET, &format!("{operation}/report"), None)
        .await
}

pub fn with_machines(report: &Value, count: usize) -> Value {
    let mut report = report.clone();
    let machine = report["machines"][0].clone();
    let machines = (0..count).map(|number| {
        let mut machine = machine.clone();
        machine["name"] = json!(format!("server-{number:04}.example"));
        machine
    });
    report["machines"] = machines.collect();
    report
}
