//! The keys and the makers of tokens of the attacks. Whatever a token says of its own holds the word `canary`.

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::support::idp::{Pair, base64url, sign_by};
use crate::support::seconds_now;

pub const A: &str = "https://idp.example/a";
pub const B: &str = "https://idp.example/b";

/// Keys of issuer A.
pub static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::RS256));
pub static EC: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::ES256));
pub static ED: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::EdDSA));
/// Keys that A publishes and nobody may use.
pub static FOR_ENCRYPTION: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::ES256));
pub static TOLD: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::ES256));
pub const SHARED: &str = "a symmetric key that somebody has put into a public set";
/// The key of issuer B.
pub static OTHERS: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::ES256));
/// The public key among `[[auth.keys]]`.
pub static OWN: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::RS256));
/// The attacker's.
pub static THEIRS: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::RS256));

pub fn keys_of_a() -> Vec<Value> {
    let modulus = RSA.jwk["n"].as_str().expect("a modulus").to_owned();
    vec![
        RSA.jwk_with(&json!({"kid": "r1", "alg": "RS256", "use": "sig"})),
        EC.jwk_with(&json!({"kid": "e1"})),
        ED.jwk_with(&json!({"kid": "d1"})),
        FOR_ENCRYPTION.jwk_with(&json!({"kid": "enc", "use": "enc"})),
        TOLD.jwk_with(&json!({"kid": "told", "d": base64url([7; 32])})),
        json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": base64url(SHARED)}),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "low", "x": base64url(IDENTITY)}),
        json!({"kty": "RSA", "kid": "short", "n": base64url([0xc5; 128]), "e": "AQAB"}),
        json!({"kty": "RSA", "kid": "one", "n": modulus, "e": "AQ"}),
    ]
}

pub fn keys_of_b() -> Vec<Value> {
    vec![OTHERS.jwk_with(&json!({"kid": "b1"}))]
}

/// The neutral point of edwards25519, as a key and as a signature's first half.
pub const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// Good claims of issuer A with some replaced or, for null, removed.
#[expect(clippy::needless_pass_by_value, reason = "rows of tables are shorter so")]
pub fn claims(edits: Value) -> String {
    let mut claims = json!({
        "iss": A, "aud": "emgate", "exp": seconds_now() + 600, "iat": seconds_now(), "sub": "canary-subject",
        "scope": "plans:read tenants:all", "jti": "canary-id", "email": "canary@idp.example",
    });
    let members = claims.as_object_mut().expect("an object");
    members.extend(edits.as_object().expect("an object").clone());
    members.retain(|_, value| !value.is_null());
    claims.to_string()
}

pub fn good() -> String {
    claims(json!({}))
}

/// A header of this algorithm and key.
pub fn header(algorithm: &str, key: &str) -> String {
    json!({"alg": algorithm, "typ": "JWT", "kid": key}).to_string()
}

/// The same with other members.
pub fn header_with(algorithm: &str, more: &Value) -> String {
    let mut header = json!({"alg": algorithm});
    let members = header.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    header.to_string()
}

/// A token of A's, good but for what its claims say.
pub fn of_a(claims: impl AsRef<[u8]>) -> String {
    EC.sign(header("ES256", "e1"), claims)
}

/// A token that A's key signed under this header.
pub fn headed(header: impl AsRef<[u8]>) -> String {
    EC.sign(header, good())
}

/// Good claims under any header, with these bytes as the signature.
pub fn bare(header: impl AsRef<[u8]>, signature: impl AsRef<[u8]>) -> String {
    format!(
        "{}.{}.{}",
        base64url(header),
        base64url(good()),
        base64url(signature)
    )
}

/// A token by a secret.
pub fn hmac(secret: impl AsRef<[u8]>, algorithm: Algorithm, header: impl AsRef<[u8]>) -> String {
    sign_by(
        &EncodingKey::from_secret(secret.as_ref()),
        algorithm,
        header,
        good(),
    )
}

/// A good token.
pub fn token() -> String {
    of_a(good())
}

/// The three parts of a token of A's.
pub fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().expect("three parts")
}

/// A good token whose signature's bytes were changed.
pub fn with_signature(change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    resigned(&token(), change)
}

/// A token whose signature's bytes were changed.
pub fn resigned(token: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let [header, claims, signature] = parts(token);
    let bytes = URL_SAFE_NO_PAD.decode(signature).expect("bytes");
    format!("{header}.{claims}.{}", base64url(change(bytes)))
}

/// The last character with the bits set that say nothing.
pub fn loose(part: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_ne!(part.len() % 4, 0, "all bits of it count");
    let (rest, last) = part.split_at(part.len() - 1);
    let value = ALPHABET
        .iter()
        .position(|known| *known == last.as_bytes()[0])
        .expect("of the alphabet");
    format!("{rest}{}", char::from(ALPHABET[value | 1]))
}

/// A signature as ASN.1 has it (RFC 3279), from the form that tokens have.
pub fn as_der(signature: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let mut number = number[zeros..].to_vec();
        if number.first().is_none_or(|first| *first >= 0x80) {
            number.insert(0, 0);
        }
        [&[2, u8::try_from(number.len()).expect("short")][..], &number].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).expect("short")][..], &both].concat()
}

/// An Ed25519 signature whose scalar has the group's order added: the same number to whoever does not check its size.
pub fn unreduced(mut signature: Vec<u8>) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, more) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    signature
}

/// What PKCS#1 signs of a text, which with an exponent of 1 is its signature.
pub fn padded_digest(text: &str) -> Vec<u8> {
    const SHA256: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
        0x04, 0x20,
    ];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let end = [&[0][..], &SHA256, digest.as_ref()].concat();
    [&[0, 1][..], &vec![0xff; 256 - 2 - end.len()], &end].concat()
}

/// What of a token must be nowhere else: its own words, and its signature.
pub fn traces(token: &str) -> Vec<String> {
    let mut traces = vec!["canary".to_owned()];
    let signature = token.rsplit('.').next().unwrap_or_default();
    traces.extend(signature.get(..16).map(str::to_owned));
    traces.extend(token.get(..40).map(str::to_owned));
    traces
}
