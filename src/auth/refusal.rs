//! Why a token is not accepted, in words that callers may read: they hold nothing of the token.

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
    /// Readers of JSON could disagree about the header.
    #[error("a member of the token's header is given more than once or contains the character U+0000")]
    AmbiguousHeader,
    /// No key of its algorithm verifies it.
    #[error("no trusted key signed the token")]
    UnknownKey,
    /// Its issuer has no key of the id that it names.
    #[error("the token names a key that its issuer does not have")]
    UnknownKeyId,
    /// The keys of its issuer could not be fetched yet.
    #[error("the keys of the token's issuer are not known at the moment; try again later")]
    KeysUnavailable,
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
    /// `iat` is no number.
    #[error("iat is not a number")]
    UnreadableIssueTime,
    /// `iat` is to come.
    #[error("the token was issued in the future")]
    IssuedAhead,
    /// `iss` is another.
    #[error("the token comes from another issuer")]
    OtherIssuer,
    /// `aud` names others only.
    #[error("the token is meant for another audience")]
    OtherAudience,
}
