//! Tokens that were verified, remembered by their SHA-256, so that a signature is checked once.
//!
//! What is remembered is no licence: the caller of this room still compares the times with the clock, and the
//! generation of the key set with the one in use.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::sync::Cache;

use super::claims::Times;
use crate::domain::access::Caller;

/// Most tokens that are remembered.
const MOST: usize = 10_000;

/// A token that was verified.
pub(super) struct Verified {
    pub caller: Arc<Caller>,
    pub times: Times,
    /// The issuer, by its place in the configuration, and the generation of the set that verified it; none for a
    /// configured key.
    pub by: Option<(usize, u64)>,
}

/// The SHA-256 of a token's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        for (byte, of_digest) in bytes.iter_mut().zip(digest(&SHA256, token.as_bytes()).as_ref()) {
            *byte = *of_digest;
        }
        Self(bytes)
    }
}

/// The tokens that are remembered.
pub(super) struct VerifiedTokens(Cache<Fingerprint, Arc<Verified>>);

impl VerifiedTokens {
    pub fn new() -> Self {
        Self(Cache::new(MOST))
    }

    pub fn get(&self, token: Fingerprint) -> Option<Arc<Verified>> {
        self.0.get(&token)
    }

    pub fn remember(&self, token: Fingerprint, verified: Verified) {
        self.0.insert(token, Arc::new(verified));
    }

    pub fn forget(&self, token: Fingerprint) {
        self.0.remove(&token);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Map, json};

    use super::super::claims::Claims;
    use super::*;
    use crate::domain::access::Tenancy;

    #[test]
    fn no_more_tokens_are_remembered_than_the_limit() {
        let tokens = VerifiedTokens::new();
        for number in 0..MOST + 2_000 {
            let claims = Claims(Map::from_iter([("exp".to_owned(), json!(1))]));
            let verified = Verified {
                caller: Arc::new(Caller {
                    name: None,
                    issuer: None,
                    scopes: std::collections::BTreeSet::new(),
                    tenancy: Tenancy::All,
                    token_id: None,
                    expires_at: Timestamp::MAX,
                    rules: Vec::new(),
                }),
                times: claims.times().expect("times"),
                by: None,
            };
            tokens.remember(Fingerprint::of(&number.to_string()), verified);
        }
        assert!(tokens.0.len() <= MOST, "{}", tokens.0.len());
    }
}
