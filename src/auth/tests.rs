//! Tokens of every kind against docs/behaviour.md#tokens; signed here with the library's other half.

use futures_util::FutureExt as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rstest::rstest;
use serde_json::{Map, Value, json};

use super::*;
use crate::clock::ManualClock;
use crate::domain::access::{Caller, Scope, Tenancy};

mod issuers;

const SECRET: &str = "a secret of thirty-two bytes, or more";
const NOW: i64 = 1_800_000_000;

fn config() -> AuthConfig {
    AuthConfig {
        keys: vec![Key::hs256(&SECRET.to_owned().into()).expect("a long secret")],
        ..AuthConfig::default()
    }
}

fn claims() -> Value {
    json!({"sub": "portal", "exp": NOW + 60, "scope": "plans:read tenants:all"})
}

fn signed(claims: &Value) -> String {
    jsonwebtoken::encode(
        &Header::default(),
        claims,
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .expect("signing works")
}

fn ask(config: &AuthConfig, token: &str) -> Result<Caller, Refusal> {
    let clock = ManualClock::at(jiff::Timestamp::from_second(NOW).expect("a moment"));
    let verifier = Verifier::new(config, clock).expect("a verifier");
    verifier
        .caller(token)
        .now_or_never()
        .expect("a configured key is at hand")
        .map(std::sync::Arc::unwrap_or_clone)
}

fn with(config: &AuthConfig, claims: &Value) -> Result<Caller, Refusal> {
    ask(config, &signed(claims))
}

fn edited(edit: impl FnOnce(&mut Map<String, Value>)) -> Value {
    let mut claims = claims();
    edit(claims.as_object_mut().expect("an object"));
    claims
}

#[test]
fn a_token_names_its_caller_with_scopes() {
    let caller = with(&config(), &claims()).expect("a good token");
    assert_eq!(caller.name.as_deref(), Some("portal"));
    assert!(caller.may(Scope::PlansRead) && !caller.may(Scope::PlansStart));
}

#[test]
fn scopes_come_as_words_or_as_an_array_under_either_name() {
    for (name, value) in [
        ("scope", json!("plans:read tenants:all other:thing")),
        ("scp", json!("plans:read tenants:all")),
        ("scp", json!(["plans:read", "tenants:all", "Plans:Start"])),
    ] {
        let claims = edited(|claims| {
            claims.remove("scope");
            claims.insert(name.to_owned(), value);
        });
        let caller = with(&config(), &claims).expect("a good token");
        assert_eq!(caller.scopes.len(), 2);
    }
}

#[test]
fn the_callers_name_falls_back_from_sub_to_client_id_to_azp() {
    let name = |more: Value| {
        let claims = edited(|claims| {
            claims.remove("sub");
            claims.extend(more.as_object().cloned().expect("an object"));
        });
        with(&config(), &claims).expect("a good token").name
    };
    assert_eq!(name(json!({"client_id": "c", "azp": "a"})).as_deref(), Some("c"));
    assert_eq!(name(json!({"azp": "a"})).as_deref(), Some("a"));
    assert_eq!(name(json!({})), None);
}

/// `[auth]` with an issuer and an audience, and claims that fit it.
fn strict() -> (AuthConfig, Value) {
    let config = AuthConfig {
        issuer: Some("https://idp.example/".to_owned()),
        audience: Some("emgate".to_owned()),
        ..config()
    };
    let claims = edited(|claims| {
        claims.insert("iss".to_owned(), json!("https://idp.example/"));
        claims.insert("aud".to_owned(), json!(["other", "emgate"]));
    });
    (config, claims)
}

/// Good claims with one of them replaced, or removed for null.
fn but(name: &str, value: Value) -> Result<Caller, Refusal> {
    let (config, mut claims) = strict();
    let members = claims.as_object_mut().expect("an object");
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    with(&config, &claims)
}

#[rstest]
#[case::leeway_used_up("exp", json!(NOW - 30), Refusal::Expired)]
#[case::no_expiry("exp", Value::Null, Refusal::NeverExpires)]
#[case::expiry_is_no_number("exp", json!("tomorrow"), Refusal::UnreadableExpiry)]
#[case::not_yet_valid("nbf", json!(NOW + 31), Refusal::NotYetValid)]
#[case::start_is_no_number("nbf", json!(true), Refusal::UnreadableStart)]
#[case::other_issuer("iss", json!("https://idp.example"), Refusal::OtherIssuer)]
#[case::no_issuer("iss", Value::Null, Refusal::OtherIssuer)]
#[case::other_audience("aud", json!("other"), Refusal::OtherAudience)]
#[case::no_audience("aud", Value::Null, Refusal::OtherAudience)]
fn claims_that_do_not_fit_are_refused(#[case] name: &str, #[case] value: Value, #[case] refusal: Refusal) {
    assert_eq!(but(name, value), Err(refusal));
}

#[rstest]
#[case::expired_within_the_leeway("exp", json!(NOW - 29))]
#[case::a_fraction_of_a_second("exp", json!(1.8e9 + 0.5))]
#[case::early_within_the_leeway("nbf", json!(NOW + 30))]
fn claims_that_fit_are_accepted(#[case] name: &str, #[case] value: Value) {
    assert!(but(name, value).is_ok());
}

fn signed_as(header: &Header, secret: &str) -> String {
    jsonwebtoken::encode(header, &claims(), &EncodingKey::from_secret(secret.as_bytes()))
        .expect("signing works")
}

#[test]
fn only_a_signed_token_of_a_trusted_key_is_accepted() {
    let token = signed(&claims());
    let cut = &token[..token.len() - 2];
    let foreign = signed_as(&Header::default(), "somebody else's secret of the same size");
    let longer = signed_as(&Header::new(Algorithm::HS512), SECRET);
    let critical = Header {
        crit: Some(vec!["b64".to_owned()]),
        ..Header::default()
    };
    let critical = signed_as(&critical, SECRET);
    // {"alg":"none"}
    let unsigned = format!(
        "eyJhbGciOiJub25lIn0.{}.",
        token.split('.').nth(1).expect("claims")
    );
    for (bad, refusal) in [
        ("abc", Refusal::NotSigned),
        ("a.b.c", Refusal::NotSigned),
        ("..", Refusal::NotSigned),
        (&unsigned, Refusal::NotSigned),
        (cut, Refusal::UnknownKey),
        (&foreign, Refusal::UnknownKey),
        (&longer, Refusal::UnknownKey),
        (&critical, Refusal::Critical),
        (&"x".repeat(20_000), Refusal::TooLong),
    ] {
        assert_eq!(ask(&config(), bad), Err(refusal), "{bad}");
        assert!(!refusal.to_string().contains(bad), "the token must not come back");
    }
}

#[rstest]
#[case(json!("ABC Company"), &["ABC Company"])]
#[case(json!([]), &[])]
#[case(Value::Null, &[])]
fn a_tenant_claim_confines_the_caller(#[case] claim: Value, #[case] tenants: &[&str]) {
    let confined = edited(|claims| {
        claims.insert("tenants".to_owned(), claim);
    });
    let caller = with(&config(), &confined).expect("a good token");
    let tenants = tenants.iter().map(ToString::to_string).collect();
    assert_eq!(caller.tenancy, Tenancy::Only(tenants));
}

#[test]
fn a_token_without_a_tenant_claim_is_for_all_tenants_by_its_scope_alone() {
    assert_eq!(
        with(&config(), &claims()).expect("a good token").tenancy,
        Tenancy::All
    );
    let narrow = edited(|claims| {
        claims.insert("scope".to_owned(), json!("plans:read"));
    });
    let caller = with(&config(), &narrow).expect("a good token");
    assert_eq!(caller.tenancy, Tenancy::Only([].into()));
}

#[test]
fn a_caller_carries_the_tokens_id_and_expiry() {
    let named = edited(|claims| {
        claims.insert("jti".to_owned(), json!("a-token"));
    });
    let caller = with(&config(), &named).expect("a good token");
    assert_eq!(caller.token_id.as_deref(), Some("a-token"));
    assert_eq!(caller.expires_at.as_second(), NOW + 60);
}

/// A token of these texts, signed.
fn of_texts(header: &str, claims: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let signed = [header, claims]
        .map(|text| URL_SAFE_NO_PAD.encode(text))
        .join(".");
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256);
    format!("{signed}.{}", signature.expect("signing works"))
}

