//! Tokens of every kind against docs/behaviour.md#tokens; signed here with the library's other half.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::response::IntoResponse as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::clock::ManualClock;
use crate::http::config::KeyConfig;

const SECRET: &str = "a secret of thirty-two bytes, or more";
const NOW: i64 = 1_800_000_000;

fn config() -> AuthConfig {
    AuthConfig {
        keys: vec![KeyConfig::Hs256 {
            secret: SECRET.to_owned().into(),
        }],
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

fn ask(config: &AuthConfig, authorization: &[&str]) -> Result<Caller, (u16, String)> {
    let clock = ManualClock::at(jiff::Timestamp::from_second(NOW).expect("a moment"));
    let authenticator = Authenticator::new(config, clock).expect("usable keys");
    let mut headers = HeaderMap::new();
    for value in authorization {
        headers.append(AUTHORIZATION, value.parse().expect("a header value"));
    }
    authenticator.caller(&headers).map_err(|problem| {
        let response = problem.into_response();
        let challenge = response.headers()[WWW_AUTHENTICATE]
            .to_str()
            .expect("text")
            .to_owned();
        (response.status().as_u16(), challenge)
    })
}

fn with(config: &AuthConfig, claims: &Value) -> Result<Caller, (u16, String)> {
    ask(config, &[&format!("Bearer {}", signed(claims))])
}

fn edited(edit: impl FnOnce(&mut Map<String, Value>)) -> Value {
    let mut claims = claims();
    edit(claims.as_object_mut().expect("an object"));
    claims
}

#[test]
fn a_token_tells_the_caller_and_the_scopes() {
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
fn who_asks_falls_back_from_sub_to_client_id_to_azp_to_nobody() {
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

#[test]
fn without_a_token_the_challenge_names_no_error() {
    for given in [&[][..], &["Basic dTpw"], &["Bearer"], &["Token abc"]] {
        let (status, challenge) = ask(&config(), given).expect_err("no token");
        assert_eq!(
            (status, challenge.as_str()),
            (401, "Bearer realm=\"emgate\""),
            "{given:?}"
        );
    }
}

#[test]
fn the_schemes_case_does_not_matter_and_two_headers_are_refused() {
    let token = signed(&claims());
    assert!(ask(&config(), &[&format!("bEaReR {token}")]).is_ok());
    let twice = format!("Bearer {token}");
    let (status, challenge) = ask(&config(), &[&twice, &twice]).expect_err("ambiguous");
    assert_eq!(status, 401);
    assert!(challenge.contains("error=\"invalid_token\""));
}

#[test]
fn tokens_that_are_not_ours_not_now_or_not_for_us_are_invalid() {
    let strict = AuthConfig {
        issuer: Some("https://idp.example/".to_owned()),
        audience: Some("emgate".to_owned()),
        ..config()
    };
    let good = edited(|claims| {
        claims.insert("iss".to_owned(), json!("https://idp.example/"));
        claims.insert("aud".to_owned(), json!(["other", "emgate"]));
    });
    assert!(with(&strict, &good).is_ok());
    let set = |name: &'static str, value: Value| {
        let mut claims = good.clone();
        match value {
            Value::Null => claims.as_object_mut().expect("an object").remove(name),
            value => claims
                .as_object_mut()
                .expect("an object")
                .insert(name.to_owned(), value),
        };
        claims
    };
    for (bad, why) in [
        (set("exp", json!(NOW - 30)), "expired, leeway used up"),
        (set("exp", Value::Null), "never expires"),
        (set("exp", json!("tomorrow")), "expiry is no number"),
        (set("nbf", json!(NOW + 31)), "not yet valid"),
        (set("nbf", json!(true)), "start is no number"),
        (set("iss", json!("https://idp.example")), "other issuer"),
        (set("iss", Value::Null), "no issuer"),
        (set("aud", json!("other")), "other audience"),
        (set("aud", Value::Null), "no audience"),
    ] {
        let (status, challenge) = with(&strict, &bad).expect_err(why);
        assert_eq!(status, 401, "{why}");
        assert!(
            challenge.contains("error=\"invalid_token\""),
            "{why}: {challenge}"
        );
    }
    for (good, why) in [
        (set("exp", json!(NOW - 29)), "expired within the leeway"),
        (set("exp", json!(1.8e9 + 0.5)), "a broken second"),
        (set("nbf", json!(NOW + 30)), "early within the leeway"),
    ] {
        assert!(with(&strict, &good).is_ok(), "{why}");
    }
}

#[test]
fn what_is_no_signed_token_of_a_trusted_key_is_invalid() {
    let token = signed(&claims());
    let cut = &token[..token.len() - 2];
    let foreign = jsonwebtoken::encode(
        &Header::default(),
        &claims(),
        &EncodingKey::from_secret(b"somebody else's secret of the same size"),
    )
    .expect("signing works");
    let longer = jsonwebtoken::encode(
        &Header::new(Algorithm::HS512),
        &claims(),
        &EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .expect("signing works");
    let critical = Header {
        crit: Some(vec!["b64".to_owned()]),
        ..Header::default()
    };
    let critical = jsonwebtoken::encode(&critical, &claims(), &EncodingKey::from_secret(SECRET.as_bytes()))
        .expect("signs");
    // {"alg":"none"}
    let unsigned = format!(
        "eyJhbGciOiJub25lIn0.{}.",
        token.split('.').nth(1).expect("claims")
    );
    let long = "x".repeat(20_000);
    for bad in [
        "abc", "a.b.c", "..", cut, &foreign, &longer, &critical, &unsigned, &long,
    ] {
        let (status, challenge) = ask(&config(), &[&format!("Bearer {bad}")]).expect_err(bad);
        assert_eq!(status, 401, "{bad}");
        assert!(challenge.contains("error=\"invalid_token\""), "{bad}");
        assert!(!challenge.contains(bad), "the token must not come back");
    }
}

#[test]
fn a_token_is_refused_unless_it_is_for_all_tenants() {
    for claim in [json!("ABC Company"), json!([]), Value::Null] {
        let confined = edited(|claims| {
            claims.insert("tenants".to_owned(), claim.clone());
        });
        let (status, challenge) = with(&config(), &confined).expect_err("confined");
        assert_eq!(status, 403, "{claim}");
        assert!(challenge.contains("error=\"insufficient_scope\""));
    }
    let nobodys = edited(|claims| {
        claims.insert("scope".to_owned(), json!("plans:read"));
    });
    let (status, challenge) = with(&config(), &nobodys).expect_err("for nobody");
    assert_eq!(status, 403);
    assert!(challenge.contains("scope=\"tenants:all\""), "{challenge}");
}

/// Pairs made for this test: private PKCS#8 for the library's signer, public PEM for the configuration.
fn pair(algorithm: Algorithm) -> (EncodingKey, String) {
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

#[test]
fn public_keys_verify_by_the_algorithm_they_are_configured_for_and_by_no_other() {
    for algorithm in [
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ] {
        let (private, pem) = pair(algorithm);
        let config = AuthConfig {
            keys: vec![KeyConfig::Pem {
                algorithm,
                pem: pem.clone(),
            }],
            ..AuthConfig::default()
        };
        let token = jsonwebtoken::encode(&Header::new(algorithm), &claims(), &private).expect("signs");
        assert!(
            ask(&config, &[&format!("Bearer {token}")]).is_ok(),
            "{algorithm:?}"
        );
        // The classic: the public key's text as an HMAC secret.
        let forged = jsonwebtoken::encode(
            &Header::default(),
            &claims(),
            &EncodingKey::from_secret(pem.as_bytes()),
        )
        .expect("signs");
        assert!(
            ask(&config, &[&format!("Bearer {forged}")]).is_err(),
            "{algorithm:?}"
        );
        if algorithm == Algorithm::RS256 {
            let other =
                jsonwebtoken::encode(&Header::new(Algorithm::PS256), &claims(), &private).expect("signs");
            assert!(
                ask(&config, &[&format!("Bearer {other}")]).is_err(),
                "the key is for RS256 only"
            );
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_named_by_their_place() {
    let (_, ec) = pair(Algorithm::ES256);
    let keys = |key: KeyConfig| AuthConfig {
        keys: vec![config().keys.remove(0), key],
        leeway: Duration::ZERO,
        ..AuthConfig::default()
    };
    for bad in [
        KeyConfig::Hs256 {
            secret: "short".to_owned().into(),
        },
        KeyConfig::Pem {
            algorithm: Algorithm::RS256,
            pem: ec.clone(),
        },
        KeyConfig::Pem {
            algorithm: Algorithm::HS256,
            pem: ec.clone(),
        },
        KeyConfig::Pem {
            algorithm: Algorithm::ES256,
            pem: "nonsense".to_owned(),
        },
    ] {
        let clock = ManualClock::at(jiff::Timestamp::UNIX_EPOCH);
        let error = Authenticator::new(&keys(bad), clock).err().expect("refused");
        assert!(error.to_string().contains("auth.keys[1]"), "{error}");
    }
}
