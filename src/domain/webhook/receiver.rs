//! What the receiver of an endpoint shows of itself in handshakes and answers, and what it may ask for in them. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::rules::elapsed;
use crate::domain::words::words;

/// A certificate that ends within this time expires soon.
pub const EXPIRES_SOON: Duration = Duration::from_hours(14 * 24);
/// By how many seconds clocks may differ before it counts.
pub const SKEW_NOTED: u64 = 60;
/// By how many seconds before it explains a refusal; receivers tolerate 5 minutes.
pub const SKEW_REFUSED: u64 = 240;
/// By how many seconds receivers that verify signatures tolerate (Standard Webhooks 1.0).
pub const SKEW_TOLERATED: u64 = 300;

words! {
    /// What a receiver asks for by `webhook-delivery` in its answer (docs/behaviour.md#deliveries).
    pub enum Control {
        /// Nothing more: the endpoint is disabled, as by 410.
        Disable = "disable",
        /// No further attempt at this delivery.
        AbortMessage = "abort-message",
    }
}

impl Control {
    /// Reads the header's value, in any letter case; what is unknown asks for nothing.
    #[must_use]
    pub fn read(value: &str) -> Option<Self> {
        Self::parse(value.trim().to_ascii_lowercase().as_str())
    }
}

/// What the last handshake and the last answer showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiverFacts {
    /// Until when the certificate is valid.
    pub certificate_not_after: Option<Timestamp>,
    /// By how many seconds its clock is ahead of ours; negative when it is behind.
    pub clock_skew: Option<i64>,
}

impl ReceiverFacts {
    /// Takes over what an attempt showed. True when that changed something.
    pub fn update(&mut self, seen: Self) -> bool {
        let after = Self {
            certificate_not_after: seen.certificate_not_after.or(self.certificate_not_after),
            clock_skew: seen.clock_skew.or(self.clock_skew),
        };
        std::mem::replace(self, after) != after
    }

    /// Whether the certificate has expired or will within 14 days.
    #[must_use]
    pub fn expires_soon(&self, now: Timestamp) -> bool {
        self.certificate_not_after
            .is_some_and(|end| elapsed(end, now) <= EXPIRES_SOON)
    }

    /// Whether the clocks are known to differ by more than so many seconds.
    #[must_use]
    pub fn differs_by_more_than(&self, seconds: u64) -> bool {
        self.clock_skew.is_some_and(|skew| skew.unsigned_abs() > seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_expires_soon_from_14_days_before_its_end() {
        let now = Timestamp::UNIX_EPOCH;
        let ending = |seconds: i64| ReceiverFacts {
            certificate_not_after: Timestamp::from_second(seconds).ok(),
            clock_skew: None,
        };
        let days = 24 * 3600;
        assert!(!ReceiverFacts::default().expires_soon(now));
        assert!(!ending(14 * days + 1).expires_soon(now));
        assert!(ending(14 * days).expires_soon(now));
        assert!(ending(-1).expires_soon(now), "expired");
    }

    #[test]
    fn what_an_attempt_did_not_show_stays_as_it_was() {
        let mut facts = ReceiverFacts::default();
        let clock = ReceiverFacts {
            clock_skew: Some(-7),
            ..ReceiverFacts::default()
        };
        assert!(facts.update(clock));
        assert!(!facts.update(ReceiverFacts::default()));
        assert_eq!(facts, clock);
        assert!(facts.differs_by_more_than(6) && !facts.differs_by_more_than(7));
    }

    #[test]
    fn an_unknown_control_asks_for_nothing() {
        for (value, control) in [
            ("disable", Some(Control::Disable)),
            (" Abort-Message ", Some(Control::AbortMessage)),
            ("disable, abort-message", None),
            ("", None),
        ] {
            assert_eq!(Control::read(value), control, "{value}");
        }
    }
}
