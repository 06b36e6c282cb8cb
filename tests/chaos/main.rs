//! Chaos: the real binary, its replicas or their database are killed at random times while failovers run and are
//! requested; then the records of Enterprise Manager, gateways, caller and receiver are compared.
//!
//! `make chaos ROUNDS=200 APPROVAL_ROUNDS=500 SEED=7` runs the long form of every scene; without `ROUNDS` this is the short
//! form of `make test`. `LOGS=directory` keeps the gateways' logs.

#![cfg(feature = "demo")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_possible_truncation,
    reason = "a test that meets the unexpected shall end loudly"
)]

mod approvals; // kills around the last approval
mod caller; // a good client: one key per wish, asked again until it is answered
mod cluster; // gateways, simulator and store as processes
mod dice; // chance that can be repeated
mod em; // Enterprise Manager as its own client sees it, and its faults
mod invariants; // what has to hold once everything is at rest
mod logons; // which logon sessions may be left at Enterprise Manager, and which may not
#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "other tests share one server")]
mod postgres;
#[path = "../support/process.rs"]
#[expect(dead_code, reason = "other tests send more signals")]
mod process;
mod receiver; // a receiver that fails now and then
mod scene; // what is built, and what happens to it
#[path = "../support/waiting.rs"]
#[expect(dead_code, reason = "other tests have doubles that are slow")]
mod waiting;

use std::sync::Arc;
use std::time::Instant;

use caller::Caller;
use cluster::Cluster;
use dice::Dice;
use em::Em;
use receiver::Receiver;
use scene::Scene;

const SHORT_SEED: u64 = 20_260_506;
const CALLERS: u64 = 3;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// Tells how to see the same again, when a check fails.
struct Repeat(u64, Option<u64>);

impl Drop for Repeat {
    #[expect(clippy::print_stderr, reason = "what a test says of its failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let rounds = self.1.map(|rounds| format!(" ROUNDS={rounds}"));
            eprintln!("to repeat: SEED={}{}", self.0, rounds.unwrap_or_default());
        }
    }
}

#[rstest::rstest]
#[case::one_gateway_on_sqlite_is_killed(&scene::ONE_ON_A_FILE)]
#[case::replicas_on_postgresql_are_killed_and_frozen(&scene::TWO_REPLICAS)]
#[case::replicas_lose_their_database(&scene::DATABASE)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_event_is_delivered_and_no_action_repeated_under_faults(#[case] scene: &Scene) {
    let (seed, rounds) = (number("SEED").unwrap_or(SHORT_SEED), number("ROUNDS"));
    let _repeat = Repeat(seed, rounds);
    let begun = Instant::now();
    let mut dice = Dice::new(seed);
    let blows = scene.blows(rounds, &mut dice);
    let receiver = Receiver::start(dice.fork()).await;
    let mut cluster = Cluster::start(scene).await;
    let em = Arc::new(Em::new(cluster.simulator.url("")));
    cluster.wait_until_ready().await;
    let secret = cluster.register(&receiver.url("/endpoint")).await;
    receiver.expect_signature("/endpoint", &secret);

    let caller = Caller::new(cluster.addresses(), Arc::clone(&receiver), em.plans().await);
    let callers: Vec<_> = (0..CALLERS).map(|_| caller.spawn(dice.fork())).collect();
    for blow in &blows {
        tokio::time::sleep(scene.pause(&mut dice)).await;
        for _ in 0..dice.below(3) {
            em.start_at_console(&mut dice).await;
        }
        if dice.below(3) == 0 {
            em.order_fault(&mut dice).await;
        }
        cluster.strike(*blow, &mut dice).await;
    }
    caller.no_more_wishes();
    em.clear_faults().await;
    receiver.behave();
    // Whatever happened, they come back by themselves.
    cluster.wait_until_ready().await;
    let left = logons::Left::by_a_last_kill(&mut cluster, &em).await;
    for task in callers {
        task.await.expect("the caller ends");
    }
    let invariants = invariants::Invariants::at_rest(&cluster, &em).await;
    let line = invariants.check(&caller, &receiver, &em, &cluster.counts).await;
    let left = left.check(&mut cluster, &em).await;
    logons::a_fresh_gateway_logs_off_as_often_as_it_logs_on(&mut cluster, &em).await;
    println!(
        "chaos, {}: seed {seed}, {} rounds in {:.0?}, {line}, {left}",
        scene.name,
        blows.len(),
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_approved_action_is_sent_at_most_once_and_never_forgotten() {
    let (seed, rounds) = (number("SEED").unwrap_or(SHORT_SEED), number("APPROVAL_ROUNDS"));
    let _repeat = Repeat(seed, None);
    approvals::run(seed, rounds.unwrap_or(approvals::SHORT)).await;
}
