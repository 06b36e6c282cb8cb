//! Webhook endpoints and deliveries as JSON (docs/behaviour.md#endpoints, #deliveries).
//!
//! What callers send is read strictly: an unknown field is a fault. In a patch (JSON Merge Patch, RFC 7396) a field
//! that is absent stays as it is, and null takes it back to its default.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Moment;
use crate::domain::event::EventType;
use crate::domain::field_error::FieldError;
use crate::domain::webhook::connection::Proxy;
use crate::domain::webhook::endpoint::SigningSecret;
use crate::domain::webhook::exchange::TlsVersion;
use crate::domain::webhook::job::Job;
use crate::domain::webhook::options::channel_member;
use crate::domain::webhook::signing::{BodySignature, signatures_of};
use crate::domain::webhook::target::MASK;
use crate::domain::webhook::{Attempt, AttemptError, Delivery, DisabledReason, Endpoint};

/// A webhook endpoint to create.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "url": "https://portal.example/hooks/emgate",
    "description": "The customers' portal",
    "eventTypes": ["failover.session.finished"],
    "filter": {"results": ["failed"]}
}))]
pub struct WebhookEndpointCreate {
    /// Where deliveries go: https, at most 2048 characters, no fragment. It may not point to loopback, private,
    /// link-local, metadata or reserved addresses unless the configuration opens their network.
    pub url: String,
    /// A description, at most 500 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// The event types to receive; when absent, every type that is not opt-in.
    #[serde(default)]
    pub event_types: Option<Vec<String>>,
    /// Which of these events to receive.
    #[serde(default)]
    pub filter: Option<WebhookFilterInput>,
    /// The format of the bodies: `standard` (when absent), `cloudevents`, or a message for `slack`, `teams`, `mattermost`,
    /// `discord`, `googlechat`, `pagerduty` or `servicenow`.
    #[serde(default)]
    pub format: Option<String>,
    /// A minijinja template that yields the body in place of the format's own, 1 byte to 32 KiB. It sees `event` (`id`,
    /// `type`, `timestamp`, `data`) and `link` (`open`, `report`, `approve`), and is rendered with an example of every event
    /// type that the endpoint receives before it is accepted.
    #[serde(default)]
    pub template: Option<String>,
    /// The content type of what the template yields; the format's own when absent.
    #[serde(default)]
    pub content_type: Option<String>,
    /// The routing key of a PagerDuty integration, which the format `pagerduty` needs.
    #[serde(default)]
    pub routing_key: Option<String>,
    /// A bot that keeps one message per failover up to date, for the formats `slack` and `mattermost`; `url` is then the
    /// address of the service's API.
    #[serde(default)]
    pub bot: Option<WebhookBotInput>,
    /// Whether deliveries are sent; true when absent.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Additional headers of every request, at most 20. Values of headers whose names suggest credentials are masked
    /// on reads.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
    /// How many deliveries may be in flight at once, 1 to 32; 4 when absent.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub max_concurrency: Option<i128>,
    /// The signing secret: `whsec_` and 24 to 64 bytes in base64. The gateway generates one when neither it nor `secretText`
    /// is given; in a PUT the endpoint then keeps its secret.
    #[serde(default)]
    pub secret: Option<String>,
    /// The signing secret as text instead: 24 to 64 printable ASCII characters, whose bytes are the key.
    #[serde(default)]
    pub secret_text: Option<String>,
    /// The signatures of each delivery: `["v1"]` (HMAC-SHA256) when absent, or `["v1", "v1a"]` with an Ed25519 signature
    /// beside it, which `publicKey` verifies.
    #[serde(default)]
    pub signatures: Option<Vec<String>>,
    /// `github` adds `X-Hub-Signature-256`, the HMAC-SHA256 of the body alone, for receivers that know no other signature.
    #[serde(default)]
    pub body_signature: Option<String>,
    /// The longest time of one attempt in seconds, 1 to 60 unless the configuration allows less; the configuration's own when
    /// absent.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub timeout: Option<i128>,
    /// How many deliveries a second, 1 to 1000; what is beyond waits. When absent, what the service of the format takes; `standard`
    /// and `cloudevents` have no limit.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    pub rate: Option<i128>,
    /// Authorities in PEM that the receiver's certificate may be from, beside those that the gateway's system trusts.
    #[serde(default)]
    pub ca_certificate: Option<String>,
    /// What the gateway identifies itself with to the receiver (mutual TLS).
    #[serde(default)]
    pub client_certificate: Option<WebhookClientCertificateInput>,
    /// An HTTP proxy, `http://host:port` with or without user and password, that is asked to connect to the receiver's address
    /// (CONNECT); that of the configuration when absent.
    #[serde(default)]
    pub proxy: Option<String>,
}

