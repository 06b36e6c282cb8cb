//! An observation of many sessions that ends half way: what was written stays, and nothing is reported or read twice.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use emgate::runtime::Worker as _;

use super::Observatory;

const SESSIONS: usize = 450;
const SINGLE: &str = "GET /api/cloud/failoverSessions/";

#[tokio::test]
async fn a_crash_during_an_observation_neither_loses_nor_repeats_events() {
    for baseline in [true, false] {
        let mut world = Observatory::with(|sim| sim.plans = SESSIONS).await;
        if baseline {
            assert!(world.look().await);
        }
        let all = world.begin_all(Duration::from_millis(3)).await;
        // In the third part, when two are written.
        let (reached, at_the_point) = tokio::sync::oneshot::channel();
        world.scripted.before(SINGLE, 420, async move {
            reached.send(()).expect("awaited");
            std::future::pending::<()>().await;
        });
        let before = world.observations().await;
        tokio::select! {
            _ = world.watcher.activate() => panic!("the look ended"),
            reached = at_the_point => reached.expect("reached"),
        }
        let reported = world.reported().await;
        assert_eq!(reported.len(), 400, "two parts are there");
        assert_eq!(
            world.observations().await,
            before,
            "and the observation is not complete"
        );
        world.restart();
        assert!(world.look().await);
        assert!(world.look().await);
        assert!(world.observations().await > before);
        let reported_after = world.reported().await;
        assert_eq!(reported_after.len(), all.len());
        assert!(reported_after.values().all(|steps| steps == &["started"]));
        let mut reads: HashMap<String, usize> = HashMap::new();
        for seen in world.scripted.seen(SINGLE) {
            let id = seen.target.trim_start_matches("/api/cloud/failoverSessions/");
            let id = id.split('?').next().expect("an id").to_lowercase();
            *reads.entry(id).or_default() += 1;
        }
        let stored: HashSet<&String> = reported.keys().collect();
        for (session, count) in &reads {
            assert!(
                *count == 1 || !stored.contains(session),
                "{session} was read {count} times"
            );
        }
    }
}
