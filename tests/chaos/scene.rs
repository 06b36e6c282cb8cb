//! The scenes: how the cluster is built in each of them, and what happens to it.

use std::time::Duration;

use crate::dice::Dice;

/// Where the gateways keep what they know.
#[derive(Clone, Copy)]
pub enum Keeping {
    /// A file of SQLite's.
    File,
    /// A PostgreSQL server.
    Server,
}

/// What a round does to the cluster. The gateways start again, and so does the database.
#[derive(Clone, Copy, Debug)]
pub enum Blow {
    /// One gateway gets SIGKILL.
    Kill,
    /// One gateway is stopped for longer than the others wait until they take it for dead.
    Freeze,
    /// One gateway is stopped as long as that, and another is killed in the meantime.
    FreezeAndKill,
    /// The database ends at once; the gateways live on.
    DatabaseEnds,
    /// The database's processes get SIGKILL; the gateways live on.
    DatabaseKilled,
    /// The database is stopped for a while, all connections open.
    DatabaseFrozen,
}

/// One of them.
pub struct Scene {
    pub name: &'static str,
    pub keeping: Keeping,
    pub replicas: usize,
    /// What the short form does, in this order.
    pub short: &'static [Blow],
    /// What the long form deals; all of it once, in an order of chance, before anything comes again.
    pub deck: &'static [Blow],
    /// How many cloud plans there are.
    pub plans: &'static str,
    /// More arguments of the simulator.
    pub simulator: &'static [&'static str],
    /// More of the gateways' environment.
    pub more: &'static [(&'static str, &'static str)],
}

pub const ONE_ON_A_FILE: Scene = Scene {
    name: "one gateway on SQLite",
    keeping: Keeping::File,
    replicas: 1,
    short: &[Blow::Kill; 5],
    deck: &[Blow::Kill],
    plans: "6",
    simulator: &[],
    more: &[],
};

pub const TWO_REPLICAS: Scene = Scene {
    name: "two replicas on PostgreSQL",
    keeping: Keeping::Server,
    replicas: 2,
    short: &[Blow::FreezeAndKill, Blow::Kill],
    deck: &[
        Blow::Kill,
        Blow::Kill,
        Blow::Kill,
        Blow::Kill,
        Blow::Kill,
        Blow::Kill,
        Blow::Kill,
        Blow::Kill,
        Blow::Freeze,
        Blow::FreezeAndKill,
    ],
    plans: "6",
    simulator: &[],
    more: &[],
};

pub const DATABASE: Scene = Scene {
    name: "two replicas and a mortal PostgreSQL",
    keeping: Keeping::Server,
    replicas: 2,
    short: &[Blow::DatabaseEnds, Blow::DatabaseKilled, Blow::DatabaseFrozen],
    deck: &[
        Blow::DatabaseEnds,
        Blow::DatabaseEnds,
        Blow::DatabaseKilled,
        Blow::DatabaseKilled,
        Blow::DatabaseFrozen,
    ],
    plans: "6",
    simulator: &[],
    more: &[],
};

impl Scene {
    /// What happens, round by round.
    pub fn blows(&self, rounds: Option<u64>, dice: &mut Dice) -> Vec<Blow> {
        let Some(rounds) = rounds else {
            return self.short.to_vec();
        };
        let (mut dealt, mut deck) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            if deck.is_empty() {
                deck = self.deck.to_vec();
            }
            dealt.push(deck.swap_remove(dice.below(deck.len() as u64) as usize));
        }
        dealt
    }

    /// How long it is quiet before the next blow: too short for replicas to replace one that was killed, but every now
    /// and then.
    pub fn pause(&self, dice: &mut Dice) -> Duration {
        let millis = if self.replicas > 1 && dice.below(4) == 0 {
            3_000 + dice.below(4_000)
        } else {
            100 + dice.below(700)
        };
        Duration::from_millis(millis)
    }
}
