//! What the gateway makes of a token, for whoever holds it and wonders: the checks of requests, and what they found.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::jws::Jws;
use super::refusal::Refusal;
use super::verifier::{Signed, SignedBy, Verifier};
use crate::domain::access::{Caller, Scope, Tenancy};

/// What was found of a token. Texts are the token's own and believed only when `rights` is there.
#[derive(Debug)]
pub struct Inspection {
    /// The caller, or why a request with the token would be refused.
    pub outcome: Result<Caller, Refusal>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `aud`.
    pub audience: Vec<String>,
    /// Who it is for.
    pub subject: Option<String>,
    /// The algorithm that its header names.
    pub algorithm: Option<String>,
    /// The key that its header names.
    pub key_id: Option<String>,
    /// Whose keys it is tried with; none when its form is refused.
    pub tried_with: Option<KeyOf>,
    /// The audience that is asked for; none when any will do.
    pub wanted_audience: Option<Vec<String>>,
    /// Why the issuer has no keys at the moment.
    pub without_keys: Option<String>,
    /// `iat`, `nbf` and `exp`, as far as they can be read.
    pub issued_at: Option<Timestamp>,
    /// See [`Inspection::issued_at`].
    pub starts_at: Option<Timestamp>,
    /// See [`Inspection::issued_at`].
    pub expires_at: Option<Timestamp>,
    /// What the claims give, once the signature is good, even when something else is not.
    pub rights: Option<Rights>,
}

/// Whose keys a token is tried with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOf {
    /// Those of this `[[auth.issuers]]`, by its place and name.
    Issuer(usize, String),
    /// All `[[auth.keys]]`; the place of the one that signed it, if any did.
    Keys(Option<usize>),
}

/// What claims give.
#[derive(Debug)]
pub struct Rights {
    /// The scopes.
    pub scopes: BTreeSet<Scope>,
    /// The tenants.
    pub tenancy: Tenancy,
    /// The rules that matched.
    pub rules: Vec<String>,
}

impl Verifier {
    /// Looks at a token as a request's would be, and says what was found. Waits for the keys of its issuer as a request
    /// does.
    pub async fn inspect(&self, token: &str) -> Inspection {
        let mut found = self.said(token);
        match self.signed(token).await {
            Ok(signed) => self.add_signed(&mut found, &signed),
            Err(refusal) => {
                found.outcome = Err(refusal);
                found.without_keys = self.without_keys_of(token);
            }
        }
        found
    }

    /// What the token says, believed or not.
    fn said(&self, token: &str) -> Inspection {
        let mut found = Inspection {
            outcome: Err(Refusal::NotSigned),
            issuer: None,
            audience: Vec::new(),
            subject: None,
            algorithm: None,
            key_id: None,
            tried_with: None,
            wanted_audience: None,
            without_keys: None,
            issued_at: None,
            starts_at: None,
            expires_at: None,
            rights: None,
        };
        let Ok(jws) = Jws::parse(token) else {
            return found;
        };
        found.algorithm = Some(format!("{:?}", jws.algorithm));
        found.key_id.clone_from(&jws.key_id);
        found.issuer = jws.issuer().map(ToOwned::to_owned);
        let (tried_with, wanted) = match self.named(&jws) {
            Some((place, issuer)) => (
                KeyOf::Issuer(place, issuer.config.issuer.clone()),
                Some(issuer.config.audience.clone()),
            ),
            None => (
                KeyOf::Keys(None),
                self.config().audience.clone().map(|audience| vec![audience]),
            ),
        };
        found.tried_with = Some(tried_with);
        found.wanted_audience = wanted;
        found
    }

    /// Why the issuer that a token names has no keys.
    fn without_keys_of(&self, token: &str) -> Option<String> {
        let jws = Jws::parse(token).ok()?;
        let (_, issuer) = self.named(&jws)?;
        issuer.without_keys().map(|(_, reason)| reason)
    }

    fn add_signed(&self, found: &mut Inspection, signed: &Signed<'_>) {
        let (claims, grants) = (&signed.claims, self.grants(signed));
        found.algorithm = Some(format!("{:?}", signed.algorithm));
        found.key_id.clone_from(&signed.key_id);
        found.audience = claims.words("aud").map(ToOwned::to_owned).collect();
        found.subject = claims
            .subject(&grants.subject_claim)
            .ok()
            .flatten()
            .map(ToOwned::to_owned);
        if let Ok(times) = claims.times() {
            found.issued_at = times.issued_at();
            found.starts_at = times.starts_at();
            found.expires_at = Some(times.expires_at());
        }
        if let SignedBy::Key { place } = signed.by {
            found.tried_with = Some(KeyOf::Keys(Some(place)));
        }
        let granted = grants.of(claims);
        found.rights = Some(Rights {
            scopes: granted.scopes,
            tenancy: granted.tenancy,
            rules: granted.rules,
        });
        found.outcome = self.accepted(signed).map(|verified| (*verified.caller).clone());
    }
}
