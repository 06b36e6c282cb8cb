//! `emgate token`: makes a token that this gateway believes, for labs, scripts and first steps.
//!
//! It signs with the first hs256 key of the configuration, and sets issuer and audience where the configuration
//! checks them. Production tokens come from an identity provider.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::{ConfigFile, Failure, output};
use crate::{
    config,
    http::config::{AuthConfig, KeyConfig},
};

/// Every scope there is.
const SCOPES: &[&str] = &[
    "plans:read",
    "sessions:read",
    "operations:read",
    "events:read",
    "plans:test",
    "plans:start",
    "plans:undo",
    "plans:write",
    "operations:cancel",
    "webhooks:read",
    "webhooks:write",
    "em:read",
    "em:write",
    "audit:read",
    "tenants:all",
];

/// Arguments of `emgate token`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate token --subject portal --scope \"plans:read plans:test operations:read tenants:all\"
  emgate token --subject admin --scope all --ttl 10m
  curl -H \"Authorization: Bearer $(emgate token --subject me --scope all)\" http://127.0.0.1:8080/api/v1/cloud-failover-plans")]
pub struct Args {
    /// Who the token is for; operations name it as `requestedBy`
    #[arg(long, value_name = "S")]
    pub subject: String,
    /// Scopes, separated by blanks; "all" stands for every scope
    #[arg(long, value_name = "SCOPES")]
    pub scope: String,
    /// Confine the caller to this tenant (id or name); may be repeated
    #[arg(long = "tenant", value_name = "T")]
    pub tenants: Vec<String>,
    /// How long the token is good
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = config::duration)]
    pub ttl: Duration,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Prints a token.
///
/// # Errors
/// When the configuration is faulty or has no hs256 key, or a scope does not exist.
pub fn run(args: &Args) -> Result<(), Failure> {
    let confined = !args.tenants.is_empty();
    let scopes = scopes(&args.scope, confined)?;
    let config = args.config.load()?;
    let now = jsonwebtoken::get_current_timestamp();
    let token = mint(&config.auth, &args.subject, &scopes, &args.tenants, now, args.ttl)?;
    output(format!("{token}\n").as_bytes())
}

/// Signs a token with the first hs256 key; `now` in seconds since 1970.
///
/// # Errors
/// When there is no such key.
pub fn mint(
    auth: &AuthConfig,
    subject: &str,
    scopes: &[&str],
    tenants: &[String],
    now: u64,
    ttl: Duration,
) -> Result<String, Failure> {
    let secret = auth.keys.iter().find_map(|key| match key {
        KeyConfig::Hs256 { secret } => Some(secret),
        KeyConfig::Pem { .. } | KeyConfig::Jwks { .. } | KeyConfig::Oidc { .. } => None,
    });
    let Some(secret) = secret else {
        return Err(Failure::new("the configuration has no hs256 key to sign with")
            .hint("get a token from the issuer whose keys are configured, or add an [[auth.keys]] of kind hs256"));
    };
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), subject.into());
    claims.insert("scope".to_owned(), scopes.join(" ").into());
    claims.insert("iat".to_owned(), now.into());
    claims.insert("exp".to_owned(), now.saturating_add(ttl.as_secs()).into());
    for (name, value) in [("iss", &auth.issuer), ("aud", &auth.audience)] {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value.as_str().into());
        }
    }
    if !tenants.is_empty() {
        claims.insert(auth.tenant_claim.clone(), tenants.into());
    }
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &Value::Object(claims), &key)
        .map_err(|error| Failure::caused_by(&error))
}

/// Splits and checks the scopes: one that does not exist would only be found by a 403 later. For a caller confined
/// to tenants, "all" leaves out the scope that would free it.
fn scopes(text: &str, confined: bool) -> Result<Vec<&str>, Failure> {
    let named: Vec<&str> = text.split_whitespace().collect();
    if named == ["all"] {
        return Ok(SCOPES
            .iter()
            .copied()
            .filter(|scope| !confined || *scope != "tenants:all")
            .collect());
    }
    if let Some(unknown) = named.iter().find(|scope| !SCOPES.contains(scope)) {
        let known = SCOPES.join(" ");
        return Err(
            Failure::usage(format!("`{unknown}` is no scope")).hint(format!("scopes are {known}, or all"))
        );
    }
    if named.is_empty() {
        return Err(
            Failure::usage("a token without scopes opens nothing").hint("--scope all gives every scope")
        );
    }
    Ok(named)
}