/// A client certificate.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookClientCertificateInput {
    /// The certificate in PEM, followed by those between it and its authority.
    #[serde(default)]
    pub certificate: Option<String>,
    /// Its private key in PEM, not encrypted; its masked form leaves it as it is.
    #[serde(default)]
    pub private_key: Option<String>,
}

/// A new secret for a webhook endpoint. Without a member the gateway generates one.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct WebhookSecretRotation {
    /// The new signing secret: `whsec_` and 24 to 64 bytes in base64.
    #[serde(default)]
    pub secret: Option<String>,
    /// The new signing secret as text: 24 to 64 printable ASCII characters, whose bytes are the key.
    #[serde(default)]
    pub secret_text: Option<String>,
}

/// From when something is sent again.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"since": "2026-02-13T08:00:00Z"}))]
pub struct WebhookResend {
    /// The moment; not in the future.
    #[serde(deserialize_with = "super::moment::given")]
    pub since: Timestamp,
}

/// A bot of a chat service.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookBotInput {
    /// The token that the bot logs on with; its masked form leaves it as it is.
    #[serde(default)]
    pub token: Option<String>,
    /// `slack`: the id of the channel, `C…`.
    #[serde(default)]
    pub channel: Option<String>,
    /// `mattermost`: the id of the channel, 26 characters.
    #[serde(default)]
    pub channel_id: Option<String>,
}

/// Which events an endpoint receives. An empty or absent list does not restrict; an event without a plan, tenant or
/// result does not pass a restriction by it.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookFilterInput {
    /// Ids of plans.
    #[serde(default)]
    pub plan_ids: Option<Vec<String>>,
    /// Tenants, by id or exact name.
    #[serde(default)]
    pub tenants: Option<Vec<String>>,
    /// Results: `success`, `warning`, `failed`, `cancelled`.
    #[serde(default)]
    pub results: Option<Vec<String>>,
}

/// Changes to a webhook endpoint, as JSON Merge Patch: an absent member stays unchanged, null restores the default.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"enabled": false, "filter": {"results": null}}))]
pub struct WebhookEndpointPatch {
    /// A new URL; null is refused, because an endpoint needs one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub url: Option<Option<String>>,
    /// A description.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// The event types to receive.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    pub event_types: Option<Option<Vec<String>>>,
    /// Which of these events to receive.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<WebhookFilterPatch>)]
    pub filter: Option<Option<WebhookFilterPatch>>,
    /// The format of the bodies.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub format: Option<Option<String>>,
    /// The template that yields the body; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub template: Option<Option<String>>,
    /// The content type of what the template yields.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub content_type: Option<Option<String>>,
    /// The routing key of a PagerDuty integration; its masked form leaves it as it is.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub routing_key: Option<Option<String>>,
    /// The bot; null takes it away. A change of the format takes it away as well.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<WebhookBotInput>)]
    pub bot: Option<Option<WebhookBotInput>>,
    /// Whether deliveries are sent. Held deliveries are sent in order when the endpoint is enabled again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    pub enabled: Option<Option<bool>>,
    /// Additional headers of every request; null in place of a value removes that header.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>)]
    pub headers: Option<Option<BTreeMap<String, Option<String>>>>,
    /// How many deliveries may be in flight at once.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    pub max_concurrency: Option<Option<i128>>,
    /// The signatures of each delivery: `["v1"]` or `["v1", "v1a"]`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    pub signatures: Option<Option<Vec<String>>>,
    /// A signature of the body alone: `github`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub body_signature: Option<Option<String>>,
    /// The longest time of one attempt in seconds.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    pub timeout: Option<Option<i128>>,
    /// How many deliveries a second.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    pub rate: Option<Option<i128>>,
    /// Authorities in PEM, beside those that the gateway's system trusts.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub ca_certificate: Option<Option<String>>,
    /// The client certificate; null takes it away, an absent member of it stays.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<WebhookClientCertificateInput>)]
    pub client_certificate: Option<Option<WebhookClientCertificateInput>>,
    /// The proxy; its masked form leaves it as it is.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub proxy: Option<Option<String>>,
}

/// Changes to the filter.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookFilterPatch {
    /// Ids of plans.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    pub plan_ids: Option<Option<Vec<String>>>,
    /// Tenants, by id or exact name.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    pub tenants: Option<Option<Vec<String>>>,
    /// Results.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    pub results: Option<Option<Vec<String>>>,
}

