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
    /// `typ` names another kind of token (RFC 8725 section 3.11), such as one that tells of a logout.
    #[error("the token is of another kind than an access token")]
    OtherKind,
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
    /// The claim that names the caller is there and is no text.
    #[error("the claim that names the caller is not text")]
    UnreadableSubject,
    /// The nonce of an ID token is not that of the login (OIDC Core section 3.1.3.7).
    #[error("the ID token was issued for another login")]
    OtherLogin,
    /// `iss` is another.
    #[error("the token comes from another issuer")]
    OtherIssuer,
    /// `aud` names others only.
    #[error("the token is meant for another audience")]
    OtherAudience,
}

impl Refusal {
    /// What whoever sent the token, or whoever configured the gateway, can do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::TooLong => "tokens have 16 KiB at most; let the issuer put fewer groups into it",
            Self::NotSigned => {
                "send a signed JSON Web Token (three parts, an algorithm of RS256-512, PS256-512, ES256, ES384, EdDSA or \
                 HS256), not an opaque or an encrypted one"
            }
            Self::Critical => "let the issuer leave out the header members crit and b64",
            Self::OtherKind => "send the access token, not the ID, refresh or logout token",
            Self::AmbiguousHeader | Self::AmbiguousClaims => {
                "let the issuer give each member once and without U+0000"
            }
            Self::UnknownKey => {
                "is the issuer of the token among auth.issuers (letter by letter), or its key among auth.keys with this \
                 very algorithm?"
            }
            Self::UnknownKeyId => {
                "get a new token, signed with a current key; `emgate check` says which keys of the issuer are not used"
            }
            Self::KeysUnavailable => "`emgate check` says why the keys of the issuer cannot be fetched",
            Self::NoObject => "let the issuer make the claims a JSON object",
            Self::NeverExpires => "let the issuer set exp",
            Self::UnreadableExpiry | Self::UnreadableStart | Self::UnreadableIssueTime => {
                "let the issuer write exp, nbf and iat as numbers: seconds since 1970"
            }
            Self::Expired => "get a new token; if this one is new, compare the clocks of issuer and gateway",
            Self::NotYetValid | Self::IssuedAhead => {
                "compare the clocks of issuer and gateway, which may differ by auth.leeway"
            }
            Self::UnreadableSubject => "name a claim that is text in subject_claim",
            Self::OtherLogin => "log in again",
            Self::OtherIssuer => "use a token of an issuer that is configured (auth.issuers, auth.issuer)",
            Self::OtherAudience => {
                "request the token for the gateway's audience, or add the token's to the audience of its issuer"
            }
        }
    }
}
