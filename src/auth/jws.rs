//! A token in compact form (RFC 7515 section 7.1), taken apart before anything of it is believed.
//!
//! Header and claims are read by the program's own reader of JSON, which notices a name that is given more than once;
//! the signature is left to the library.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::json::Document;

/// Longest token that is read, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;
/// What `typ` may say of an access token, ignoring case and `application/` (RFC 7515 section 4.1.9, RFC 9068).
const KINDS: &[&str] = &["jwt", "at+jwt", "jose"];

/// A token whose signature has not been checked.
pub(super) struct Jws<'t> {
    signed: &'t str,
    signature: &'t str,
    /// The algorithm that the header names. A key decides whether it counts.
    pub algorithm: Algorithm,
    /// The key that the header names.
    pub key_id: Option<String>,
    claims: Document,
}

impl<'t> Jws<'t> {
    /// # Errors
    /// What is wrong with the form or the header.
    pub fn parse(token: &'t str) -> Result<Self, Refusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::NotSigned)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::NotSigned)?;
        let header = document(header)?;
        let Value::Object(members) = header.value else {
            return Err(Refusal::NotSigned);
        };
        if !header.faults.is_empty() {
            return Err(Refusal::AmbiguousHeader);
        }
        let named = members.get("alg").and_then(Value::as_str);
        let algorithm = named.and_then(|name| name.parse().ok());
        let algorithm = algorithm.ok_or(Refusal::NotSigned)?;
        // `b64` counts only where `crit` names it (RFC 7797 section 6), and changes what is signed.
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(Refusal::Critical);
        }
        if members.get("typ").is_some_and(|kind| !is_access_token(kind)) {
            return Err(Refusal::OtherKind);
        }
        let key_id = match members.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(Refusal::NotSigned),
        };
        Ok(Self {
            signed,
            signature,
            algorithm,
            key_id,
            claims: document(claims)?,
        })
    }

    /// What the claim `iss` says, believed or not: it decides whose keys are tried.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.value.get("iss")?.as_str()
    }

    /// Whether `key` signed it by the algorithm that the header names.
    pub fn is_signed_by(&self, key: &DecodingKey) -> bool {
        jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, self.algorithm)
            .unwrap_or(false)
    }

    /// The claims, for whoever has checked the signature.
    ///
    /// # Errors
    /// That they are no object, or can be understood in two ways.
    pub fn into_claims(self) -> Result<Map<String, Value>, Refusal> {
        match self.claims.value {
            _ if !self.claims.faults.is_empty() => Err(Refusal::AmbiguousClaims),
            Value::Object(claims) => Ok(claims),
            _ => Err(Refusal::NoObject),
        }
    }
}

fn is_access_token(kind: &Value) -> bool {
    let kind = kind.as_str().unwrap_or_default().to_ascii_lowercase();
    KINDS.contains(&kind.strip_prefix("application/").unwrap_or(&kind))
}

fn document(part: &str) -> Result<Document, Refusal> {
    let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::NotSigned)?;
    serde_json::from_slice(&text).map_err(|_| Refusal::NotSigned)
}
