//! What signs deliveries: the keys beside the endpoint's secret, and which signatures there are. The signatures
//! themselves are made in `webhooks/signing`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::words::words;

/// The versions of signatures, as an endpoint names them: HMAC-SHA256, and Ed25519.
pub const SIGNATURES: &[&str] = &["v1", "v1a"];

/// The versions that sign the deliveries of an endpoint, which asks for the second or does not.
#[must_use]
pub fn signatures_of(signs_v1a: bool) -> &'static [&'static str] {
    let count = if signs_v1a { 2 } else { 1 };
    SIGNATURES.get(..count).unwrap_or(SIGNATURES)
}

/// How long the secret before a rotation signs beside the new one.
pub const OVERLAP: std::time::Duration = std::time::Duration::from_hours(24);

/// Until when the secret before a rotation at `rotated_at` signs.
#[must_use]
pub fn ends_at(rotated_at: jiff::Timestamp) -> jiff::Timestamp {
    crate::clock::later(rotated_at, OVERLAP)
}

words! {
    /// A signature of the body alone, for receivers that know no other.
    pub enum BodySignature {
        /// `X-Hub-Signature-256`, as GitHub writes it.
        Github = "github",
    }
}

/// An Ed25519 key: `whsk_` and the base64 of seed and public key, 64 bytes.
#[derive(Clone)]
pub struct SigningKey(SecretString);

impl SigningKey {
    /// Reads a key as it is written. Whether seed and public key belong together is seen when it signs.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let key = Self(SecretString::from(text.to_owned()));
        key.bytes().is_some().then_some(key)
    }

    /// The key of a seed and its public key.
    #[must_use]
    pub fn of(seed: &[u8; 32], public: &[u8; 32]) -> Self {
        let bytes = [seed.as_slice(), public.as_slice()].concat();
        Self(SecretString::from(format!("whsk_{}", STANDARD.encode(bytes))))
    }

    /// Seed and public key.
    #[must_use]
    pub fn bytes(&self) -> Option<([u8; 32], [u8; 32])> {
        let encoded = self.0.expose_secret().strip_prefix("whsk_")?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (seed, public) = bytes.split_at_checked(32)?;
        Some((seed.try_into().ok()?, public.try_into().ok()?))
    }

    /// What receivers verify with: `whpk_` and the base64 of the public key.
    #[must_use]
    pub fn public_text(&self) -> Option<String> {
        self.bytes()
            .map(|(_, public)| format!("whpk_{}", STANDARD.encode(public)))
    }

    /// As it is written.
    #[must_use]
    pub const fn text(&self) -> &SecretString {
        &self.0
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsk_***")
    }
}
