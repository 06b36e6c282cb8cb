//! A JWK set (RFC 7517) as the keys that tokens can be verified with; everything else in it is ignored for a reason. Pure.
//!
//! The algorithms belong to the keys: they follow from type and curve, from `alg`, and from what is configured. A
//! symmetric algorithm and `none` are never among them.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::jws::Jws;
use super::keys::public_key_algorithm;

/// Most keys of a set that are used.
const MOST_KEYS: usize = 100;
/// Sizes of an RSA modulus in bits: what is safe, and what the library takes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why a key of a set is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it is no JSON object")]
    NoObject,
    #[error("it is symmetric")]
    Symmetric,
    #[error("it is private")]
    Private,
    #[error("it is not for signatures")]
    OtherUse,
    #[error("its type or curve is unknown")]
    UnknownType,
    #[error("a member is missing or is not base64url")]
    Unreadable,
    #[error("its modulus is not of {} to {} bits", RSA_BITS.start(), RSA_BITS.end())]
    RsaSize,
    #[error("its exponent is not an odd number above 1")]
    RsaExponent,
    #[error("its point is not on the curve")]
    OffCurve,
    #[error("its point is of low order")]
    LowOrder,
    #[error("no algorithm that is allowed fits it")]
    NoAlgorithm,
    #[error("an earlier key has its kid and algorithm")]
    Repeated,
    #[error("the set has more than {MOST_KEYS} keys")]
    TooMany,
}

/// A key that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ignored {
    /// Its place in the set, from 0.
    pub place: usize,
    pub reason: Unfit,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}: {}", self.place, self.reason)
    }
}

/// The usable keys of an issuer.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<SetKey>);

#[derive(Debug)]
struct SetKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    verifying: DecodingKey,
}

impl KeySet {
    /// The keys of a JWK set, and what was ignored. `allowed` limits the algorithms; empty, it does not. `None` when the
    /// document is no JWK set.
    pub fn read(document: &Value, allowed: &[Algorithm]) -> Option<(Self, Vec<Ignored>)> {
        let (mut set, mut ignored) = (Self::default(), Vec::new());
        for (place, jwk) in document.get("keys")?.as_array()?.iter().enumerate() {
            if place == MOST_KEYS {
                let reason = Unfit::TooMany;
                ignored.push(Ignored { place, reason });
                break;
            }
            match set.usable(jwk, allowed) {
                Ok(key) => set.0.push(key),
                Err(reason) => ignored.push(Ignored { place, reason }),
            }
        }
        Some((set, ignored))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key of this id may be here. One without an id may have any.
    pub fn may_hold(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.is_called(Some(id)))
    }

    /// Whether a key of the token's id and algorithm signed it; every key of its algorithm is tried when it names none.
    pub fn verifies(&self, token: &Jws<'_>) -> bool {
        let mut fitting = self.0.iter().filter(|key| {
            key.algorithms.contains(&token.algorithm) && key.is_called(token.key_id.as_deref())
        });
        fitting.any(|key| token.is_signed_by(&key.verifying))
    }

    fn usable(&self, jwk: &Value, allowed: &[Algorithm]) -> Result<SetKey, Unfit> {
        let key = SetKey::read(jwk.as_object().ok_or(Unfit::NoObject)?, allowed)?;
        let repeated = self.0.iter().any(|earlier| {
            earlier.id.is_some()
                && earlier.id == key.id
                && earlier.algorithms.iter().any(|one| key.algorithms.contains(one))
        });
        if repeated { Err(Unfit::Repeated) } else { Ok(key) }
    }
}

