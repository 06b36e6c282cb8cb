//! When a delivery is tried again, given up or passed by a later one; when an endpoint counts as down, failing or
//! dead. Pure: moments and jitter come in as values.

use std::time::Duration;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

use super::Health;
use crate::clock::later;

/// By how much a pause is changed at random in either direction, so that what failed together does not return together.
pub const JITTER: f64 = 0.2;
/// An endpoint is down after this many failures in a row ...
///
/// Three, because by the default schedule one delivery reaches its third failure 5 minutes into an outage and its
/// fifth after 2.5 hours: with five, an endpoint that waits for one event would not be probed when it matters.
pub const DOWN_FAILURES: i64 = 3;
/// ... spread over at least this long: a burst that meets a restart is no outage.
pub const DOWN_SPREAD: Duration = Duration::from_secs(30);
/// How often an endpoint that is down is probed.
pub const PROBE: Duration = Duration::from_mins(1);
/// How often where the service refuses whatever is sent: some ban an address that goes on.
const PROBE_REFUSED: Duration = Duration::from_hours(1);
/// How often after [`PROBE_SLOWS_AFTER`].
pub const PROBE_SLOW: Duration = Duration::from_mins(5);
/// When probes become rarer.
pub const PROBE_SLOWS_AFTER: Duration = Duration::from_hours(24);
/// When it is announced that an endpoint accepts nothing.
pub const FAILING_AFTER: Duration = Duration::from_mins(15);
/// When an endpoint that takes nothing is disabled (docs/behaviour.md#endpoints).
pub const DISABLED_AFTER: Duration = Duration::from_hours(5 * 24);
/// The longest pause that a receiver can ask for with `Retry-After`.
pub const PAUSE_LIMIT: Duration = Duration::from_hours(24);
/// A delivery that failed this often ...
pub const PASS_FAILURES: i64 = 3;
/// ... over this long may be passed by the next of its session, if the endpoint takes others.
pub const PASS_AFTER: Duration = Duration::from_mins(2);
/// How often the gateway's own failure at a delivery is tolerated.
pub const CRASH_LIMIT: i64 = 3;

/// How long ago `since` was; zero when it lies ahead.
#[must_use]
pub fn elapsed(now: Timestamp, since: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// `at` less `by`, never before what a moment can be.
#[must_use]
pub fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// The pauses from attempt to attempt, and how long one attempt may take.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The pauses, before jitter.
    pub pauses: Vec<Duration>,
    /// The longest an attempt takes.
    pub timeout: Duration,
}

impl Schedule {
    fn pause(&self, step: i64) -> Option<Duration> {
        usize::try_from(step)
            .ok()
            .and_then(|step| self.pauses.get(step))
            .copied()
    }

    /// How long a delivery is tried for at most: every pause at its longest, and every attempt too. While an endpoint
    /// is down, probes take the place of the schedule, and this bound ends a delivery.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        let pauses: Duration = self.pauses.iter().sum();
        let attempts = u32::try_from(self.pauses.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        pauses
            .mul_f64(1.0 + JITTER)
            .saturating_add(self.timeout.saturating_mul(attempts))
    }

    /// How long until the next probe. Never longer than the schedule's own longest pause: being down must not make
    /// an endpoint hear later than it would have.
    #[must_use]
    pub fn probe_pause(&self, health: &EndpointHealth, now: Timestamp) -> Duration {
        let long_down = health
            .down_since
            .is_some_and(|since| elapsed(now, since) >= PROBE_SLOWS_AFTER);
        let longest = self.pauses.iter().max().copied().unwrap_or(PROBE);
        (if long_down { PROBE_SLOW } else { PROBE }).min(longest)
    }
}

/// What a delivery's next attempt waits for beside its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Whether somebody waits for it, so that it waits for nothing else.
    pub is_urgent: bool,
    /// Until when its endpoint asked for silence.
    pub paused_until: Option<Timestamp>,
    /// When its endpoint is probed next, while that is down.
    pub probe_at: Option<Timestamp>,
}

impl Wait {
    /// When it is attempted next, to the millisecond: what waits for an endpoint that is down goes out with the probe, or
    /// once that has succeeded.
    #[must_use]
    pub fn next_attempt(self, due: Timestamp) -> Timestamp {
        let own = self.probe_at.filter(|_| !self.is_urgent).unwrap_or(due);
        let paused_until = self.paused_until.filter(|_| !self.is_urgent);
        let at = paused_until.map_or(own, |until| until.max(own));
        let whole = TimestampRound::new()
            .smallest(Unit::Millisecond)
            .mode(RoundMode::Ceil);
        at.round(whole).unwrap_or(at)
    }
}

