//! The section `[upstream]`, already checked: where EM is, how it is trusted, and with which accounts.
//!
//! Read and validated by the program's `config`; a test starts from [`Config::new`].

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::domain::links::Links;

/// `[upstream]` of the configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// EM's root: no trailing `api`, the path ends with `/`, so that `join("api/…")` works.
    pub url: Url,
    /// Extra root certificates in PEM, the content of `ca_file`.
    pub ca_pem: Option<Vec<u8>>,
    /// SHA-256 of the leaf's DER; when not empty, replaces the check of the chain.
    pub pin_sha256: Vec<[u8; 32]>,
    /// Take any certificate; warned about at every start.
    pub accept_invalid_certs: bool,
    /// Longest time for one request to EM, body included.
    pub request_timeout: Duration,
    /// Longest time to open a connection, TLS included.
    pub connect_timeout: Duration,
    /// Largest answer of EM that is read, in bytes.
    pub max_response: usize,
    /// Identical concurrent reads share one request.
    pub coalesce: bool,
    /// How long a read may be answered from memory; zero turns that off.
    pub cache_ttl: Duration,
    /// How long an action of unknown outcome is searched for before it is called unknown.
    pub unknown_after: Duration,
    /// What addresses begin with in the documents that callers get: follows from `server.public_url`.
    pub links: Links,
    /// Logon accounts, at least one, names unique; the first is the default.
    pub accounts: Vec<Account>,
}

/// One `[[upstream.accounts]]`.
#[derive(Clone, Debug)]
pub struct Account {
    /// Our name for it, used in logs and metrics.
    pub name: String,
    /// Logon name as EM wants it, for example `LAB\svc-emgate`.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// Where the password comes from, when it comes from a file: read again when EM refuses it.
    pub password_file: Option<PathBuf>,
    /// Most logon sessions held at EM at once.
    pub max_sessions: usize,
    /// Most concurrent requests within one logon session.
    pub max_requests_per_session: usize,
    /// The tenant, by id or name, that logs on with it. All accounts but the first have one, each its own.
    pub tenant: Option<String>,
}

impl Config {
    /// EM at `url` with these accounts, all else as by default.
    #[must_use]
    pub fn new(url: Url, accounts: Vec<Account>) -> Self {
        Self {
            url,
            ca_pem: None,
            pin_sha256: Vec::new(),
            accept_invalid_certs: false,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            max_response: 64 * 1024 * 1024,
            coalesce: true,
            cache_ttl: Duration::from_secs(1),
            unknown_after: Duration::from_mins(20),
            links: Links::default(),
            accounts,
        }
    }
}

impl Account {
    /// An account of this name and credentials, all else as by default.
    #[must_use]
    pub fn new(name: &str, username: &str, password: SecretString) -> Self {
        Self {
            name: name.to_owned(),
            username: username.to_owned(),
            password,
            password_file: None,
            max_sessions: 2,
            max_requests_per_session: 8,
            tenant: None,
        }
    }
}
