//! One attempt at one delivery: signed anew, sent, and judged. What becomes of the delivery is `settle`'s affair.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::client::{Answer, Client, Report};
use super::sign::signature;
use crate::clock::{SharedClock, retry_after};
use crate::domain::webhook::AttemptError;
use crate::domain::webhook::rules::PAUSE_LIMIT;
use crate::domain::webhook::target::shown_location;
use crate::store::webhooks::claims::Claimed;
use crate::store::webhooks::outcomes::AttemptEnd;

/// How far a receiver's clock and ours may differ before it explains a refusal; receivers tolerate 5 minutes.
const SKEW_LIMIT: Duration = Duration::from_mins(4);

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    /// For the log of attempts.
    pub(super) end: AttemptEnd,
    /// How long the receiver asked to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Whether the gateway itself failed.
    pub(super) crashed: bool,
}

impl Outcome {
    /// The gateway failed at it.
    pub(super) fn crashed() -> Self {
        let end = AttemptEnd {
            error: Some(AttemptError::Internal),
            ..AttemptEnd::default()
        };
        Self {
            end,
            retry_after: None,
            crashed: true,
        }
    }

    /// Whether the receiver took it.
    pub(super) const fn is_taken(&self) -> bool {
        self.end.error.is_none()
    }

    /// Why not, for people.
    pub(super) fn why(&self) -> String {
        match (self.end.error, self.end.status) {
            (_, Some(status)) => format!("the receiver answered {status}"),
            (Some(error), None) => error.meaning().trim_end_matches('.').to_owned(),
            (None, None) => String::new(),
        }
    }
}

/// Makes an attempt.
pub(super) async fn attempt(client: &Client, clock: &SharedClock, delivery: &Claimed) -> Outcome {
    let body = Bytes::from(delivery.body.clone());
    let Some(headers) = headers(delivery, clock.now(), &body) else {
        return Outcome::crashed();
    };
    let report = client.post(&delivery.to.target, headers, body).await;
    let outcome = judge(delivery, &report, clock.now());
    log(delivery, &report, &outcome);
    outcome
}

/// The headers of an attempt. The timestamp, and so the signature, is this attempt's; the id is the event's.
fn headers(delivery: &Claimed, now: Timestamp, body: &[u8]) -> Option<HeaderMap> {
    let (id, second) = (delivery.event.to_string(), now.as_second());
    let mut headers = HeaderMap::new();
    let agent = concat!("emgate/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some((user, password)) = delivery.to.target.userinfo() {
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let pair = format!("{}:{}", decoded(user), decoded(password));
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    for (name, value) in delivery.to.headers.iter() {
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name).ok()?, value);
    }
    let signed = signature(&delivery.to.secret, &id, second, body)?;
    headers.insert("webhook-id", HeaderValue::try_from(id).ok()?);
    headers.insert("webhook-timestamp", HeaderValue::from(second));
    headers.insert("webhook-signature", HeaderValue::try_from(signed).ok()?);
    Some(headers)
}

fn judge(delivery: &Claimed, report: &Report, now: Timestamp) -> Outcome {
    let mut end = AttemptEnd {
        duration: Some(report.duration),
        ..AttemptEnd::default()
    };
    let answer = match &report.result {
        Ok(answer) => answer,
        Err(error) => {
            end.error = Some(*error);
            return Outcome {
                end,
                retry_after: None,
                crashed: false,
            };
        }
    };
    end.status = Some(answer.status);
    end.response.clone_from(&answer.text);
    end.error = match answer.status {
        200..=299 => None,
        300..=399 => {
            end.location = answer
                .location
                .as_ref()
                .map(|location| shown_location(&delivery.to.target, location));
            Some(AttemptError::Redirect)
        }
        400 | 401 | 403 if is_skewed(answer, now) => Some(AttemptError::ClockSkew),
        _ => Some(AttemptError::HttpStatus),
    };
    let retry_after = answer
        .retry_after
        .as_deref()
        .and_then(|text| retry_after::parse(text, answer.date.as_deref(), now, PAUSE_LIMIT))
        .filter(|pause| !pause.is_zero());
    Outcome {
        end,
        retry_after,
        crashed: false,
    }
}

fn is_skewed(answer: &Answer, now: Timestamp) -> bool {
    answer
        .date
        .as_deref()
        .and_then(retry_after::http_date)
        .is_some_and(|theirs| now.duration_since(theirs).unsigned_abs() > SKEW_LIMIT)
}

/// One line per attempt, whatever came of it.
fn log(delivery: &Claimed, report: &Report, outcome: &Outcome) {
    let ms = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    tracing::info!(
        delivery = %delivery.id,
        event = %delivery.event,
        event_type = delivery.kind.as_str(),
        lane = delivery.lane,
        attempt = delivery.number,
        probe = delivery.probe,
        status = outcome.end.status,
        error = outcome.end.error.map(AttemptError::as_str),
        peer = report.peer.map(tracing::field::display),
        duration_ms = ms(Some(report.duration)),
        resolve_ms = ms(report.phases.resolve),
        connect_ms = ms(report.phases.connect),
        tls_ms = ms(report.phases.tls),
        answer_ms = ms(report.phases.answer),
        "webhook attempt {}",
        if outcome.is_taken() { "taken" } else { "failed" },
    );
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
}
