//! A webhook endpoint as callers read it: its settings without what is secret, and how it does.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::api_types::Moment;
use crate::domain::event::EventType;
use crate::domain::webhook::connection::Proxy;
use crate::domain::webhook::options::channel_member;
use crate::domain::webhook::signing::{BodySignature, signatures_of};
use crate::domain::webhook::target::MASK;
use crate::domain::webhook::{DisabledReason, Endpoint};

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
pub(super) fn public_key(endpoint: &Endpoint) -> Option<String> {
    let key = endpoint.sealed.as_ref()?.signer.key.as_ref()?;
    key.public_text().filter(|_| endpoint.settings.signs_v1a)
}
