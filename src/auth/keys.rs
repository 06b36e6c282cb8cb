//! Keys that tokens are verified with: read once, when the configuration is.
//!
//! The algorithm belongs to the key; what a token says of its own algorithm is only compared with it. Otherwise a token
//! could name HS256 and be verified with an RSA key's public text as the secret.

use std::fmt;

use jsonwebtoken::errors::Result as JwtResult;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::jws::Jws;

/// Shortest HS256 secret, in bytes (RFC 7518 section 3.2: as long as the hash).
const SHORTEST_SECRET: usize = 32;

type ReadPem = fn(&[u8]) -> JwtResult<DecodingKey>;

/// The algorithms of public keys by their names (RFC 7518, RFC 8037), each with what reads its keys.
const PUBLIC_KEYS: &[(&str, Algorithm, ReadPem)] = &[
    ("RS256", Algorithm::RS256, DecodingKey::from_rsa_pem),
    ("RS384", Algorithm::RS384, DecodingKey::from_rsa_pem),
    ("RS512", Algorithm::RS512, DecodingKey::from_rsa_pem),
    ("PS256", Algorithm::PS256, DecodingKey::from_rsa_pem),
    ("PS384", Algorithm::PS384, DecodingKey::from_rsa_pem),
    ("PS512", Algorithm::PS512, DecodingKey::from_rsa_pem),
    ("ES256", Algorithm::ES256, DecodingKey::from_ec_pem),
    ("ES384", Algorithm::ES384, DecodingKey::from_ec_pem),
    ("EdDSA", Algorithm::EdDSA, DecodingKey::from_ed_pem),
];

/// Why a key cannot be used, as a predicate of the setting that gives it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Too short a secret.
    #[error("is too short: HS256 needs {SHORTEST_SECRET} bytes or more")]
    ShortSecret,
    /// The PEM holds a private key.
    #[error("names a private key; the gateway needs only the public one")]
    Private,
    /// The PEM does not hold a public key of the algorithm's family.
    #[error("names a file without a public key for {0:?} in PEM")]
    WrongPem(Algorithm),
}

/// Reads the name of an algorithm of public keys.
///
/// # Errors
/// The names there are.
pub fn public_key_algorithm(text: &str) -> Result<Algorithm, String> {
    let found = PUBLIC_KEYS.iter().find(|(name, _, _)| *name == text);
    found.map(|(_, algorithm, _)| *algorithm).ok_or_else(|| {
        let names: Vec<&str> = PUBLIC_KEYS.iter().map(|(name, _, _)| *name).collect();
        format!("`{text}` is not one of {}", names.join(", "))
    })
}

/// One trusted key with the one algorithm it is used by. Its `Debug` text shows no key material.
#[derive(Clone)]
pub struct Key {
    algorithm: Algorithm,
    verifying: DecodingKey,
    /// The secret of HS256, which signs as well; a public key does not.
    signing: Option<EncodingKey>,
}

impl Key {
    /// A shared secret, taken as the text's bytes.
    ///
    /// # Errors
    /// [`KeyError::ShortSecret`].
    pub fn hs256(secret: &SecretString) -> Result<Self, KeyError> {
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < SHORTEST_SECRET {
            return Err(KeyError::ShortSecret);
        }
        Ok(Self {
            algorithm: Algorithm::HS256,
            verifying: DecodingKey::from_secret(secret),
            signing: Some(EncodingKey::from_secret(secret)),
        })
    }

    /// A public key in PEM, for one algorithm.
    ///
    /// # Errors
    /// [`KeyError::Private`], and [`KeyError::WrongPem`] when the text holds no public key that fits the algorithm.
    pub fn pem(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        if pem.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private);
        }
        let row = PUBLIC_KEYS.iter().find(|(_, known, _)| *known == algorithm);
        let verifying = row.and_then(|(_, _, read)| read(pem.as_bytes()).ok());
        Ok(Self {
            algorithm,
            verifying: verifying.ok_or(KeyError::WrongPem(algorithm))?,
            signing: None,
        })
    }

    /// What it verifies.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A token with these claims; `None` for a public key, which cannot sign.
    ///
    /// # Errors
    /// In theory, when the claims cannot be written as JSON.
    pub fn sign(&self, claims: &impl Serialize) -> Option<JwtResult<String>> {
        let signing = self.signing.as_ref()?;
        Some(jsonwebtoken::encode(
            &Header::new(self.algorithm),
            claims,
            signing,
        ))
    }

    /// Whether this key signed the token, which names its algorithm.
    pub(super) fn verifies(&self, token: &Jws<'_>) -> bool {
        self.algorithm == token.algorithm && token.is_signed_by(&self.verifying)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.algorithm)
    }
}
