//! Tries an issuer once, for who wants to know whether its configuration works.

use super::config::IssuerConfig;
use super::fetch::{FetchError, Fetcher, SetupError};
use super::key_set::KeySet;
use crate::clock::SystemClock;

/// Why tokens of an issuer could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The client.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The key set.
    #[error("its keys cannot be fetched")]
    Fetch(#[from] FetchError),
    /// None of its keys can be used; why, key by key.
    #[error("none of its keys can be used: {0}")]
    NoKeys(String),
}

/// Fetches the keys of an issuer; says how many there are, and what is wrong with the others.
///
/// # Errors
/// [`ProbeError`].
pub async fn probe(config: &IssuerConfig) -> Result<String, ProbeError> {
    let fetched = Fetcher::new(config, SystemClock::shared())?.fetch().await?;
    let read = KeySet::read(&fetched.document, &config.algorithms);
    let (keys, ignored) = read.ok_or(FetchError::NoKeySet)?;
    let ignored: Vec<String> = ignored.iter().map(ToString::to_string).collect();
    let ignored = ignored.join("; ");
    match keys.len() {
        0 if ignored.is_empty() => Err(ProbeError::NoKeys("there are none".to_owned())),
        0 => Err(ProbeError::NoKeys(ignored)),
        count if ignored.is_empty() => Ok(format!("usable keys: {count}")),
        count => Ok(format!("usable keys: {count}; not used: {ignored}")),
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use serde_json::{Value, json};

    use super::super::config::{Grants, KeySource};
    use super::super::testing::{Provider, jwk};
    use super::*;

    async fn found(keys: &[Value]) -> String {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let provider = Provider::start().await;
        provider.keys(keys);
        let config = IssuerConfig {
            issuer: "https://idp.example".to_owned(),
            accept_issuers: Vec::new(),
            audience: Vec::new(),
            keys: KeySource::KeySet(provider.url("/keys")),
            ca_pem: None,
            algorithms: Vec::new(),
            grants: Grants::default(),
        };
        probe(&config).await.unwrap_or_else(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_probe_counts_usable_keys_and_says_why_others_are_not() {
        let good = jwk(Algorithm::ES256, Some("a"));
        let bad = json!({"kty": "oct", "k": "AAAA"});
        assert_eq!(found(std::slice::from_ref(&good)).await, "usable keys: 1");
        assert_eq!(
            found(&[bad.clone(), good]).await,
            "usable keys: 1; not used: key 0: it is symmetric"
        );
        assert_eq!(
            found(&[bad]).await,
            "none of its keys can be used: key 0: it is symmetric"
        );
        assert_eq!(found(&[]).await, "none of its keys can be used: there are none");
    }
}
