//! One attempt at one delivery: rendered by its format, sent, and its answer classified. What becomes of the delivery is decided in
//! `record_outcome`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use super::answer::Answer;
use super::client::{Client, Manner, Report};
use super::formats::verdict::Verdict;
use super::formats::{self, Outgoing, Rendered, Row};
use super::signing;
use crate::clock::{SharedClock, retry_after};
use crate::domain::links::Links;
use crate::domain::webhook::AttemptError;
use crate::domain::webhook::receiver::{Control, ReceiverFacts};
use crate::domain::webhook::rules::PAUSE_LIMIT;
use crate::domain::webhook::signing::BodySignature;
use crate::domain::webhook::target::shown_location;
use crate::store::webhooks::claims::Claimed;
use crate::store::webhooks::outcomes::AttemptEnd;
use crate::store::{Store, with_timeout};
use crate::telemetry::{names, traces};

/// How an attempt ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// For the log of attempts.
    pub(super) end: AttemptEnd,
    /// How long the receiver asked to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Whether the gateway itself failed.
    pub(super) crashed: bool,
    /// Why the service will take nothing at this address as it is, if it said so.
    pub(super) refused: Option<&'static str>,
    /// What the receiver showed of itself.
    pub(super) seen: ReceiverFacts,
    /// What it asked for.
    pub(super) control: Option<Control>,
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
            crashed: true,
            ..Self::default()
        }
    }

    /// There is nothing to send, for this reason.
    pub(super) fn done_without_request(note: impl Into<String>) -> Self {
        Self {
            end: AttemptEnd {
                duration: Some(Duration::ZERO),
                note: Some(note.into()),
                ..AttemptEnd::default()
            },
            ..Self::default()
        }
    }

    /// It could not be begun, for a reason that is not the receiver's.
    pub(super) fn interrupted() -> Self {
        Self {
            end: AttemptEnd {
                duration: Some(Duration::ZERO),
                error: Some(AttemptError::Interrupted),
                ..AttemptEnd::default()
            },
            ..Self::default()
        }
    }

    /// Whether the receiver accepted it.
    pub(super) const fn is_accepted(&self) -> bool {
        self.end.error.is_none()
    }

    /// Why not, for people.
    pub(super) fn why(&self) -> String {
        match (self.end.error, self.end.status) {
            (_, Some(status)) => {
                let hint = self.refused.map_or_else(String::new, |why| format!(": {why}"));
                format!("the receiver answered {status}{hint}")
            }
            (Some(error), None) => error.meaning().trim_end_matches('.').to_owned(),
            (None, None) => String::new(),
        }
    }
}

/// What an attempt works with; clones share it.
#[derive(Clone)]
pub(super) struct Sender {
    /// Speaks to receivers.
    pub(super) client: Client,
    /// The clock.
    pub(super) clock: SharedClock,
    /// Where bodies of first attempts are kept, and bots remember their messages.
    pub(super) store: Store,
    /// Where links in messages begin.
    pub(super) links: Links,
}

/// Makes an attempt.
pub(super) async fn attempt(sender: &Sender, delivery: &Claimed) -> Outcome {
    let Some(row) = formats::of(delivery.to.format) else {
        return Outcome::crashed();
    };
    let Some(rendered) = rendered(sender, row, delivery).await else {
        return Outcome::crashed();
    };
    let now = sender.clock.now();
    let Some(headers) = headers(row, delivery, &rendered, now) else {
        return Outcome::crashed();
    };
    let address = row.address(&delivery.to.target);
    let report = sender
        .client
        .send(
            Manner::post(&delivery.to.connection),
            &address,
            headers,
            Bytes::from(rendered.body),
        )
        .await;
    let now = sender.clock.now();
    let mut outcome = judge(delivery, |answer| (row.verdict)(answer, now), &report, now);
    log(delivery, &report, &outcome);
    outcome.end.warning = rendered.warning.or(outcome.end.warning);
    outcome
}

/// What is sent: what the first attempt sent where that was kept, or what the format makes of the event.
async fn rendered(sender: &Sender, row: &'static Row, delivery: &Claimed) -> Option<Rendered> {
    let keeps = row.keeps(&delivery.to.options);
    if keeps && delivery.number > 1 {
        match with_timeout(sender.store.kept_body(delivery.id)).await {
            Ok(Some((content_type, body))) => {
                return Some(Rendered {
                    content_type,
                    body,
                    warning: None,
                });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(delivery = %delivery.id, %error, "the body of an earlier attempt could not be read");
            }
        }
    }
    let rendered = formats::render(row, &outgoing(sender, delivery, &delivery.event.to_string()))?;
    if keeps {
        let (content_type, body) = (&rendered.content_type, &rendered.body);
        let kept = with_timeout(sender.store.keep_body(delivery.id, content_type, body)).await;
        // The message matters more than the same letters on the next attempt.
        if let Err(error) = kept {
            tracing::warn!(delivery = %delivery.id, %error, "the body of a first attempt could not be kept");
        }
    }
    Some(rendered)
}

