//! What a caller learns of themselves and of the API: who they are here, what they reach, and whose tokens count.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;
use crate::domain::access::{Caller, Tenancy};

/// Who the bearer of a token is here.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// Who asks: what operations name in `requestedBy`.
    #[schema(required, example = "ann@dr.example")]
    pub subject: Option<String>,
    /// The token's issuer.
    #[schema(required, example = "https://idp.example/realms/dr")]
    pub issuer: Option<String>,
    /// The scopes that count, in alphabetical order.
    #[schema(example = json!(["plans:read", "plans:test", "tenants:all"]))]
    pub scopes: Vec<&'static str>,
    /// The tenants that the caller is confined to; null when to none.
    #[schema(required)]
    pub tenants: Option<Vec<String>>,
    /// The issuer's rules that matched, each by its name or, without one, its number from 0.
    #[schema(example = json!(["operators"]))]
    pub rules: Vec<String>,
    /// When the token expires.
    pub expires_at: Moment,
}

impl Me {
    /// The caller as they are told.
    #[must_use]
    pub fn new(caller: &Caller) -> Self {
        let mut scopes: Vec<&str> = caller.scopes.iter().map(|scope| scope.as_str()).collect();
        scopes.sort_unstable();
        Self {
            subject: caller.name.clone(),
            issuer: caller.issuer.clone(),
            scopes,
            tenants: match &caller.tenancy {
                Tenancy::All => None,
                Tenancy::Only(tenants) => Some(tenants.iter().cloned().collect()),
            },
            rules: caller.rules.clone(),
            expires_at: Moment(caller.expires_at),
        }
    }
}

/// Where things are.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiIndex {
    /// The gateway's version.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// What the caller's scopes reach, by name.
    #[schema(example = json!({"me": "/api/v1/me", "operations": "/api/v1/operations"}))]
    pub links: BTreeMap<&'static str, String>,
}

/// The metadata of a protected resource (RFC 9728).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProtectedResource {
    /// Where the gateway is.
    #[schema(example = "https://dr.example")]
    pub resource: String,
    /// Whose tokens are accepted, as far as they are named.
    #[schema(example = json!(["https://idp.example/realms/dr"]))]
    pub authorization_servers: Vec<String>,
    /// The scopes there are.
    #[schema(example = json!(["plans:read", "plans:test"]))]
    pub scopes_supported: Vec<&'static str>,
    /// How a token is sent: in the header `Authorization`.
    #[schema(example = json!(["header"]))]
    pub bearer_methods_supported: Vec<&'static str>,
}
