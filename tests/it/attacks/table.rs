//! The table: what a token is, and the reason for which it is refused. Every row is a test.

use emgate::auth::Refusal;
use jsonwebtoken::Algorithm;
use serde_json::json;

use super::forge::*;
use crate::support::idp::base64url;
use crate::support::{SECRET, seconds_now};

macro_rules! attacks {
    ($($name:ident = $refusal:ident: $token:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let token: String = $token;
            super::refused(&token, Refusal::$refusal).await;
        })*

        /// Every row: its name, its token, and why that is refused.
        pub fn all() -> Vec<(&'static str, String, Refusal)> {
            vec![$((stringify!($name), $token, Refusal::$refusal)),*]
        }
    };
}

attacks! {
    // no signature at all
    alg_none = NotSigned: bare(header("none", "e1"), "");
    alg_none_in_capitals = NotSigned: bare(header("NONE", "e1"), "");
    alg_none_in_mixed_case = NotSigned: bare(header("nOnE", "e1"), "");
    alg_none_after_a_blank = NotSigned: bare(header(" none", "e1"), "");
    alg_none_in_a_list = NotSigned: bare(r#"{"alg":["none"]}"#, "");
    alg_none_with_a_signature = NotSigned: headed(header("none", "e1"));
    alg_empty = NotSigned: headed(header("", "e1"));
    alg_null = NotSigned: headed(r#"{"alg":null}"#);
    alg_absent = NotSigned: headed(r#"{"typ":"JWT"}"#);
    alg_number = NotSigned: headed(r#"{"alg":256}"#);
    alg_in_small_letters = NotSigned: headed(header("es256", "e1"));
    alg_of_a_curve_that_is_not_supported = NotSigned: headed(header("ES256K", "e1"));
    signature_empty = UnknownKey: bare(header("ES256", "e1"), "");
    signature_absent = NotSigned: token().rsplit_once('.').expect("parts").0.to_owned();
    signature_cut = UnknownKey: with_signature(|bytes| bytes[..60].to_vec());
    signature_of_one_bit_more = UnknownKey: with_signature(|mut bytes| { bytes[9] ^= 1; bytes });
    signature_of_another_token = UnknownKey: {
        let [header, claims, _] = parts(&token());
        let [_, _, signature] = parts(&of_a(claims_of_another()));
        format!("{header}.{claims}.{signature}")
    };
    claims_of_another_token = UnknownKey: {
        let [header, _, signature] = parts(&token());
        format!("{header}.{}.{signature}", base64url(claims_of_another()))
    };
    header_of_another_token = UnknownKey: {
        let [_, claims, signature] = parts(&token());
        format!("{}.{claims}.{signature}", base64url(r#"{"kid":"e1","alg":"ES256"}"#))
    };

    // one algorithm for another
    hs256_with_the_public_pem_as_secret = UnknownKey: hmac(&OWN.pem, Algorithm::HS256, header("HS256", "r1"));
    hs256_with_the_issuers_pem_as_secret = UnknownKey: hmac(&RSA.pem, Algorithm::HS256, header("HS256", "r1"));
    hs256_with_the_trimmed_pem_as_secret = UnknownKey: hmac(RSA.pem.trim(), Algorithm::HS256, header("HS256", "r1"));
    hs256_with_the_modulus_as_secret = UnknownKey: hmac(RSA.jwk["n"].as_str().expect("n"), Algorithm::HS256, header("HS256", "r1"));
    hs256_with_the_public_jwk_as_secret = UnknownKey: hmac(RSA.jwk.to_string(), Algorithm::HS256, header("HS256", "r1"));
    hs384_with_the_public_pem_as_secret = UnknownKey: hmac(&RSA.pem, Algorithm::HS384, header("HS384", "r1"));
    hs512_with_the_secret_of_an_hs256_key = UnknownKey: hmac(SECRET, Algorithm::HS512, header_with("HS512", &json!({})));
    hs256_with_an_empty_secret = UnknownKey: hmac("", Algorithm::HS256, header("HS256", "e1"));
    hs256_of_a_configured_key_for_an_issuer = UnknownKey: hmac(SECRET, Algorithm::HS256, header_with("HS256", &json!({})));
    rs256_of_a_configured_key_for_an_issuer = UnknownKey: OWN.sign(header_with("RS256", &json!({})), good());
    rs256_called_ps256 = UnknownKey: RSA.sign(header("PS256", "r1"), good());
    rs256_called_rs512 = UnknownKey: RSA.sign(header("RS512", "r1"), good());
    rs256_called_es256 = UnknownKey: RSA.sign(header("ES256", "e1"), good());
    ps256_by_a_key_for_rs256 = UnknownKey: by_rsa(Algorithm::PS256, "PS256");
    rs512_by_a_key_for_rs256 = UnknownKey: by_rsa(Algorithm::RS512, "RS512");
    ps256_called_rs256 = UnknownKey: by_rsa(Algorithm::PS256, "RS256");
    es256_called_rs256 = UnknownKey: headed(header("RS256", "r1"));
    es256_called_es384 = UnknownKey: headed(header("ES384", "e1"));
    es256_called_eddsa = UnknownKey: headed(header("EdDSA", "d1"));
    es256_with_the_kid_of_an_rsa_key = UnknownKey: headed(header("ES256", "r1"));
    eddsa_called_es256 = UnknownKey: ED.sign(header("ES256", "e1"), good());

    // keys of others
    key_of_another_issuer = UnknownKeyId: OTHERS.sign(header("ES256", "b1"), good());
    key_of_another_issuer_by_a_name_of_ours = UnknownKey: OTHERS.sign(header("ES256", "e1"), good());
    key_of_another_issuer_without_a_name = UnknownKey: OTHERS.sign(header_with("ES256", &json!({})), good());
    key_of_ours_for_another_issuer = UnknownKeyId: of_a(claims(json!({"iss": B})));
    key_of_the_attacker = UnknownKey: THEIRS.sign(header("RS256", "r1"), good());
    key_of_the_attacker_without_a_name = UnknownKey: THEIRS.sign(header_with("RS256", &json!({})), good());
    jwk_in_the_header = UnknownKey: THEIRS.sign(header_with("RS256", &json!({"jwk": THEIRS.jwk})), good());
    jwk_in_the_header_by_a_name_of_ours = UnknownKey:
        THEIRS.sign(header_with("RS256", &json!({"kid": "r1", "jwk": THEIRS.jwk_with(&json!({"kid": "r1"}))})), good());
    jku_in_the_header = UnknownKey: THEIRS.sign(header_with("RS256", &json!({"jku": "http://127.0.0.1:9/canary"})), good());
    x5u_in_the_header = UnknownKey: THEIRS.sign(header_with("RS256", &json!({"x5u": "https://canary.example/x"})), good());
    x5c_in_the_header = UnknownKey: THEIRS.sign(header_with("RS256", &json!({"x5c": [THEIRS.pem]})), good());
    key_for_encryption = UnknownKeyId: FOR_ENCRYPTION.sign(header("ES256", "enc"), good());
    key_whose_private_half_is_public = UnknownKeyId: TOLD.sign(header("ES256", "told"), good());
    key_that_is_symmetric = UnknownKeyId: hmac(SHARED, Algorithm::HS256, header("HS256", "oct"));
    key_of_low_order = UnknownKeyId: bare(header("EdDSA", "low"), [IDENTITY, [0; 32]].concat());
    key_of_low_order_without_a_name = UnknownKey: bare(header_with("EdDSA", &json!({})), [IDENTITY, [0; 32]].concat());
    key_of_1024_bits = UnknownKeyId: bare(header("RS256", "short"), [1; 128]);
    key_with_an_exponent_of_one = UnknownKeyId: {
        let signed = format!("{}.{}", base64url(header("RS256", "one")), base64url(good()));
        format!("{signed}.{}", base64url(padded_digest(&signed)))
    };

    // kid
    kid_of_a_path = UnknownKeyId: hmac("", Algorithm::HS256, header("HS256", "../../../../canary/dev/null"));
    kid_of_sql = UnknownKeyId: headed(header("ES256", "canary' UNION SELECT 'secret' --"));
    kid_of_a_command = UnknownKeyId: headed(header("ES256", "| /bin/canary"));
    kid_of_a_url = UnknownKeyId: headed(header("ES256", "https://canary.example/key"));
    kid_very_long = UnknownKeyId: headed(header("ES256", &"canary".repeat(1_000)));
    kid_empty = UnknownKeyId: headed(header("ES256", ""));
    kid_in_other_case = UnknownKeyId: headed(header("ES256", "E1"));
    kid_with_a_blank = UnknownKeyId: headed(header("ES256", "e1 "));
    kid_with_a_nul = AmbiguousHeader: headed(header("ES256", "e1\0"));
    kid_number = NotSigned: headed(r#"{"alg":"ES256","kid":1}"#);
    kid_null = NotSigned: headed(r#"{"alg":"ES256","kid":null}"#);
    kid_list = NotSigned: headed(r#"{"alg":"ES256","kid":["e1"]}"#);

    // the header
    crit_of_b64 = Critical: headed(header_with("ES256", &json!({"kid": "e1", "crit": ["b64"], "b64": false})));
    crit_of_something_unknown = Critical: headed(header_with("ES256", &json!({"kid": "e1", "crit": ["canary"]})));
    crit_empty = Critical: headed(header_with("ES256", &json!({"kid": "e1", "crit": []})));
    crit_null = Critical: headed(r#"{"alg":"ES256","kid":"e1","crit":null}"#);
    b64_false = Critical: headed(header_with("ES256", &json!({"kid": "e1", "b64": false})));
    b64_true = Critical: headed(header_with("ES256", &json!({"kid": "e1", "b64": true})));
    alg_twice = AmbiguousHeader: headed(r#"{"alg":"ES256","kid":"e1","alg":"none"}"#);
    alg_twice_once_escaped = AmbiguousHeader: headed(r#"{"\u0061lg":"none","alg":"ES256","kid":"e1"}"#);
    kid_twice = AmbiguousHeader: headed(r#"{"alg":"ES256","kid":"canary","kid":"e1"}"#);
    typ_of_a_logout_token = OtherKind: headed(header_with("ES256", &json!({"kid": "e1", "typ": "logout+jwt"})));
    typ_of_a_proof = OtherKind: headed(header_with("ES256", &json!({"kid": "e1", "typ": "dpop+jwt"})));
    typ_of_a_security_event = OtherKind: headed(header_with("ES256", &json!({"kid": "e1", "typ": "application/secevent+jwt"})));
    typ_unknown = OtherKind: headed(header_with("ES256", &json!({"kid": "e1", "typ": "canary"})));
    typ_number = OtherKind: headed(r#"{"alg":"ES256","kid":"e1","typ":1}"#);
    header_list = NotSigned: headed("[]");
    header_text = NotSigned: headed(r#""ES256""#);
    header_empty = NotSigned: headed("");
    header_with_a_byte_order_mark = NotSigned: headed(format!("\u{feff}{}", header("ES256", "e1")));
    header_not_utf_8 = NotSigned: headed(b"{\"alg\":\"ES256\",\"x\":\"\xff\"}");

    // the form
    words = NotSigned: "canary".to_owned();
    dots_alone = NotSigned: "..".to_owned();
    five_empty_parts = NotSigned: "....".to_owned();
    encrypted = NotSigned: format!("{}.a.b.c.d", base64url(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#));
    encrypted_directly = NotSigned: format!("{}..b.c.d", base64url(r#"{"alg":"dir","enc":"A256GCM"}"#));
    two_tokens = NotSigned: format!("{0}.{0}", token());
    dot_at_the_end = NotSigned: format!("{}.", token());
    dot_at_the_start = NotSigned: format!(".{}", token());
    cut_in_the_claims = NotSigned: token()[..90].to_owned();
    as_json = NotSigned: {
        let [header, claims, signature] = parts(&token());
        json!({"protected": header, "payload": claims, "signature": signature}).to_string()
    };
    header_padded = NotSigned: {
        let [header, claims, signature] = parts(&headed(r#"{"alg":"ES256","kid":"e1"} "#));
        format!("{header}=.{claims}.{signature}")
    };
    claims_padded = NotSigned: {
        let [header, claims, signature] = parts(&token());
        format!("{header}.{claims}=.{signature}")
    };
    signature_padded = UnknownKey: format!("{}==", token());
    signature_in_the_other_alphabet = UnknownKey: {
        let [header, claims, signature] = parts(&RSA.sign(self::header("RS256", "r1"), good()));
        format!("{header}.{claims}.{}", signature.replace('-', "+").replace('_', "/"))
    };
    signature_with_loose_bits = UnknownKey: {
        let [header, claims, signature] = parts(&token());
        format!("{header}.{claims}.{}", loose(&signature))
    };
    claims_with_loose_bits = NotSigned: {
        let text = (0..3).map(|more| good() + &" ".repeat(more)).find(|text| text.len() % 3 == 1);
        let [header, claims, signature] = parts(&of_a(text.expect("one of three")));
        format!("{header}.{}.{signature}", loose(&claims))
    };
    blank_within = NotSigned: token().replacen('.', ". ", 1);
    line_break_within = NotSigned: token().replacen('.', "\n.", 1);
    nul_within = NotSigned: token().replacen('.', "\0.", 1);
    percent_encoded = NotSigned: token().replacen('.', "%2E", 1);
    too_long = TooLong: of_a(claims(json!({"canary": "x".repeat(17_000)})));
    nested_deeply = NotSigned: of_a(format!("{{\"a\":{}{}}}", "[".repeat(3_000), "]".repeat(3_000)));
    claims_list = NoObject: of_texts("[]");
    claims_text = NoObject: of_texts(r#""canary""#);
    claims_empty = NotSigned: of_a("");
    claims_cut = NotSigned: of_a(&good()[..40]);
    claims_and_more = NotSigned: of_a(format!("{}{}", good(), good()));
    claims_with_a_byte_order_mark = NotSigned: of_a(format!("\u{feff}{}", good()));
    claims_not_utf_8 = NotSigned: of_a([good().trim_end_matches('}').as_bytes(), b",\"x\":\"\xff\"}"].concat());
    claims_in_utf_16 = NotSigned: of_a(good().encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    claims_with_half_a_character = NotSigned: of_a(claims(json!({})).replace("canary@", "\\ud800"));
    claims_with_a_nul = AmbiguousClaims: of_a(claims(json!({"tenants": "canary\0"})));
    exp_twice = AmbiguousClaims: of_a(good().replacen('{', r#"{"exp":1,"#, 1));
    exp_twice_once_escaped = AmbiguousClaims: of_a(good().replacen('{', r#"{"\u0065xp":99999999999,"#, 1));
    aud_twice = AmbiguousClaims: of_a(good().replacen('{', r#"{"aud":"canary","#, 1));
    member_twice_within_a_claim = AmbiguousClaims: of_a(claims(json!({"x": "TWICE"})).replace(r#""TWICE""#, r#"{"a":1,"a":2}"#));

    // signatures that some verifiers take
    ecdsa_of_zeros = UnknownKey: bare(header("ES256", "e1"), [0; 64]);
    ecdsa_of_the_order = UnknownKey: bare(header("ES256", "e1"), [ORDER_P256, ORDER_P256].concat());
    ecdsa_with_s_zero = UnknownKey: with_signature(|bytes| [&bytes[..32], &[0; 32]].concat());
    ecdsa_as_der = UnknownKey: with_signature(|bytes| as_der(&bytes));
    ecdsa_one_byte_short = UnknownKey: with_signature(|bytes| bytes[..63].to_vec());
    ecdsa_one_byte_long = UnknownKey: with_signature(|bytes| [&bytes[..], &[0]].concat());
    ecdsa_halves_swapped = UnknownKey: with_signature(|bytes| [&bytes[32..], &bytes[..32]].concat());
    eddsa_of_zeros = UnknownKey: bare(header("EdDSA", "d1"), [0; 64]);
    eddsa_not_reduced = UnknownKey: resigned(&ED.sign(header("EdDSA", "d1"), good()), unreduced);
    rsa_of_zeros = UnknownKey: bare(header("RS256", "r1"), [0; 256]);
    rsa_of_one = UnknownKey: bare(header("RS256", "r1"), [&[0; 255][..], &[1]].concat());
    rsa_one_byte_long = UnknownKey: resigned(&RSA.sign(header("RS256", "r1"), good()), |bytes| [&[0], &bytes[..]].concat());
    rsa_of_a_padded_digest = UnknownKey: {
        let signed = format!("{}.{}", base64url(header("RS256", "r1")), base64url(good()));
        format!("{signed}.{}", base64url(padded_digest(&signed)))
    };

    // times
    exp_absent = NeverExpires: of_a(claims(json!({"exp": null})));
    exp_null = UnreadableExpiry: of_a(claims(json!({"exp": "NULL"})).replace(r#""NULL""#, "null"));
    exp_text = UnreadableExpiry: of_a(claims(json!({"exp": "canary"})));
    exp_number_in_text = UnreadableExpiry: of_a(claims(json!({"exp": (seconds_now() + 600).to_string()})));
    exp_true = UnreadableExpiry: of_a(claims(json!({"exp": true})));
    exp_list = UnreadableExpiry: of_a(claims(json!({"exp": [seconds_now() + 600]})));
    exp_object = UnreadableExpiry: of_a(claims(json!({"exp": {}})));
    exp_negative = Expired: of_a(claims(json!({"exp": -1})));
    exp_zero = Expired: of_a(claims(json!({"exp": 0})));
    exp_past = Expired: of_a(claims(json!({"exp": seconds_now() - 60})));
    exp_past_by_a_fraction = Expired: of_a(claims(json!({"exp": 1_600_000_000.5})));
    exp_not_a_number = NotSigned: of_a(claims(json!({"exp": "NAN"})).replace(r#""NAN""#, "NaN"));
    exp_infinite = NotSigned: of_a(claims(json!({"exp": "INF"})).replace(r#""INF""#, "Infinity"));
    exp_beyond_numbers = NotSigned: of_a(claims(json!({"exp": "HUGE"})).replace(r#""HUGE""#, "1e999"));
    nbf_ahead = NotYetValid: of_a(claims(json!({"nbf": seconds_now() + 300})));
    nbf_huge = NotYetValid: of_a(claims(json!({"nbf": 1e300})));
    nbf_text = UnreadableStart: of_a(claims(json!({"nbf": "canary"})));
    nbf_false = UnreadableStart: of_a(claims(json!({"nbf": false})));
    iat_ahead = IssuedAhead: of_a(claims(json!({"iat": seconds_now() + 300})));
    iat_huge = IssuedAhead: of_a(claims(json!({"iat": u64::MAX})));
    iat_text = UnreadableIssueTime: of_a(claims(json!({"iat": "canary"})));
    iat_list = UnreadableIssueTime: of_a(claims(json!({"iat": []})));

    // whom it is for, whom it comes from, whom it is about
    aud_absent = OtherAudience: of_a(claims(json!({"aud": null})));
    aud_of_another = OtherAudience: of_a(claims(json!({"aud": "canary"})));
    aud_list_of_others = OtherAudience: of_a(claims(json!({"aud": ["canary", "account"]})));
    aud_list_empty = OtherAudience: of_a(claims(json!({"aud": []})));
    aud_list_within_a_list = OtherAudience: of_a(claims(json!({"aud": [["emgate"]]})));
    aud_in_other_case = OtherAudience: of_a(claims(json!({"aud": "Emgate"})));
    aud_shorter = OtherAudience: of_a(claims(json!({"aud": "emgat"})));
    aud_longer = OtherAudience: of_a(claims(json!({"aud": "emgate2"})));
    aud_among_words = OtherAudience: of_a(claims(json!({"aud": "canary emgate"})));
    aud_object = OtherAudience: of_a(claims(json!({"aud": {"emgate": true}})));
    aud_number = OtherAudience: of_a(claims(json!({"aud": 1})));
    iss_absent = UnknownKey: of_a(claims(json!({"iss": null})));
    iss_of_another = UnknownKey: of_a(claims(json!({"iss": "https://canary.example"})));
    iss_with_a_slash = UnknownKey: of_a(claims(json!({"iss": format!("{A}/")})));
    iss_in_other_case = UnknownKey: of_a(claims(json!({"iss": A.to_uppercase()})));
    iss_with_a_blank = UnknownKey: of_a(claims(json!({"iss": format!("{A} ")})));
    iss_list = UnknownKey: of_a(claims(json!({"iss": [A]})));
    iss_number = UnknownKey: of_a(claims(json!({"iss": 1})));
    sub_number = UnreadableSubject: of_a(claims(json!({"sub": 42, "client_id": "canary"})));
    sub_list = UnreadableSubject: of_a(claims(json!({"sub": ["canary"]})));
    sub_object = UnreadableSubject: of_a(claims(json!({"sub": {"id": "canary"}})));
    sub_true = UnreadableSubject: of_a(claims(json!({"sub": true})));
}

const ORDER_P256: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn claims_of_another() -> String {
    claims(json!({"sub": "canary-admin"}))
}

/// A token by the configured secret, which asks for no issuer.
fn of_texts(claims: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    crate::support::idp::sign_by(&key, Algorithm::HS256, header_with("HS256", &json!({})), claims)
}

/// A token by A's RSA key under another algorithm.
fn by_rsa(algorithm: Algorithm, called: &str) -> String {
    crate::support::idp::sign_by(&RSA.private, algorithm, header(called, "r1"), good())
}

#[tokio::test]
async fn the_token_that_the_attacks_change_is_good() {
    assert!(super::ask(&token()).await.is_ok());
    for (pair, name, key) in [(&*RSA, "RS256", "r1"), (&*ED, "EdDSA", "d1")] {
        assert!(
            super::ask(&pair.sign(header(name, key), good())).await.is_ok(),
            "{name}"
        );
    }
}

#[test]
fn the_table_has_more_than_a_hundred_attacks_under_names_of_their_own() {
    let names: std::collections::BTreeSet<&str> = all().iter().map(|(name, _, _)| *name).collect();
    assert_eq!(names.len(), all().len());
    assert!(names.len() > 100, "{}", names.len());
}
