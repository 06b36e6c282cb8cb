//! The section `[auth]`, already checked: a key that is here can be used.
//!
//! Read by the program's `config`; a test builds it as a literal over `default()`.

use std::collections::BTreeSet;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use secrecy::SecretString;
use url::{Host, Url};

pub use super::keys::{Key, KeyError, public_key_algorithm};
pub use super::rules::{Grants, Rule, RuleTenants};
use crate::domain::access::Scope;

/// `[auth]`: whose tokens are accepted.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// `iss` that a token of `keys` must carry, when set.
    pub issuer: Option<String>,
    /// `aud` that a token of `keys` must carry, when set.
    pub audience: Option<String>,
    /// Name of the claim that confines a caller to tenants, in tokens of `keys`.
    pub tenant_claim: String,
    /// Tolerated difference of clocks for `exp`, `nbf` and `iat`.
    pub leeway: Duration,
    /// Keys in the order of the configuration; when it was read from one, there are keys or issuers.
    pub keys: Vec<Key>,
    /// Identity providers whose keys are fetched.
    pub issuers: Vec<IssuerConfig>,
    /// Whether the address of an operation may carry a ticket that stands for a token.
    pub tickets: bool,
    /// Callers that cannot say in a header what they prefer.
    pub clients: Vec<ClientConfig>,
    /// `[console.oidc]`: where people log in to the console.
    pub login: Option<LoginConfig>,
}

/// `[console.oidc]`: one of the issuers, where people log in.
#[derive(Clone, Debug)]
pub struct LoginConfig {
    /// The `iss` of its tokens, which is that of one of the issuers.
    pub issuer: String,
    /// What the gateway is called there.
    pub client_id: String,
    /// What it shows that it is the gateway; none for a public client.
    pub client_secret: Option<SecretString>,
    /// The scopes that are asked for, separated by spaces.
    pub scopes: String,
    /// What people call it.
    pub name: Option<String>,
}

/// `[[auth.clients]]`: what a caller prefers that cannot say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The caller's name, as tokens name it.
    pub subject: String,
    /// What its actions are answered with.
    pub prefer: Asynchrony,
}

/// How an action is answered that goes on (docs/behaviour.md#waiting).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asynchrony {
    /// `respond-async`: with the address of its result.
    Result,
    /// `respond-async, ticket`: with an address that needs no token.
    Ticket,
}

/// A preference of `[[auth.clients]]`.
///
/// # Errors
/// What it may be.
pub fn asynchrony(text: &str) -> Result<Asynchrony, String> {
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    match words.as_slice() {
        ["respond-async"] => Ok(Asynchrony::Result),
        ["respond-async", "ticket"] => Ok(Asynchrony::Ticket),
        _ => Err(format!(
            "`{text}` is not one of `respond-async`, `respond-async, ticket`"
        )),
    }
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            tenant_claim: "tenants".to_owned(),
            leeway: Duration::from_secs(30),
            keys: Vec::new(),
            issuers: Vec::new(),
            tickets: false,
            clients: Vec::new(),
            login: None,
        }
    }
}

/// `[[auth.issuers]]`: an identity provider.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// More spellings of its `iss`.
    pub accept_issuers: Vec<String>,
    /// One of these must be in `aud`.
    pub audience: Vec<String>,
    /// Where its keys are.
    pub keys: KeySource,
    /// Certificates in PEM that its server may have besides those that the system trusts.
    pub ca_pem: Option<Vec<u8>>,
    /// The algorithms that are accepted of those that fit the keys; all when empty.
    pub algorithms: Vec<Algorithm>,
    /// How claims become rights.
    pub grants: Grants,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Where a discovery document says.
    Discovery(Url),
    /// Here.
    KeySet(Url),
}

/// The address of a document of an identity provider: over https, or on this machine.
///
/// # Errors
/// What is wrong with it, as a predicate.
pub fn provider_url(text: &str) -> Result<Url, String> {
    // The text itself is not repeated: people paste URLs with passwords in them.
    let url = Url::parse(text.trim()).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "must begin with https://".to_owned(),
        error => format!("is not a URL: {error}"),
    })?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("must not carry credentials".to_owned())
        }
        _ if url.fragment().is_some() => Err("must not carry a fragment".to_owned()),
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err("must begin with https://: keys that came in clear could be anybody's".to_owned()),
        _ => Err("must begin with https://".to_owned()),
    }
}

/// Scopes separated by spaces.
///
/// # Errors
/// The first one that does not exist, and those that do.
pub fn scopes(text: &str) -> Result<BTreeSet<Scope>, String> {
    let read = |word: &str| {
        Scope::parse(word).ok_or_else(|| {
            let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
            format!("`{word}` is no scope; scopes are {}", known.join(" "))
        })
    };
    text.split_whitespace().map(read).collect()
}
