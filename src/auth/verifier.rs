//! From a token's text to its caller: form, signature, claims, rights, in this order.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::Algorithm;

use super::claims::Claims;
use super::config::{Asynchrony, AuthConfig, Grants};
use super::fetch::{Fetcher, SetupError};
use super::issuer::{Issuer, KeyRefresh};
use super::jws::Jws;
use super::login::Login;
use super::refusal::Refusal;
use super::verified::{Fingerprint, Verified, VerifiedTokens};
use crate::clock::SharedClock;
use crate::domain::access::Caller;
use crate::runtime::Nudge;
use crate::telemetry::names;

/// Verifies tokens by the rules of `[auth]`.
pub struct Verifier {
    config: AuthConfig,
    /// The rights of tokens of configured keys.
    grants: Grants,
    issuers: Vec<Arc<Issuer>>,
    verified: VerifiedTokens,
    login: Option<Login>,
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
        let issuers: Vec<Arc<Issuer>> = issuers.collect::<Result<_, _>>()?;
        let login = config.login.as_ref().and_then(|login| {
            let issuer = issuers
                .iter()
                .find(|issuer| issuer.config.issuer == login.issuer)?;
            let fetcher = Fetcher::new(&issuer.config, clock.clone());
            Some(fetcher.and_then(|fetcher| Login::new(login, issuer, fetcher)))
        });
        Ok(Self {
            login: login.transpose()?,
            grants: Grants {
                tenant_claim: config.tenant_claim.clone(),
                ..Grants::default()
            },
            issuers,
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
    pub async fn caller(&self, token: &str) -> Result<Arc<Caller>, Refusal> {
        let fingerprint = Fingerprint::of(token);
        if let Some(known) = self.verified.get(fingerprint) {
            let fresh = known.times.check(self.clock.now(), self.config.leeway);
            if fresh.is_ok() && self.is_trusted(&known) {
                count("remembered");
                return Ok(known.caller.clone());
            }
            self.verified.forget(fingerprint);
        }
        // Beside, since every request's future would be as large as this one.
        let verified = Box::pin(self.verify(token)).await;
        count(if verified.is_ok() { "accepted" } else { "refused" });
        let verified = verified?;
        let caller = verified.caller.clone();
        self.verified.remember(fingerprint, verified);
        Ok(caller)
    }

    /// Where people log in to the console.
    #[must_use]
    pub fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Whether an ID token says who has just logged in: signed by the provider where people log in, meant for the gateway as its
    /// client, in its time, and for this login (OIDC Core section 3.1.3.7).
    ///
    /// # Errors
    /// Why it is not accepted.
    pub async fn identity(&self, token: &str, nonce: &str) -> Result<(), Refusal> {
        let login = self.login.as_ref().ok_or(Refusal::OtherIssuer)?;
        let signed = self.signed(token).await?;
        let of_provider =
            matches!(signed.by, SignedBy::Issuer { issuer, .. } if issuer.config.issuer == login.issuer());
        if !of_provider || signed.claims.text("iss") != Some(login.issuer()) {
            return Err(Refusal::OtherIssuer);
        }
        if !signed.claims.is_for(&[login.client_id().to_owned()]) {
            return Err(Refusal::OtherAudience);
        }
        signed
            .claims
            .times()?
            .check(self.clock.now(), self.config.leeway)?;
        if signed.claims.text("nonce") != Some(nonce) {
            return Err(Refusal::OtherLogin);
        }
        Ok(())
    }

    /// How old the keys are that each issuer's tokens are verified with; those are missing whose keys are not known.
    pub fn key_ages(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.issuers
            .iter()
            .filter_map(|issuer| Some((issuer.config.issuer.as_str(), issuer.key_age()?)))
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

    /// The section `[auth]`.
    pub(super) fn config(&self) -> &AuthConfig {
        &self.config
    }

    /// Whether the address of an operation may carry a ticket.
    #[must_use]
    pub fn gives_tickets(&self) -> bool {
        self.config.tickets
    }

    /// What the configuration says that a caller prefers.
    #[must_use]
    pub fn preference_of(&self, caller: &Caller) -> Option<Asynchrony> {
        let subject = caller.name.as_deref()?;
        let mut clients = self.config.clients.iter();
        clients
            .find(|client| client.subject == subject)
            .map(|client| client.prefer)
    }

    /// Whether keys are fetched from anybody.
    #[must_use]
    pub fn fetches_keys(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Since when tokens of an issuer cannot be verified, for want of its keys, and of how many. Readiness shows it to
    /// whoever asks, so that it names none.
    #[must_use]
    pub fn without_keys(&self) -> Option<(Timestamp, String)> {
        let without = self.issuers.iter().filter_map(|issuer| issuer.without_keys());
        let since: Vec<Timestamp> = without.map(|(since, _)| since).collect();
        let reason = format!(
            "the keys of {} of {} in auth.issuers are not known; the log says whose and why",
            since.len(),
            self.issuers.len()
        );
        since.into_iter().min().map(|first| (first, reason))
    }

    /// Whether the keys that verified a token are still in use.
    fn is_trusted(&self, token: &Verified) -> bool {
        token.by.is_none_or(|(place, generation)| {
            let issuer = self.issuers.get(place);
            issuer.and_then(|issuer| issuer.generation()) == Some(generation)
        })
    }

    async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        self.accepted(&self.signed(token).await?)
    }

    /// The token's claims, once a key that speaks for its issuer is known to have signed them.
    pub(super) async fn signed(&self, token: &str) -> Result<Signed<'_>, Refusal> {
        let token = Jws::parse(token)?;
        let (algorithm, key_id) = (token.algorithm, token.key_id.clone());
        let by = match self.named(&token) {
            Some((place, issuer)) => SignedBy::Issuer {
                place,
                issuer,
                generation: issuer.verify(&token).await?,
            },
            None if self.config.keys.is_empty() => return Err(Refusal::OtherIssuer),
            None => {
                let place = self.config.keys.iter().position(|key| key.verifies(&token));
                SignedBy::Key {
                    place: place.ok_or(Refusal::UnknownKey)?,
                }
            }
        };
        Ok(Signed {
            claims: Claims(token.into_claims()?),
            algorithm,
            key_id,
            by,
        })
    }

    /// The configured issuer that a token names, and its place.
    pub(super) fn named(&self, token: &Jws<'_>) -> Option<(usize, &Issuer)> {
        let iss = token.issuer()?;
        let mut issuers = self.issuers.iter().map(AsRef::as_ref).enumerate();
        issuers.find(|(_, issuer): &(usize, &Issuer)| issuer.is_called(iss))
    }

    /// How the claims of a token become rights.
    pub(super) fn grants<'v>(&'v self, token: &Signed<'v>) -> &'v Grants {
        match token.by {
            SignedBy::Issuer { issuer, .. } => &issuer.config.grants,
            SignedBy::Key { .. } => &self.grants,
        }
    }

    /// Whether the claims are meant for this gateway.
    fn is_meant(&self, token: &Signed<'_>) -> Result<(), Refusal> {
        let claims = &token.claims;
        let audience = match token.by {
            SignedBy::Issuer { issuer, .. } => Some(issuer.config.audience.as_slice()),
            SignedBy::Key { .. } => {
                if self.config.issuer.is_some() && claims.text("iss") != self.config.issuer.as_deref() {
                    return Err(Refusal::OtherIssuer);
                }
                self.config.audience.as_ref().map(std::slice::from_ref)
            }
        };
        match audience {
            Some(audience) if !claims.is_for(audience) => Err(Refusal::OtherAudience),
            Some(_) | None => Ok(()),
        }
    }

    /// The caller of claims whose signature is good.
    pub(super) fn accepted(&self, token: &Signed<'_>) -> Result<Verified, Refusal> {
        let (claims, grants) = (&token.claims, self.grants(token));
        let times = claims.times()?;
        times.check(self.clock.now(), self.config.leeway)?;
        self.is_meant(token)?;
        let granted = grants.of(claims);
        let owned = |claim: &str| claims.text(claim).map(ToOwned::to_owned);
        let caller = Caller {
            name: claims.subject(&grants.subject_claim)?.map(ToOwned::to_owned),
            issuer: owned("iss"),
            scopes: granted.scopes,
            tenancy: granted.tenancy,
            token_id: owned("jti"),
            expires_at: times.expires_at(),
            rules: granted.rules,
        };
        let by = match token.by {
            SignedBy::Issuer {
                place, generation, ..
            } => Some((place, generation)),
            SignedBy::Key { .. } => None,
        };
        Ok(Verified {
            caller: Arc::new(caller),
            times,
            by,
        })
    }
}

/// A token whose signature is good; nothing else of it was checked.
pub(super) struct Signed<'v> {
    pub claims: Claims,
    pub algorithm: Algorithm,
    pub key_id: Option<String>,
    pub by: SignedBy<'v>,
}

fn count(outcome: &'static str) {
    metrics::counter!(names::AUTH_VERIFICATIONS, "outcome" => outcome).increment(1);
}

/// Whose key signed a token.
#[derive(Clone, Copy)]
pub(super) enum SignedBy<'v> {
    /// An issuer's, by its place in the configuration; of this generation of its set.
    Issuer {
        place: usize,
        issuer: &'v Issuer,
        generation: u64,
    },
    /// The configured key at this place.
    Key { place: usize },
}
