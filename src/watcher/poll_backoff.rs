//! When a task is read again: soon at first, then more and more rarely.

use crate::clock::later;
use std::time::Duration;

use jiff::Timestamp;

/// The longest pause between two reads of one task; the pauses double from one interval up to this.
const LONGEST: Duration = Duration::from_secs(30);

/// The same for what may stay as it is for days.
const PATIENT: Duration = Duration::from_mins(5);

/// The reads of one task.
#[derive(Debug, Clone, Copy)]
pub(super) struct PollBackoff {
    pause: Duration,
    due: Timestamp,
    longest: Duration,
}

impl PollBackoff {
    /// The first read is due at once, the second after `interval`.
    pub const fn new(interval: Duration, now: Timestamp) -> Self {
        Self {
            pause: interval,
            due: now,
            longest: LONGEST,
        }
    }

    /// The same, with pauses that grow to five minutes.
    pub const fn patient(interval: Duration, now: Timestamp) -> Self {
        Self {
            longest: PATIENT,
            ..Self::new(interval, now)
        }
    }

    /// Whether to read now; if so, the next read is put off.
    pub fn is_due(&mut self, now: Timestamp) -> bool {
        let left = Duration::try_from(self.due.duration_since(now)).unwrap_or_default();
        // A clock that was set back must not keep a task from being read.
        let due = left.is_zero() || left > self.longest;
        if due {
            self.due = later(now, self.pause);
            self.pause = (self.pause * 2).min(self.longest);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};

    const INTERVAL: Duration = Duration::from_secs(2);

    /// The seconds of the next so many looks, asked for each second.
    fn looks(pace: &mut PollBackoff, clock: &ManualClock, count: usize) -> Vec<i64> {
        let begun = clock.now();
        let mut looks = Vec::new();
        while looks.len() < count {
            if pace.is_due(clock.now()) {
                looks.push(clock.now().duration_since(begun).as_secs());
            }
            clock.advance(Duration::from_secs(1));
        }
        looks
    }

    #[test]
    fn observations_become_rarer_down_to_one_in_thirty_seconds() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let mut pace = PollBackoff::new(INTERVAL, clock.now());
        assert_eq!(looks(&mut pace, &clock, 8), [0, 2, 6, 14, 30, 60, 90, 120]);
    }

    #[test]
    fn a_clock_that_is_set_keeps_the_rate_of_observations() {
        for change in [-3600, -31, 31, 3600, 1_000_000] {
            let clock = ManualClock::at("2026-05-06T12:00:00Z".parse().expect("a time"));
            let mut pace = PollBackoff::new(INTERVAL, clock.now());
            looks(&mut pace, &clock, 6);
            clock.set(clock.now() + jiff::SignedDuration::from_secs(change));
            assert_eq!(looks(&mut pace, &clock, 3), [0, 30, 60], "{change}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_delays_one_pause_at_most() {
        let clock = ManualClock::at("2026-05-06T12:00:00Z".parse().expect("a time"));
        let mut pace = PollBackoff::new(INTERVAL, clock.now());
        looks(&mut pace, &clock, 1);
        clock.set(clock.now() - jiff::SignedDuration::from_secs(20));
        let next = looks(&mut pace, &clock, 1);
        assert!(next[0] <= 30, "{next:?}");
    }
}
