//! The signatures of a delivery: of every secret that signs now, HMAC-SHA256 (`v1`) and Ed25519 (`v1a`), in one header.
//!
//! Source: Standard Webhooks 1.0.0, which lists signatures with one blank between them. Official libraries skip the
//! versions that they do not know, so that `v1a` beside `v1` is safe.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use super::formats::standard::signature;
use crate::domain::webhook::endpoint::SigningSecret;
use crate::domain::webhook::signing::SigningKey;
use crate::store::webhooks::destination::Destination;

/// The headers of a signed request. The timestamp, and so the signature, is this attempt's; the id is the event's.
pub(super) fn headers(to: &Destination, id: &str, at: Timestamp, body: &[u8]) -> Option<HeaderMap> {
    let second = at.as_second();
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::try_from(id).ok()?);
    headers.insert("webhook-timestamp", HeaderValue::from(second));
    headers.insert(
        "webhook-signature",
        HeaderValue::try_from(header(to, id, second, body)?).ok()?,
    );
    Some(headers)
}

/// The value of `webhook-signature`, the newest secret's signatures first; `timestamp` is this attempt's, in seconds since
/// 1970. None only for a secret or key that is none, which is never stored.
fn header(to: &Destination, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let previous = to.previous.as_ref();
    let signers = [
        Some((&to.secret, to.key.as_ref())),
        previous.map(|signer| (&signer.secret, signer.key.as_ref())),
    ];
    let mut parts = Vec::with_capacity(4);
    for (secret, key) in signers.into_iter().flatten() {
        parts.push(signature(secret, id, timestamp, body)?);
        if let Some(key) = key {
            parts.push(asymmetric(key, id, timestamp, body)?);
        }
    }
    Some(parts.join(" "))
}

/// `v1a,` and the Ed25519 signature over what `v1` signs as well.
fn asymmetric(key: &SigningKey, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let (seed, public) = key.bytes()?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public).ok()?;
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    Some(format!("v1a,{}", STANDARD.encode(pair.sign(&signed).as_ref())))
}

/// The value of `X-Hub-Signature-256`: the HMAC-SHA256 of the body alone, as GitHub's webhooks have it.
pub(super) fn of_body(secret: &SigningSecret, body: &[u8]) -> Option<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.key()?);
    let tag = hmac::sign(&key, body);
    let hex: Vec<String> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("sha256={}", hex.concat()))
}

/// The Ed25519 key of a random seed.
#[must_use]
pub fn key_of(seed: &[u8; 32]) -> Option<SigningKey> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
    let public: [u8; 32] = pair.public_key().as_ref().try_into().ok()?;
    Some(SigningKey::of(seed, &public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::Format;
    use crate::domain::webhook::connection::Connection;
    use crate::domain::webhook::endpoint::{Headers, Signer};
    use crate::domain::webhook::options::FormatOptions;
    use crate::domain::webhook::target::TargetUrl;

    /// The vector that svix publishes for `v1a`.
    const KEY: &str =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    const SIGNED: &str =
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

    fn destination() -> Destination {
        Destination {
            target: TargetUrl::parse("https://r.example/", false).expect("a URL"),
            secret: SigningSecret::from_key(&[1; 32]),
            key: None,
            previous: None,
            body_signature: None,
            headers: Headers::default(),
            format: Format::Standard,
            options: FormatOptions::default(),
            connection: Connection::default(),
        }
    }

    #[test]
    fn the_published_vector_of_ed25519_holds() {
        let key = SigningKey::parse(KEY).expect("a key");
        let made = asymmetric(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(made.as_deref(), Some(SIGNED));
        assert_eq!(
            key.public_text().as_deref(),
            Some("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")
        );
        let (seed, _) = key.bytes().expect("bytes");
        assert_eq!(key_of(&seed), Some(key));
    }

    #[test]
    fn each_secret_that_signs_has_its_part_newest_first() {
        let mut to = destination();
        assert_eq!(
            header(&to, "evt_1", 7, b"x"),
            signature(&to.secret, "evt_1", 7, b"x")
        );
        to.key = key_of(&[3; 32]);
        to.previous = Some(Signer {
            secret: SigningSecret::from_key(&[2; 32]),
            key: key_of(&[4; 32]),
        });
        let value = header(&to, "evt_1", 7, b"x").expect("a value");
        let parts: Vec<&str> = value.split(' ').collect();
        let versions: Vec<&str> = parts.iter().filter_map(|part| part.split(',').next()).collect();
        assert_eq!(versions, ["v1", "v1a", "v1", "v1a"]);
        assert_eq!(Some(parts[0].to_owned()), signature(&to.secret, "evt_1", 7, b"x"));
        assert_eq!(
            Some(parts[2].to_owned()),
            signature(&SigningSecret::from_key(&[2; 32]), "evt_1", 7, b"x")
        );
    }

    #[test]
    fn the_body_signature_is_that_of_githubs_documentation() {
        // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries, "Testing"; the key there is
        // shorter than a secret may be.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"It's a Secret to Everybody");
        let hex: Vec<String> = hmac::sign(&key, b"Hello, World!")
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex.concat(),
            "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
        let secret = SigningSecret::from_printable("It's a Secret to Everybody").expect("a secret");
        assert_eq!(
            of_body(&secret, b"Hello, World!"),
            Some(format!("sha256={}", hex.concat()))
        );
    }
}