/// How far a delivery has come on its schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Pauses of the schedule that were used.
    pub step: i64,
    /// Failures so far, probes included.
    pub failures: i64,
    /// The first of them.
    pub first_failed_at: Option<Timestamp>,
    /// Its first attempt, from which its lifetime counts.
    pub since: Timestamp,
    /// How often the gateway itself failed at it.
    pub crashes: i64,
}

/// What becomes of a delivery after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It is tried again.
    Retry(Timestamp),
    /// The schedule is used up.
    Exhausted,
    /// The gateway failed at it too often.
    Quarantined,
}

impl Progress {
    /// Records a failure of the receiver's. A probe does not use up a step of the schedule; time alone ends a
    /// delivery then. The next attempt is not before `not_before`, and never earlier than the schedule says.
    pub fn failed(
        &mut self,
        schedule: &Schedule,
        now: Timestamp,
        probe: bool,
        not_before: Option<Timestamp>,
        jittered: impl Fn(Duration) -> Duration,
    ) -> After {
        self.failures += 1;
        self.first_failed_at.get_or_insert(now);
        if elapsed(now, self.since) >= schedule.lifetime() {
            return After::Exhausted;
        }
        let Some(pause) = schedule.pause(self.step) else {
            return After::Exhausted;
        };
        if !probe {
            self.step += 1;
        }
        let due = later(now, jittered(pause));
        After::Retry(not_before.map_or(due, |at| at.max(due)))
    }

    /// Records a failure of the gateway's own.
    pub fn crashed(&mut self, now: Timestamp, jittered: impl Fn(Duration) -> Duration) -> After {
        self.crashes += 1;
        if self.crashes >= CRASH_LIMIT {
            After::Quarantined
        } else {
            After::Retry(later(now, jittered(PROBE)))
        }
    }

    /// Whether the next delivery of its session may pass it: it keeps failing, and the endpoint took something since
    /// it began to.
    #[must_use]
    pub fn may_be_passed(&self, now: Timestamp, last_success: Option<Timestamp>) -> bool {
        self.failures >= PASS_FAILURES
            && self.first_failed_at.is_some_and(|first| {
                elapsed(now, first) >= PASS_AFTER && last_success.is_some_and(|success| success >= first)
            })
    }
}

/// Whether a status refuses this body, rather than saying that the receiver cannot take any now.
#[must_use]
pub const fn refuses_content(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 410 | 425 | 429)
}

/// Whether a status together with `Retry-After` asks for a pause of the whole endpoint.
#[must_use]
pub const fn asks_for_pause(status: u16) -> bool {
    matches!(status, 429 | 503)
}

/// How an endpoint has done since its last success.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointHealth {
    /// Failures in a row.
    pub failures: i64,
    /// The first of them.
    pub first_failure_at: Option<Timestamp>,
    /// The last success.
    pub last_success_at: Option<Timestamp>,
    /// Why the last attempt failed, for people.
    pub last_error: Option<String>,
    /// Since when it counts as down.
    pub down_since: Option<Timestamp>,
    /// Whether it was announced that it accepts nothing.
    pub told_failing: bool,
    /// Until when it asked for silence.
    pub paused_until: Option<Timestamp>,
    /// When it is probed next, while it is down.
    pub next_probe_at: Option<Timestamp>,
}

/// What a success changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// It was down: everything that waits may go out.
    pub was_down: bool,
    /// It was announced as failing, and is now announced as recovered.
    pub was_announced: bool,
}

impl EndpointHealth {
    /// The word for it.
    #[must_use]
    pub const fn state(&self) -> Health {
        if self.down_since.is_some() {
            Health::Down
        } else if self.failures > 0 {
            Health::Degraded
        } else {
            Health::Up
        }
    }

    /// Records that it accepted a delivery.
    pub fn succeeded(&mut self, now: Timestamp) -> Recovery {
        let recovery = Recovery {
            was_down: self.down_since.is_some(),
            was_announced: self.told_failing,
        };
        // A pause that it asked for outlasts a success: a person's test goes through it, and proves only that
        // the receiver lives.
        *self = Self {
            last_success_at: Some(now),
            paused_until: self.paused_until.filter(|until| *until > now),
            ..Self::default()
        };
        recovery
    }

