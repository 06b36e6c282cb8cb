//! A receiver's answer, as far as anything is made of it.

use jiff::Timestamp;

use crate::clock::retry_after;

/// An answer's head, and what was read of its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Location`, as it came.
    pub location: Option<String>,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// `Date`, as it came.
    pub date: Option<String>,
    /// `webhook-delivery`, as it came: what the receiver wants of further deliveries.
    pub control: Option<String>,
    /// The beginning of the body, where it is text.
    pub text: Option<String>,
}

impl Answer {
    /// By how many seconds its `Date` is ahead of `now`; none without a date that can be read.
    pub(super) fn clock_skew(&self, now: Timestamp) -> Option<i64> {
        let theirs = retry_after::http_date(self.date.as_deref()?)?;
        Some(theirs.duration_since(now).as_secs())
    }
}
