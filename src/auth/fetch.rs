//! Fetches the key set of an issuer, by way of its discovery document where that is where the address stands.
//!
//! A provider is trusted to say which keys it has, and with nothing else: time, bytes and redirects are limited, and
//! no proxy of the environment is used.

use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, CACHE_CONTROL, DATE, RETRY_AFTER};
use reqwest::redirect::{Attempt, Policy};
use serde_json::Value;
use url::Url;

use super::config::{IssuerConfig, KeySource, provider_url};
use crate::clock::{SharedClock, retry_after};
use crate::json;

/// How long fetching may take, discovery included.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest document that is read, in bytes.
pub(super) const LARGEST: usize = 1024 * 1024;
/// Most redirects that are followed, each within one origin.
const MOST_REDIRECTS: usize = 3;
/// How long a set counts as fresh: unless it says, at least and at most.
const FRESH: Duration = Duration::from_mins(10);
const FRESH_AT_LEAST: Duration = Duration::from_mins(1);
const FRESH_AT_MOST: Duration = Duration::from_hours(24);
/// Longest pause that a provider is granted; its keys are used for a day.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The client of an issuer cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the client for the keys of {issuer} cannot be set up")]
pub struct SetupError {
    issuer: String,
    #[source]
    source: reqwest::Error,
}

/// Why there is no new key set.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the provider did not answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
    #[error("the provider cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the provider answered {status}")]
    Status {
        status: StatusCode,
        /// What it says in `Retry-After`.
        pause: Option<Duration>,
    },
    #[error("the answer is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("the answer {0}")]
    NotJson(#[from] json::Error),
    #[error("the discovery document is of another issuer")]
    OtherIssuer,
    #[error("jwks_uri of the discovery document {0}")]
    KeySetUrl(String),
    #[error("the answer is no JWK set")]
    NoKeySet,
}

impl FetchError {
    /// How long the provider wishes not to be asked.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Status { pause, .. } => *pause,
            Self::TimedOut
            | Self::Unreachable(_)
            | Self::TooLarge
            | Self::NotJson(_)
            | Self::OtherIssuer
            | Self::KeySetUrl(_)
            | Self::NoKeySet => None,
        }
    }
}

/// A document that was fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub document: Value,
    /// How long it need not be fetched again.
    pub fresh_for: Duration,
}

/// A client for what an issuer serves.
pub(super) fn client(config: &IssuerConfig, redirects: Policy) -> Result<reqwest::Client, SetupError> {
    let certificates = reqwest::Certificate::from_pem_bundle(config.ca_pem.as_deref().unwrap_or_default());
    let client = certificates.and_then(|certificates| {
        reqwest::Client::builder()
            .tls_certs_merge(certificates)
            .timeout(TIMEOUT)
            .redirect(redirects)
            .referer(false)
            .no_proxy()
            .user_agent(concat!("emgate/", env!("CARGO_PKG_VERSION")))
            .build()
    });
    client.map_err(|source| SetupError {
        issuer: config.issuer.clone(),
        source,
    })
}

/// Asks one provider.
pub(super) struct Fetcher {
    client: reqwest::Client,
    clock: SharedClock,
    issuer: String,
    source: KeySource,
}

impl Fetcher {
    pub fn new(config: &IssuerConfig, clock: SharedClock) -> Result<Self, SetupError> {
        Ok(Self {
            client: client(config, Policy::custom(within_the_origin))?,
            clock,
            issuer: config.issuer.clone(),
            source: config.keys.clone(),
        })
    }

    /// The key set as it is now.
    pub async fn fetch(&self) -> Result<Fetched, FetchError> {
        tokio::time::timeout(TIMEOUT, self.key_set())
            .await
            .map_err(|_| FetchError::TimedOut)?
    }

