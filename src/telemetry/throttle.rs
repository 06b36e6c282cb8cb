//! What lasts is logged once and then again from time to time, not at every turn.

use std::time::{Duration, Instant};

/// Lets something happen at most once per interval of the monotonic clock.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    last: Option<Instant>,
}

impl Throttle {
    /// At most once per `interval`; the first time is free.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self { interval, last: None }
    }

    /// At most once a minute: how often a fault that lasts is logged.
    #[must_use]
    pub const fn reminder() -> Self {
        Self::every(Duration::from_mins(1))
    }

    /// Whether it may happen now; if so, the interval begins.
    pub fn due(&mut self) -> bool {
        let open = self.is_open();
        if open {
            self.begin();
        }
        open
    }

    /// What a turn of a worker came to: a failure is logged as `what`, once an interval; after a success the next one is at once.
    pub fn tell<T, E: std::error::Error + 'static>(
        &mut self,
        outcome: Result<T, E>,
        what: &'static str,
    ) -> Option<T> {
        match outcome {
            Ok(done) => {
                self.reset();
                Some(done)
            }
            Err(error) => {
                if self.due() {
                    tracing::warn!(error = &error as &dyn std::error::Error, "{what}");
                }
                None
            }
        }
    }

    /// Whether the interval is over, without beginning another.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.last.is_none_or(|at| at.elapsed() >= self.interval)
    }

    /// Begins the interval.
    pub fn begin(&mut self) {
        self.last = Some(Instant::now());
    }

    /// Ends the interval: the next time is free again.
    pub fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_opens_once_until_it_is_reset() {
        let mut throttle = Throttle::every(Duration::from_hours(1));
        assert!(throttle.due());
        assert!(!throttle.due());
        throttle.reset();
        assert!(throttle.due());
    }

    #[test]
    fn a_throttle_opens_again_after_its_interval() {
        let mut throttle = Throttle::every(Duration::ZERO);
        assert!(throttle.due() && throttle.due());
    }
}
