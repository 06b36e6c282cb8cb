//! `emgate token`: signs a token that this gateway accepts, for tests, scripts and first steps; `emgate token inspect`
//! (`inspect`) says what the gateway makes of one.
//!
//! It signs with the first hs256 key of the configuration, and sets issuer and audience where the configuration
//! checks them. Production tokens come from an identity provider.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Map;

use super::{ConfigFile, Failure, inspect, output, say};
use crate::auth::AuthConfig;
use crate::clock::{Clock as _, SystemClock};
use crate::config;
use crate::domain::access::Scope;

/// Arguments of `emgate token`.
#[derive(clap::Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  emgate token --subject portal --scope \"plans:read plans:test operations:read tenants:all\"
  emgate token --subject admin --scope all --ttl 10m
  emgate token inspect --file token.jwt       what the gateway would make of it, and why not
  curl -H \"Authorization: Bearer $(emgate token --subject me --scope all)\" http://127.0.0.1:8080/api/v1/cloud-failover-plans")]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Who the token is for; operations name it as `requestedBy`
    // Always there unless `command` is.
    #[arg(long, value_name = "S", required = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub subject: Option<String>,
    /// Scopes, separated by spaces; "all" means every scope
    #[arg(long, value_name = "SCOPES", required = true)]
    pub scope: Option<String>,
    /// Confine the caller to this tenant (id or name); may be repeated
    #[arg(long = "tenant", value_name = "T", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub tenants: Vec<String>,
    /// How long the token is valid
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = validity)]
    pub ttl: Duration,
    #[command(flatten)]
    pub config: ConfigFile,
}

/// A token's times are whole seconds: one that is valid for less is expired when it is made.
fn validity(text: &str) -> Result<Duration, String> {
    let ttl = config::duration(text)?;
    if ttl < Duration::from_secs(1) {
        return Err("must be a second or longer".to_owned());
    }
    Ok(ttl)
}

/// What is done with a token besides signing one.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Say what the configured gateway would make of a token: whose it is, its rights, and why it would be refused
    Inspect(inspect::Args),
}

/// Prints a token, or what the gateway makes of one.
///
/// # Errors
/// When the configuration is faulty or has no hs256 key, or a scope does not exist; when the token that was to be
/// inspected is refused.
pub async fn run(args: &Args) -> Result<(), Failure> {
    if let Some(Command::Inspect(args)) = &args.command {
        return inspect::run(args).await;
    }
    let confined = !args.tenants.is_empty();
    let scopes = scopes(args.scope.as_deref().unwrap_or_default(), confined)?;
    let config = args.config.load()?;
    let token = mint(&config.auth, args, &scopes, SystemClock.now())?;
    if !confined && !scopes.contains(&Scope::TenantsAll) {
        say(
            "note: this token opens nothing but /api/v1 and /api/v1/me; add the scope tenants:all, or --tenant",
        );
    }
    output(format!("{token}\n").as_bytes())
}

/// Signs a token with the first key that can.
///
/// # Errors
/// When there is no such key.
fn mint(auth: &AuthConfig, args: &Args, scopes: &[Scope], now: Timestamp) -> Result<String, Failure> {
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let now = now.as_second();
    let ttl = i64::try_from(args.ttl.as_secs()).unwrap_or(i64::MAX);
    let mut claims = Map::new();
    claims.insert("sub".to_owned(), args.subject.as_deref().into());
    claims.insert("scope".to_owned(), scopes.join(" ").into());
    claims.insert("iat".to_owned(), now.into());
    claims.insert("exp".to_owned(), now.saturating_add(ttl).into());
    for (name, value) in [("iss", &auth.issuer), ("aud", &auth.audience)] {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value.as_str().into());
        }
    }
    if !args.tenants.is_empty() {
        claims.insert(auth.tenant_claim.clone(), args.tenants.as_slice().into());
    }
    match auth.keys.iter().find_map(|key| key.sign(&claims)) {
        Some(token) => token.map_err(|error| Failure::caused_by(&error)),
        None => Err(Failure::new("the configuration has no hs256 key to sign with")
            .hint("get a token from the issuer whose keys are configured, or add an [[auth.keys]] of kind hs256")),
    }
}

/// Splits and checks the scopes: one that does not exist would only be found by a 403 later. For a caller confined
/// to tenants, "all" leaves out the scope that would lift the confinement.
fn scopes(text: &str, confined: bool) -> Result<Vec<Scope>, Failure> {
    let all = Scope::ALL.iter().copied();
    if text.trim() == "all" {
        return Ok(all
            .filter(|scope| !confined || *scope != Scope::TenantsAll)
            .collect());
    }
    let named: Vec<Scope> = text
        .split_whitespace()
        .map(|word| {
            Scope::parse(word).ok_or_else(|| {
                let known: Vec<&str> = all.clone().map(Scope::as_str).collect();
                Failure::usage(format!("`{word}` is not a scope"))
                    .hint(format!("scopes are {}, or all", known.join(" ")))
            })
        })
        .collect::<Result<_, _>>()?;
    if named.is_empty() {
        return Err(
            Failure::usage("a token without scopes allows nothing").hint("--scope all gives every scope")
        );
    }
    Ok(named)
}
