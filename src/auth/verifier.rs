//! From a token's text to its caller: form, signature, claims, rights, in this order.

use std::sync::Arc;

use jiff::Timestamp;

use super::claims::Claims;
use super::config::{AuthConfig, Grants};
use super::fetch::SetupError;
use super::issuer::{Issuer, KeyRefresh};
use super::jws::Jws;
use super::refusal::Refusal;
use super::verified::{Fingerprint, Verified, VerifiedTokens};
use crate::clock::SharedClock;
use crate::domain::access::Caller;
use crate::runtime::Nudge;

/// Verifies tokens by the rules of `[auth]`.
pub struct Verifier {
    config: AuthConfig,
    /// The rights of tokens of configured keys.
    grants: Grants,
    issuers: Vec<Arc<Issuer>>,
    verified: VerifiedTokens,
    clock: SharedClock,
}

impl Verifier {
    /// A verifier that trusts the configured keys and issuers, and believes `clock` about times.
    ///
    /// # Errors
    /// That the client of an issuer cannot be set up.
    pub fn new(config: &AuthConfig, clock: SharedClock) -> Result<Self, SetupError> {
        let issuers = config.issuers.iter();
        let issuers = issuers.map(|issuer| Issuer::new(issuer, clock.clone()).map(Arc::new));
        Ok(Self {
            grants: Grants {
                tenant_claim: config.tenant_claim.clone(),
                ..Grants::default()
            },
            issuers: issuers.collect::<Result<_, _>>()?,
            config: config.clone(),
            verified: VerifiedTokens::new(),
            clock,
        })
    }

    /// The caller behind a token in compact form. Waits for the keys of its issuer, 5 s at most, when they may have
    /// changed.
    ///
    /// # Errors
    /// Why the token is not accepted.
    pub async fn caller(&self, token: &str) -> Result<Caller, Refusal> {
        let fingerprint = Fingerprint::of(token);
        if let Some(known) = self.verified.get(fingerprint) {
            let fresh = known.times.check(self.clock.now(), self.config.leeway);
            if fresh.is_ok() && self.is_trusted(&known) {
                return Ok(known.caller.clone());
            }
            self.verified.forget(fingerprint);
        }
        let verified = self.verify(token).await?;
        let caller = verified.caller.clone();
        self.verified.remember(fingerprint, verified);
        Ok(caller)
    }

    /// What keeps the keys of the issuers fresh, one worker for each, and what wakes it.
    #[must_use]
    pub fn refreshes(&self) -> Vec<(KeyRefresh, Nudge)> {
        self.issuers.iter().map(Issuer::refresh).collect()
    }

    /// The issuers whose tokens are accepted, as far as they are named.
    pub fn issuers(&self) -> impl Iterator<Item = &str> {
        let of_keys = self.config.issuer.as_deref();
        let configured = self.config.issuers.iter();
        of_keys
            .into_iter()
            .chain(configured.map(|one| one.issuer.as_str()))
    }

    /// Whether keys are fetched from anybody.
    #[must_use]
    pub fn fetches_keys(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Since when tokens of an issuer cannot be verified, for want of its keys, and why.
    #[must_use]
    pub fn without_keys(&self) -> Option<(Timestamp, String)> {
        let mut without = self.issuers.iter().filter_map(|issuer| {
            let (since, reason) = issuer.without_keys()?;
            let name = &issuer.config.issuer;
            Some((since, format!("there are no keys of {name}: {reason}")))
        });
        without.next()
    }

    /// Whether the keys that verified a token are still in use.
    fn is_trusted(&self, token: &Verified) -> bool {
        token.by.is_none_or(|(place, generation)| {
            let issuer = self.issuers.get(place);
            issuer.and_then(|issuer| issuer.generation()) == Some(generation)
        })
    }

    async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        let token = Jws::parse(token)?;
        let issuer = token.issuer().and_then(|iss| {
            let mut issuers = self.issuers.iter().enumerate();
            issuers.find(|(_, issuer)| issuer.is_called(iss))
        });
        match issuer {
            Some((place, issuer)) => {
                let generation = issuer.verify(&token).await?;
                let claims = Claims(token.into_claims()?);
                let grants = &issuer.config.grants;
                let by = Some((place, generation));
                self.accepted(&claims, grants, by, || {
                    let meant = claims.is_for(&issuer.config.audience);
                    meant.then_some(()).ok_or(Refusal::OtherAudience)
                })
            }
            None if self.config.keys.is_empty() => Err(Refusal::OtherIssuer),
            None => {
                if !self.config.keys.iter().any(|key| key.verifies(&token)) {
                    return Err(Refusal::UnknownKey);
                }
                let claims = Claims(token.into_claims()?);
                self.accepted(&claims, &self.grants, None, || self.is_ours(&claims))
            }
        }
    }

    /// Whether the issuer and the audience are those of tokens of configured keys.
    fn is_ours(&self, claims: &Claims) -> Result<(), Refusal> {
        if self.config.issuer.is_some() && claims.text("iss") != self.config.issuer.as_deref() {
            return Err(Refusal::OtherIssuer);
        }
        match &self.config.audience {
            Some(audience) if !claims.is_for(std::slice::from_ref(audience)) => Err(Refusal::OtherAudience),
            Some(_) | None => Ok(()),
        }
    }

    /// The caller of claims whose signature is good.
    fn accepted(
        &self,
        claims: &Claims,
        grants: &Grants,
        by: Option<(usize, u64)>,
        is_meant: impl Fn() -> Result<(), Refusal>,
    ) -> Result<Verified, Refusal> {
        let times = claims.times()?;
        times.check(self.clock.now(), self.config.leeway)?;
        is_meant()?;
        let granted = grants.of(claims);
        let owned = |claim: &str| claims.text(claim).map(ToOwned::to_owned);
        let caller = Caller {
            name: owned(&grants.subject_claim)
                .or_else(|| owned("client_id"))
                .or_else(|| owned("azp")),
            issuer: owned("iss"),
            scopes: granted.scopes,
            tenancy: granted.tenancy,
            token_id: owned("jti"),
            expires_at: times.expires_at(),
            rules: granted.rules,
        };
        Ok(Verified { caller, times, by })
    }
}
