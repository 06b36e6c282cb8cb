//! The section `[server]`, already checked.
//!
//! Read and validated by the program's `config`; a test builds them as literals over `default()`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use url::Url;

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
}

/// `[server.tls]`: two PEM files, which were readable and of the right kind when the configuration was read.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The chain, leaf first.
    pub cert_file: PathBuf,
    /// The leaf's private key.
    pub key_file: PathBuf,
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
        }
    }
}
