//! What the dispatcher remembers between its turns: attempts under way, outcomes that are not written yet, and whether
//! the rows may hold claims that it does not know of. Memory alone; the rows are what counts.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::record_outcome::Finished;
use crate::domain::webhook::rules::elapsed;
use crate::store::webhooks::claims::Claimed;
use crate::store::webhooks::outcomes::Attempt;

/// How often stored times are checked.
const SWEEP: Duration = Duration::from_secs(15);
/// How many outcomes are written in one transaction.
const SETTLE_LIMIT: usize = 512;

/// The dispatcher's memory.
#[derive(Debug)]
pub(super) struct InFlight(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The lanes of the attempts under way.
    attempts: HashMap<Attempt, String>,
    finished: Vec<Finished>,
    /// Whether rows may be claimed that are not under way: at the start, and after a commit of unknown outcome.
    claims_uncertain: bool,
    swept_at: Option<Timestamp>,
    /// Where the next turn begins to share out slots.
    rotation: usize,
}

/// What a turn has to do beside claiming.
#[derive(Debug, Clone)]
pub(super) struct Agenda {
    /// Outcomes to be written.
    pub(super) finished: Vec<Finished>,
    /// Whether claims that are not under way have to be released first.
    pub(super) claims_uncertain: bool,
    /// Whether stored times are checked.
    pub(super) sweep: Option<Sweep>,
}

/// A check of stored times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Whether the clock was set back, so that times in the future are checked as well.
    pub(super) set_back: bool,
}

impl Agenda {
    /// Whether there is nothing but claiming.
    pub(super) fn is_empty(&self) -> bool {
        self.finished.is_empty() && !self.claims_uncertain && self.sweep.is_none()
    }

    /// Whether the next turn has outcomes to write that this one leaves.
    pub(super) fn is_full(&self) -> bool {
        self.finished.len() == SETTLE_LIMIT
    }
}

impl InFlight {
    /// The memory of a process that starts: of what an earlier one claimed nothing is known.
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            claims_uncertain: true,
            ..State::default()
        }))
    }

    /// What the turn that begins now has to do. At the end of the program nothing is swept.
    pub(super) fn agenda(&self, now: Timestamp, stopping: bool) -> Agenda {
        let state = self.0.lock();
        // A clock that was set back, before the start or since, does not put the sweep off.
        let set_back = state.swept_at.is_none_or(|at| at > now);
        let sweep = set_back || state.swept_at.is_some_and(|at| elapsed(now, at) >= SWEEP);
        Agenda {
            finished: state.finished.iter().take(SETTLE_LIMIT).cloned().collect(),
            claims_uncertain: state.claims_uncertain,
            sweep: (sweep && !stopping).then_some(Sweep { set_back }),
        }
    }

    /// The attempts under way.
    pub(super) fn alive(&self) -> HashSet<Attempt> {
        self.0.lock().attempts.keys().copied().collect()
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.0.lock().attempts.is_empty()
    }

    /// How many attempts of each lane are under way, without those that this turn settles.
    pub(super) fn by_lane(&self, settled: &HashSet<Attempt>) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for (attempt, lane) in &self.0.lock().attempts {
            if !settled.contains(attempt) {
                *counts.entry(lane.clone()).or_default() += 1;
            }
        }
        counts
    }

    /// Where this turn begins to share out slots: another lane each turn.
    pub(super) fn rotate(&self) -> usize {
        let mut state = self.0.lock();
        state.rotation = state.rotation.wrapping_add(1);
        state.rotation
    }

    /// A commit's outcome is not known: what it claimed is released in the next turn.
    pub(super) fn commit_is_uncertain(&self) {
        self.0.lock().claims_uncertain = true;
    }

    /// Takes note of a turn's commit; how many attempts are under way from now on.
    pub(super) fn committed(&self, agenda: &Agenda, claimed: &[Claimed], now: Timestamp) -> usize {
        let mut state = self.0.lock();
        state.claims_uncertain = false;
        state.swept_at = agenda.sweep.map(|_| now).or(state.swept_at);
        state.finished.drain(..agenda.finished.len());
        for done in &agenda.finished {
            state.attempts.remove(&done.attempt);
        }
        for delivery in claimed {
            let attempt = Attempt {
                delivery: delivery.id,
                number: delivery.number,
            };
            state.attempts.insert(attempt, delivery.lane.clone());
        }
        state.attempts.len()
    }

    /// An attempt has ended; its outcome is written in one of the next turns.
    pub(super) fn hand_in(&self, finished: Finished) {
        self.0.lock().finished.push(finished);
    }
}
