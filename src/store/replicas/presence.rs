//! Whether the other replicas count this one among the living: what it knows of that without asking the database.
//!
//! A process that was frozen learns by the clock that it may have been removed, before it does anything else. One that was
//! removed and came back keeps nothing from before.

use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::{Engine, Store};

/// For how long a beat counts: less than the silence after which the others remove a replica whose connection is up, and
/// the one whose connection broke.
const FRESH: Duration = Duration::from_secs(6);
const FRESH_WHILE_FAILING: Duration = Duration::from_secs(3);

/// The beats of this process so far.
#[derive(Debug)]
pub(in crate::store) struct Presence(Mutex<State>);

#[derive(Debug)]
struct State {
    /// How often it entered the registry.
    registrations: u64,
    /// When its last beat that arrived was begun.
    beat: Instant,
    /// Whether a beat failed since.
    failing: bool,
}

impl Presence {
    pub(in crate::store) fn new() -> Self {
        Self(Mutex::new(State {
            registrations: 0,
            beat: Instant::now(),
            failing: false,
        }))
    }

    /// A beat that was begun then arrived. `entered`: this process was not in the registry until then.
    pub(super) fn beaten(&self, begun: Instant, entered: bool) {
        let mut state = self.state();
        state.registrations += u64::from(entered);
        state.beat = begun;
        state.failing = false;
    }

    /// A beat did not arrive.
    pub(super) fn failed(&self) {
        self.state().failing = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl Store {
    /// A number that stays the same for as long as the others do not remove this replica from the registry.
    #[must_use]
    pub fn registration(&self) -> u64 {
        self.0.presence.state().registrations
    }

    /// Whether this replica has been in the registry all the time since it had that registration. The only process of a file
    /// always has.
    #[must_use]
    pub fn is_registered_since(&self, registration: u64) -> bool {
        if self.0.engine == Engine::Sqlite {
            return true;
        }
        let state = self.0.presence.state();
        let fresh = if state.failing { FRESH_WHILE_FAILING } else { FRESH };
        state.registrations == registration && state.beat.elapsed() < fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::temporary;

    #[tokio::test]
    async fn a_replica_that_was_silent_or_came_back_does_not_count_as_registered_since() {
        let store = temporary().await;
        let (presence, before) = (&store.0.presence, store.registration());
        assert!(store.is_registered_since(before));
        if !store.is_shared() {
            return;
        }
        let ago = |seconds| Instant::now() - Duration::from_secs(seconds);
        presence.beaten(ago(5), false);
        assert!(store.is_registered_since(before));
        presence.failed();
        assert!(!store.is_registered_since(before), "its connection broke");
        presence.beaten(ago(7), false);
        assert!(!store.is_registered_since(before), "it was frozen");
        presence.beaten(Instant::now(), false);
        assert!(store.is_registered_since(before));
        let mut tx = store.begin().await.expect("begun");
        tx.remove_replica(store.replica()).await.expect("removed");
        tx.commit().await.expect("committed");
        store.register().await.expect("back");
        assert!(!store.is_registered_since(before), "it was removed in between");
        assert!(store.is_registered_since(store.registration()));
    }
}
