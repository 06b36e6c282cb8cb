//! The section `[auth]`, already checked: a key that is here can be used.
//!
//! Read by the program's `config`; a test builds it as a literal over `default()`.

use std::time::Duration;

pub use super::keys::{Key, KeyError, public_key_algorithm};

/// `[auth]`: whose tokens are accepted.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// `iss` that a token must carry, when set.
    pub issuer: Option<String>,
    /// `aud` that a token must carry, when set.
    pub audience: Option<String>,
    /// Name of the claim that confines a caller to tenants.
    pub tenant_claim: String,
    /// Tolerated difference of clocks for `exp` and `nbf`.
    pub leeway: Duration,
    /// Keys in the order of the configuration; never empty when it was read from one.
    pub keys: Vec<Key>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            tenant_claim: "tenants".to_owned(),
            leeway: Duration::from_secs(30),
            keys: Vec::new(),
        }
    }
}
