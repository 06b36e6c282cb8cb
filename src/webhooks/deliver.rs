//! One attempt at one delivery: rendered by its format, sent, and its answer classified. What becomes of the delivery is decided in
//! `record_outcome`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::client::{Client, Report};
use super::formats::{self, Outgoing, Verdict, WireFormat};
use super::signing;
use crate::clock::{SharedClock, retry_after};
use crate::domain::webhook::AttemptError;
use crate::domain::webhook::rules::PAUSE_LIMIT;
use crate::domain::webhook::signing::BodySignature;
use crate::domain::webhook::target::shown_location;
use crate::store::webhooks::claims::Claimed;
use crate::store::webhooks::outcomes::AttemptEnd;

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

    /// Whether the receiver accepted it.
    pub(super) const fn is_accepted(&self) -> bool {
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
    let Some((format, headers, body)) = request(delivery, clock.now()) else {
        return Outcome::crashed();
    };
    let report = client.post(&delivery.to.target, headers, body).await;
    let outcome = judge(delivery, format, &report, clock.now());
    log(delivery, &report, &outcome);
    outcome
}

/// What is sent: what the format makes of the event, and the endpoint's own headers.
fn request(delivery: &Claimed, now: Timestamp) -> Option<(&'static dyn WireFormat, HeaderMap, Bytes)> {
    let format = formats::of(delivery.to.format)?;
    let rendered = format.render(Outgoing {
        id: &delivery.event.to_string(),
        body: &delivery.body,
        secret: &delivery.to.secret,
        at: now,
    })?;
    let mut headers = HeaderMap::new();
    let agent = concat!("emgate/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(rendered.content_type),
    );
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
    headers.extend(rendered.headers);
    sign(delivery, now, &rendered.body, &mut headers)?;
    Some((format, headers, rendered.body))
}

/// Signs with everything that signs now. A format without `webhook-signature` has none.
fn sign(delivery: &Claimed, now: Timestamp, body: &[u8], headers: &mut HeaderMap) -> Option<()> {
    let to = &delivery.to;
    if headers.contains_key("webhook-signature") {
        let value = signing::header(to, &delivery.event.to_string(), now.as_second(), body)?;
        headers.insert("webhook-signature", HeaderValue::try_from(value).ok()?);
    }
    if let Some(BodySignature::Github) = to.body_signature {
        let value = signing::of_body(&to.secret, body)?;
        headers.insert("x-hub-signature-256", HeaderValue::try_from(value).ok()?);
    }
    Some(())
}

fn judge(delivery: &Claimed, format: &dyn WireFormat, report: &Report, now: Timestamp) -> Outcome {
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
    end.error = match format.verdict(answer, now) {
        Verdict::Accepted => None,
        Verdict::Failed(error) => Some(error),
    };
    if end.error == Some(AttemptError::Redirect) {
        end.location = answer
            .location
            .as_ref()
            .map(|location| shown_location(&delivery.to.target, location));
    }
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
        if outcome.is_accepted() { "accepted" } else { "failed" },
    );
}
