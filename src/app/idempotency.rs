//! `Idempotency-Key`: the same request under the same key is the same operation for 24 hours (docs/behaviour.md#idempotency).
//!
//! A key belongs to the caller (issuer, subject, and the tenants they are confined to); the request it identifies is method, path and the JSON value of
//! the body. Only digests are stored.

use std::fmt::Write as _;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;

use super::json_value::value_digest;
use crate::domain::access::Caller;
use crate::store::idempotency::KeyDigests;

/// A key as a caller sent it: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The header is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 255 visible ASCII characters")]
pub struct InvalidKey;

impl IdempotencyKey {
    /// The key as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidKey)
        }
    }
}

/// A key with the request it came with.
#[derive(Debug, Clone)]
pub struct IdempotentRequest {
    /// The key.
    pub key: IdempotencyKey,
    /// The request's method.
    pub method: String,
    /// The request's path, without the query.
    pub path: String,
    /// The JSON value of its body; null when it has none.
    pub body: Value,
}

impl IdempotentRequest {
    /// What is stored of it.
    pub(super) fn digests(&self, caller: &Caller) -> KeyDigests {
        let mut scope = vec![
            caller.issuer.as_deref().unwrap_or_default(),
            caller.name.as_deref().unwrap_or_default(),
            &self.key.0,
        ];
        // The same name with another confinement is another caller.
        let tenants = caller.tenancy.confinement();
        if let Some(tenants) = &tenants {
            scope.push("tenants");
            scope.extend(tenants.iter().map(String::as_str));
        }
        // Reading a value in memory cannot fail.
        let body = value_digest(&self.body).unwrap_or_default().to_string();
        KeyDigests {
            scope: digest(&scope),
            request: digest(&[&self.method, &self.path, &body]),
        }
    }
}

/// Each part is hashed with its length, so that no two lists of parts have the same input.
fn digest(parts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    context
        .finish()
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(key: &str, path: &str, body: Value) -> IdempotentRequest {
        IdempotentRequest {
            key: key.parse().expect("a key"),
            method: "POST".into(),
            path: path.into(),
            body,
        }
    }

    fn caller(name: &str) -> Caller {
        Caller {
            name: Some(name.into()),
            issuer: None,
            scopes: std::collections::BTreeSet::default(),
            tenancy: crate::domain::access::Tenancy::All,
            token_id: None,
            expires_at: jiff::Timestamp::MAX,
            rules: Vec::new(),
        }
    }

    #[test]
    fn the_same_json_value_is_the_same_request_however_it_is_written() {
        let one = request("k", "/p", json!({"a": 1, "b": [{"c": null, "d": "x"}]}));
        let other = request("k", "/p", json!({"b": [{"d": "x", "c": null}], "a": 1}));
        assert_eq!(one.digests(&caller("portal")), other.digests(&caller("portal")));
    }

    #[test]
    fn the_digests_depend_on_path_body_key_caller() {
        let one = request("k", "/p", json!({})).digests(&caller("portal"));
        assert_ne!(
            one.request,
            request("k", "/q", json!({})).digests(&caller("portal")).request
        );
        assert_ne!(
            one.request,
            request("k", "/p", json!({"a": 1}))
                .digests(&caller("portal"))
                .request
        );
        assert_ne!(
            one.scope,
            request("k", "/p", json!({})).digests(&caller("bot")).scope
        );
        assert_ne!(
            one.scope,
            request("l", "/p", json!({})).digests(&caller("portal")).scope
        );
    }

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        for bad in ["", "a b", "ä", "tab\t", &"x".repeat(256)] {
            assert_eq!(bad.parse::<IdempotencyKey>(), Err(InvalidKey), "{bad}");
        }
        assert!("x".repeat(255).parse::<IdempotencyKey>().is_ok());
    }
}
