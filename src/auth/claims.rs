//! What the claims of a verified token say: whether it is valid now and here, and who its bearer is. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::config::AuthConfig;
use super::refusal::Refusal;
use crate::domain::access::{Caller, Scope};

/// The claims of a token whose signature is good.
pub(super) struct Claims(pub Map<String, Value>);

impl Claims {
    /// RFC 7519 section 4.1: times, issuer and audience.
    pub(super) fn check(&self, config: &AuthConfig, now: Timestamp) -> Result<(), Refusal> {
        let now = now.as_duration().as_secs_f64();
        let leeway = config.leeway.as_secs_f64();
        let expiry = self.0.get("exp").ok_or(Refusal::NeverExpires)?;
        if expiry.as_f64().ok_or(Refusal::UnreadableExpiry)? + leeway <= now {
            return Err(Refusal::Expired);
        }
        if let Some(start) = self.0.get("nbf")
            && start.as_f64().ok_or(Refusal::UnreadableStart)? - leeway > now
        {
            return Err(Refusal::NotYetValid);
        }
        if let Some(issuer) = &config.issuer
            && self.text("iss") != Some(issuer)
        {
            return Err(Refusal::OtherIssuer);
        }
        if let Some(audience) = &config.audience
            && !self.words("aud").any(|word| word == audience)
        {
            return Err(Refusal::OtherAudience);
        }
        Ok(())
    }

    /// Who the bearer is and what they may do.
    pub(super) fn caller(&self, config: &AuthConfig) -> Result<Caller, Refusal> {
        let scopes = self.scopes();
        if self.0.contains_key(&config.tenant_claim) {
            return Err(Refusal::ConfinedToTenants);
        }
        if !scopes.contains(&Scope::TenantsAll) {
            return Err(Refusal::ForNoTenant);
        }
        let owned = |claim: &str| self.text(claim).map(ToOwned::to_owned);
        Ok(Caller {
            name: owned("sub")
                .or_else(|| owned("client_id"))
                .or_else(|| owned("azp")),
            issuer: owned("iss"),
            scopes,
        })
    }

    /// The scopes of `scope` (RFC 8693: words separated by spaces) and `scp` (an array, or the same as `scope`).
    fn scopes(&self) -> BTreeSet<Scope> {
        self.words("scope")
            .chain(self.words("scp"))
            .flat_map(|text| text.split(' '))
            .filter_map(Scope::parse)
            .collect()
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim)?.as_str()
    }

    /// The strings of a claim that is a string or an array of strings.
    fn words(&self, claim: &str) -> impl Iterator<Item = &str> {
        let (one, many) = match self.0.get(claim) {
            Some(Value::Array(many)) => (None, many.as_slice()),
            one => (one, [].as_slice()),
        };
        one.into_iter().chain(many).filter_map(Value::as_str)
    }
}