/// Tells null from absent.
#[expect(
    clippy::option_option,
    reason = "absent, null and a value are three things in a patch"
)]
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Which events an endpoint receives.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookFilter {
    /// Ids of plans; empty does not restrict.
    pub plan_ids: Vec<String>,
    /// Tenants, by id or exact name; empty does not restrict.
    pub tenants: Vec<String>,
    /// Results; empty does not restrict.
    pub results: Vec<String>,
}

/// Who created an endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookOwner {
    /// The issuer of their token.
    #[schema(required)]
    pub issuer: Option<String>,
    /// Who, as the token names them.
    #[schema(required)]
    pub subject: Option<String>,
    /// The tenants that they are confined to, by id or name; null when they are not confined.
    #[schema(required)]
    pub tenants: Option<Vec<String>>,
}

/// A webhook endpoint.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookEndpoint {
    /// Its id, `ep_…`.
    pub id: String,
    /// Who created it. Callers who are confined to tenants see the endpoints of callers who are confined to the same ones;
    /// all others see every endpoint.
    pub owner: WebhookOwner,
    /// Where deliveries go; user, password and the query's values are masked.
    pub url: String,
    /// The owner's description.
    #[schema(required)]
    pub description: Option<String>,
    /// The event types it receives.
    pub event_types: Vec<&'static str>,
    /// Which of these events it receives.
    pub filter: WebhookFilter,
    /// The format of the bodies.
    pub format: &'static str,
    /// The template that yields the body in place of the format's own.
    #[schema(required)]
    pub template: Option<String>,
    /// The content type of what the template yields; null for the format's own.
    #[schema(required)]
    pub content_type: Option<String>,
    /// The routing key of a PagerDuty integration, masked.
    #[schema(required)]
    pub routing_key: Option<&'static str>,
    /// The bot that keeps one message per failover up to date.
    #[schema(required)]
    pub bot: Option<WebhookBot>,
    /// Whether deliveries are sent; while it is false, they are held.
    pub enabled: bool,
    /// Why the gateway disabled it: `gone` (it answered 410), `requested` (it answered `webhook-delivery: disable`), `noSuccess` (it accepted nothing for 5 days) or
    /// `unreadable` (its URL, secret or headers cannot be decrypted with the gateway's encryption key: until the right
    /// key is restored, it can only be read, without its headers, and deleted).
    #[schema(required)]
    pub disabled_reason: Option<&'static str>,
    /// Additional headers of every request; values that are credentials are masked.
    pub headers: BTreeMap<String, String>,
    /// How many deliveries may be in flight at once.
    pub max_concurrency: u32,
    /// The signatures of each delivery: `v1`, and `v1a` where it is asked for.
    pub signatures: Vec<&'static str>,
    /// What verifies `v1a`: `whpk_` and the base64 of 32 bytes; null while it is not asked for.
    #[schema(required)]
    pub public_key: Option<String>,
    /// A signature of the body alone: `github`.
    #[schema(required)]
    pub body_signature: Option<&'static str>,
    /// The longest time of one attempt in seconds; null for that of the configuration.
    #[schema(required)]
    pub timeout: Option<u64>,
    /// How many deliveries a second; null for what the format's service takes.
    #[schema(required)]
    pub rate: Option<u32>,
    /// Authorities in PEM, beside those that the gateway's system trusts.
    #[schema(required)]
    pub ca_certificate: Option<String>,
    /// What the gateway identifies itself with.
    #[schema(required)]
    pub client_certificate: Option<WebhookClientCertificate>,
    /// The proxy, its user and password masked; null for that of the configuration.
    #[schema(required)]
    pub proxy: Option<String>,
    /// `up`, `degraded` (it failed since its last success) or `down` (it keeps failing and is probed).
    pub health: &'static str,
    /// When it last accepted a delivery.
    #[schema(required)]
    pub last_success_at: Option<Moment>,
    /// When it first failed since then.
    #[schema(required)]
    pub first_failure_at: Option<Moment>,
    /// Why the last attempt failed, for people; null since its last success.
    #[schema(required)]
    pub last_error: Option<String>,
    /// Until when it asked for no deliveries (`Retry-After`); null when it did not, and may have passed.
    #[schema(required)]
    pub paused_until: Option<Moment>,
    /// The receiver's certificate, as the last TLS handshake showed it; null before the first.
    #[schema(required)]
    pub certificate: Option<WebhookCertificate>,
    /// By how many seconds the receiver's clock is ahead of the gateway's, by the `Date` of its last answer; negative when it is
    /// behind, null when it is not known. Receivers refuse signatures whose time differs by more than 5 minutes.
    #[schema(required)]
    pub clock_skew: Option<i64>,
    /// When it was created.
    pub created_at: Moment,
    /// When its owner last changed it.
    pub updated_at: Moment,
}

