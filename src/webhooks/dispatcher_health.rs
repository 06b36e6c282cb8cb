//! How the dispatcher does, for readiness and for a log that says so once and then once a minute.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

use jiff::Timestamp;

use crate::telemetry::Throttle;

/// How the dispatcher does; clones share it.
#[derive(Debug, Clone, Default)]
pub struct DispatcherHealth(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Since when nothing can be claimed.
    failing: Option<Timestamp>,
    reminder: Throttle,
    /// Since when there are endpoints that cannot be read.
    unreadable: Option<Timestamp>,
    /// Since when most receivers refuse deliveries while their clocks differ from this one.
    clock_refused: Option<Timestamp>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            failing: None,
            reminder: Throttle::reminder(),
            unreadable: None,
            clock_refused: None,
        }
    }
}

impl DispatcherHealth {
    /// Since when deliveries cannot be claimed, those of some endpoints or all, and why.
    #[must_use]
    pub fn failing(&self) -> Option<(Timestamp, &'static str)> {
        let state = self.state();
        let failing = state.failing.map(|since| (since, "no delivery can be claimed"));
        let unreadable = state
            .unreadable
            .map(|since| (since, "an endpoint cannot be decrypted with the encryption key"));
        let clock = state.clock_refused.map(|since| {
            let reason =
                "receivers refuse deliveries, and their clocks and this one differ by more than 4 minutes";
            (since, reason)
        });
        failing.or(unreadable).or(clock)
    }

    /// Takes note of a turn that failed. True when that is to be logged.
    pub(super) fn failed(&self, now: Timestamp) -> bool {
        let mut state = self.state();
        state.failing.get_or_insert(now);
        state.reminder.due()
    }

    /// Takes note of a turn that did not. True when the one before failed.
    pub(super) fn worked(&self) -> bool {
        let mut state = self.state();
        state.reminder.reset();
        state.failing.take().is_some()
    }

    /// Takes note of how many endpoints cannot be read.
    pub(super) fn unreadable(&self, endpoints: usize, now: Timestamp) {
        let mut state = self.state();
        state.unreadable = (endpoints > 0).then(|| state.unreadable.unwrap_or(now));
    }

    /// Takes note of whether most receivers refuse deliveries while their clocks differ.
    pub(super) fn clock_refused(&self, refused: bool, now: Timestamp) {
        let mut state = self.state();
        state.clock_refused = refused.then(|| state.clock_refused.unwrap_or(now));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}
