//! Logging in at an identity provider: the way there and back, and what is refused on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, State};
use axum::routing::{get, post};
use emgate::auth::config::{Grants, IssuerConfig, KeySource, LoginConfig};
use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use rstest::rstest;
use serde_json::{Value, json};

use super::sessions::Browser;
use crate::support::client::Answer;
use crate::support::idp::Pair;
use crate::support::postgres::database;
use crate::support::{TestGateway, seconds_now};

const CLIENT: &str = "emgate-console";
const SCOPES: &str = "plans:read operations:read tenants:all";

/// A provider that gives tokens for the code `good`, once.
struct Provider {
    base: String,
    inner: Arc<Inner>,
}

struct Inner {
    pair: Pair,
    base: Mutex<String>,
    /// What the authorization endpoint was asked with last: the nonce and the challenge count.
    asked: Mutex<BTreeMap<String, String>>,
    /// What the token endpoint was asked with.
    exchanged: Mutex<Vec<BTreeMap<String, String>>>,
    /// Claims of the ID token that are others than usual.
    claims: Mutex<Value>,
}

impl Provider {
    async fn start() -> Self {
        let inner = Arc::new(Inner {
            pair: Pair::new(Algorithm::ES256),
            base: Mutex::default(),
            asked: Mutex::default(),
            exchanged: Mutex::default(),
            claims: Mutex::new(json!({})),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        inner.base.lock().clone_from(&base);
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(exchange))
            .with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, inner }
    }

    /// A gateway whose people log in here.
    async fn gateway(&self, edit: impl FnOnce(&mut emgate::config::Config) + Send + 'static) -> TestGateway {
        let issuer = self.base.clone();
        let builder = TestGateway::builder().config(move |config| {
            config.auth.login = Some(LoginConfig {
                issuer: issuer.clone(),
                client_id: CLIENT.to_owned(),
                client_secret: Some("a client's secret".to_owned().into()),
                scopes: "openid profile".to_owned(),
                name: Some("Company login".to_owned()),
            });
            config.auth.issuers = vec![IssuerConfig {
                keys: KeySource::Discovery(
                    format!("{issuer}/.well-known/openid-configuration")
                        .parse()
                        .expect("a URL"),
                ),
                issuer,
                accept_issuers: Vec::new(),
                audience: vec![CLIENT.to_owned()],
                ca_pem: None,
                algorithms: Vec::new(),
                grants: Grants::default(),
            }];
            edit(config);
        });
        builder.start().await
    }

    /// A browser that the gateway sent here: what it was sent with, and its cookie.
    async fn begin(&self, test: &TestGateway, path: &str) -> (BTreeMap<String, String>, String) {
        let there = test.stranger().get(path).send().await.expect(303);
        let address: url::Url = there.header("location").parse().expect("a URL");
        assert_eq!(address.path(), "/authorize", "{address}");
        let asked: BTreeMap<String, String> = address.query_pairs().into_owned().collect();
        *self.inner.asked.lock() = asked.clone();
        let set = there.header("set-cookie");
        for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(set.split("; ").any(|one| one == part), "{part}: {set}");
        }
        (asked, set.split(';').next().expect("a cookie").to_owned())
    }
}

async fn discovery(State(inner): State<Arc<Inner>>) -> String {
    let base = inner.base.lock().clone();
    json!({
        "issuer": base,
        "jwks_uri": format!("{base}/keys"),
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
    })
    .to_string()
}

async fn keys(State(inner): State<Arc<Inner>>) -> String {
    json!({"keys": [inner.pair.jwk]}).to_string()
}

