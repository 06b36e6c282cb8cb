//! Time, ids and randomness as parameters.
//!
//! Whatever depends on the hour or on chance takes a [`Clock`], so that a test can move the one and fix the
//! other. The system's clock and its random source are read here and nowhere else.

pub mod retry_after;

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

/// The source of wall-clock time, of ids and of randomness.
pub trait Clock: Send + Sync + 'static {
    /// The current moment, UTC.
    fn now(&self) -> Timestamp;

    /// A new UUID version 7 whose time part is [`Clock::now`] (RFC 9562), so that ids sort by age.
    fn id(&self) -> Uuid {
        let mut chance = [0; 10];
        self.random(&mut chance);
        uuid_v7(self.now(), chance)
    }

    /// Fills `bytes` from the system's cryptographic random source.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the system for randomness"
    )]
    fn random(&self, bytes: &mut [u8]) {
        // The call fails only when the operating system has no entropy at all, and then no secret may be made.
        assert!(
            aws_lc_rs::rand::fill(bytes).is_ok(),
            "the system's random source gave nothing"
        );
    }

    /// A number in `0.0..1.0` for jitter; not for secrets.
    fn fraction(&self) -> f64 {
        let mut bytes = [0u8; 4];
        self.random(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }

    /// `duration` changed by up to `share` (0.2 = 20 %) in either direction.
    fn jittered(&self, duration: Duration, share: f64) -> Duration {
        duration.mul_f64((1.0 - share) + 2.0 * share * self.fraction())
    }
}

/// The UUID version 7 of a moment and of chance (RFC 9562 section 5.7).
#[must_use]
pub fn uuid_v7(at: Timestamp, chance: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid()
}

/// `at` and `by` more, never beyond what a moment can be.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A clock that rooms share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock, ready to be shared.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's clock"
    )]
    fn now(&self) -> Timestamp {
        // Milliseconds, the precision of every moment the gateway shows and stores.
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

/// A clock that does not move by itself.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(now)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock();
        *now = later(*now, by);
    }

    /// Sets the clock, backwards as well.
    pub fn set(&self, to: Timestamp) {
        *self.0.lock() = to;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_clock_that_made_them() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(1_000_000));
        let earlier = clock.id();
        clock.advance(Duration::from_secs(1));
        assert!(earlier < clock.id());
    }

    #[test]
    fn jitter_stays_within_its_share() {
        for _ in 0..200 {
            let value = SystemClock.jittered(Duration::from_secs(10), 0.2);
            assert!(
                (Duration::from_secs(8)..=Duration::from_secs(12)).contains(&value),
                "{value:?}"
            );
        }
    }
}
