//! Why a token is not accepted, in words that callers may read: they hold nothing of the token.

use crate::domain::access::Scope;

/// Why a token is not accepted. Its text is public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than any token.
    #[error("the token is too long")]
    TooLong,
    /// No JWS in compact form, or an algorithm that no key can have, `none` included.
    #[error("this is not a signed JSON Web Token of a known algorithm")]
    NotSigned,
    /// `crit` in the header: what must be understood and is not makes the token invalid (RFC 7515 section 4.1.11).
    #[error("the token demands extensions that are not supported")]
    Critical,
    /// No key of its algorithm verifies it.
    #[error("no trusted key signed the token")]
    UnknownKey,
    /// Readers of JSON could disagree about the claims.
    #[error("a claim is given more than once or contains the character U+0000")]
    AmbiguousClaims,
    /// The claims are other JSON.
    #[error("the token's claims are not a JSON object")]
    NoObject,
    /// No `exp`.
    #[error("the token never expires; exp is required")]
    NeverExpires,
    /// `exp` is no number.
    #[error("exp is not a number")]
    UnreadableExpiry,
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is no number.
    #[error("nbf is not a number")]
    UnreadableStart,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iss` is another.
    #[error("the token comes from another issuer")]
    OtherIssuer,
    /// `aud` names others only.
    #[error("the token is meant for another audience")]
    OtherAudience,
    /// A tenant claim, which is not supported.
    #[error(
        "the token is confined to tenants by its tenant claim, which this version does not support yet; use a token \
         without that claim and with the scope tenants:all"
    )]
    ConfinedToTenants,
    /// Neither confined to tenants nor for all of them.
    #[error("a token without a tenant claim needs the scope tenants:all")]
    ForNoTenant,
}

impl Refusal {
    /// The scope without which a valid token is of no use; none when the token itself is invalid.
    #[must_use]
    pub const fn missing_scope(self) -> Option<Scope> {
        match self {
            Self::ConfinedToTenants | Self::ForNoTenant => Some(Scope::TenantsAll),
            Self::TooLong
            | Self::NotSigned
            | Self::Critical
            | Self::UnknownKey
            | Self::AmbiguousClaims
            | Self::NoObject
            | Self::NeverExpires
            | Self::UnreadableExpiry
            | Self::Expired
            | Self::UnreadableStart
            | Self::NotYetValid
            | Self::OtherIssuer
            | Self::OtherAudience => None,
        }
    }
}