    /// Records that it did not.
    pub fn failed(&mut self, now: Timestamp, why: &str) {
        self.failures += 1;
        self.last_error = Some(why.to_owned());
        let first = *self.first_failure_at.get_or_insert(now);
        if self.failures >= DOWN_FAILURES && elapsed(now, first) >= DOWN_SPREAD {
            self.down_since.get_or_insert(now);
        }
    }

    /// Records that its service refuses whatever is sent, so that it is probed once an hour until it was changed or accepts
    /// something.
    pub fn refused(&mut self, now: Timestamp) {
        self.down_since.get_or_insert(now);
        self.next_probe_at = Some(later(now, PROBE_REFUSED));
    }

    /// Records that it asked for silence.
    pub fn pause(&mut self, until: Timestamp) {
        self.paused_until = Some(self.paused_until.map_or(until, |known| known.max(until)));
    }

    /// Forgets what was, because its owner changed where it points or enabled it again. Receivers of the event that it
    /// fails also get the event that it recovered.
    pub fn reset(&mut self) {
        *self = Self {
            last_success_at: self.last_success_at,
            told_failing: self.told_failing,
            ..Self::default()
        };
    }

    /// Whether others should hear now that it takes nothing. One failure alone, or one of a moment, is no news.
    #[must_use]
    pub fn should_announce_failing(&self, now: Timestamp) -> bool {
        !self.told_failing
            && self.failures >= DOWN_FAILURES
            && self
                .first_failure_at
                .is_some_and(|first| elapsed(now, first) >= FAILING_AFTER)
    }

    /// Whether it has accepted nothing for so long that it is disabled.
    #[must_use]
    pub fn is_dead(&self, now: Timestamp) -> bool {
        self.first_failure_at
            .is_some_and(|first| elapsed(now, first) >= DISABLED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).expect("a moment")
    }

    fn schedule() -> Schedule {
        Schedule {
            pauses: vec![5 * SECOND, 300 * SECOND, 1800 * SECOND],
            timeout: 15 * SECOND,
        }
    }

    fn progress() -> Progress {
        Progress {
            step: 0,
            failures: 0,
            first_failed_at: None,
            since: at(0),
            crashes: 0,
        }
    }

    fn exact(pause: Duration) -> Duration {
        pause
    }

    #[test]
    fn a_delivery_follows_its_schedule_to_the_end() {
        let (schedule, mut progress) = (schedule(), progress());
        assert_eq!(
            progress.failed(&schedule, at(0), false, None, exact),
            After::Retry(at(5))
        );
        assert_eq!(
            progress.failed(&schedule, at(5), false, None, exact),
            After::Retry(at(305))
        );
        assert_eq!(
            progress.failed(&schedule, at(305), false, None, exact),
            After::Retry(at(2105))
        );
        assert_eq!(
            progress.failed(&schedule, at(2105), false, None, exact),
            After::Exhausted
        );
        assert_eq!(progress.failures, 4);
    }

    #[test]
    fn retry_after_lengthens_a_pause_only() {
        let mut first = progress();
        assert_eq!(
            first.failed(&schedule(), at(0), false, Some(at(2)), exact),
            After::Retry(at(5))
        );
        let mut second = progress();
        assert_eq!(
            second.failed(&schedule(), at(0), false, Some(at(3600)), exact),
            After::Retry(at(3600))
        );
    }

    #[test]
    fn the_next_attempt_waits_for_pause_and_probe_unless_somebody_waits_for_it() {
        let wait = |is_urgent, paused_until, probe_at| Wait {
            is_urgent,
            paused_until,
            probe_at,
        };
        for (wait, expected) in [
            (wait(false, None, None), 10),
            (wait(false, Some(at(5)), None), 10),
            (wait(false, Some(at(60)), None), 60),
            (wait(false, None, Some(at(30))), 30),
            (wait(false, None, Some(at(4))), 4),
            (wait(false, Some(at(60)), Some(at(30))), 60),
            (wait(true, Some(at(60)), Some(at(30))), 10),
        ] {
            assert_eq!(wait.next_attempt(at(10)), at(expected), "{wait:?}");
        }
        let odd = at(10) + Duration::from_nanos(1_000_001);
        assert_eq!(
            wait(false, None, None).next_attempt(odd),
            at(10) + Duration::from_millis(2)
        );
    }