impl SetKey {
    fn read(jwk: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Self, Unfit> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            let decoded = text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            decoded.ok_or(Unfit::Unreadable)
        };
        let kind = text("kty");
        if kind == Some("oct") || jwk.contains_key("k") {
            return Err(Unfit::Symmetric);
        }
        if ["d", "p", "q"].iter().any(|name| jwk.contains_key(*name)) {
            return Err(Unfit::Private);
        }
        let operations = jwk.get("key_ops").and_then(Value::as_array);
        if jwk.get("use").is_some_and(|purpose| purpose != "sig")
            || operations.is_some_and(|all| !all.iter().any(|one| one == "verify"))
        {
            return Err(Unfit::OtherUse);
        }
        let (fitting, verifying) = match (kind, text("crv")) {
            (Some("RSA"), _) => (RSA, rsa(&bytes("n")?, &bytes("e")?)?),
            (Some("EC"), Some("P-256")) => (
                &[Algorithm::ES256][..],
                point(&ECDSA_P256_SHA256_FIXED, &bytes("x")?, &bytes("y")?)?,
            ),
            (Some("EC"), Some("P-384")) => (
                &[Algorithm::ES384][..],
                point(&ECDSA_P384_SHA384_FIXED, &bytes("x")?, &bytes("y")?)?,
            ),
            (Some("OKP"), Some("Ed25519")) => (&[Algorithm::EdDSA][..], edwards(&bytes("x")?)?),
            _ => return Err(Unfit::UnknownType),
        };
        // RFC 9864 renames EdDSA over this curve.
        let own = jwk.get("alg").map(|_| match text("alg") {
            Some("Ed25519") => Some(Algorithm::EdDSA),
            Some(name) => public_key_algorithm(name).ok(),
            None => None,
        });
        let algorithms: Vec<Algorithm> = fitting
            .iter()
            .copied()
            .filter(|one| own.is_none_or(|own| own == Some(*one)))
            .filter(|one| allowed.is_empty() || allowed.contains(one))
            .collect();
        if algorithms.is_empty() {
            return Err(Unfit::NoAlgorithm);
        }
        Ok(Self {
            id: text("kid").map(ToOwned::to_owned),
            algorithms,
            verifying,
        })
    }

    fn is_called(&self, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => own == id,
            (None, _) | (_, None) => true,
        }
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<DecodingKey, Unfit> {
    let significant = |number: &[u8]| -> Vec<u8> { number.iter().copied().skip_while(|b| *b == 0).collect() };
    let (modulus, exponent) = (significant(modulus), significant(exponent));
    let bits = modulus.first().map_or(0, |first| {
        modulus.len() * 8 - usize::try_from(first.leading_zeros()).unwrap_or(0)
    });
    if !RSA_BITS.contains(&bits) {
        return Err(Unfit::RsaSize);
    }
    let odd = exponent.last().is_some_and(|last| last % 2 == 1);
    if !odd || exponent == [1] {
        return Err(Unfit::RsaExponent);
    }
    Ok(DecodingKey::from_rsa_raw_components(&modulus, &exponent))
}

/// A point of a curve of prime order, on which no point but infinity is of low order, and that one cannot be written.
fn point(curve: &'static dyn VerificationAlgorithm, x: &[u8], y: &[u8]) -> Result<DecodingKey, Unfit> {
    let uncompressed = [&[4], x, y].concat();
    if x.len() != y.len() || ParsedPublicKey::new(curve, &uncompressed).is_err() {
        return Err(Unfit::OffCurve);
    }
    Ok(DecodingKey::from_ec_der(&uncompressed))
}

/// A point of edwards25519. One that is on no curve verifies nothing; one of low order would verify forgeries.
fn edwards(x: &[u8]) -> Result<DecodingKey, Unfit> {
    let mut y = <[u8; 32]>::try_from(x).map_err(|_| Unfit::Unreadable)?;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    if LOW_ORDER.contains(&y) {
        return Err(Unfit::LowOrder);
    }
    // 2^255 - 19 and above: one number written in two ways.
    let [first, inner @ .., last] = &y;
    if *last == 0x7f && inner.iter().all(|b| *b == 0xff) && *first >= 0xed {
        return Err(Unfit::OffCurve);
    }
    Ok(DecodingKey::from_ed_der(x))
}

