//! What a watcher remembers of earlier observations spares work, and changes nothing: one that has forgotten everything before
//! each observation finds the same, event by event.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Observatory, watcher_of};
use emgate::runtime::Worker as _;
use emgate::store::{self, Store};
use emgate::upstream::EmClient;

const SEEDS: u64 = 2;
const LOOKS: usize = 12;

/// More than one page of them.
const PLANS: usize = 110;

/// Numbers that look like chance, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("a number below the sides")
    }
}

/// Another gateway before the same EM, with a store of its own, that begins anew before each observation.
struct Forgetful {
    store: Store,
    _directory: tempfile::TempDir,
}

impl Forgetful {
    async fn of(world: &Observatory) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let place = store::Config {
            url: format!("sqlite://{}", directory.path().join("emgate.db").display()),
            encryption_key_file: None,
        };
        let store = Store::open(&place, world.clock.clone()).await.expect("a store");
        Self {
            store,
            _directory: directory,
        }
    }

    async fn look(&self, world: &Observatory) {
        let em = EmClient::new(&world.upstream, world.clock.clone()).expect("a room");
        watcher_of(&em, &self.store, &world.clock).activate().await;
        em.shutdown(Duration::from_secs(5)).await;
    }
}

/// The event log without ids, in its order.
async fn log(store: &Store) -> Vec<Value> {
    let everybody = emgate::domain::access::Tenancy::All;
    let log = store
        .events_after(&everybody, 0, 1_000_000)
        .await
        .expect("the log");
    log.iter()
        .map(|event| serde_json::from_str(&event.body).expect("JSON"))
        .collect()
}

#[tokio::test]
async fn a_watcher_finds_the_same_as_one_that_remembers_nothing() {
    for seed in 1..=SEEDS {
        let mut world = Observatory::with(|sim| (sim.plans, sim.vms) = (PLANS, 2)).await;
        let forgetful = Forgetful::of(&world).await;
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut sessions = Vec::new();
        for plan in 0..PLANS {
            let long = [1_000_000, 3_000, 300][dice.roll(3)];
            sessions.push(world.begin(plan, long).await);
            world.clock.advance(Duration::from_millis(300));
        }
        let mut read = 0;
        for look in 0..LOOKS {
            match dice.roll(8) {
                0 => {
                    let gone = sessions.swap_remove(dice.roll(sessions.len()));
                    world
                        .control("DELETE", &format!("failovers?id={gone}"), Value::Null)
                        .await;
                }
                1 => drop(world.control("POST", "expire", json!({})).await),
                2 | 3 => sessions.push(
                    world
                        .begin(dice.roll(PLANS), [40, 200, 100_000][dice.roll(3)])
                        .await,
                ),
                _ => {}
            }
            // Often nothing moves in between, sometimes much does.
            let pause = [0, 0, 1, 30, 130][dice.roll(5)];
            world.clock.advance(Duration::from_secs(pause));
            assert!(world.look().await, "seed {seed}, look {look}");
            forgetful.look(&world).await;
            let (own, other) = (log(&world.store).await, log(&forgetful.store).await);
            assert_eq!(own.len(), other.len(), "seed {seed}, look {look}");
            for (own, other) in own.iter().zip(&other).skip(read) {
                assert_eq!(own, other, "seed {seed}, look {look}");
            }
            read = own.len();
        }
        assert!(read > PLANS, "something happened");
    }
}
