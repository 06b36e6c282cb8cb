//! Tokens of an identity provider, end to end.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::auth::config::{Grants, IssuerConfig, KeySource, Rule, RuleTenants};
use crate::auth::testing::{self, Provider, jwk};
use crate::runtime::Tasks;

struct Stage {
    provider: Provider,
    clock: Arc<ManualClock>,
    verifier: Verifier,
    tasks: Tasks,
}

impl Stage {
    async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let provider = Provider::start().await;
        provider.keys(&[jwk(Algorithm::ES256, Some("a")), jwk(Algorithm::RS256, Some("b"))]);
        let config = AuthConfig {
            issuer: Some("https://own.example".to_owned()),
            audience: Some("own".to_owned()),
            issuers: vec![IssuerConfig {
                issuer: "https://idp.example".to_owned(),
                accept_issuers: vec!["https://sts.example/".to_owned()],
                audience: vec!["emgate".to_owned(), "api://emgate".to_owned()],
                keys: KeySource::KeySet(provider.url("/keys")),
                ca_pem: None,
                algorithms: vec![Algorithm::ES256, Algorithm::RS256],
                grants: Grants {
                    subject_claim: "preferred_username".to_owned(),
                    rules: vec![Rule {
                        name: "operators".to_owned(),
                        when: vec![("groups".to_owned(), vec!["dr-*".to_owned()])],
                        scopes: [Scope::PlansTest].into(),
                        tenants: RuleTenants::OfToken,
                    }],
                    ..Grants::default()
                },
            }],
            ..config()
        };
        let clock = ManualClock::at(jiff::Timestamp::from_second(NOW).expect("a moment"));
        let verifier = Verifier::new(&config, clock.clone()).expect("a verifier");
        let tasks = Tasks::new();
        for (worker, nudge) in verifier.refreshes() {
            tasks.drive(worker, nudge);
        }
        Self {
            provider,
            clock,
            verifier,
            tasks,
        }
    }

    async fn ask(&self, key: (Algorithm, Option<&str>), edits: Value) -> Result<Caller, Refusal> {
        let mut claims = json!({
            "iss": "https://idp.example", "aud": "emgate", "exp": NOW + 600, "preferred_username": "ann",
            "groups": ["dr-lead"], "scope": "plans:read tenants:all",
        });
        let members = claims.as_object_mut().expect("an object");
        members.extend(edits.as_object().cloned().expect("an object"));
        members.retain(|_, value| !value.is_null());
        self.verifier
            .caller(&testing::signed(key.0, key.1, &claims))
            .await
            .map(std::sync::Arc::unwrap_or_clone)
    }

    async fn end(self) {
        assert!(self.tasks.stop(Duration::from_secs(5)).await);
    }
}

const A: (Algorithm, Option<&str>) = (Algorithm::ES256, Some("a"));

#[tokio::test]
async fn claims_and_rules_of_an_issuer_make_the_caller() {
    let stage = Stage::new().await;
    let caller = stage.ask(A, json!({"jti": "t1"})).await.expect("a good token");
    assert_eq!(caller.name.as_deref(), Some("ann"));
    assert_eq!(caller.issuer.as_deref(), Some("https://idp.example"));
    assert_eq!(caller.rules, ["operators"]);
    assert!(caller.may(Scope::PlansTest) && caller.may(Scope::PlansRead));
    assert_eq!(caller.tenancy, Tenancy::All);
    stage.end().await;
}