/// The event of a delivery as formats take it.
pub(super) fn outgoing<'a>(sender: &'a Sender, delivery: &'a Claimed, id: &'a str) -> Outgoing<'a> {
    Outgoing {
        id,
        kind: delivery.kind,
        body: &delivery.body,
        options: &delivery.to.options,
        links: &sender.links,
    }
}

/// The headers of a request: the gateway's, those of the URL's user, the endpoint's own, the signatures.
pub(super) fn headers(
    row: &Row,
    delivery: &Claimed,
    rendered: &Rendered,
    now: Timestamp,
) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    let agent = concat!("emgate/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::try_from(&rendered.content_type).ok()?,
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
    // Without traces of our own, the receiver's continue those of who asked for the operation.
    let traceparent = traces::traceparent().or_else(|| delivery.traceparent.as_deref().map(str::to_owned));
    if let Some(traceparent) = traceparent {
        headers.insert("traceparent", HeaderValue::try_from(traceparent).ok()?);
    }
    let (to, body) = (&delivery.to, rendered.body.as_bytes());
    if row.signed {
        headers.extend(signing::headers(to, &delivery.event.to_string(), now, body)?);
    }
    if let Some(BodySignature::Github) = to.body_signature {
        let value = signing::of_body(&to.secret, body)?;
        headers.insert("x-hub-signature-256", HeaderValue::try_from(value).ok()?);
    }
    Some(headers)
}

pub(super) fn judge(
    delivery: &Claimed,
    verdict: impl FnOnce(&Answer) -> Verdict,
    report: &Report,
    now: Timestamp,
) -> Outcome {
    let mut outcome = Outcome {
        end: AttemptEnd {
            duration: Some(report.duration),
            exchange: report.exchange.clone(),
            ..AttemptEnd::default()
        },
        ..Outcome::default()
    };
    outcome.seen.certificate_not_after = report.certificate_not_after;
    let answer = match &report.result {
        Ok(answer) => answer,
        Err(error) => {
            outcome.end.error = Some(*error);
            return outcome;
        }
    };
    outcome.retry_after = answer
        .retry_after
        .as_deref()
        .and_then(|text| retry_after::parse(text, answer.date.as_deref(), now, PAUSE_LIMIT))
        .filter(|pause| !pause.is_zero());
    outcome.seen.clock_skew = answer.clock_skew(now);
    outcome.control = answer.control.as_deref().and_then(Control::read);
    let end = &mut outcome.end;
    end.status = Some(answer.status);
    end.response.clone_from(&answer.text);
    let mut warning = None;
    match verdict(answer) {
        Verdict::Accepted => {}
        Verdict::Warned(text) => warning = Some(text),
        Verdict::Failed(error) => end.error = Some(error),
        Verdict::Throttled => end.error = Some(AttemptError::Throttled),
        Verdict::Refused(why) => {
            end.error = Some(AttemptError::HttpStatus);
            outcome.refused = Some(why);
        }
    }
    warning = match outcome.control {
        Some(Control::Disable) => {
            Some("the receiver asked for no more deliveries (webhook-delivery: disable)")
        }
        Some(Control::AbortMessage) if end.error.is_some() => {
            Some("the receiver asked for no further attempt (webhook-delivery: abort-message)")
        }
        Some(Control::AbortMessage) | None => warning,
    };
    if end.error == Some(AttemptError::Redirect) {
        end.location = answer
            .location
            .as_ref()
            .map(|location| shown_location(&delivery.to.target, location));
    }
    end.warning = warning.map(str::to_owned);
    outcome
}

/// One line per request, whatever came of it, and its phases for the metrics.
pub(super) fn log(delivery: &Claimed, report: &Report, outcome: &Outcome) {
    let exchange = &report.exchange;
    traces::phases(exchange.phases(), report.duration);
    for (phase, time) in exchange.phases() {
        if let Some(time) = time {
            metrics::histogram!(names::WEBHOOK_PHASE, "phase" => phase).record(time.as_secs_f64());
        }
    }
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
        peer = exchange.remote.map(tracing::field::display),
        duration_ms = ms(Some(report.duration)),
        dns_ms = ms(exchange.dns),
        connect_ms = ms(exchange.connect),
        tls_ms = ms(exchange.tls),
        first_byte_ms = ms(exchange.first_byte),
        "webhook attempt {}",
        if outcome.is_accepted() { "accepted" } else { "failed" },
    );
}
