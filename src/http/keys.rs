//! Keys that tokens are verified with. The algorithm belongs to the key; what a token says of its own algorithm is
//! only compared with it, so that nobody can talk the gateway into verifying an RSA key's text as an HMAC secret.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::ExposeSecret as _;

use super::config::KeyConfig;

/// Shortest HS256 secret, in bytes (RFC 7518 section 3.2: as long as the hash).
const SHORTEST_SECRET: usize = 32;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too short a secret.
    #[error("auth.keys[{index}].secret must have {SHORTEST_SECRET} bytes at least")]
    ShortSecret {
        /// The key's place in the configuration.
        index: usize,
    },
    /// The PEM does not hold a public key of the algorithm's family.
    #[error("auth.keys[{index}].file holds no public key for {algorithm:?}")]
    WrongPem {
        /// The key's place in the configuration.
        index: usize,
        /// What it was configured for.
        algorithm: Algorithm,
        /// What the reader of keys says.
        #[source]
        source: jsonwebtoken::errors::Error,
    },
    /// An algorithm that no public key is for.
    #[error("auth.keys[{index}].algorithm must be one for public keys")]
    NotForPem {
        /// The key's place in the configuration.
        index: usize,
    },
    /// A kind that this version cannot fetch.
    #[error("auth.keys[{index}].kind is not supported yet: use hs256 or pem")]
    UnsupportedKind {
        /// The key's place in the configuration.
        index: usize,
    },
}

/// One trusted key, and the rule to use it by. Its `Debug` text shows no key material.
#[derive(Debug)]
pub(super) struct Key {
    decoding: DecodingKey,
    validation: Validation,
    algorithm: Algorithm,
}

impl Key {
    /// Reads one entry of the configuration.
    pub(super) fn read(index: usize, config: &KeyConfig) -> Result<Self, Error> {
        let (algorithm, decoding) = match config {
            KeyConfig::Hs256 { secret } => {
                let secret = secret.expose_secret().as_bytes();
                if secret.len() < SHORTEST_SECRET {
                    return Err(Error::ShortSecret { index });
                }
                (Algorithm::HS256, DecodingKey::from_secret(secret))
            }
            KeyConfig::Pem { algorithm, pem } => {
                let pem = pem.as_bytes();
                let decoding = match algorithm {
                    Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
                    Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
                    Algorithm::RS256
                    | Algorithm::RS384
                    | Algorithm::RS512
                    | Algorithm::PS256
                    | Algorithm::PS384
                    | Algorithm::PS512 => DecodingKey::from_rsa_pem(pem),
                    // The HMAC family, and whatever the library may learn later.
                    _ => return Err(Error::NotForPem { index }),
                };
                let decoding = decoding.map_err(|source| Error::WrongPem {
                    index,
                    algorithm: *algorithm,
                    source,
                })?;
                (*algorithm, decoding)
            }
            KeyConfig::Jwks { .. } | KeyConfig::Oidc { .. } => return Err(Error::UnsupportedKind { index }),
        };
        Ok(Self {
            decoding,
            validation: signature_only(algorithm),
            algorithm,
        })
    }

    /// Whether a token that names this algorithm may be tried with this key.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithm == algorithm
    }

    /// The claims of `token` if this key signed it.
    pub(super) fn open<C: serde::de::DeserializeOwned>(&self, token: &str) -> Option<C> {
        jsonwebtoken::decode(token, &self.decoding, &self.validation)
            .ok()
            .map(|data| data.claims)
    }
}

/// Only the signature is left to the library: times are judged by the gateway's own clock, see `auth`.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}
