//! From a token's text to its caller: form, signature, claims, in this order.

use serde_json::Value;

use super::claims::Claims;
use super::config::AuthConfig;
use super::keys::Keys;
use super::refusal::Refusal;
use crate::clock::SharedClock;
use crate::domain::access::Caller;
use crate::json::Document;

/// Longest token that is read, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Verifies tokens by the rules of `[auth]`.
pub struct Verifier {
    config: AuthConfig,
    keys: Keys,
    clock: SharedClock,
}

impl Verifier {
    /// A verifier that trusts the configured keys, and believes `clock` about times.
    #[must_use]
    pub fn new(config: &AuthConfig, clock: SharedClock) -> Self {
        Self {
            keys: Keys::new(&config.keys),
            config: config.clone(),
            clock,
        }
    }

    /// The caller behind a token in compact form.
    ///
    /// # Errors
    /// Why the token is not accepted.
    pub fn caller(&self, token: &str) -> Result<Caller, Refusal> {
        let claims = self.verified(token)?;
        claims.check(&self.config, self.clock.now())?;
        claims.caller(&self.config)
    }

    /// The claims, once a trusted key is known to have signed them.
    fn verified(&self, token: &str) -> Result<Claims, Refusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::NotSigned)?;
        if header.crit.is_some() {
            return Err(Refusal::Critical);
        }
        let claims: Document = self.keys.open(token, header.alg).ok_or(Refusal::UnknownKey)?;
        if !claims.faults.is_empty() {
            return Err(Refusal::AmbiguousClaims);
        }
        match claims.value {
            Value::Object(claims) => Ok(Claims(claims)),
            _ => Err(Refusal::NoObject),
        }
    }
}
