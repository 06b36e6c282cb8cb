//! The clock that the demo's gateway and simulator share: the machine's, behind by what is left of the past.

use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::clock::{Clock, SystemClock};

/// How long ago the past begins: eleven months of thirty days, and what lies between the last of its tests and now.
pub const PAST: Duration = Duration::from_hours((11 * 30 + 9) * 24);

/// The clock.
pub struct Calendar(Mutex<Duration>);

impl Calendar {
    /// One that is behind by so much.
    pub fn behind_by(behind: Duration) -> Self {
        Self(Mutex::new(behind))
    }

    /// Moves it forward, but never ahead of the machine's.
    pub fn advance(&self, by: Duration) {
        let mut behind = self.0.lock();
        *behind = behind.saturating_sub(by);
    }

    /// By how much it is behind.
    pub fn behind(&self) -> Duration {
        *self.0.lock()
    }
}

impl Clock for Calendar {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now();
        now.checked_sub(self.behind()).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_ends_at_the_machines_time() {
        let calendar = Calendar::behind_by(PAST);
        assert!(SystemClock.now().duration_since(calendar.now()).as_hours() >= 339 * 24);
        calendar.advance(PAST / 2);
        assert_eq!(calendar.behind(), PAST / 2);
        calendar.advance(PAST);
        assert_eq!(calendar.behind(), Duration::ZERO);
    }
}