/// The y of the points of order 1, 2, 4 and 8, those above the field's prime included, without the bit for x.
const LOW_ORDER: [[u8; 32]; 7] = [
    number(0, 0, 0),
    number(1, 0, 0),
    number(0xec, 0xff, 0x7f),
    number(0xed, 0xff, 0x7f),
    number(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// A number of 32 bytes, lowest first.
const fn number(first: u8, inner: u8, last: u8) -> [u8; 32] {
    let i = inner;
    [
        first, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, i, last,
    ]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{self, jwk};
    use super::*;

    fn read(keys: Value, allowed: &[Algorithm]) -> (KeySet, Vec<Ignored>) {
        let document = Map::from_iter([("keys".to_owned(), keys)]);
        KeySet::read(&document.into(), allowed).expect("a set")
    }

    /// A key with members replaced or, for null, removed.
    fn but(algorithm: Algorithm, edits: Value) -> Value {
        let mut key = jwk(algorithm, None);
        let members = key.as_object_mut().expect("an object");
        let Value::Object(edits) = edits else {
            panic!("{edits} is no object");
        };
        members.extend(edits);
        members.retain(|_, value| !value.is_null());
        key
    }

    fn text(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    #[rstest]
    #[case::rsa(but(Algorithm::RS256, json!({"alg": null})), RSA)]
    #[case::rsa_with_alg(but(Algorithm::RS256, json!({"alg": "PS384"})), &[Algorithm::PS384])]
    #[case::p256(but(Algorithm::ES256, json!({"alg": null, "use": "sig"})), &[Algorithm::ES256])]
    #[case::p384(but(Algorithm::ES384, json!({"key_ops": ["verify"]})), &[Algorithm::ES384])]
    #[case::ed25519(but(Algorithm::EdDSA, json!({"alg": "Ed25519"})), &[Algorithm::EdDSA])]
    fn a_keys_algorithms_follow_from_the_key(#[case] key: Value, #[case] algorithms: &[Algorithm]) {
        let (set, ignored) = read(json!([key]), &[]);
        assert_eq!(ignored, []);
        assert_eq!(set.0[0].algorithms, algorithms);
    }

    #[rstest]
    #[case::no_object(json!("key"), Unfit::NoObject)]
    #[case::symmetric(json!({"kty": "oct", "k": "AAAA", "alg": "HS256"}), Unfit::Symmetric)]
    #[case::private(but(Algorithm::ES256, json!({"d": "AAAA"})), Unfit::Private)]
    #[case::private_rsa(but(Algorithm::RS256, json!({"p": "AAAA"})), Unfit::Private)]
    #[case::encryption(but(Algorithm::RS256, json!({"use": "enc"})), Unfit::OtherUse)]
    #[case::signing(but(Algorithm::RS256, json!({"key_ops": ["sign"]})), Unfit::OtherUse)]
    #[case::no_type(but(Algorithm::RS256, json!({"kty": null})), Unfit::UnknownType)]
    #[case::other_type(but(Algorithm::RS256, json!({"kty": "AKP"})), Unfit::UnknownType)]
    #[case::other_curve(but(Algorithm::ES256, json!({"crv": "secp256k1"})), Unfit::UnknownType)]
    #[case::ed448(but(Algorithm::EdDSA, json!({"crv": "Ed448"})), Unfit::UnknownType)]
    #[case::x25519(but(Algorithm::EdDSA, json!({"crv": "X25519"})), Unfit::UnknownType)]
    #[case::no_modulus(but(Algorithm::RS256, json!({"n": null})), Unfit::Unreadable)]
    #[case::padded(but(Algorithm::RS256, json!({"e": "AQAB="})), Unfit::Unreadable)]
    #[case::short_rsa(but(Algorithm::RS256, json!({"n": text(&[0xff; 128])})), Unfit::RsaSize)]
    #[case::a_bit_too_short(but(Algorithm::RS256, json!({"n": text(&[0x7f; 256])})), Unfit::RsaSize)]
    #[case::short_rsa_with_zeros(but(Algorithm::RS256, json!({"n": text(&[&[0; 128][..], &[0xff; 128]].concat())})), Unfit::RsaSize)]
    #[case::huge_rsa(but(Algorithm::RS256, json!({"n": text(&[0xff; 1025])})), Unfit::RsaSize)]
    #[case::exponent_of_one(but(Algorithm::RS256, json!({"e": "AQ"})), Unfit::RsaExponent)]
    #[case::even_exponent(but(Algorithm::RS256, json!({"e": "AQAA"})), Unfit::RsaExponent)]
    #[case::off_curve(but(Algorithm::ES256, json!({"x": text(&[1; 32])})), Unfit::OffCurve)]
    #[case::zero(but(Algorithm::ES256, json!({"x": text(&[0; 32]), "y": text(&[0; 32])})), Unfit::OffCurve)]
    #[case::short_point(but(Algorithm::ES384, json!({"x": text(&[1; 32]), "y": text(&[1; 32])})), Unfit::OffCurve)]
    #[case::curve_of_another(but(Algorithm::ES384, json!({"crv": "P-256"})), Unfit::OffCurve)]
    #[case::order_four(but(Algorithm::EdDSA, json!({"x": text(&[0; 32])})), Unfit::LowOrder)]
    #[case::order_one(but(Algorithm::EdDSA, json!({"x": text(&number(1, 0, 0))})), Unfit::LowOrder)]
    #[case::order_two_and_the_sign(but(Algorithm::EdDSA, json!({"x": text(&number(0xec, 0xff, 0xff))})), Unfit::LowOrder)]
    #[case::order_eight(but(Algorithm::EdDSA, json!({"x": text(&LOW_ORDER[5])})), Unfit::LowOrder)]
    #[case::not_canonical(but(Algorithm::EdDSA, json!({"x": text(&number(0xf0, 0xff, 0x7f))})), Unfit::OffCurve)]
    #[case::short_edwards(but(Algorithm::EdDSA, json!({"x": text(&[9; 31])})), Unfit::Unreadable)]
    #[case::hs256_on_rsa(but(Algorithm::RS256, json!({"alg": "HS256"})), Unfit::NoAlgorithm)]
    #[case::none(but(Algorithm::ES256, json!({"alg": "none"})), Unfit::NoAlgorithm)]
    #[case::alg_of_another_family(but(Algorithm::ES256, json!({"alg": "RS256"})), Unfit::NoAlgorithm)]
    #[case::alg_is_no_text(but(Algorithm::ES256, json!({"alg": 256})), Unfit::NoAlgorithm)]
    fn a_key_that_cannot_be_trusted_is_ignored_with_its_reason(#[case] key: Value, #[case] reason: Unfit) {
        let sound = jwk(Algorithm::EdDSA, Some("sound"));
        let (set, ignored) = read(json!([key, sound]), &[]);
        assert_eq!(ignored, [Ignored { place: 0, reason }]);
        assert_eq!(set.0.len(), 1, "the others count");
    }

    #[test]
    fn configured_algorithms_limit_what_fits() {
        let keys = json!([
            but(Algorithm::RS256, json!({"alg": null})),
            jwk(Algorithm::ES256, None)
        ]);
        let (set, ignored) = read(keys, &[Algorithm::RS512]);
        assert_eq!(set.0[0].algorithms, [Algorithm::RS512]);
        let reason = Unfit::NoAlgorithm;
        assert_eq!(ignored, [Ignored { place: 1, reason }]);
    }

    #[test]
    fn a_repeated_kid_is_ignored_unless_its_algorithm_is_another() {
        let keys = json!([
            jwk(Algorithm::ES256, Some("a")),
            jwk(Algorithm::ES256, Some("a")),
            jwk(Algorithm::EdDSA, Some("a")),
        ]);
        let (set, ignored) = read(keys, &[]);
        let reason = Unfit::Repeated;
        assert_eq!((set.0.len(), ignored), (2, vec![Ignored { place: 1, reason }]));
    }

    #[test]
    fn keys_beyond_the_limit_are_ignored() {
        let keys = vec![jwk(Algorithm::EdDSA, None); MOST_KEYS + 5];
        let (set, ignored) = read(json!(keys), &[]);
        assert_eq!((set.0.len(), ignored.len()), (MOST_KEYS, 1));
    }

    #[rstest]
    #[case(json!([]))]
    #[case(json!({}))]
    #[case(json!({"keys": {}}))]
    #[case(json!("keys"))]
    fn what_is_no_set_is_none(#[case] document: Value) {
        assert!(KeySet::read(&document, &[]).is_none());
    }

    #[rstest]
    fn a_key_verifies_what_it_signed(
        #[values(
            Algorithm::RS256,
            Algorithm::PS512,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::EdDSA
        )]
        algorithm: Algorithm,
        #[values(None, Some("k1"))] id: Option<&str>,
    ) {
        let (set, _) = read(json!([jwk(algorithm, Some("k1"))]), &[]);
        let token = testing::signed(algorithm, id, &json!({}));
        assert!(set.verifies(&Jws::parse(&token).expect("a token")));
        let renamed = testing::signed(algorithm, Some("k2"), &json!({}));
        assert!(!set.verifies(&Jws::parse(&renamed).expect("a token")));
    }
}
