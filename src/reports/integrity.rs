//! The canonical form of a report (RFC 8785), its digest, and the check of a signature.
//!
//! What is signed is the value, not the bytes of a file: the digest is over the canonical form of the whole report without
//! `integrity.digest` and `integrity.signature`, and the signature over the digest's 32 bytes.

use aws_lc_rs::digest::{SHA256, digest as hash};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What a digest's text begins with.
const PREFIX: &str = "sha-256:";

/// The canonical form of a value (RFC 8785); none of what has none.
#[must_use]
pub fn canonical(value: &Value) -> Option<Vec<u8>> {
    serde_json_canonicalizer::to_vec(value).ok()
}

/// The digest of a report; none of what is no report.
#[must_use]
pub fn digest(report: &Value) -> Option<[u8; 32]> {
    let mut bare = report.clone();
    let integrity = bare.get_mut("integrity")?.as_object_mut()?;
    integrity.shift_remove("digest");
    integrity.shift_remove("signature");
    hash(&SHA256, &canonical(&bare)?).as_ref().try_into().ok()
}

/// A digest as the report tells it.
#[must_use]
pub fn digest_text(digest: &[u8; 32]) -> String {
    digest
        .iter()
        .fold(PREFIX.to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// Puts digest and signature into a report.
///
/// # Errors
/// What `sign` says; none of what is no report.
pub fn complete(report: &mut Value, digest: &[u8; 32], signature: &str) -> Option<()> {
    let integrity = report.get_mut("integrity")?.as_object_mut()?;
    integrity.insert("digest".to_owned(), digest_text(digest).into());
    integrity.insert("signature".to_owned(), signature.into());
    Some(())
}

/// Whether the signature, in base64, is that of the key, in base64, over the digest.
#[must_use]
pub fn is_signed(public_key: &str, digest: &[u8; 32], signature: &str) -> bool {
    let (Ok(key), Ok(signature)) = (STANDARD.decode(public_key), STANDARD.decode(signature)) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, key)
        .verify(digest, &signature)
        .is_ok()
}

/// The hash that a row of the audit log has by its content, in hex.
#[must_use]
pub fn audit_hash(row: &Value) -> Option<String> {
    let mut bare = row.clone();
    bare.as_object_mut()?.shift_remove("hash");
    let canonical = serde_json_canonicalizer::to_vec(&bare).ok()?;
    let hash = hash(&SHA256, &canonical);
    Some(
        hash.as_ref()
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}")),
    )
}