    async fn key_set(&self) -> Result<Fetched, FetchError> {
        match &self.source {
            KeySource::KeySet(url) => self.get(url).await,
            KeySource::Discovery(discovery_url) => {
                let discovery = self.discovered(discovery_url).await?;
                let text = |name: &str| discovery.get(name).and_then(Value::as_str);
                let url = text("jwks_uri").ok_or_else(|| FetchError::KeySetUrl("is missing".to_owned()))?;
                let key_set = provider_url(url).map_err(FetchError::KeySetUrl)?;
                // This machine is no place that a provider elsewhere may send the gateway to.
                if key_set.scheme() != "https" && key_set.origin() != discovery_url.origin() {
                    return Err(FetchError::KeySetUrl("must begin with https://".to_owned()));
                }
                self.get(&key_set).await
            }
        }
    }

    /// The discovery document, which has to be of the issuer.
    pub(super) async fn discovered(&self, url: &Url) -> Result<Value, FetchError> {
        let discovery = self.get(url).await?.document;
        let issuer = discovery.get("issuer").and_then(Value::as_str);
        if issuer != Some(&self.issuer) {
            return Err(FetchError::OtherIssuer);
        }
        Ok(discovery)
    }

    async fn get(&self, url: &Url) -> Result<Fetched, FetchError> {
        let unreachable = |error: reqwest::Error| {
            if error.is_timeout() {
                FetchError::TimedOut
            } else {
                FetchError::Unreachable(error.without_url())
            }
        };
        let request = self.client.get(url.clone()).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status {
                status: response.status(),
                pause: self.pause(response.headers()),
            });
        }
        let fresh_for = fresh_for(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched {
            document: json::parse(json::without_mark(&body))?,
            fresh_for,
        })
    }
}

impl Fetcher {
    /// What an answer says in `Retry-After`.
    fn pause(&self, headers: &http::HeaderMap) -> Option<Duration> {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &http::HeaderValue| value.to_str().ok())
        };
        retry_after::parse(text(RETRY_AFTER)?, text(DATE), self.clock.now(), LONGEST_PAUSE)
    }
}

fn within_the_origin(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let origin = attempt.previous().first().map(Url::origin);
    if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error("too many redirects")
    } else if origin == Some(attempt.url().origin()) {
        attempt.follow()
    } else {
        attempt.error("a redirect to another origin")
    }
}

