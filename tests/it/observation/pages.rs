//! Lists of several pages that change between two of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Observatory, QUERY, begin, control};

/// Far apart, so that pages follow each other by time; and so close that they follow by number.
const PAUSES: [Duration; 2] = [Duration::from_millis(1700), Duration::from_millis(3)];
const SESSIONS: usize = 204;

async fn observatory() -> Observatory {
    Observatory::with(|sim| sim.plans = SESSIONS).await
}

#[tokio::test]
async fn changes_between_two_pages_are_reported_once() {
    for pause in PAUSES {
        let mut world = observatory().await;
        assert!(world.look().await, "the baseline");
        let (early, late) = (world.begin(0, 5_000).await, world.begin(1, 5_000).await);
        let mut all = world.begin_all(pause).await;
        let latest = world.begin(2, 5_000).await;
        all.extend([early.clone(), late.clone(), latest.clone()]);
        // Page 1 was read when the sessions on it end, page 3 shows the end of the session on it, and one more.
        let (sim, plan, clock) = (world.sim.base_url(), world.plans[3].clone(), world.clock.clone());
        let (started, new) = tokio::sync::oneshot::channel();
        world.scripted.before(QUERY, 3, async move {
            clock.advance(Duration::from_secs(5_000));
            started
                .send(begin(&sim, &plan, 1_000_000).await)
                .expect("awaited");
        });
        assert!(world.look().await);
        all.push(new.await.expect("an interlude"));
        assert_eq!(world.reported().await[&early], ["started"], "as page 1 had it");
        assert_eq!(
            world.reported().await[&latest],
            ["started", "finished"],
            "as page 3 had it"
        );
        assert!(world.look().await && world.look().await);
        let reported = world.reported().await;
        assert_eq!(reported.len(), all.len(), "{pause:?}");
        for session in &all {
            let ended = [&early, &late, &latest].contains(&session);
            let expected: &[&str] = if ended {
                &["started", "finished"]
            } else {
                &["started"]
            };
            assert_eq!(reported[session], expected, "{session} {pause:?}");
        }
    }
}

#[tokio::test]
async fn a_row_that_vanishes_between_two_pages_hides_no_other_for_long() {
    let mut world = observatory().await;
    let all = world.begin_all(PAUSES[1]).await;
    let gone = all[10].clone();
    let (sim, path) = (world.sim.base_url(), format!("failovers?id={gone}"));
    world.scripted.before(QUERY, 2, async move {
        control(&sim, "DELETE", &path, Value::Null).await;
    });
    for _ in 0..4 {
        assert!(world.look().await);
    }
    let reported = world.reported().await;
    assert_eq!(reported.len(), all.len());
    for session in &all {
        let expected: &[&str] = if *session == gone {
            &["started", "lost"]
        } else {
            &["started"]
        };
        assert_eq!(reported[session], expected, "{session}");
    }
}

#[tokio::test]
async fn an_observation_that_fails_on_its_last_page_writes_nothing() {
    for fault in ["close", "truncate"] {
        let mut world = observatory().await;
        let ending = world.begin(0, 10_000).await;
        let all = world.begin_all(PAUSES[1]).await;
        let third = "/api/query?type=CloudFailoverSession&format=Entities&pageSize=100&page=3";
        let fault = json!({"kind": fault, "count": 1000, "path": third});
        world.control("POST", "faults", fault.clone()).await;
        assert!(!world.look().await, "{fault}");
        assert_eq!(world.observations().await, 0, "{fault}");
        assert_eq!(world.reported().await.len(), 0, "{fault}");
        recover(&mut world).await;
        let reported = world.reported().await;
        assert_eq!(reported.len(), all.len() + 1, "{fault}");
        assert!(reported.values().all(|steps| steps == &["started"]), "{fault}");

        world.clock.advance(Duration::from_secs(10_000));
        world.control("POST", "faults", fault.clone()).await;
        assert!(!world.look().await && !world.look().await, "{fault}");
        assert_eq!(world.reported().await, reported, "{fault}");
        recover(&mut world).await;
        assert!(world.look().await);
        let reported = world.reported().await;
        for (session, steps) in &reported {
            let expected: &[&str] = if *session == ending {
                &["started", "finished"]
            } else {
                &["started"]
            };
            assert_eq!(steps, expected, "{session} {fault}");
        }
    }
}

/// EM is well again; a circuit that has opened is tried again after a while.
async fn recover(world: &mut Observatory) {
    world.control("DELETE", "faults", Value::Null).await;
    world.clock.advance(Duration::from_secs(30));
    assert!(world.look().await, "a look after the fault");
}
