//! Who a caller is here: the pages about identity, and tokens of an identity provider from the request to the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::get;
use emgate::auth::config::{Grants, IssuerConfig, KeySource, Rule, RuleTenants};
use emgate::domain::access::Scope;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Client, TestGateway, client, process, seconds_now};

/// An identity provider on loopback, with one key.
struct Provider {
    base: String,
    key: EncodingKey,
    down: Arc<AtomicBool>,
}

impl Provider {
    async fn start() -> Self {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a pair");
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().expect("PKCS#8").as_ref());
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).expect("a key"))
            .expect("JSON");
        jwk["kid"] = json!("k1");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let discovery = json!({"issuer": base, "jwks_uri": format!("{base}/keys")}).to_string();
        let keys = json!({"keys": [jwk]}).to_string();
        let down = Arc::new(AtomicBool::new(false));
        let is_down = down.clone();
        let serve = move |body: String| {
            let is_down = is_down.clone();
            get(move || async move {
                if is_down.load(Ordering::SeqCst) {
                    StatusCode::SERVICE_UNAVAILABLE.into_response()
                } else {
                    body.into_response()
                }
            })
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", serve(discovery))
            .route("/keys", serve(keys));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, key, down }
    }

    fn config(&self) -> IssuerConfig {
        let discovery = format!("{}/.well-known/openid-configuration", self.base);
        IssuerConfig {
            issuer: self.base.clone(),
            accept_issuers: Vec::new(),
            audience: vec!["emgate".to_owned()],
            keys: KeySource::Discovery(discovery.parse().expect("a URL")),
            ca_pem: None,
            algorithms: Vec::new(),
            grants: Grants {
                rules: vec![Rule {
                    name: "operators".to_owned(),
                    when: vec![("realm_access.roles".to_owned(), vec!["dr-*".to_owned()])],
                    scopes: [Scope::PlansRead, Scope::OperationsRead, Scope::TenantsAll].into(),
                    tenants: RuleTenants::OfToken,
                }],
                ..Grants::default()
            },
        }
    }

    fn client(&self, test: &TestGateway, edits: &Value) -> Client {
        Client::new(test.addr(), Some(self.token(edits)))
    }

    fn token(&self, edits: &Value) -> String {
        let mut claims = json!({
            "iss": self.base, "aud": "emgate", "exp": seconds_now() + 600, "sub": "ann",
            "realm_access": {"roles": ["dr-operators"]},
        });
        let members = claims.as_object_mut().expect("an object");
        members.extend(edits.as_object().cloned().expect("an object"));
        let header = Header {
            kid: Some("k1".to_owned()),
            ..Header::new(Algorithm::ES256)
        };
        jsonwebtoken::encode(&header, &claims, &self.key).expect("signing works")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_an_identity_provider_opens_what_its_rules_give() {
    let provider = Provider::start().await;
    let issuer = provider.config();
    let test = TestGateway::builder()
        .config(move |config| config.auth.issuers = vec![issuer])
        .start()
        .await;
    let ann = provider.client(&test, &json!({}));
    let me = ann.get("/api/v1/me").send().await.expect(200).body;
    assert_eq!(me["subject"], "ann");
    assert_eq!(me["issuer"], provider.base);
    assert_eq!(me["rules"], json!(["operators"]));
    assert_eq!(
        me["scopes"],
        json!(["operations:read", "plans:read", "tenants:all"])
    );
    assert_eq!(me["tenants"], Value::Null);
    ann.get("/api/v1/operations").send().await.expect(200);
    ann.get("/api/v1/events").refused(403, "insufficient-scope").await;

    let index = ann.get("/api/v1").send().await.expect(200).body;
    let links = index["links"].as_object().expect("links");
    assert!(links.contains_key("operations") && !links.contains_key("events"));
    ann.get(links["operations"].as_str().expect("a link"))
        .send()
        .await
        .expect(200);

    let confined = provider.client(&test, &json!({"tenants": ["ABC Company"]}));
    let me = confined.get("/api/v1/me").send().await.expect(200).body;
    assert_eq!(me["tenants"], json!(["ABC Company"]));
    confined.get("/api/v1/operations").send().await.expect(200);
    confined
        .get("/api/v1/em/jobs")
        .refused(403, "insufficient-scope")
        .await;

    for (edits, words) in [
        (json!({"aud": "other"}), "another audience"),
        (json!({"exp": seconds_now() - 60}), "expired"),
        (json!({"iat": seconds_now() + 600}), "issued in the future"),
    ] {
        let client = provider.client(&test, &edits);
        let answer = client.get("/api/v1/me").refused(401, "unauthenticated").await;
        assert!(answer.header("www-authenticate").contains(words), "{words}");
        assert!(answer.body["detail"].as_str().expect("a detail").contains(words));
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_provider_that_is_away_degrades_readiness() {
    let provider = Provider::start().await;
    provider.down.store(true, Ordering::SeqCst);
    let issuer = provider.config();
    let test = TestGateway::builder()
        .config(move |config| config.auth.issuers = vec![issuer])
        .unready()
        .start()
        .await;
    test.until("/readyz", |body| body["status"] == "degraded").await;
    let ready = test.stranger().get("/readyz").send().await.expect(200).body;
    let checks = ready["checks"].as_array().expect("checks");
    let check = checks
        .iter()
        .find(|check| check["name"] == "issuers")
        .expect("a check");
    assert_eq!(check["status"], "failed");
    // Without its address: whoever asks needs no token.
    assert_eq!(
        check["reason"],
        "the keys of 1 of 1 in auth.issuers are not known; the log says whose and why"
    );
    test.client.get("/api/v1/operations").send().await.expect(200);
    let ann = provider.client(&test, &json!({}));
    let answer = ann.get("/api/v1/me").refused(401, "unauthenticated").await;
    assert!(
        answer.body["detail"]
            .as_str()
            .expect("a detail")
            .contains("not known at the moment")
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protected_resource_is_described_and_named_by_each_401() {
    let test = TestGateway::builder()
        .config(|config| {
            config.server.public_url = Some("https://dr.example/gate/".parse().expect("a URL"));
            config.auth.issuer = Some("https://own.example".to_owned());
        })
        .unready()
        .start()
        .await;
    let path = "/.well-known/oauth-protected-resource";
    let metadata = test.stranger().get(path).send().await.expect(200).body;
    assert_eq!(metadata["resource"], "https://dr.example/gate");
    assert_eq!(metadata["authorization_servers"], json!(["https://own.example"]));
    assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
    let scopes = metadata["scopes_supported"].as_array().expect("scopes");
    assert_eq!(scopes.len(), Scope::ALL.len());
    let named = format!("resource_metadata=\"https://dr.example/gate{path}\"");
    let described = "error_description=\"this is not a signed JSON Web Token of a known algorithm\"";
    for (token, challenge) in [
        (None, format!("Bearer realm=\"emgate\", {named}")),
        (
            Some("a.b.c"),
            format!("Bearer realm=\"emgate\", error=\"invalid_token\", {described}, {named}"),
        ),
    ] {
        let request = client::plain().get(format!("http://{}/api/v1/me", test.addr()));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["www-authenticate"], challenge);
    }
    test.stop().await;
}

/// `emgate token inspect --json` with the provider configured: exit code and what it says.
async fn inspected(provider: &Provider, token: &str) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = format!(
        "[upstream]\nurl = \"https://em.example:9398\"\n[[upstream.accounts]]\nname = \"a\"\nusername = \"a\"\n\
         password = \"a\"\n[[auth.issuers]]\nissuer = {0:?}\naudience = [\"emgate\"]\n[[auth.issuers.rules]]\n\
         name = \"operators\"\nwhen = {{ \"realm_access.roles\" = \"dr-*\" }}\nscopes = \"plans:read\"\n",
        provider.base
    );
    let file = folder.path().join("emgate.toml");
    std::fs::write(&file, configuration).expect("written");
    let mut command = process::command(&[], &["token", "inspect", "--json", "--config"]);
    command
        .arg(&file)
        .arg(token)
        .current_dir(folder.path())
        .env_clear();
    let ran = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic");
    let output = ran.expect("it runs");
    let shown = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code(), shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspected_token_of_a_provider_is_verified_by_its_keys() {
    let provider = Provider::start().await;
    let good = provider.token(&json!({}));
    let (code, shown) = inspected(&provider, &good).await;
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(shown["matches"], format!("auth.issuers[0] {}", provider.base));
    assert_eq!(
        (&shown["keyId"], &shown["algorithm"]),
        (&json!("k1"), &json!("ES256"))
    );
    assert_eq!(
        (&shown["rules"], &shown["scopes"]),
        (&json!(["operators"]), &json!(["plans:read"]))
    );
    assert_eq!(shown["tenants"], json!([]));
    let (code, shown) = inspected(&provider, &provider.token(&json!({"aud": "other"}))).await;
    assert_eq!((code, &shown["rules"]), (Some(1), &json!(["operators"])));
    let remedy = shown["refusal"]["remedy"].as_str().expect("a remedy");
    assert!(remedy.contains("wanted is \"emgate\""), "{remedy}");
    provider.down.store(true, Ordering::SeqCst);
    let (code, shown) = inspected(&provider, &good).await;
    assert_eq!((code, &shown["scopes"]), (Some(1), &Value::Null));
    let remedy = shown["refusal"]["remedy"].as_str().expect("a remedy");
    assert!(remedy.contains("503"), "{remedy}");
}