#[rstest]
#[case::twice_in_the_header(r#"{"alg":"HS256","kid":"a","kid":"a"}"#, "{}", Refusal::AmbiguousHeader)]
#[case::two_algorithms(r#"{"alg":"none","alg":"HS256"}"#, "{}", Refusal::AmbiguousHeader)]
#[case::twice_in_the_claims(
    r#"{"alg":"HS256"}"#,
    r#"{"exp":1,"exp":9999999999}"#,
    Refusal::AmbiguousClaims
)]
#[case::twice_within_a_claim(
    r#"{"alg":"HS256"}"#,
    r#"{"exp":9999999999,"a":{"b":1,"b":1}}"#,
    Refusal::AmbiguousClaims
)]
#[case::an_array(r#"{"alg":"HS256"}"#, "[]", Refusal::NoObject)]
#[case::no_json(r#"{"alg":"HS256"}"#, "{", Refusal::NotSigned)]
#[case::more_than_json(r#"{"alg":"HS256"} {}"#, "{}", Refusal::NotSigned)]
#[case::critical(r#"{"alg":"HS256","crit":[]}"#, "{}", Refusal::Critical)]
#[case::critical_null(r#"{"alg":"HS256","crit":null}"#, "{}", Refusal::Critical)]
#[case::no_algorithm(r#"{"typ":"JWT"}"#, "{}", Refusal::NotSigned)]
#[case::none_in_capitals(r#"{"alg":"NONE"}"#, "{}", Refusal::NotSigned)]
#[case::algorithm_in_small_letters(r#"{"alg":"hs256"}"#, "{}", Refusal::NotSigned)]
#[case::algorithms(r#"{"alg":["HS256"]}"#, "{}", Refusal::NotSigned)]
#[case::kid_of_a_number(r#"{"alg":"HS256","kid":1}"#, "{}", Refusal::NotSigned)]
#[case::its_own_key(r#"{"alg":"RS256","jwk":{"kty":"RSA"}}"#, "{}", Refusal::UnknownKey)]
fn a_token_that_can_be_understood_in_two_ways_is_refused(
    #[case] header: &str,
    #[case] claims: &str,
    #[case] refusal: Refusal,
) {
    assert_eq!(ask(&config(), &of_texts(header, claims)), Err(refusal));
}

