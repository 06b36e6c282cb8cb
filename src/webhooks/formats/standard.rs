//! The standard format: the event itself, signed by Standard Webhooks 1.0 (HMAC-SHA256 over `id.timestamp.body`).
//!
//! Source: the specification at standardwebhooks.com, version 1.0.0. Checked against its own vector, and here and in
//! `tests/it/delivery` against another library.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Row;
use super::shape::Shape;
use super::text::Dialect;
use super::verdict::by_status;
use crate::domain::webhook::Format;
use crate::domain::webhook::endpoint::SigningSecret;

/// The event as it is stored.
pub(super) const ROW: Row = Row {
    format: Format::Standard,
    content_type: "application/json",
    dialect: Dialect::Plain,
    per_second: None,
    query: &[],
    signed: true,
    kept: false,
    shape: Shape::ANY,
    body: |event| Some(event.body.to_owned()),
    verdict: by_status,
};

/// The value of `webhook-signature`; `timestamp` is this attempt's, in seconds since 1970. None only for a secret
/// that is none, which is never stored.
#[must_use]
pub fn signature(secret: &SigningSecret, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.key()?);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    Some(format!("v1,{}", STANDARD.encode(context.sign())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_vector_holds() {
        let secret = SigningSecret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").expect("a secret");
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            signature(&secret, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body).as_deref(),
            Some("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=")
        );
    }

    #[test]
    fn another_library_accepts_what_we_sign() {
        let secret = SigningSecret::from_key(&[9; 32]);
        let body = "{\"name\":\"Größe\"}";
        let now =
            i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("fits");
        let value = signature(&secret, "evt_1", now, body.as_bytes()).expect("signed");
        let mut headers = http::HeaderMap::new();
        headers.insert("webhook-id", "evt_1".parse().expect("a value"));
        headers.insert("webhook-timestamp", now.to_string().parse().expect("a value"));
        headers.insert("webhook-signature", value.parse().expect("a value"));
        let theirs = standardwebhooks::Webhook::from_bytes(secret.key().expect("a key")).expect("a key");
        theirs
            .verify(body.as_bytes(), &headers)
            .expect("the signature is right");
        assert!(theirs.verify(b"another body", &headers).is_err());
    }
}
