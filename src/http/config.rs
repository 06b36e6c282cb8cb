//! The section `[server]`, already checked.
//!
//! Read and validated by the program's `config`; a test builds them as literals over `default()`.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use crate::domain::links::Links;

/// Probes, which are never shed, never limited, and answered before the start is over: load must not look like a failure.
pub(super) const PROBES: &[&str] = &["/healthz", "/readyz", "/metrics"];

/// `[server]`: the listener and the bounds of a request.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Longest time a caller waits for an answer, `Prefer: wait` included; streams are exempt.
    pub request_timeout: Duration,
    /// How long a connection is kept between requests.
    pub idle_timeout: Duration,
    /// How long the headers of a request may take once they have begun. No key: no caller needs longer.
    pub head_timeout: Duration,
    /// Largest request body, in bytes.
    pub max_body: usize,
    /// Origins that browsers may call from, as `scheme://host[:port]`; empty means none.
    pub cors_origins: Vec<String>,
    /// Where callers reach the gateway from outside; its path ends with `/`. For absolute links.
    pub public_url: Option<Url>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate and key when the gateway itself speaks TLS.
    pub tls: Option<TlsConfig>,
    /// The section `[limits]`.
    pub limits: Limits,
    /// The section `[console]`.
    pub console: Console,
    /// The section `[metrics]`.
    pub metrics: Metrics,
    /// The whole configuration as operators may see it, without secrets.
    pub shown: serde_json::Value,
}

impl Config {
    /// Makes the gateway's own addresses, those of the console's pages where they are served.
    #[must_use]
    pub fn links(&self) -> Links {
        Links::below(self.public_url.as_ref()).with_console(self.console.enabled)
    }
}

/// `[console]`: the pages for operators.
#[derive(Clone, Debug)]
pub struct Console {
    /// Whether they are served at all.
    pub enabled: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `[metrics]`: what is shown beside what always is.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Whether each plan has series of its own.
    pub per_plan: bool,
    /// Address and port of a listener of their own; the other one does not serve them then.
    pub listen: Option<SocketAddr>,
    /// What its callers show as bearer token; nothing when absent.
    pub token: Option<SecretString>,
}

/// `[limits]`: how much one subject, address or tenant may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests with a valid token, for each subject.
    pub requests_per_minute: NonZeroU32,
    /// How many of them may come at once.
    pub burst: NonZeroU32,
    /// Requests without a valid token, for each address.
    pub anonymous_per_minute: NonZeroU32,
    /// Requests that change plans or anything at EM, for each subject.
    pub actions_per_minute: NonZeroU32,
    /// Event streams that are open at a time, for each subject.
    pub streams: usize,
    /// Webhook endpoints, for each subject or tenant.
    pub endpoints: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let count = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            requests_per_minute: count(600),
            burst: count(60),
            anonymous_per_minute: count(120),
            actions_per_minute: count(30),
            streams: 20,
            endpoints: 50,
        }
    }
}

/// `[server.tls]`: PEM files, which were readable and of the right kind when the configuration was read.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The chain, leaf first.
    pub cert_file: PathBuf,
    /// The leaf's private key.
    pub key_file: PathBuf,
    /// Authorities, one of which must have signed the certificate of a client; without it none is asked for.
    pub client_ca_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            request_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_secs(620),
            head_timeout: Duration::from_secs(15),
            max_body: 1024 * 1024,
            cors_origins: Vec::new(),
            public_url: None,
            trusted_proxies: Vec::new(),
            tls: None,
            limits: Limits::default(),
            console: Console::default(),
            metrics: Metrics::default(),
            shown: serde_json::Value::Null,
        }
    }
}
