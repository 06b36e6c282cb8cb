//! Tokens that must not be believed: each attack is a test of its own, and all of them go over TCP to a real process, whose
//! answers and log hold nothing of them.

mod forge;
mod rights;
mod table;
mod wire;

use std::time::Duration;

use emgate::auth::config::{Grants, IssuerConfig, KeySource};
use emgate::auth::{AuthConfig, Key, Refusal, Verifier};
use emgate::clock::SystemClock;
use emgate::domain::access::Caller;
use jsonwebtoken::Algorithm;

use crate::support::SECRET;
use crate::support::idp::publish;

/// `[auth]`: a secret, a public key, and two issuers with one provider on loopback each.
async fn config() -> AuthConfig {
    let (a, b) = (
        publish(&forge::keys_of_a()).await,
        publish(&forge::keys_of_b()).await,
    );
    let issuer = |name: &str, base: &str| IssuerConfig {
        issuer: name.to_owned(),
        accept_issuers: Vec::new(),
        audience: vec!["emgate".to_owned()],
        keys: KeySource::KeySet(format!("{base}/keys").parse().expect("a URL")),
        ca_pem: None,
        algorithms: Vec::new(),
        grants: Grants::default(),
    };
    AuthConfig {
        keys: vec![
            Key::hs256(&SECRET.to_owned().into()).expect("a secret"),
            Key::pem(Algorithm::RS256, &forge::OWN.pem).expect("a public key"),
        ],
        issuers: vec![issuer(forge::A, &a), issuer(forge::B, &b)],
        ..AuthConfig::default()
    }
}

/// What the verifier of requests says to a token.
async fn ask(token: &str) -> Result<Caller, Refusal> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let verifier = Verifier::new(&config().await, SystemClock::shared()).expect("a verifier");
    let tasks = emgate::bootstrap::fetch_keys(&verifier);
    let answer = verifier.caller(token).await;
    tasks.stop(Duration::from_secs(5)).await;
    answer.map(std::sync::Arc::unwrap_or_clone)
}

async fn refused(token: &str, expected: Refusal) {
    assert_eq!(
        ask(token).await.map(|caller| caller.name),
        Err(expected),
        "{token}"
    );
    let said = format!("{expected} {expected:?} {}", expected.remedy());
    assert!(
        forge::traces(token).iter().all(|trace| !said.contains(trace)),
        "{said}"
    );
}