/// A client certificate.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookClientCertificate {
    /// The certificate in PEM, followed by those between it and its authority.
    pub certificate: String,
    /// Its private key, masked.
    pub private_key: &'static str,
}

/// The certificate of a receiver.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookCertificate {
    /// Until when it is valid.
    pub not_after: Moment,
    /// Whether it has expired or will within 14 days.
    pub expires_soon: bool,
}

impl From<&Endpoint> for WebhookEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let settings = &endpoint.settings;
        let connection = &settings.connection;
        Self {
            id: endpoint.id.to_string(),
            owner: WebhookOwner {
                issuer: endpoint.owner.issuer.clone(),
                subject: endpoint.owner.subject.clone(),
                tenants: endpoint
                    .owner
                    .tenants
                    .as_ref()
                    .map(|tenants| tenants.iter().cloned().collect()),
            },
            url: endpoint.shown_url.clone(),
            description: settings.description.clone(),
            event_types: settings
                .effective_types()
                .into_iter()
                .map(EventType::as_str)
                .collect(),
            filter: WebhookFilter {
                plan_ids: settings.filter.plans.iter().map(ToString::to_string).collect(),
                tenants: settings.filter.tenants.clone(),
                results: settings.filter.results.clone(),
            },
            format: settings.format.as_str(),
            template: settings.options.template.clone(),
            content_type: settings.options.content_type.clone(),
            routing_key: settings.options.routing_key.as_ref().map(|_| MASK),
            bot: settings.options.bot.as_ref().map(|bot| {
                let member = channel_member(settings.format);
                let channel = |name| (member == Some(name)).then(|| bot.channel.clone());
                WebhookBot {
                    token: MASK,
                    channel: channel("channel"),
                    channel_id: channel("channelId"),
                }
            }),
            enabled: settings.enabled && endpoint.readable,
            disabled_reason: if endpoint.readable {
                endpoint.disabled_reason.map(DisabledReason::as_str)
            } else {
                Some(DisabledReason::Unreadable.as_str())
            },
            headers: settings
                .headers
                .shown()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            max_concurrency: settings.max_concurrency,
            signatures: signatures_of(settings.signs_v1a).to_vec(),
            public_key: public_key(endpoint),
            body_signature: settings.body_signature.map(BodySignature::as_str),
            timeout: connection.timeout.map(|time| time.as_secs()),
            rate: settings.rate,
            ca_certificate: connection.authorities.clone(),
            client_certificate: connection.client.as_ref().map(|client| WebhookClientCertificate {
                certificate: client.certificate.clone(),
                private_key: MASK,
            }),
            proxy: connection.proxy.as_ref().map(Proxy::shown),
            health: endpoint.health.state().as_str(),
            last_success_at: endpoint.health.last_success_at.map(Into::into),
            first_failure_at: endpoint.health.first_failure_at.map(Into::into),
            last_error: endpoint.health.last_error.clone(),
            paused_until: endpoint.health.paused_until.map(Moment),
            certificate: endpoint
                .receiver
                .certificate_not_after
                .map(|not_after| WebhookCertificate {
                    not_after: not_after.into(),
                    expires_soon: endpoint.certificate_expires_soon,
                }),
            clock_skew: endpoint.receiver.clock_skew,
            created_at: endpoint.created_at.into(),
            updated_at: endpoint.updated_at.into(),
        }
    }
}

/// What verifies `v1a`, while that is asked for.
fn public_key(endpoint: &Endpoint) -> Option<String> {
    let key = endpoint.sealed.as_ref()?.signer.key.as_ref()?;
    key.public_text().filter(|_| endpoint.settings.signs_v1a)
}

/// What signs the deliveries of a webhook endpoint.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "publicKey": null,
    "previousSecretExpiresAt": "2026-02-14T08:00:00Z"
}))]
pub struct WebhookEndpointSecret {
    /// The signing secret: verify `webhook-signature` with it.
    pub secret: String,
    /// What verifies `v1a`; null while it is not asked for.
    #[schema(required)]
    pub public_key: Option<String>,
    /// Until when the secret before this one signs as well; null when none does.
    #[schema(required)]
    pub previous_secret_expires_at: Option<Moment>,
}

