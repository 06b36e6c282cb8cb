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

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;

use super::error::{Error, Kind};
use super::types::Health;
use crate::clock::SharedClock;
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
    trial: bool,
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
            None => false,
            Some(until) => {
                let left = left(until, now);
                if state.trial || !left.is_zero() {
                    let retry_after = left.max(FIRST_PAUSE);
                    return Err(Error::before_sending(Kind::CircuitOpen { retry_after }));
                }
                state.trial = true;
                true
            }
        };
        drop(state);
        Ok(Pass { breaker: self, trial })
    }

    /// Whether EM answered last, and since when.
    pub fn health(&self) -> Health {
        let state = self.lock();
        Health {
            up: state.up.unwrap_or(false),
            since: state.since,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) {
        let mut state = self.lock();
        if state.closed_until.is_some() {
            tracing::info!("Enterprise Manager answers again");
        }
        let known = State {
            up: state.up,
            since: state.since,
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
            state.closed_until = now.checked_add(pause).ok();
            state.pauses = state.pauses.saturating_add(1);
            if state.pauses == 1 {
                tracing::warn!("Enterprise Manager does not answer; it is asked more rarely until it does");
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
    trial: bool,
}

impl Pass<'_> {
    /// Says how it went.
    pub fn done(self, outcome: Result<StatusCode, &Kind>) {
        match outcome {
            Ok(_) | Err(Kind::TooLarge { .. }) => self.breaker.answered(),
            Err(Kind::Unreachable { .. } | Kind::TimedOut | Kind::Interrupted { .. }) => {
                self.breaker.failed();
            }
            Err(
                Kind::CredentialsRefused { .. }
                | Kind::Busy { .. }
                | Kind::NoFreeLogon
                | Kind::Refused { .. }
                | Kind::Failed { .. }
                | Kind::InvalidResponse { .. }
                | Kind::CircuitOpen { .. }
                | Kind::ShuttingDown
                | Kind::Unsendable { .. },
            ) => {}
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.breaker.lock().trial = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use std::sync::Arc;

    fn breaker() -> (Arc<ManualClock>, Breaker) {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        (clock.clone(), Breaker::new(clock))
    }

    fn fail(breaker: &Breaker) {
        breaker
            .pass()
            .expect("closed or half open")
            .done(Err(&Kind::TimedOut));
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_an_answer_in_between_does_not() {
        let (_, breaker) = breaker();
        for _ in 0..4 {
            fail(&breaker);
        }
        breaker
            .pass()
            .expect("closed")
            .done(Ok(StatusCode::INTERNAL_SERVER_ERROR));
        for _ in 0..5 {
            fail(&breaker);
        }
        let refused = breaker.pass().err().expect("open");
        assert!(matches!(refused.kind(), Kind::CircuitOpen { .. }));
        assert_eq!(refused.acted(), crate::upstream::Acted::No);
        assert!(!breaker.health().up);
    }

    #[test]
    fn after_the_pause_one_request_goes_through_and_its_outcome_decides() {
        let (clock, breaker) = breaker();
        for _ in 0..5 {
            fail(&breaker);
        }
        clock.advance(Duration::from_secs(2));
        let trial = breaker.pass().expect("half open");
        assert!(breaker.pass().is_err(), "a second one while the trial runs");
        trial.done(Err(&Kind::TimedOut));
        assert!(breaker.pass().is_err(), "open again, and for longer");
        clock.advance(Duration::from_secs(1));
        assert!(breaker.pass().is_err());
        clock.advance(Duration::from_secs(2));
        breaker.pass().expect("half open").done(Ok(StatusCode::OK));
        assert!(breaker.pass().is_ok() && breaker.pass().is_ok());
        assert_eq!(breaker.health().since, Some(clock.now()));
    }

    #[test]
    fn a_trial_whose_caller_went_away_leaves_room_for_the_next() {
        let (clock, breaker) = breaker();
        for _ in 0..5 {
            fail(&breaker);
        }
        clock.advance(Duration::from_secs(2));
        drop(breaker.pass().expect("half open"));
        assert!(breaker.pass().is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_or_forward_neither_opens_it_for_long_nor_keeps_it_from_opening_again() {
        let (clock, breaker) = breaker();
        for _ in 0..5 {
            fail(&breaker);
        }
        clock.set(Timestamp::UNIX_EPOCH - Duration::from_hours(1));
        fail(&breaker);
        assert!(
            breaker.pass().is_err(),
            "the trial failed, so there is a new pause"
        );
        clock.set(Timestamp::UNIX_EPOCH + Duration::from_hours(1));
        breaker.pass().expect("half open").done(Ok(StatusCode::OK));
        assert!(breaker.pass().is_ok() && breaker.pass().is_ok());
    }
}