/// What `Cache-Control: max-age` says, within bounds.
fn fresh_for(headers: &http::HeaderMap) -> Duration {
    let given = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut directives = given.flat_map(|value| value.split(',')).map(str::trim);
    let seconds = directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.eq_ignore_ascii_case("max-age")
            .then(|| value.trim_matches('"').parse().ok())?
    });
    seconds.map_or(FRESH, |seconds| {
        Duration::from_secs(seconds).clamp(FRESH_AT_LEAST, FRESH_AT_MOST)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::Provider;
    use super::*;
    use crate::telemetry::chain;

    fn fetcher(issuer: &str, keys: KeySource) -> Fetcher {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = IssuerConfig {
            issuer: issuer.to_owned(),
            accept_issuers: Vec::new(),
            audience: Vec::new(),
            keys,
            ca_pem: None,
            algorithms: Vec::new(),
            grants: super::super::config::Grants::default(),
        };
        Fetcher::new(&config, crate::clock::SystemClock::shared()).expect("a client")
    }

    async fn key_set(provider: &Provider) -> Result<Fetched, FetchError> {
        let source = KeySource::KeySet(provider.url("/keys"));
        fetcher("https://idp.example", source).fetch().await
    }

    #[rstest]
    #[case("", 600)]
    #[case("no-store", 600)]
    #[case("public, Max-Age=3600, must-revalidate", 3600)]
    #[case("max-age=\"120\"", 120)]
    #[case("max-age=0", 60)]
    #[case("max-age=99999999", 86_400)]
    #[case("max-age=soon", 600)]
    #[case("s-maxage=5", 600)]
    fn a_set_is_fresh_for_as_long_as_it_says(#[case] value: &str, #[case] seconds: u64) {
        let headers = [(CACHE_CONTROL, value.parse().expect("a value"))];
        assert_eq!(fresh_for(&headers.into_iter().collect()).as_secs(), seconds);
    }

    #[tokio::test]
    async fn discovery_leads_to_the_key_set() {
        let provider = Provider::start().await;
        let issuer = format!("{}/realm", provider.base);
        let document = json!({"issuer": issuer, "jwks_uri": provider.url("/keys")});
        provider.body("/realm/d", "", &document.to_string());
        provider.body("/keys", "cache-control: max-age=90\r\n", "{\"keys\":[]}");
        let source = KeySource::Discovery(provider.url("/realm/d"));
        let fetched = fetcher(&issuer, source).fetch().await.expect("a set");
        assert_eq!(fetched.document, json!({"keys": []}));
        assert_eq!(fetched.fresh_for, Duration::from_secs(90));
    }

    #[rstest]
    #[case(json!({"issuer": "https://idp.example/", "jwks_uri": "https://idp.example/keys"}), "of another issuer")]
    #[case(json!({"jwks_uri": "https://idp.example/keys"}), "of another issuer")]
    #[case(json!({"issuer": "https://idp.example"}), "is missing")]
    #[case(json!({"issuer": "https://idp.example", "jwks_uri": "http://idp.example/keys"}), "must begin with https")]
    #[case(json!({"issuer": "https://idp.example", "jwks_uri": "http://127.0.0.1:9/keys"}), "must begin with https")]
    #[case(json!({"issuer": "https://idp.example", "jwks_uri": "file:///etc/passwd"}), "must begin with https")]
    #[tokio::test]
    async fn a_discovery_document_that_does_not_fit_is_refused(#[case] document: Value, #[case] words: &str) {
        let provider = Provider::start().await;
        provider.body("/d", "", &document.to_string());
        let source = KeySource::Discovery(provider.url("/d"));
        let error = fetcher("https://idp.example", source).fetch().await;
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
    }

    #[rstest]
    #[case("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "answered 503")]
    #[case("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<ht>", "cannot be read as JSON")]
    #[case(
        "HTTP/1.1 200 OK\r\ncontent-length: 22\r\n\r\n{\"keys\":1,\"keys\":[{}]}",
        "not accepted"
    )]
    #[case(
        "HTTP/1.1 302 Found\r\nlocation: https://other.example/keys\r\ncontent-length: 0\r\n\r\n",
        "another origin"
    )]
    #[case(
        "HTTP/1.1 302 Found\r\nlocation: /keys\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        "too many redirects"
    )]
    #[case("nonsense\r\n\r\n", "cannot be reached")]
    #[tokio::test]
    async fn an_answer_that_is_no_key_set_is_refused(#[case] answer: &str, #[case] words: &str) {
        let provider = Provider::start().await;
        provider.raw("/keys", answer);
        let error = chain(&key_set(&provider).await.expect_err("refused"));
        assert!(error.contains(words), "{error}");
    }

    #[tokio::test]
    async fn an_answer_beyond_the_limit_is_refused_while_it_is_read() {
        let provider = Provider::start().await;
        // Announced as endless, so that the length cannot be what stops it.
        let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        provider.raw("/keys", [head, vec![b' '; LARGEST + 1]].concat());
        assert!(matches!(key_set(&provider).await, Err(FetchError::TooLarge)));
    }

    #[tokio::test]
    async fn redirects_within_the_origin_are_followed() {
        let provider = Provider::start().await;
        let to = |path: &str| {
            format!(
                "HTTP/1.1 302 Found\r\nlocation: {path}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
        };
        provider.raw("/keys", to("/1"));
        provider.raw("/1", to("/2"));
        provider.raw("/2", to("/3"));
        provider.body("/3", "", "{}");
        assert!(key_set(&provider).await.is_ok());
    }
}