#[test]
fn a_remembered_token_expires_all_the_same() {
    let clock = ManualClock::at(jiff::Timestamp::from_second(NOW).expect("a moment"));
    let verifier = Verifier::new(&config(), clock.clone()).expect("a verifier");
    let token = signed(&claims());
    let ask = || verifier.caller(&token).now_or_never().expect("no waiting");
    assert!(ask().is_ok() && ask().is_ok());
    clock.advance(std::time::Duration::from_secs(90));
    assert_eq!(ask(), Err(Refusal::Expired));
}

#[test]
fn a_remembered_token_vouches_for_no_other() {
    let clock = ManualClock::at(jiff::Timestamp::from_second(NOW).expect("a moment"));
    let verifier = Verifier::new(&config(), clock).expect("a verifier");
    let token = signed(&claims());
    assert!(
        verifier
            .caller(&token)
            .now_or_never()
            .expect("no waiting")
            .is_ok()
    );
    // Each of its characters but the dots, changed by its lowest bit.
    for (place, letter) in token.char_indices().filter(|(_, letter)| *letter != '.') {
        let other = char::from(u8::try_from(letter).expect("base64") ^ 1);
        let mut near = token.clone();
        near.replace_range(place..=place, other.encode_utf8(&mut [0; 4]));
        let answer = verifier.caller(&near).now_or_never().expect("no waiting");
        // The last characters of base64 may hold bits that mean nothing; then it is another text, and verified by itself.
        let same_bytes = place == token.len() - 1;
        assert!(answer.is_err() || same_bytes, "{place}: {letter} for {other}");
    }
}