#[rstest]
#[case::without_kid((Algorithm::ES256, None), json!({}), Ok(()))]
#[case::another_key(( Algorithm::RS256, Some("b")), json!({}), Ok(()))]
#[case::another_spelling(A, json!({"iss": "https://sts.example/"}), Ok(()))]
#[case::another_audience(A, json!({"aud": ["x", "api://emgate"]}), Ok(()))]
#[case::issued_within_the_leeway(A, json!({"iat": NOW + 30}), Ok(()))]
#[case::kid_of_another_algorithm((Algorithm::ES256, Some("b")), json!({}), Err(Refusal::UnknownKey))]
#[case::algorithm_not_allowed((Algorithm::PS256, Some("b")), json!({}), Err(Refusal::UnknownKey))]
#[case::key_not_in_the_set((Algorithm::EdDSA, None), json!({}), Err(Refusal::UnknownKey))]
#[case::unknown_kid((Algorithm::ES256, Some("c")), json!({}), Err(Refusal::UnknownKeyId))]
#[case::issuer_with_a_slash(A, json!({"iss": "https://idp.example/"}), Err(Refusal::UnknownKey))]
#[case::no_issuer(A, json!({"iss": null}), Err(Refusal::UnknownKey))]
#[case::audience_of_configured_keys(A, json!({"aud": "own"}), Err(Refusal::OtherAudience))]
#[case::no_audience(A, json!({"aud": null}), Err(Refusal::OtherAudience))]
#[case::expired(A, json!({"exp": NOW - 30}), Err(Refusal::Expired))]
#[case::not_yet(A, json!({"nbf": NOW + 31}), Err(Refusal::NotYetValid))]
#[case::issued_ahead(A, json!({"iat": NOW + 31}), Err(Refusal::IssuedAhead))]
#[case::issue_time_of_text(A, json!({"iat": "now"}), Err(Refusal::UnreadableIssueTime))]
#[tokio::test]
async fn a_token_of_an_issuer_is_verified_by_its_keys_and_audience(
    #[case] key: (Algorithm, Option<&str>),
    #[case] edits: Value,
    #[case] expected: Result<(), Refusal>,
) {
    let stage = Stage::new().await;
    assert_eq!(stage.ask(key, edits).await.map(drop), expected);
    stage.end().await;
}

#[tokio::test]
async fn a_configured_key_does_not_speak_for_an_issuer() {
    let stage = Stage::new().await;
    let forged = edited(|claims| {
        claims.insert("iss".to_owned(), json!("https://idp.example"));
        claims.insert("aud".to_owned(), json!(["emgate", "own"]));
    });
    let answer = stage.verifier.caller(&signed(&forged)).await;
    assert_eq!(answer, Err(Refusal::UnknownKey));
    let own = edited(|claims| {
        claims.insert("iss".to_owned(), json!("https://own.example"));
        claims.insert("aud".to_owned(), json!("own"));
    });
    assert!(stage.verifier.caller(&signed(&own)).await.is_ok());
    stage.end().await;
}

#[tokio::test]
async fn a_remembered_token_does_not_outlive_the_key_that_signed_it() {
    let stage = Stage::new().await;
    // Signatures by RSA are the same each time, so that this is the same token.
    let remembered = || stage.ask((Algorithm::RS256, None), json!({}));
    assert!(remembered().await.is_ok());
    stage.provider.keys(&[jwk(Algorithm::ES256, Some("a"))]);
    assert!(remembered().await.is_ok(), "the set has not been fetched again");
    // An unknown key has the set fetched.
    let unknown = stage.ask((Algorithm::ES256, Some("c")), json!({})).await;
    assert_eq!(unknown, Err(Refusal::UnknownKeyId));
    assert_eq!(remembered().await, Err(Refusal::UnknownKey));
    stage.end().await;
}

#[tokio::test]
async fn an_issuer_without_keys_is_counted_and_not_named() {
    let stage = Stage::new().await;
    assert!(stage.verifier.fetches_keys());
    assert!(stage.ask(A, json!({})).await.is_ok());
    assert_eq!(stage.verifier.without_keys(), None);
    stage.clock.advance(Duration::from_hours(24));
    let (_, reason) = stage.verifier.without_keys().expect("no keys");
    assert_eq!(
        reason,
        "the keys of 1 of 1 in auth.issuers are not known; the log says whose and why"
    );
    stage.end().await;
}
