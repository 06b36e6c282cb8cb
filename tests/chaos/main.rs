//! Chaos: the real binary is killed at random moments while failovers run and are asked for; then the books of
//! Enterprise Manager, the gateway, the caller and the receiver are held against each other.
//!
//! `make chaos ROUNDS=200 SEED=7` runs the long form; without `ROUNDS` this is the short form of `make test`.

#![cfg(feature = "demo")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "a test that meets the unexpected shall end loudly"
)]

mod books; // what has to hold once everything is at rest
mod caller; // a good client: one key per wish, asked again until it is answered
mod dice; // chance that can be repeated
mod em; // Enterprise Manager as its own client sees it, and its weather
mod house; // gateways, simulator and store as processes
mod logons; // which logon sessions may be left at Enterprise Manager, and which may not
#[path = "../it/support/process.rs"]
#[allow(dead_code, reason = "other tests freeze processes as well")]
mod process;
mod receiver; // a receiver that fails now and then

use std::sync::Arc;
use std::time::Duration;

use caller::Caller;
use dice::Dice;
use em::Em;
use house::House;
use receiver::Receiver;

const SHORT_ROUNDS: u64 = 5;
const SHORT_SEED: u64 = 20_260_506;
const CALLERS: u64 = 3;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Tells how to see the same again, when a check fails.
struct Repeat(u64, u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat: SEED={} ROUNDS={}", self.0, self.1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_and_nothing_done_twice_however_often_the_gateway_is_killed() {
    let (seed, rounds) = (number("SEED", SHORT_SEED), number("ROUNDS", SHORT_ROUNDS));
    let _repeat = Repeat(seed, rounds);
    let mut dice = Dice::new(seed);
    let receiver = Receiver::start(dice.fork()).await;
    let mut house = House::start();
    let em = Arc::new(Em::new(house.simulator.url("")));
    house.wait_until_ready().await;
    let secret = house.register(&receiver.url("/endpoint")).await;
    receiver.expect_signature("/endpoint", &secret);

    let caller = Caller::new(house.address(), Arc::clone(&receiver), em.plans().await);
    let callers: Vec<_> = (0..CALLERS).map(|_| caller.spawn(dice.fork())).collect();
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(100 + dice.below(700))).await;
        for _ in 0..dice.below(3) {
            em.start_at_console(&mut dice).await;
        }
        if dice.below(3) == 0 {
            em.order_fault(&mut dice).await;
        }
        house.kill_and_restart().await;
    }
    caller.no_more_wishes();
    em.clear_faults().await;
    receiver.behave();
    let left = logons::Left::by_a_last_kill(&mut house, &em).await;
    for task in callers {
        task.await.expect("the caller ends");
    }
    let books = books::Books::at_rest(&house, &em).await;
    let line = books.check(&caller, &receiver, &em, house.kills).await;
    let left = left.check(&mut house, &em).await;
    logons::a_fresh_gateway_logs_off_as_often_as_it_logs_on(&mut house, &em).await;
    println!("chaos: seed {seed}, {rounds} rounds, {line}, {left}");
}
