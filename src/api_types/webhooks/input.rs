//! What callers send about webhook endpoints. It is read strictly: an unknown field is a fault.
//!
//! In a patch (JSON Merge Patch, RFC 7396) a field that is absent stays as it is, and null takes it back to its default.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

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
    #[serde(deserialize_with = "crate::api_types::moment::given")]
    pub since: Timestamp,
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