async fn exchange(
    State(inner): State<Arc<Inner>>,
    headers: axum::http::HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> (axum::http::StatusCode, String) {
    use base64::Engine as _;
    let bad = |word: &str| {
        (
            axum::http::StatusCode::BAD_REQUEST,
            json!({"error": word}).to_string(),
        )
    };
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT}:a+client%27s+secret"));
    if headers["authorization"] != format!("Basic {basic}") {
        return bad("invalid_client");
    }
    let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form["code_verifier"].as_bytes());
    let challenge = crate::support::idp::base64url(challenge);
    inner.exchanged.lock().push(form.clone());
    let asked = inner.asked.lock().clone();
    let first = inner.exchanged.lock().len() == 1;
    if form["code"] != "good"
        || !first
        || challenge != asked["code_challenge"]
        || form["redirect_uri"] != asked["redirect_uri"]
    {
        return bad("invalid_grant");
    }
    let mut claims = json!({
        "iss": *inner.base.lock(), "aud": CLIENT, "sub": "ann", "nonce": asked["nonce"],
        "exp": seconds_now() + 600, "scope": SCOPES,
    });
    let others = inner.claims.lock().clone();
    claims
        .as_object_mut()
        .expect("claims")
        .extend(others.as_object().expect("claims").clone());
    let id = inner.pair.sign(
        json!({"alg": "ES256", "typ": "JWT"}).to_string(),
        claims.to_string(),
    );
    let tokens = json!({"id_token": id, "access_token": "opaque", "token_type": "Bearer"});
    (axum::http::StatusCode::OK, tokens.to_string())
}

/// The browser comes back with this query.
async fn back(test: &TestGateway, query: &str, cookie: Option<&str>) -> Answer {
    let mut request = test.stranger().get(&format!("/console/callback?{query}"));
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    request.send().await.expect(303)
}

/// The cookie of a session, if the answer sets one.
fn session(answer: &Answer) -> Option<String> {
    let all = answer.headers.get_all("set-cookie").iter();
    let mut all = all.map(|value| value.to_str().expect("text"));
    all.find(|value| value.starts_with("__Host-emgate="))
        .map(ToOwned::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_the_provider_ends_at_the_view_that_was_asked_for() {
    let provider = Provider::start().await;
    let test = provider.gateway(|_| {}).await;
    let options = test
        .stranger()
        .get("/console/login-options")
        .send()
        .await
        .expect(200);
    assert_eq!(
        options.body,
        json!({"token": true, "oidc": {"enabled": true, "name": "Company login"}})
    );
    let (asked, cookie) = provider
        .begin(&test, "/console/login?to=/console/approvals%3Fstate%3Dwaiting")
        .await;
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["client_id"], CLIENT);
    assert_eq!(asked["scope"], "openid profile");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(
        asked["redirect_uri"],
        format!("http://{}/console/callback", test.addr())
    );
    let answer = back(
        &test,
        &format!("code=good&state={}", asked["state"]),
        Some(&cookie),
    )
    .await;
    assert_eq!(answer.header("location"), "/console/approvals?state=waiting");
    let set = session(&answer).expect("a session");
    assert!(
        set.contains("SameSite=Strict") && set.contains("HttpOnly"),
        "{set}"
    );
    let browser = Browser::with(&test, set.split(';').next().expect("a cookie"));
    let who = browser.get("/console/session").send().await.expect(200);
    assert_eq!(who.body["subject"], "ann");
    assert_eq!(who.body["issuer"], provider.base);
    browser.get("/api/v1/operations").send().await.expect(200);
    let audit = test
        .client
        .get("/api/v1/audit?action=console.login")
        .send()
        .await
        .expect(200);
    assert_eq!(audit.body["items"][0]["details"]["by"], "oidc");

    // A code and its state count once.
    let again = back(
        &test,
        &format!("code=good&state={}", asked["state"]),
        Some(&cookie),
    )
    .await;
    assert_eq!(again.header("location"), "/console/?login=failed&reason=state");
    assert_eq!(session(&again), None);
    assert_eq!(
        provider.inner.exchanged.lock().len(),
        1,
        "the provider was not asked again"
    );
    test.stop().await;
}

#[rstest]
#[case::another_state("code=good&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", true, "state")]
#[case::no_state("code=good", true, "state")]
#[case::two_states("code=good&state={state}&state={state}", true, "state")]
#[case::another_browser("code=good&state={state}", false, "state")]
#[case::another_code("code=stolen&state={state}", true, "code")]
#[case::no_code("state={state}", true, "code")]
#[case::refused_there("error=access_denied&state={state}", true, "denied")]
#[case::failed_there("error=server_error&state={state}", true, "provider")]
#[case::a_strange_error("error=%3Cscript%3E&state={state}", true, "provider")]
#[case::another_provider("code=good&state={state}&iss=https%3A%2F%2Fevil.example", true, "provider")]
#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_does_not_fit_logs_nobody_in(
    #[case] query: &str,
    #[case] own: bool,
    #[case] reason: &str,
) {
    let provider = Provider::start().await;
    let test = provider.gateway(|_| {}).await;
    let (asked, cookie) = provider.begin(&test, "/console/login").await;
    let query = query.replace("{state}", &asked["state"]);
    let other = format!("__Host-emgate-login={}", "B".repeat(43));
    let cookie = if own { cookie } else { other };
    let answer = back(&test, &query, Some(&cookie)).await;
    assert_eq!(
        answer.header("location"),
        format!("/console/?login=failed&reason={reason}")
    );
    assert_eq!(session(&answer), None);
    let nobody = back(&test, &query, None).await;
    assert_eq!(nobody.header("location"), "/console/?login=failed&reason=state");
    test.stop().await;
}

