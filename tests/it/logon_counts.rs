//! What the gateway as a process costs Enterprise Manager in logon sessions: bursts, expiry, limits, kills.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::join_all;
use serde_json::json;

use crate::support::client::{self, Client};
use crate::support::process::Process;
use crate::support::token;
use crate::support::world::{World, stats};
use crate::waiting::{eventually, holds};

/// Most sessions of an account by default.
const MAX_SESSIONS: u64 = 2;

/// Reads of which each is another, so that each costs Enterprise Manager a request.
struct Readers {
    client: Client,
    count: AtomicU64,
}

impl Readers {
    fn of(world: &World) -> Self {
        let all = token(&json!({"sub": "crowd", "scope": "em:read tenants:all"}));
        Self {
            client: Client::new(world.gateway.addr, Some(all)),
            count: AtomicU64::new(0),
        }
    }

    async fn read(&self) {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = format!("/api/v1/em/query?type=CloudFailoverPlan&filter=name==%22plan%20{number}%22");
        let answer = self.client.get(&path).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    async fn burst(&self, size: usize) {
        join_all((0..size).map(|_| self.read())).await;
    }
}

async fn count(simulator: &Process, name: &str) -> u64 {
    stats(simulator).await[name].as_u64().expect("a count")
}

async fn until(simulator: &Process, name: &str, wished: u64) {
    let stats = eventually(
        name,
        async || stats(simulator).await,
        |stats| stats[name] == wished,
    )
    .await;
    assert_eq!(stats[name], wished);
}

async fn expire(simulator: &Process) {
    let request = client::plain().post(simulator.url("/_sim/expire"));
    assert!(
        request
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
    );
}

#[tokio::test]
async fn a_cold_burst_of_500_reads_costs_as_many_logons_as_sessions_are_allowed() {
    let world = World::begin(&["--latency", "5"]);
    Readers::of(&world).burst(500).await;
    let logons = count(&world.simulator, "logons").await;
    assert!((1..=MAX_SESSIONS).contains(&logons), "{logons} logons");
    let (status, simulator) = world.stop_gateway();
    assert!(status.success());
    assert_eq!(count(&simulator, "activeSessions").await, 0);
    let stats = stats(&simulator).await;
    assert_eq!(stats["logoffs"], stats["logons"], "{stats}");
    assert!(
        stats["requests"]["GET /api/query"].as_u64() >= Some(500),
        "{stats}"
    );
}

#[tokio::test]
async fn each_of_many_dead_sessions_costs_one_logon() {
    for status in ["401", "403"] {
        let world = World::start(&["--latency", "20", "--expired-status", status]).await;
        let (readers, ended) = (Readers::of(&world), AtomicBool::new(false));
        let done: Vec<AtomicU64> = (0..40).map(|_| AtomicU64::new(0)).collect();
        let crowd = join_all(done.iter().map(|done| async {
            while !ended.load(Ordering::Relaxed) {
                readers.read().await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
        let storm = async {
            for round in 1..=3 {
                until(&world.simulator, "logons", round * MAX_SESSIONS).await;
                // Whoever met the last expiry is past it: one that dies twice under a request is another matter.
                let seen: Vec<u64> = done.iter().map(|done| done.load(Ordering::Relaxed)).collect();
                holds("two more answers for each", || {
                    (done.iter().zip(&seen)).all(|(done, seen)| done.load(Ordering::Relaxed) >= seen + 2)
                })
                .await;
                if round < 3 {
                    expire(&world.simulator).await;
                }
            }
            ended.store(true, Ordering::Relaxed);
        };
        tokio::join!(crowd, storm);
        assert_eq!(
            count(&world.simulator, "logons").await,
            3 * MAX_SESSIONS,
            "{status}: {}",
            stats(&world.simulator).await
        );
        let (end, simulator) = world.stop_gateway();
        assert!(end.success());
        assert_eq!(count(&simulator, "activeSessions").await, 0, "{status}");
    }
}

#[tokio::test]
async fn a_burst_is_served_in_the_one_session_that_em_grants() {
    let world = World::begin(&["--latency", "2", "--max-sessions", "1"]);
    Readers::of(&world).burst(100).await;
    assert_eq!(count(&world.simulator, "logons").await, 1);
    let (status, simulator) = world.stop_gateway();
    assert!(status.success());
    assert_eq!(count(&simulator, "activeSessions").await, 0);
}

#[tokio::test]
async fn a_gateway_started_at_ems_limit_is_ready_once_em_drops_a_dead_session() {
    let world = World::start(&["--max-sessions", "1", "--idle", "2"]).await;
    let world = world.crash_and_restart().await;
    until(&world.simulator, "logons", 2).await;
    assert_eq!(count(&world.simulator, "activeSessions").await, 1);
    world.get("/api/v1/cloud-failover-plans").await;
    let (status, simulator) = world.stop_gateway();
    assert!(status.success());
    assert_eq!(count(&simulator, "activeSessions").await, 0);
}

/// Kills a gateway so many times as soon as it has logged on, and ends the last one in order.
async fn killed(times: u64) {
    const LOGGED_ON: &str = "logged on to Enterprise Manager";
    let mut world = World::begin(&["--idle", "3"]);
    for _ in 0..times {
        // Its own word, because asking the simulator again and again would take longer than the start.
        world.gateway.wait_for_line(LOGGED_ON);
        world = world.crash();
    }
    world.gateway.wait_for_line(LOGGED_ON);
    let (status, simulator) = world.stop_gateway();
    assert!(status.success());
    let counted = stats(&simulator).await;
    assert_eq!(
        (&counted["logons"], &counted["logoffs"]),
        (&json!(times + 1), &json!(1)),
        "{counted}"
    );
    until(&simulator, "activeSessions", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_killed_gateways_leave_only_sessions_that_em_drops() {
    // Side by side, because a gateway that starts waits more than it works; each in a thread, which that blocks.
    let house = || tokio::task::spawn_blocking(|| tokio::runtime::Handle::current().block_on(killed(10)));
    let houses: Vec<_> = (0..5).map(|_| house()).collect();
    for house in houses {
        house.await.expect("all was as promised");
    }
}
