//! The answers to changes of a webhook endpoint, and its secret, which no other answer shows.

use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::endpoint::{WebhookEndpoint, public_key};
use crate::api_types::Moment;
use crate::domain::field_error::FieldError;
use crate::domain::webhook::Endpoint;
use crate::domain::webhook::endpoint::SigningSecret;

/// A new webhook endpoint with its secret, which is not shown again.
#[derive(Clone, Serialize, ToSchema)]
pub struct WebhookEndpointCreated {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: WebhookEndpoint,
    /// The signing secret: verify `webhook-signature` with it.
    pub secret: String,
    /// What is odd about the endpoint, such as an address that does not look like one of the format's service, or a filter by a plan
    /// that Enterprise Manager does not show.
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

/// A webhook endpoint as a change left it.
#[derive(Clone, Serialize, ToSchema)]
pub struct WebhookEndpointChanged {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: WebhookEndpoint,
    /// What is odd about it, such as an address that does not look like one of the format's service, or a filter that the request
    /// sets, by a plan that Enterprise Manager does not show.
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
