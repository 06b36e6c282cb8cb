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
        if members.contains_key("crit") {
            return Err(Refusal::Critical);
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

fn document(part: &str) -> Result<Document, Refusal> {
    let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::NotSigned)?;
    serde_json::from_slice(&text).map_err(|_| Refusal::NotSigned)
}
