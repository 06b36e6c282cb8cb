//! Sessions that are alike, an EM whose clock is wrong, and one that forgets.

use std::time::Duration;

use serde_json::Value;

use super::Observatory;

#[tokio::test]
async fn simultaneous_sessions_of_a_plan_are_each_reported_once() {
    let mut world = Observatory::with(|_| {}).await;
    assert!(world.look().await);
    let mut sessions = Vec::new();
    for seconds in [100, 100, 100, 200] {
        sessions.push(world.begin(0, seconds).await);
    }
    assert!(world.look().await);
    world.clock.advance(Duration::from_secs(100));
    assert!(world.look().await);
    let reported = world.reported().await;
    for session in &sessions[..3] {
        assert_eq!(reported[session], ["started", "finished"]);
    }
    assert_eq!(reported[&sessions[3]], ["started"]);
    for event in world.events().await {
        assert_eq!(
            event["data"]["session"]["plan"]["id"],
            world.plans[0].as_str(),
            "{event}"
        );
    }
}

#[tokio::test]
async fn a_wrong_clock_at_em_hides_no_session() {
    for skew in [-14 * 60, -60, 60, 14 * 60] {
        let mut world = Observatory::with(|sim| sim.clock_skew = skew).await;
        let running = world.begin(0, 8_000).await;
        assert!(world.look().await);
        let short = world.begin(1, 60).await;
        // No observation for three hours, in which both end.
        world.clock.advance(Duration::from_hours(3));
        let latest = world.begin(2, 1_000_000).await;
        assert!(world.look().await && world.look().await);
        let reported = world.reported().await;
        assert_eq!(reported[&running], ["started", "finished"], "{skew}");
        assert_eq!(reported[&short], ["started", "finished"], "{skew}");
        assert_eq!(reported[&latest], ["started"], "{skew}");
    }
}

#[tokio::test]
async fn an_em_that_was_restored_to_yesterday_has_lost_only_what_ran() {
    let mut world = Observatory::with(|sim| sim.history = 120).await;
    assert!(world.look().await);
    assert_eq!(world.reported().await.len(), 0, "the past is no news");
    let (ended, running) = (world.begin(0, 60).await, world.begin(1, 10_000).await);
    assert!(world.look().await);
    world.clock.advance(Duration::from_mins(2));
    assert!(world.look().await);
    world.control("DELETE", "failovers", Value::Null).await;
    assert!(world.look().await);
    assert_eq!(
        world.reported().await[&running],
        ["started"],
        "one look is no proof"
    );
    for _ in 0..3 {
        assert!(world.look().await);
    }
    let next = world.begin(1, 60).await;
    world.clock.advance(Duration::from_mins(2));
    assert!(world.look().await && world.look().await);
    let reported = world.reported().await;
    assert_eq!(reported[&ended], ["started", "finished"]);
    assert_eq!(reported[&running], ["started", "lost"]);
    assert_eq!(reported[&next], ["started", "finished"]);
    assert_eq!(reported.len(), 3);
}
