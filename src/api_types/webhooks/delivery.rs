//! What is sent to webhook endpoints: deliveries with their attempts, jobs that send again, the preview of a body.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::api_types::Moment;
use crate::domain::webhook::exchange::TlsVersion;
use crate::domain::webhook::job::Job;
use crate::domain::webhook::{Attempt, AttemptError, Delivery};

/// An event on its way to an endpoint, or to an operation's one-off callback.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    /// Its id, `dlv_…`.
    pub id: String,
    /// The endpoint; null for a callback.
    #[schema(required)]
    pub endpoint_id: Option<String>,
    /// The operation whose callback it is; null for an endpoint's.
    #[schema(required)]
    pub operation_id: Option<String>,
    /// The event, which is also the `webhook-id`.
    pub event_id: String,
    /// The event's type.
    pub event_type: &'static str,
    /// `pending`, `sending`, `delivered`, `held` (the endpoint is disabled), `exhausted` (given up), `cancelled` (the
    /// endpoint was deleted) or `quarantined` (the gateway could not process it).
    pub state: &'static str,
    /// When it is attempted next; while its endpoint is down or has asked for silence, when the probe goes out or the silence
    /// ends. Null when it is not waiting, or waits for an earlier event of its session.
    #[schema(required)]
    pub next_attempt_at: Option<Moment>,
    /// When it was created, together with its event.
    pub created_at: Moment,
    /// The attempts, oldest first.
    pub attempts: Vec<WebhookAttempt>,
}

/// One attempt at a delivery.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAttempt {
    /// From 1.
    pub number: i64,
    /// When it began.
    pub at: Moment,
    /// The status of the answer; null when there was none.
    #[schema(required)]
    pub status: Option<u16>,
    /// How long it took; null while it runs or when its end is not known.
    #[schema(required)]
    pub duration_ms: Option<u64>,
    /// Why it failed: `dns`, `blockedAddress`, `connect`, `proxy`, `tlsUntrusted`, `tlsExpired`, `tlsName`, `tls`, `timeout`,
    /// `reset`, `protocol`, `headersTooLarge`, `redirect`, `httpStatus`, `throttled`, `serviceError`, `clockSkew`, `interrupted`, `unreadable` or `internal`.
    #[schema(required)]
    pub error: Option<&'static str>,
    /// The target of a redirect, which is not followed; credentials are masked.
    #[schema(required)]
    pub location: Option<String>,
    /// Up to 1 KiB of the answer, where it is text.
    #[schema(required)]
    pub response: Option<String>,
    /// What the endpoint's owner should look at although nothing failed, such as a template that was not rendered.
    #[schema(required)]
    pub warning: Option<String>,
    /// Why an attempt that failed in nothing sent nothing: a bot's event that was merged into the delivery of a newer one, for
    /// instance; null where a request was sent.
    #[schema(required)]
    pub note: Option<String>,
    /// How long its phases took; null while it runs or when its end is not known.
    #[schema(required)]
    pub phases: Option<WebhookAttemptPhases>,
    /// The receiver's address and port; null when nothing was connected to. Callers who are confined to tenants see it, like the
    /// answer, of public addresses alone.
    #[schema(required)]
    pub remote_address: Option<String>,
    /// The version of TLS: `TLSv1.2` or `TLSv1.3`; null without TLS.
    #[schema(required)]
    pub tls_version: Option<&'static str>,
    /// Whether the connection had served an earlier attempt; null when nothing was connected to.
    #[schema(required)]
    pub connection_reused: Option<bool>,
}

/// How long the phases of an attempt took, in milliseconds. A phase that did not take place is absent.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAttemptPhases {
    /// Resolving the name and judging its addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<f64>,
    /// Connecting; through a proxy until that has connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    /// The TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<f64>,
    /// From the request to the first byte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<f64>,
    /// The whole attempt.
    pub total: f64,
}

/// Milliseconds, to the microsecond.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

impl From<&Delivery> for WebhookDelivery {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            endpoint_id: delivery.endpoint.map(|id| id.to_string()),
            operation_id: delivery.operation.map(|id| id.to_string()),
            event_id: delivery.event.to_string(),
            event_type: delivery.event_type.as_str(),
            state: delivery.state.as_str(),
            next_attempt_at: delivery.next_attempt_at.map(Into::into),
            created_at: delivery.created_at.into(),
            attempts: delivery.attempts.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Attempt> for WebhookAttempt {
    fn from(attempt: &Attempt) -> Self {
        let exchange = &attempt.exchange;
        Self {
            number: attempt.number,
            at: attempt.at.into(),
            status: attempt.status,
            duration_ms: attempt
                .duration
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            error: attempt.error.map(AttemptError::as_str),
            location: attempt.location.clone(),
            response: attempt.response.clone(),
            warning: attempt.warning.clone(),
            note: attempt.note.clone(),
            phases: attempt.duration.map(|total| WebhookAttemptPhases {
                dns: exchange.dns.map(ms),
                connect: exchange.connect.map(ms),
                tls: exchange.tls.map(ms),
                first_byte: exchange.first_byte.map(ms),
                total: ms(total),
            }),
            remote_address: exchange.remote.map(|address| address.to_string()),
            tls_version: exchange.tls_version.map(TlsVersion::as_str),
            connection_reused: exchange.reused,
        }
    }
}

/// A job that sends an endpoint's deliveries again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookJob {
    /// Its id, `job_…`.
    pub id: String,
    /// `recover` or `replay`.
    pub kind: &'static str,
    /// `pending`, `running` or `finished` (all is on its way; the deliveries show what comes of it).
    pub state: &'static str,
    /// How many deliveries it makes due, counted when it was asked for; at its end what it has done.
    pub total: i64,
    /// How many it has made due.
    pub done: i64,
    /// From when.
    pub since: Moment,
    /// When it was asked for.
    pub created_at: Moment,
    /// When it was done.
    #[schema(required)]
    pub finished_at: Option<Moment>,
}

impl From<&Job> for WebhookJob {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.kind.as_str(),
            state: job.state.as_str(),
            total: job.total,
            done: job.done,
            since: job.since.into(),
            created_at: job.created_at.into(),
            finished_at: job.finished_at.map(Into::into),
        }
    }
}

/// What would be sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookPreview {
    /// Its content type.
    pub content_type: String,
    /// The body, as text. A routing key in it is masked.
    pub body: String,
}