/// Pairs made for this test: private PKCS#8 for the library's signer, public PEM for the configuration.
pub(super) fn pair(algorithm: Algorithm) -> (EncodingKey, String) {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::signature::{self as sig, KeyPair as _};
    let pem = |der: &[u8]| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|l| std::str::from_utf8(l).expect("ascii"))
            .collect();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
    };
    match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => {
            let kind = if algorithm == Algorithm::ES256 {
                &sig::ECDSA_P256_SHA256_FIXED_SIGNING
            } else {
                &sig::ECDSA_P384_SHA384_FIXED_SIGNING
            };
            let pair = sig::EcdsaKeyPair::generate(kind).expect("a pair");
            let private = pair.to_pkcs8v1().expect("PKCS#8");
            let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
            (EncodingKey::from_ec_der(private.as_ref()), pem(public.as_ref()))
        }
        Algorithm::EdDSA => {
            let pair = sig::Ed25519KeyPair::generate().expect("a pair");
            let private = pair.to_pkcs8v1().expect("PKCS#8");
            let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
            (EncodingKey::from_ed_der(private.as_ref()), pem(public.as_ref()))
        }
        _ => {
            use base64::Engine as _;
            let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a pair");
            let private: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
            let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SPKI");
            let text = base64::engine::general_purpose::STANDARD.encode(private.as_ref());
            let private = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
            (
                EncodingKey::from_rsa_pem(private.as_bytes()).expect("RSA"),
                pem(public.as_ref()),
            )
        }
    }
}

#[rstest]
fn a_public_key_verifies_by_its_algorithm_only(
    #[values(
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA
    )]
    algorithm: Algorithm,
) {
    let (private, pem) = pair(algorithm);
    let config = AuthConfig {
        keys: vec![Key::pem(algorithm, &pem).expect("a public key")],
        ..AuthConfig::default()
    };
    let by = |algorithm: Algorithm, key: &EncodingKey| {
        jsonwebtoken::encode(&Header::new(algorithm), &claims(), key).expect("signing works")
    };
    assert!(ask(&config, &by(algorithm, &private)).is_ok());
    // The classic: the public key's text as an HMAC secret.
    let forged = by(Algorithm::HS256, &EncodingKey::from_secret(pem.as_bytes()));
    assert_eq!(ask(&config, &forged), Err(Refusal::UnknownKey));
    if algorithm == Algorithm::RS256 {
        let other = by(Algorithm::PS256, &private);
        assert_eq!(ask(&config, &other), Err(Refusal::UnknownKey));
    }
}

#[test]
fn a_short_secret_is_no_key() {
    let short = Key::hs256(&"x".repeat(31).into());
    assert!(matches!(short, Err(KeyError::ShortSecret)));
}

#[test]
fn a_pem_is_a_key_only_for_algorithms_of_its_family() {
    let (_, ec) = pair(Algorithm::ES256);
    assert!(Key::pem(Algorithm::ES256, &ec).is_ok());
    for (algorithm, text) in [
        (Algorithm::RS256, ec.as_str()),
        (Algorithm::HS256, ec.as_str()),
        (Algorithm::ES256, "nonsense"),
    ] {
        let refused = Key::pem(algorithm, text);
        assert!(matches!(refused, Err(KeyError::WrongPem(named)) if named == algorithm));
    }
}

#[test]
fn a_private_key_is_refused() {
    let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(matches!(
        Key::pem(Algorithm::ES256, private),
        Err(KeyError::Private)
    ));
}

#[test]
fn a_keys_debug_text_shows_its_algorithm_alone() {
    let keys = config().keys;
    assert_eq!(format!("{keys:?}"), "[Key(HS256)]");
}
