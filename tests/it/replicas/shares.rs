//! The total of logon sessions over all replicas: never exceeded while they come, go and are overloaded.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::join_all;

use super::world::{Replica, Shared};
use crate::support::client;
use crate::support::world::stats;
use crate::waiting::eventually;

/// Most sessions of all replicas together.
const TOTAL: u64 = 5;
/// More readers than there are slots, so that each replica wants every session that it may have.
const READERS: usize = 16;

/// Reads of which each is another, so that each costs Enterprise Manager a request; ends when it is stopped.
struct Crowd {
    count: AtomicU64,
    over: AtomicBool,
}

impl Crowd {
    fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    async fn at(&self, replica: &Replica) {
        let reader = async || {
            while !self.over.load(Ordering::Relaxed) {
                let number = self.count.fetch_add(1, Ordering::Relaxed);
                let path =
                    format!("/api/v1/em/query?type=CloudFailoverPlan&filter=name==%22plan%20{number}%22");
                replica.get(&path).await;
            }
        };
        join_all((0..READERS).map(|_| reader())).await;
    }
}

/// Waits until the replicas have so many sessions each.
async fn until_sessions(shared: &Shared, wished: &[(&Replica, f64)]) {
    let counter = "emgate_upstream_logon_sessions{account=\"operators\"}";
    let counted = async || {
        let sessions = wished.iter().map(|(replica, _)| replica.counter(counter));
        (join_all(sessions).await, stats(&shared.simulator).await)
    };
    eventually("their sessions", counted, |(sessions, _)| {
        let mut both = sessions.iter().zip(wished);
        both.all(|(sessions, (_, wished))| (sessions - wished).abs() < 0.5)
    })
    .await;
}

/// All logon sessions die.
async fn expire(shared: &Shared) {
    let request = client::plain().post(shared.simulator.url("/_sim/expire"));
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_replicas_together_never_have_more_sessions_than_configured() {
    let shared = Shared::start(&["--latency", "10"]).await;
    let environment = [
        ("EMGATE_UPSTREAM__ACCOUNTS__0__MAX_SESSIONS", "5"),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__MAX_REQUESTS_PER_SESSION", "2"),
    ];
    let join = async || shared.replica_with(&environment).await;
    let (one, other) = (join().await, join().await);

    let crowd = Crowd::new();
    let arrival = async {
        until_sessions(&shared, &[(&one, 3.0), (&other, 2.0)]).await;
        let third = join().await;
        until_sessions(&shared, &[(&one, 2.0), (&other, 2.0)]).await;
        crowd.over.store(true, Ordering::Relaxed);
        third
    };
    let (third, (), ()) = tokio::join!(arrival, crowd.at(&one), crowd.at(&other));

    other.process.kill();
    // EM drops what a killed replica leaves behind, which takes it 15 minutes; here it drops all at once.
    expire(&shared).await;
    let crowd = Crowd::new();
    let growth = async {
        until_sessions(&shared, &[(&one, 3.0), (&third, 2.0)]).await;
        crowd.over.store(true, Ordering::Relaxed);
    };
    tokio::join!(growth, crowd.at(&one), crowd.at(&third));

    let counted = stats(&shared.simulator).await;
    assert_eq!(counted["maxConcurrent"], TOTAL, "{counted}");
    for replica in [one, third] {
        assert!(replica.process.terminate().success());
    }
    let counted = stats(&shared.simulator).await;
    assert_eq!(counted["activeSessions"], 0, "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_replicas_than_sessions_have_one_each() {
    let shared = Shared::start(&[]).await;
    let environment = [("EMGATE_UPSTREAM__ACCOUNTS__0__MAX_SESSIONS", "1")];
    let join = async || shared.replica_with(&environment).await;
    let replicas = [join().await, join().await, join().await];
    for replica in &replicas {
        replica.get("/api/v1/cloud-failover-plans").await;
    }
    let counted = stats(&shared.simulator).await;
    assert_eq!(counted["maxConcurrent"], 3, "{counted}");
}
