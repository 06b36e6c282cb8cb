//! What an answer means for a delivery, beyond its status where the service says it otherwise.

use jiff::Timestamp;

use crate::domain::webhook::AttemptError;
use crate::domain::webhook::receiver::{ReceiverFacts, SKEW_REFUSED};
use crate::webhooks::answer::Answer;

/// What an answer means for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::webhooks) enum Verdict {
    /// The receiver has it.
    Accepted,
    /// The receiver has it, and its owner should look at something.
    Warned(&'static str),
    /// The receiver does not have it.
    Failed(AttemptError),
    /// The receiver does not have it and asks for patience, whatever its status.
    Throttled,
    /// Nobody will ever get anything at this address as it is: why, for people.
    Refused(&'static str),
}

/// A word in an answer, and what it means.
pub(super) type Hint = (&'static str, &'static str);

/// Whether an answer's text has this in it, in any letter case.
pub(super) fn said(answer: &Answer, word: &str) -> bool {
    answer
        .text
        .as_ref()
        .is_some_and(|text| text.to_ascii_lowercase().contains(word))
}

/// 2xx is success, 3xx is not followed, and a refusal may be a clock's fault.
pub(in crate::webhooks) fn by_status(answer: &Answer, now: Timestamp) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Accepted,
        300..=399 => Verdict::Failed(AttemptError::Redirect),
        400 | 401 | 403 if is_skewed(answer, now) => Verdict::Failed(AttemptError::ClockSkew),
        _ => Verdict::Failed(AttemptError::HttpStatus),
    }
}

/// The same for services that say `ok`, and in a word why not; `gone` are the statuses after which nothing will ever be
/// taken.
pub(super) fn accepted_by_body(answer: &Answer, now: Timestamp, gone: &[u16], hints: &[Hint]) -> Verdict {
    let hint = hints
        .iter()
        .find(|(word, _)| said(answer, word))
        .map(|(_, hint)| *hint);
    match answer.status {
        200 if answer.text.as_deref().map(str::trim) == Some("ok") => Verdict::Accepted,
        200 => Verdict::Warned("the service did not answer ok; look whether the message is there"),
        status if gone.contains(&status) => Verdict::Refused(hint.unwrap_or("the webhook was removed")),
        // 410 disables an endpoint, whatever its format.
        410 => Verdict::Refused(hint.unwrap_or("it is gone")),
        400..=499 if hint.is_some() => Verdict::Refused(hint.unwrap_or_default()),
        _ => by_status(answer, now),
    }
}

fn is_skewed(answer: &Answer, now: Timestamp) -> bool {
    let facts = ReceiverFacts {
        clock_skew: answer.clock_skew(now),
        ..ReceiverFacts::default()
    };
    facts.differs_by_more_than(SKEW_REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::Format;
    use crate::webhooks::formats;
    use rstest::rstest;

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

    #[rstest]
    #[case(Format::Standard, 200, "", "accepted")]
    #[case(Format::Standard, 204, "", "accepted")]
    #[case(Format::Standard, 302, "", "redirect")]
    #[case(Format::Standard, 401, "", "httpStatus")]
    #[case(Format::Standard, 410, "", "httpStatus")]
    #[case(Format::Standard, 500, "", "httpStatus")]
    #[case(Format::CloudEvents, 202, "", "accepted")]
    #[case(Format::Slack, 200, "ok", "accepted")]
    #[case(Format::Slack, 200, "<html>", "warned")]
    #[case(Format::Slack, 400, "invalid_payload", "httpStatus")]
    #[case(Format::Slack, 403, "action_prohibited", "refused")]
    #[case(Format::Slack, 404, "no_service", "refused")]
    #[case(Format::Slack, 410, "channel_is_archived", "refused")]
    #[case(Format::Slack, 429, "", "httpStatus")]
    #[case(Format::Slack, 500, "rollup_error", "httpStatus")]
    #[case(Format::Mattermost, 200, "ok", "accepted")]
    #[case(Format::Mattermost, 200, "", "warned")]
    #[case(Format::Mattermost, 404, "", "refused")]
    #[case(Format::Mattermost, 400, "the channel is archived", "refused")]
    #[case(Format::Mattermost, 400, "{}", "httpStatus")]
    #[case(Format::Teams, 202, "", "accepted")]
    #[case(Format::Teams, 200, "1", "accepted")]
    #[case(
        Format::Teams,
        200,
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429",
        "throttled"
    )]
    #[case(Format::Teams, 200, "failed with error: HTTP error 413", "warned")]
    #[case(Format::Teams, 404, "", "refused")]
    #[case(Format::Teams, 413, "", "httpStatus")]
    #[case(Format::Discord, 200, "{}", "accepted")]
    #[case(Format::Discord, 401, "", "refused")]
    #[case(Format::Discord, 404, "Unknown Webhook", "refused")]
    #[case(Format::Discord, 429, "", "httpStatus")]
    #[case(Format::GoogleChat, 403, "", "refused")]
    #[case(Format::PagerDuty, 202, "", "accepted")]
    #[case(Format::PagerDuty, 400, "", "httpStatus")]
    #[case(Format::ServiceNow, 401, "", "httpStatus")]
    fn each_service_means_its_answers_its_own_way(
        #[case] format: Format,
        #[case] status: u16,
        #[case] text: &str,
        #[case] meaning: &str,
    ) {
        let answer = Answer {
            status,
            text: Some(text.to_owned()),
            ..Answer::default()
        };
        let row = formats::of(format).expect("a row");
        let word = match (row.verdict)(&answer, Timestamp::UNIX_EPOCH) {
            Verdict::Accepted => "accepted",
            Verdict::Warned(_) => "warned",
            Verdict::Throttled => "throttled",
            Verdict::Refused(_) => "refused",
            Verdict::Failed(error) => error.as_str(),
        };
        assert_eq!(word, meaning);
    }
}
