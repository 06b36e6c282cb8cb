//! docs/identity.md: every section of configuration in it is read, and every token in it is tried with it.

use std::path::Path;
use std::sync::LazyLock;

use emgate::api_types::identity::Me;
use emgate::auth::config::KeySource;
use emgate::auth::{Refusal, Verifier};
use emgate::clock::{Clock as _, ManualClock};
use emgate::config::{self, Config};
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::support::idp::{Pair, publish};

/// What the sections leave out.
const REST: &str = r#"
[upstream]
url = "https://em.example:9398"
[[upstream.accounts]]
name = "operators"
username = "svc"
password = "a word"
"#;
const CA_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// The platforms that must be there, by the host or path of their issuer.
const PLATFORMS: [&str; 6] = [
    "sso.example/realms/",
    "login.microsoftonline.com",
    "sts.windows.net",
    "okta.example",
    "token.actions.githubusercontent.com",
    "kubernetes.default.svc",
];

static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::new(Algorithm::RS256));

/// A section of configuration, and the tokens with what is answered to each.
struct Example {
    configuration: String,
    tokens: Vec<(Value, Value)>,
}

/// The fenced blocks of the document, in order: language and text.
fn blocks() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/identity.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let mut parts = text.split("```");
    parts.next();
    let mut blocks = Vec::new();
    while let (Some(block), Some(_)) = (parts.next(), parts.next()) {
        let (language, text) = block.split_once('\n').expect("a block with lines");
        blocks.push((language.to_owned(), text.to_owned()));
    }
    blocks
}

fn examples() -> Vec<Example> {
    let mut examples = Vec::<Example>::new();
    let mut token = None;
    for (language, text) in blocks() {
        match language.as_str() {
            "toml" => {
                assert!(token.is_none(), "a token without an answer before:\n{text}");
                examples.push(Example {
                    configuration: text,
                    tokens: Vec::new(),
                });
            }
            "json" => {
                let value: Value =
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
                match token.take() {
                    None => token = Some(value),
                    Some(token) => examples
                        .last_mut()
                        .expect("a section")
                        .tokens
                        .push((token, value)),
                }
            }
            "sh" => {}
            other => panic!("a block of {other} is not tested"),
        }
    }
    assert!(token.is_none(), "the last token has no answer");
    examples
}

/// The configuration as the program reads it.
fn read(section: &str, folder: &Path) -> Config {
    let ca_file = folder.join("ca.crt");
    let certificate = rcgen::generate_simple_self_signed(["kubernetes.default.svc".to_owned()]).expect("one");
    std::fs::write(&ca_file, certificate.cert.pem()).expect("written");
    let section = section.replace(CA_FILE, &ca_file.display().to_string());
    let environment: [(&str, &str); 0] = [];
    config::parse(&format!("{REST}\n{section}"), environment)
        .unwrap_or_else(|error| panic!("{error}\n{section}"))
}

/// What the gateway answers to a token, at the moment at which it was issued. The provider's place is on this machine.
async fn answer(config: &Config, token: &Value, edit: impl FnOnce(&mut Value)) -> Result<Value, Refusal> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (header, mut claims) = (&token["header"], token["claims"].clone());
    edit(&mut claims);
    let jwk = RSA
        .jwk_with(&json!({"use": "sig", "alg": "RS256", "kid": header["kid"].as_str().unwrap_or("other")}));
    let base = publish(&[jwk]).await;
    let mut auth = config.auth.clone();
    for issuer in &mut auth.issuers {
        issuer.keys = KeySource::KeySet(format!("{base}/keys").parse().expect("a URL"));
    }
    let issued = token["claims"]["iat"].as_i64().expect("iat");
    let clock = ManualClock::at(Timestamp::from_second(issued).expect("a moment"));
    let verifier = Verifier::new(&auth, clock.clone()).expect("a verifier");
    let tasks = emgate::bootstrap::fetch_keys(&verifier);
    let caller = verifier
        .caller(&RSA.sign(header.to_string(), claims.to_string()))
        .await;
    assert!(clock.now() <= Timestamp::from_second(issued).expect("a moment"));
    tasks.stop(std::time::Duration::from_secs(5)).await;
    caller.map(|caller| serde_json::to_value(Me::new(&caller)).expect("JSON"))
}

#[tokio::test]
async fn every_documented_token_is_answered_as_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    for example in examples() {
        let config = read(&example.configuration, folder.path());
        assert!(
            !example.tokens.is_empty(),
            "no token for\n{}",
            example.configuration
        );
        for (token, expected) in &example.tokens {
            assert_eq!(answer(&config, token, |_| {}).await.as_ref(), Ok(expected));
        }
    }
}

#[tokio::test]
async fn a_documented_token_is_refused_for_another_audience_issuer_or_time() {
    let folder = tempfile::tempdir().expect("a folder");
    for example in examples() {
        let config = read(&example.configuration, folder.path());
        let (token, _) = &example.tokens[0];
        let refused = async |name: &str, value: Value| {
            let answer = answer(&config, token, |claims| claims[name] = value).await;
            answer.expect_err("refused")
        };
        assert_eq!(refused("aud", json!("other")).await, Refusal::OtherAudience);
        assert_eq!(
            refused("iss", json!("https://other.example")).await,
            Refusal::OtherIssuer
        );
        let issued = token["claims"]["iat"].as_i64().expect("iat");
        assert_eq!(refused("exp", json!(issued - 60)).await, Refusal::Expired);
    }
}

#[test]
fn every_platform_is_documented_with_keys_over_https() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut issuers = Vec::new();
    for example in examples() {
        for issuer in read(&example.configuration, folder.path()).auth.issuers {
            let (KeySource::Discovery(url) | KeySource::KeySet(url)) = &issuer.keys;
            assert_eq!(url.scheme(), "https");
            issuers.push(issuer.issuer);
            issuers.extend(issuer.accept_issuers);
        }
    }
    for platform in PLATFORMS {
        assert!(
            issuers.iter().any(|issuer| issuer.contains(platform)),
            "{platform}: {issuers:?}"
        );
    }
}

#[test]
fn the_entra_example_has_a_token_without_kid() {
    let tokens = examples().into_iter().flat_map(|example| example.tokens);
    let without = tokens
        .filter(|(token, _)| token["header"]["kid"].is_null())
        .count();
    assert_eq!(without, 1);
}
