//! How long a `Retry-After` asks to wait (RFC 9110, 10.2.3): one reader for Enterprise Manager and for receivers.
//!
//! It is seconds or a date in one of HTTP's three forms. A date is what the sender's clock shows, so it is relative to
//! the sender's own `Date` where the answer has one.

use std::time::Duration;

use jiff::Timestamp;

/// The time from the answer on, `limit` at most; zero when the date is past, `None` when the text is neither form.
/// `date` is the answer's `Date`, `now` our own clock.
#[must_use]
pub fn parse(text: &str, date: Option<&str>, now: Timestamp, limit: Duration) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are still a wish for very long.
        let seconds = text.parse().map_or(limit, Duration::from_secs);
        return Some(seconds.min(limit));
    }
    let until = http_date(text)?;
    let from = date.and_then(http_date).unwrap_or(now);
    let wait = Duration::try_from(until.duration_since(from)).unwrap_or_default();
    Some(wait.min(limit))
}

/// A date in one of HTTP's three forms.
#[must_use]
pub fn http_date(text: &str) -> Option<Timestamp> {
    Timestamp::try_from(httpdate::parse_http_date(text.trim()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const LIMIT: Duration = Duration::from_hours(24);

    #[rstest]
    #[case("120", Some(120))]
    #[case(" 120 ", Some(120))]
    #[case("31536000", Some(86_400))]
    #[case("99999999999999999999999", Some(86_400))]
    #[case("0", Some(0))]
    #[case("-5", None)]
    #[case("+5", None)]
    #[case("1.5", None)]
    #[case("", None)]
    #[case("soon", None)]
    #[case("Sun, 01 Mar 2026 12:05:00 GMT", Some(300))]
    #[case("Sunday, 01-Mar-26 12:05:00 GMT", Some(300))]
    #[case("Sun Mar  1 12:05:00 2026", Some(300))]
    #[case("Sun, 01 Mar 2026 11:00:00 GMT", Some(0))]
    #[case("Sun, 01 Mar 2026 12:00:00 GMT", Some(0))]
    #[case("Mon, 01 Mar 2027 12:00:00 GMT", Some(86_400))]
    #[case("2026-03-01T12:05:00Z", None)]
    fn seconds_and_dates_are_read(#[case] text: &str, #[case] expected: Option<u64>) {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a moment");
        assert_eq!(
            parse(text, None, now, LIMIT),
            expected.map(Duration::from_secs),
            "{text:?}"
        );
    }

    #[rstest]
    #[case::ahead(Some("Mon, 02 Mar 2026 12:00:00 GMT"), "Mon, 02 Mar 2026 12:01:00 GMT", 60)]
    #[case::behind(Some("Sat, 28 Feb 2026 12:00:00 GMT"), "Sat, 28 Feb 2026 12:01:00 GMT", 60)]
    #[case::unreadable(Some("yesterday"), "Sun, 01 Mar 2026 12:01:00 GMT", 60)]
    fn a_date_is_relative_to_the_date_of_its_answer(
        #[case] date: Option<&str>,
        #[case] text: &str,
        #[case] seconds: u64,
    ) {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a moment");
        assert_eq!(parse(text, date, now, LIMIT), Some(Duration::from_secs(seconds)));
    }
}
