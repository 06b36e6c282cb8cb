//! The section `[webhooks]`, already checked: where deliveries may go and how often they are tried.

use std::time::Duration;

use ipnet::IpNet;

use crate::domain::links::Links;
use crate::domain::webhook::connection::{Proxy, TIMEOUT_MOST};

/// `[webhooks]` of the configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Networks that are not public and may be delivered to nevertheless.
    pub allow_networks: Vec<IpNet>,
    /// Loopback and private ranges too; for labs. Never metadata, unspecified, multicast, broadcast.
    pub allow_private_networks: bool,
    /// Endpoints may use plain HTTP.
    pub allow_http: bool,
    /// Longest time for one attempt.
    pub timeout: Duration,
    /// The longest that an endpoint may ask for.
    pub max_timeout: Duration,
    /// The proxy of endpoints without one of their own. The proxy variables of the environment are never read.
    pub proxy: Option<Proxy>,
    /// Pauses from attempt to attempt, before jitter; never empty.
    pub retry_schedule: Vec<Duration>,
    /// Where links in messages begin; set from `server.public_url`.
    pub links: Links,
}

impl Config {
    /// Reads the URL of a proxy.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn proxy_from(text: &str) -> Result<Proxy, String> {
        Proxy::parse(text).map_err(ToOwned::to_owned)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            allow_private_networks: false,
            allow_http: false,
            timeout: Duration::from_secs(15),
            max_timeout: TIMEOUT_MOST,
            proxy: None,
            retry_schedule: vec![
                Duration::from_secs(5),
                Duration::from_mins(5),
                Duration::from_mins(30),
                Duration::from_hours(2),
                Duration::from_hours(5),
                Duration::from_hours(10),
                Duration::from_hours(14),
                Duration::from_hours(20),
                Duration::from_hours(24),
            ],
            links: Links::default(),
        }
    }
}