#[rstest]
#[case::another_nonce(json!({"nonce": "replayed"}), "token")]
#[case::no_nonce(json!({"nonce": null}), "token")]
#[case::another_audience(json!({"aud": "another"}), "token")]
#[case::another_issuer(json!({"iss": "https://evil.example"}), "token")]
#[case::expired(json!({"exp": 1}), "token")]
#[case::without_a_right_to_be_told(json!({"sub": 7}), "refused")]
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_for_this_login_log_nobody_in(#[case] claims: Value, #[case] reason: &str) {
    let provider = Provider::start().await;
    let test = provider.gateway(|_| {}).await;
    *provider.inner.claims.lock() = claims;
    let (asked, cookie) = provider.begin(&test, "/console/login").await;
    let answer = back(
        &test,
        &format!("code=good&state={}", asked["state"]),
        Some(&cookie),
    )
    .await;
    assert_eq!(
        answer.header("location"),
        format!("/console/?login=failed&reason={reason}")
    );
    assert_eq!(session(&answer), None);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_replica_ends_a_login_that_another_began() {
    let (database, provider) = (database().await, Provider::start().await);
    let start = async || {
        let (url, key_file) = (database.url.clone(), database.key_file.clone());
        let gateway = provider.gateway(move |config| {
            config.server.public_url = Some("https://dr.example".parse().expect("a URL"));
            config.store = emgate::store::config::Config {
                url,
                encryption_key_file: Some(key_file),
            };
        });
        gateway.await
    };
    let (one, other) = (start().await, start().await);
    let (asked, cookie) = provider.begin(&one, "/console/login").await;
    assert_eq!(asked["redirect_uri"], "https://dr.example/console/callback");
    let answer = back(
        &other,
        &format!("code=good&state={}", asked["state"]),
        Some(&cookie),
    )
    .await;
    assert_eq!(answer.header("location"), "https://dr.example/console/");
    assert!(session(&answer).is_some());
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_provider_or_tls_the_page_says_so() {
    let test = TestGateway::start().await;
    let options = test
        .stranger()
        .get("/console/login-options")
        .send()
        .await
        .expect(200);
    assert_eq!(options.body, json!({"token": true, "oidc": {"enabled": false}}));
    let login = test.stranger().get("/console/login").send().await.expect(303);
    assert_eq!(
        login.header("location"),
        "/console/?login=failed&reason=unconfigured"
    );
    test.stop().await;
    let provider = Provider::start().await;
    let test = provider.gateway(|_| {}).await;
    let login = test.stranger().get("/console/login").header("host", "gw.example");
    let login = login.send().await.expect(303);
    assert_eq!(
        login.header("location"),
        "/console/?login=failed&reason=tls-required"
    );
    test.stop().await;
}
