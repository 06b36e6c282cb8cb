//! Formats: how an event looks to its receiver, and what the receiver's answer means.
//!
//! One file per format and one row in [`FORMATS`]; an endpoint can have a format as soon as the row is there. A format
//! renders and judges; it never sends, and knows neither retries nor health. Tests: in each file, and over sockets in
//! `tests/it/delivery`.

pub mod standard;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;

use super::answer::Answer;
use crate::clock::retry_after;
use crate::domain::webhook::endpoint::SigningSecret;
use crate::domain::webhook::{AttemptError, Format};

/// Every format that can be sent.
static FORMATS: &[(Format, &dyn WireFormat)] = &[(Format::Standard, &standard::Standard)];

/// How far a receiver's clock and ours may differ before it explains a refusal; receivers tolerate 5 minutes.
const SKEW_LIMIT: Duration = Duration::from_mins(4);

/// An event on its way to one receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    /// The event's id, the same on every attempt.
    pub(super) id: &'a str,
    /// The event's stored body.
    pub(super) body: &'a str,
    /// What signs it.
    pub(super) secret: &'a SigningSecret,
    /// When this attempt begins.
    pub(super) at: Timestamp,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rendered {
    /// The body.
    pub(super) body: Bytes,
    /// Its content type.
    pub(super) content_type: &'static str,
    /// Headers that belong to the format, signatures among them.
    pub(super) headers: HeaderMap,
}

/// What an answer means for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The receiver has it.
    Accepted,
    /// The receiver does not have it.
    Failed(AttemptError),
}

/// One way to write an event.
pub(super) trait WireFormat: Sync {
    /// The event as it is sent; `None` when the gateway itself fails at it.
    fn render(&self, event: Outgoing<'_>) -> Option<Rendered>;

    /// What the receiver's answer means; by its status alone unless the service says it otherwise.
    fn verdict(&self, answer: &Answer, now: Timestamp) -> Verdict {
        by_status(answer, now)
    }
}

/// The formats that can be sent.
pub fn supported() -> impl Iterator<Item = Format> {
    FORMATS.iter().map(|(format, _)| *format)
}

/// How that format is written; `None` when this program cannot send it.
pub(super) fn of(format: Format) -> Option<&'static dyn WireFormat> {
    FORMATS
        .iter()
        .find(|(known, _)| *known == format)
        .map(|(_, writer)| *writer)
}

/// 2xx is success, 3xx is not followed, and a refusal may be a clock's fault.
fn by_status(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Accepted,
        300..=399 => Verdict::Failed(AttemptError::Redirect),
        400 | 401 | 403 if is_skewed(answer, now) => Verdict::Failed(AttemptError::ClockSkew),
        _ => Verdict::Failed(AttemptError::HttpStatus),
    }
}

fn is_skewed(answer: &Answer, now: Timestamp) -> bool {
    answer
        .date
        .as_deref()
        .and_then(retry_after::http_date)
        .is_some_and(|theirs| now.duration_since(theirs).unsigned_abs() > SKEW_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_whose_clock_differs_is_recognised() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a moment");
        let dated = |date: &str| Answer {
            date: Some(date.to_owned()),
            ..Answer::default()
        };
        assert!(!is_skewed(&dated("Sun, 01 Mar 2026 12:03:59 GMT"), now));
        assert!(is_skewed(&dated("Sun, 01 Mar 2026 12:05:00 GMT"), now));
        assert!(is_skewed(&dated("Sun, 01 Mar 2026 11:55:00 GMT"), now));
        assert!(!is_skewed(&dated("garbage"), now));
        assert!(!is_skewed(&Answer::default(), now));
    }

    #[rstest::rstest]
    #[case(200, Verdict::Accepted)]
    #[case(204, Verdict::Accepted)]
    #[case(302, Verdict::Failed(AttemptError::Redirect))]
    #[case(401, Verdict::Failed(AttemptError::HttpStatus))]
    #[case(410, Verdict::Failed(AttemptError::HttpStatus))]
    #[case(500, Verdict::Failed(AttemptError::HttpStatus))]
    fn the_class_of_a_status_decides(#[case] status: u16, #[case] verdict: Verdict) {
        let answer = Answer {
            status,
            ..Answer::default()
        };
        assert_eq!(by_status(&answer, Timestamp::UNIX_EPOCH), verdict);
    }
}