impl WebhookEndpointSecret {
    /// The secret of an endpoint; none when it cannot be read.
    #[must_use]
    pub fn of(endpoint: &Endpoint) -> Option<Self> {
        let sealed = endpoint.sealed.as_ref()?;
        Some(Self {
            secret: sealed.signer.secret.text().expose_secret().to_owned(),
            public_key: public_key(endpoint),
            previous_secret_expires_at: endpoint
                .rotated_at
                .map(|at| crate::domain::webhook::signing::ends_at(at).into()),
        })
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

/// A bot of a chat service.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookBot {
    /// Its token, masked.
    pub token: &'static str,
    /// `slack`: the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// `mattermost`: the id of the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
}

/// Something about an endpoint that is odd, although it may be right.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookWarning {
    /// The member, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is odd.
    pub detail: String,
}

impl From<FieldError> for WebhookWarning {
    fn from(odd: FieldError) -> Self {
        Self {
            pointer: odd.pointer,
            detail: odd.detail,
        }
    }
}

/// A webhook endpoint as a change left it.
#[derive(Clone, Serialize, ToSchema)]
pub struct WebhookEndpointChanged {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: WebhookEndpoint,
    /// What is odd about it, such as an address that does not look like one of the format's service.
    pub warnings: Vec<WebhookWarning>,
}

impl WebhookEndpointChanged {
    /// The answer to the request that changed the endpoint.
    #[must_use]
    pub fn new(endpoint: &Endpoint, warnings: Vec<FieldError>) -> Self {
        Self {
            endpoint: endpoint.into(),
            warnings: warnings.into_iter().map(Into::into).collect(),
        }
    }
}

/// What to show: an event of a type in a format, or by a template.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"eventType": "failover.session.finished"}))]
pub struct WebhookPreviewInput {
    /// The event type whose example is shown; `failover.session.finished` when absent.
    #[serde(default)]
    pub event_type: Option<String>,
    /// The format; the endpoint's own when absent.
    #[serde(default)]
    pub format: Option<String>,
    /// A template; the endpoint's own when absent, none when null.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub template: Option<Option<String>>,
    /// The content type of what the template yields; the endpoint's own when absent, the format's when null.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub content_type: Option<Option<String>>,
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

/// A new webhook endpoint with its secret, which is not shown again.
#[derive(Clone, Serialize, ToSchema)]
pub struct WebhookEndpointCreated {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: WebhookEndpoint,
    /// The signing secret: verify `webhook-signature` with it.
    pub secret: String,
    /// What is odd about the endpoint, such as an address that does not look like one of the format's service.
    pub warnings: Vec<WebhookWarning>,
}

impl WebhookEndpointCreated {
    /// The answer to the request that made the endpoint.
    #[must_use]
    pub fn new(endpoint: &Endpoint, secret: &SigningSecret, warnings: Vec<FieldError>) -> Self {
        Self {
            endpoint: endpoint.into(),
            secret: secret.text().expose_secret().to_owned(),
            warnings: warnings.into_iter().map(Into::into).collect(),
        }
    }
}

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

/// The data of events about webhook endpoints.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndpointEventData {
    /// The endpoint; it does not receive this event itself.
    pub endpoint: EndpointSummary,
}

/// A webhook endpoint in an event about it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndpointSummary {
    /// Its id.
    pub id: String,
    /// The owner's description.
    #[schema(required)]
    pub description: Option<String>,
    /// Its health: `up`, `degraded` or `down`.
    pub health: &'static str,
    /// What happened, for people.
    #[schema(required)]
    pub reason: Option<String>,
}

impl EndpointEventData {
    /// The endpoint, and the reason.
    #[must_use]
    pub fn new(endpoint: &Endpoint, reason: Option<String>) -> Self {
        Self {
            endpoint: EndpointSummary {
                id: endpoint.id.to_string(),
                description: endpoint.settings.description.clone(),
                health: endpoint.health.state().as_str(),
                reason,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_tells_null_from_absent() {
        let patch: WebhookEndpointPatch =
            serde_json::from_str(r#"{"description": null, "filter": {"results": null}}"#).expect("a patch");
        assert!(matches!(patch.description, Some(None)));
        assert!(patch.url.is_none() && patch.enabled.is_none());
        let filter = patch.filter.flatten().expect("a filter");
        assert!(matches!(filter.results, Some(None)) && filter.plan_ids.is_none());
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<WebhookEndpointPatch>(r#"{"secret": "x"}"#).is_err());
        assert!(
            serde_json::from_str::<WebhookEndpointCreate>(r#"{"url": "https://r.example", "uri": "x"}"#)
                .is_err()
        );
    }
}
