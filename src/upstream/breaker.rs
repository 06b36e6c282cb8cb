//! Spares callers the wait, and EM the load, while EM does not answer at all.
//!
//! ```text
//! closed ──five failures in a row──▶ open ──pause over──▶ half open: one request goes through
//!    ▲                                ▲                      │
//!    └──────────any answer────────────┼──────────────────────┤
//!                                     └───────failure, pause doubled
//! ```
//!
//! Any answer of EM's counts as success, whatever its status: EM that says no is EM that is there.

use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;

use super::error::{Error, Kind};
use super::types::{Circuit, Health};
use crate::clock::{SharedClock, later};
use crate::telemetry::names;

/// Failures in a row until EM is left alone.
const PATIENCE: u32 = 5;
/// The first pause, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

pub(super) struct Breaker {
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    pauses: u32,
    /// Set while open or half open.
    closed_until: Option<Timestamp>,
    /// The request that was let through while half open, by its number.
    trial: Option<u64>,
    trials: u64,
    up: Option<bool>,
    since: Option<Timestamp>,
}

impl Breaker {
    pub fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Leave to send one request.
    ///
    /// # Errors
    /// [`Kind::CircuitOpen`].
    pub fn pass(&self) -> Result<Pass<'_>, Error> {
        let now = self.clock.now();
        let mut state = self.lock();
        let trial = match state.closed_until {
            None => None,
            Some(until) => {
                let left = left(until, now);
                if state.trial.is_some() || !left.is_zero() {
                    let retry_after = left.max(FIRST_PAUSE);
                    return Err(Error::before_sending(Kind::CircuitOpen { retry_after }));
                }
                state.trials += 1;
                state.trial = Some(state.trials);
                state.trial
            }
        };
        drop(state);
        Ok(Pass { breaker: self, trial })
    }

    /// Whether EM answered last, since when, and whether requests are sent to it.
    pub fn health(&self) -> Health {
        let now = self.clock.now();
        let state = self.lock();
        Health {
            up: state.up.unwrap_or(false),
            since: state.since,
            circuit: match state.closed_until {
                None => Circuit::Closed,
                Some(until) if left(until, now).is_zero() => Circuit::HalfOpen,
                Some(until) => Circuit::Open(until),
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn answered(&self) {
        let mut state = self.lock();
        if state.closed_until.is_some() {
            tracing::info!("Enterprise Manager answers again");
        }
        let known = State {
            up: state.up,
            since: state.since,
            trials: state.trials,
            ..State::default()
        };
        *state = known;
        self.note(&mut state, true);
    }

    fn failed(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= PATIENCE && state.closed_until.is_none_or(|until| left(until, now).is_zero()) {
            let pause = FIRST_PAUSE
                .saturating_mul(1 << state.pauses.min(5))
                .min(LONGEST_PAUSE);
            let pause = self.clock.jittered(pause, 0.2);
            state.closed_until = Some(later(now, pause));
            state.pauses = state.pauses.saturating_add(1);
            if state.pauses == 1 {
                tracing::warn!("Enterprise Manager does not answer; it gets fewer requests until it does");
            }
        }
        self.note(&mut state, false);
    }

    fn note(&self, state: &mut State, up: bool) {
        if state.up != Some(up) {
            state.up = Some(up);
            state.since = Some(self.clock.now());
            metrics::gauge!(names::UPSTREAM_AVAILABLE).set(f64::from(u8::from(up)));
        }
    }
}

/// What is left of a pause. A clock that was set back must not keep the circuit open for longer than its longest pause.
fn left(until: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    if left <= LONGEST_PAUSE * 2 {
        left
    } else {
        Duration::ZERO
    }
}

/// Leave to send one request. Dropping it without a verdict (a caller that went away) lets the next one try.
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    trial: Option<u64>,
}

impl Pass<'_> {
    /// Says how it went.
    pub fn done(self, outcome: Result<StatusCode, &Kind>) {
        match outcome {
            Ok(_) | Err(Kind::TooLarge { .. }) => self.breaker.answered(),
            Err(Kind::Unreachable { .. } | Kind::TimedOut | Kind::ConnectionLost { .. }) => {
                self.breaker.failed();
            }
            Err(
                Kind::CredentialsRefused { .. }
                | Kind::Overloaded { .. }
                | Kind::NoFreeLogon
                | Kind::DeadlinePassed
                | Kind::Refused { .. }
                | Kind::Failed { .. }
                | Kind::InvalidResponse { .. }
                | Kind::CircuitOpen { .. }
                | Kind::ShuttingDown
                | Kind::NotEncodable { .. },
            ) => {}
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial.is_some() {
            let mut state = self.breaker.lock();
            // A late one, overtaken by an answer and a new trial, says nothing about that.
            if state.trial == self.trial {
                state.trial = None;
            }
        }
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