    #[test]
    fn probes_do_not_count_as_attempts_of_the_schedule() {
        let (schedule, mut progress) = (schedule(), progress());
        let lifetime = i64::try_from(schedule.lifetime().as_secs()).expect("fits");
        for probe in 1..lifetime / 60 {
            let after = progress.failed(&schedule, at(probe * 60), true, None, exact);
            assert_eq!(after, After::Retry(at(probe * 60 + 5)));
        }
        assert_eq!(
            progress.failed(&schedule, at(lifetime), true, None, exact),
            After::Exhausted
        );
    }

    #[test]
    fn an_endpoint_is_down_from_repeated_failure_to_one_success() {
        let mut health = EndpointHealth::default();
        assert_eq!(health.state(), Health::Up);
        for _ in 0..10 {
            health.failed(at(0), "timeout");
        }
        assert_eq!(health.state(), Health::Degraded, "a burst is no outage");
        health.failed(at(30), "timeout");
        assert_eq!(health.state(), Health::Down);
        let recovery = health.succeeded(at(40));
        assert_eq!(
            recovery,
            Recovery {
                was_down: true,
                was_announced: false
            }
        );
        assert_eq!(health.state(), Health::Up);
        assert_eq!(
            (health.last_success_at, health.first_failure_at),
            (Some(at(40)), None)
        );
    }

    #[test]
    fn probes_are_rarer_after_a_day_within_the_schedule() {
        let mut health = EndpointHealth::default();
        for second in [0, 10, 30] {
            health.failed(at(second), "timeout");
        }
        assert_eq!(schedule().probe_pause(&health, at(60)), PROBE);
        assert_eq!(schedule().probe_pause(&health, at(30 + 24 * 3600)), PROBE_SLOW);
        let quick = Schedule {
            pauses: vec![SECOND; 60],
            timeout: SECOND,
        };
        assert_eq!(quick.probe_pause(&health, at(60)), SECOND);
    }

    #[test]
    fn an_endpoint_is_announced_after_15_minutes_disabled_after_5_days() {
        let mut health = EndpointHealth::default();
        health.failed(at(0), "timeout");
        assert!(!health.should_announce_failing(at(901)), "one failure is no news");
        health.failed(at(5), "timeout");
        health.failed(at(300), "timeout");
        assert!(!health.should_announce_failing(at(899)));
        assert!(health.should_announce_failing(at(900)));
        health.told_failing = true;
        assert!(!health.should_announce_failing(at(900)), "told once");
        assert!(!health.is_dead(at(5 * 86400 - 1)));
        assert!(health.is_dead(at(5 * 86400)));
        assert!(health.succeeded(at(5 * 86400)).was_announced);
        assert!(!health.is_dead(at(50 * 86400)));
    }

    #[test]
    fn a_failing_delivery_may_be_passed_once_the_endpoint_accepts_others() {
        let (schedule, mut progress) = (schedule(), progress());
        for second in [10, 15, 130] {
            progress.failed(&schedule, at(second), false, None, exact);
        }
        assert!(
            !progress.may_be_passed(at(130), None),
            "the endpoint took nothing"
        );
        assert!(
            !progress.may_be_passed(at(130), Some(at(9))),
            "it took something before only"
        );
        assert!(progress.may_be_passed(at(130), Some(at(60))));
        assert!(!progress.may_be_passed(at(129), Some(at(60))), "not long enough");
    }

    #[test]
    fn internal_failures_end_in_quarantine() {
        let mut progress = progress();
        assert!(matches!(progress.crashed(at(0), exact), After::Retry(_)));
        assert!(matches!(progress.crashed(at(0), exact), After::Retry(_)));
        assert_eq!(progress.crashed(at(0), exact), After::Quarantined);
    }

    #[test]
    fn only_some_statuses_refuse_the_content() {
        for (status, refuses) in [
            (200, false),
            (301, false),
            (400, true),
            (401, true),
            (404, true),
            (408, false),
            (410, false),
            (413, true),
            (422, true),
            (425, false),
            (429, false),
            (499, true),
            (500, false),
            (503, false),
        ] {
            assert_eq!(refuses_content(status), refuses, "{status}");
        }
    }
}
