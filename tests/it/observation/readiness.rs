//! Why the gateway is not ready, or not well: what each check says of a fault that was made, and of no other.

use std::time::Duration;

use emgate::app::App;
use emgate::clock::Clock as _;
use emgate::runtime::Tasks;

use super::Observatory;

/// The checks that fail: name, whether work depends on it, and the reason.
async fn failed(app: &App) -> Vec<(&'static str, bool, String)> {
    let readiness = app.readiness().await;
    let failed = readiness.checks.into_iter().filter(|check| !check.ok);
    failed
        .map(|check| {
            let reason = check.reason.map(String::from);
            (check.name, check.required, reason.unwrap_or_default())
        })
        .collect()
}

fn told(name: &'static str, required: bool, reason: &str) -> (&'static str, bool, String) {
    (name, required, reason.to_owned())
}

#[tokio::test]
async fn a_gateway_that_has_observed_nothing_says_so() {
    let mut world = Observatory::with(|_| {}).await;
    let app = world.app(Tasks::new());
    let yet = "failover sessions have not been fully observed yet";
    let expected = [told("baseline", true, yet), told("observation", false, yet)];
    assert_eq!(failed(&app).await, expected);
    assert!(world.look().await);
    assert_eq!(failed(&app).await, []);
}

#[tokio::test]
async fn a_gateway_that_stops_says_so() {
    let mut world = Observatory::with(|_| {}).await;
    let tasks = Tasks::new();
    let app = world.app(tasks.clone());
    assert!(world.look().await);
    assert_eq!(failed(&app).await, []);
    tasks.stopping().cancel();
    assert_eq!(
        failed(&app).await,
        [told("running", true, "the gateway is stopping")]
    );
}

#[tokio::test]
async fn a_clock_that_is_further_ahead_than_downtime_explains_is_named_with_its_moment() {
    let mut world = Observatory::with(|_| {}).await;
    let app = world.app(Tasks::new());
    assert!(world.look().await);
    world.store.save_trusted_time().await.expect("remembered");
    world.clock.advance(Duration::from_hours(24 * 400));
    let now = world.clock.now();
    let readiness = app.readiness().await;
    assert!(readiness.is_ready() && !readiness.is_healthy(), "{readiness:?}");
    let clock = readiness.checks.iter().find(|check| check.name == "clock");
    let clock = clock.expect("the check");
    assert_eq!(
        (clock.since, clock.reason.as_deref()),
        (
            Some(now),
            Some("it is further ahead of the time recorded in the store than downtime explains")
        )
    );
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_the_reason_of_all_that_is_read_from_it() {
    let mut world = Observatory::with(|_| {}).await;
    let app = world.app(Tasks::new());
    assert!(world.look().await);
    assert_eq!(failed(&app).await, []);
    world.store.close().await;
    let unasked = "the store cannot be asked for it";
    assert_eq!(
        failed(&app).await,
        [
            told("store", true, "it does not answer"),
            told("baseline", true, unasked),
            told("observation", false, unasked)
        ]
    );
}
