//! Sealing: secrets in the store are encrypted with AES-256-GCM under a key that lies outside the database. Signing for
//! the store is done by a key derived from that one.
//!
//! The purpose of a secret is authenticated with it, so that a sealed value moved to another column does not open.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use super::{Error, key_file};
use crate::clock::Clock;

const NONCE: usize = 12;

/// What the key that signs anchors of the audit log is derived for; another word would be another key.
const SIGNER: &[u8] = b"emgate audit anchor";

/// Seals and opens secrets, and signs for the store; clones share the keys.
#[derive(Clone)]
pub struct Sealer(Arc<Keys>);

struct Keys {
    seal: RandomizedNonceKey,
    sign: Ed25519KeyPair,
}

impl Sealer {
    /// Reads the key in `file`.
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        let bad = || Error::BadKey {
            file: file.display().to_string(),
        };
        let text = std::fs::read_to_string(file).map_err(|source| match source.kind() {
            // Bytes that are no text are no base64 either.
            ErrorKind::InvalidData => bad(),
            _ => key_file::unusable(file, source),
        })?;
        let text = SecretString::from(text);
        Self::from_base64(text.expose_secret()).ok_or_else(bad)
    }

    /// Makes a key and writes it to `file`, readable by its owner only.
    pub(super) fn make(file: &Path, clock: &dyn Clock) -> Result<Self, Error> {
        let mut key = [0u8; 32];
        clock.random(&mut key);
        let text = SecretString::from(STANDARD.encode(key));
        key_file::write_whole(file, text.expose_secret())?;
        Self::read(file)
    }

    /// None where that is not 32 bytes.
    fn from_base64(text: &str) -> Option<Self> {
        let bytes = SecretSlice::from(STANDARD.decode(text.trim()).ok()?);
        let bytes = bytes.expose_secret();
        if bytes.len() != 32 {
            return None;
        }
        let seal = RandomizedNonceKey::new(&AES_256_GCM, bytes).ok()?;
        let sign = signer(bytes).ok()?;
        Some(Self(Arc::new(Keys { seal, sign })))
    }

    /// The key that signs for the store: the same on all replicas, since it is derived from the key that they share.
    pub(super) fn signer(&self) -> &Ed25519KeyPair {
        &self.0.sign
    }

    /// Seals `secret`; `purpose` is the column it goes to. The result is base64 of nonce, ciphertext and tag.
    ///
    /// # Errors
    /// [`Error::Unsealable`] when the cipher refuses, which it does only for absurd lengths.
    pub fn seal(&self, purpose: &str, secret: &SecretString) -> Result<String, Error> {
        let mut body = secret.expose_secret().as_bytes().to_vec();
        let nonce = self
            .0
            .seal
            .seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut body)
            .map_err(|_| Error::Unsealable)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend_from_slice(&body);
        Ok(STANDARD.encode(sealed))
    }

    /// Opens what [`Sealer::seal`] made for the same purpose.
    ///
    /// # Errors
    /// [`Error::Unsealable`] when it was sealed with another key, for another purpose, or changed.
    pub fn open_sealed(&self, purpose: &str, sealed: &str) -> Result<SecretString, Error> {
        let bytes = STANDARD.decode(sealed).map_err(|_| Error::Unsealable)?;
        let (nonce, body) = bytes.split_at_checked(NONCE).ok_or(Error::Unsealable)?;
        let nonce =
            aws_lc_rs::aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Unsealable)?;
        let mut body = body.to_vec();
        let plain = self
            .0
            .seal
            .open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut body)
            .map_err(|_| Error::Unsealable)?;
        let text = std::str::from_utf8(plain).map_err(|_| Error::Unsealable)?;
        Ok(SecretString::from(text.to_owned()))
    }
}

/// The signing key of a store, by HKDF (RFC 5869) from the key that seals it.
fn signer(key: &[u8]) -> Result<Ed25519KeyPair, Unspecified> {
    let mut seed = [0u8; 32];
    Salt::new(HKDF_SHA256, b"")
        .extract(key)
        .expand(&[SIGNER], HKDF_SHA256)?
        .fill(&mut seed)?;
    Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| Unspecified)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn sealer() -> Sealer {
        Sealer::from_base64(&STANDARD.encode([7u8; 32])).expect("32 bytes")
    }

    #[test]
    fn a_sealed_secret_opens_for_its_purpose_only() {
        let sealed = sealer()
            .seal("endpoint.secret", &SecretString::from("whsec_x"))
            .expect("sealed");
        assert!(!sealed.contains("whsec"));
        assert_eq!(
            sealer()
                .open_sealed("endpoint.secret", &sealed)
                .expect("opened")
                .expose_secret(),
            "whsec_x"
        );
        assert!(matches!(
            sealer().open_sealed("logon.token", &sealed),
            Err(Error::Unsealable)
        ));
    }

    #[rstest]
    #[case::empty(b"")]
    #[case::cut_by_a_full_disk(b"BwcHBwcHBwcHBwcH")]
    #[case::of_another_length(b"c2hvcnQ=")]
    #[case::no_text(&[0xfe; 32])]
    fn a_file_without_a_key_is_named_with_what_to_do(#[case] bytes: &[u8]) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("emgate.db.key");
        std::fs::write(&file, bytes).expect("written");
        let Err(error) = Sealer::read(&file) else {
            panic!("it was taken for a key")
        };
        assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains("openssl rand")),
            "{error:?}"
        );
    }
}
