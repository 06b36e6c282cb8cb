//! How an endpoint's receiver is reached, where that is not how all are: within what time, by which authority, with which
//! client certificate, through which proxy. Whether certificates fit is checked where TLS is known (`webhooks/tls`).

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use super::target::{MASK, URL_LIMIT};
use crate::domain::field_error::FieldError;

/// The shortest time limit of an attempt that an endpoint may ask for.
pub const TIMEOUT_LEAST: Duration = Duration::from_secs(1);
/// The longest, whatever the configuration says.
pub const TIMEOUT_MOST: Duration = Duration::from_mins(1);
/// The most deliveries a second that an endpoint may ask for.
pub const RATE_MOST: u32 = 1000;
/// The longest text of certificates or a key, in bytes.
pub const PEM_LIMIT: usize = 64 * 1024;

/// What the gateway identifies itself with to a receiver (mutual TLS).
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate, in PEM, with those between it and its authority.
    pub certificate: String,
    /// Its private key, in PEM.
    pub private_key: SecretString,
}

impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate
            && self.private_key.expose_secret() == other.private_key.expose_secret()
    }
}

impl Eq for ClientCertificate {}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

/// How a receiver is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// The longest time of an attempt; none for that of the configuration.
    pub timeout: Option<Duration>,
    /// Authorities that are trusted beside the platform's, in PEM.
    pub authorities: Option<String>,
    /// What the gateway identifies itself with.
    pub client: Option<ClientCertificate>,
    /// The proxy; none for that of the configuration.
    pub proxy: Option<Proxy>,
}

/// An HTTP proxy that connects to receivers (CONNECT, RFC 9110 section 9.3.6). Its URL may hold credentials, so its `Debug` text
/// is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Url);

impl Proxy {
    /// Reads the URL of a proxy.
    ///
    /// # Errors
    /// What is wrong with it, for people; the text itself is never repeated.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_odd = |letter: char| letter.is_whitespace() || letter.is_control();
        if text.len() > URL_LIMIT || text.chars().any(is_odd) {
            return Err(
                "a proxy's URL has at most 2048 characters, none of them a space or a control character",
            );
        }
        let url = Url::parse(text).map_err(|_| "this is not a URL such as http://proxy.example:3128")?;
        if url.scheme() != "http" {
            return Err("a proxy's URL begins with http://; what goes through it has TLS of its own");
        }
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if url.host().is_none() || url.port() == Some(0) || !is_bare {
            return Err("a proxy's URL is host and port, such as http://proxy.example:3128");
        }
        Ok(Self(url))
    }

    /// The whole URL, credentials included.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> Host<&str> {
        // Checked when it was read.
        self.0.host().unwrap_or(Host::Domain(""))
    }

    /// The port, 80 when none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(80)
    }

    /// User and password, percent-decoding left to the caller.
    #[must_use]
    pub fn userinfo(&self) -> Option<(&str, &str)> {
        let (user, password) = (self.0.username(), self.0.password());
        (!user.is_empty() || password.is_some()).then(|| (user, password.unwrap_or_default()))
    }

    /// The URL as it is shown: without user and password.
    #[must_use]
    pub fn shown(&self) -> String {
        let origin = self.0.origin().ascii_serialization();
        match (self.userinfo(), origin.split_once("://")) {
            (Some(_), Some((scheme, rest))) => format!("{scheme}://{MASK}@{rest}"),
            _ => origin,
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// A time limit of so many seconds.
#[must_use]
pub fn timeout(seconds: i128) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Checks a time limit against the longest that the configuration allows.
pub fn check_timeout(wanted: Option<Duration>, longest: Duration, faults: &mut Vec<FieldError>) {
    let longest = longest.min(TIMEOUT_MOST);
    if wanted.is_some_and(|wanted| !(TIMEOUT_LEAST..=longest).contains(&wanted)) {
        let most = longest.as_secs();
        faults.push(FieldError::new(
            "/timeout",
            format!("an attempt may last 1 to {most} seconds (webhooks.max_timeout)"),
        ));
    }
}

/// Reads a rate: deliveries a second.
pub fn rate(number: i128, pointer: &str, faults: &mut Vec<FieldError>) -> u32 {
    match u32::try_from(number) {
        Ok(number) if (1..=RATE_MOST).contains(&number) => number,
        _ => {
            faults.push(FieldError::new(
                pointer,
                format!("between 1 and {RATE_MOST} deliveries a second"),
            ));
            1
        }
    }
}

/// Reads certificates or a key, as far as their size goes.
pub fn pem(text: &str, pointer: &str, faults: &mut Vec<FieldError>) -> String {
    if text.is_empty() || text.len() > PEM_LIMIT {
        faults.push(FieldError::new(pointer, format!("1 to {PEM_LIMIT} bytes in PEM")));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("http://proxy.example:3128", Some("http://proxy.example:3128"))]
    #[case("http://us:pw@proxy.example:3128/", Some("http://***@proxy.example:3128"))]
    #[case("http://[fd00::1]:8080", Some("http://[fd00::1]:8080"))]
    #[case("https://proxy.example", None)]
    #[case("socks5://proxy.example", None)]
    #[case("proxy.example:3128", None)]
    #[case("http://proxy.example/path", None)]
    #[case("http://proxy.example?x", None)]
    #[case("http://proxy .example", None)]
    fn a_proxy_is_host_and_port_and_never_shown_with_its_password(
        #[case] text: &str,
        #[case] shown: Option<&str>,
    ) {
        let proxy = Proxy::parse(text).ok();
        assert_eq!(proxy.as_ref().map(Proxy::shown).as_deref(), shown);
        assert!(!format!("{proxy:?}").contains("pw"));
    }

    #[rstest]
    #[case(0, 60, false)]
    #[case(1, 60, true)]
    #[case(60, 60, true)]
    #[case(61, 3600, false)]
    #[case(31, 30, false)]
    #[case(-1, 60, false)]
    fn a_time_limit_is_within_that_of_the_configuration(
        #[case] seconds: i128,
        #[case] longest: u64,
        #[case] is_accepted: bool,
    ) {
        let mut faults = Vec::new();
        check_timeout(Some(timeout(seconds)), Duration::from_secs(longest), &mut faults);
        assert_eq!(faults.is_empty(), is_accepted);
    }

    #[test]
    fn a_private_key_has_no_debug_text() {
        let connection = Connection {
            client: Some(ClientCertificate {
                certificate: "C".to_owned(),
                private_key: SecretString::from("hush"),
            }),
            ..Connection::default()
        };
        assert!(!format!("{connection:?}").contains("hush"));
    }
}
