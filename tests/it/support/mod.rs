//! What tests start: a gateway in this process, over TCP, with a simulator and a store of its own.
//!
//! [`TestGateway::start`] waits until it is ready. End a test with [`TestGateway::stop`], which also sees that no logon
//! session was left behind.

use crate::waiting::eventually;
pub mod client;
pub mod collector;
pub mod commands;
pub mod context;
pub mod idp;
pub mod minimal_bodies;
#[path = "../../support/postgres.rs"]
pub mod postgres;
#[path = "../../support/process.rs"]
pub mod process;
pub mod receiver;
pub mod schema_check;
pub mod scripted_server;
#[cfg(target_os = "linux")]
pub mod service_manager;
pub mod snapshot;
pub mod sse;
pub mod tcp_gate;
pub mod world;

use std::time::Duration;

use emgate::auth::{AuthConfig, Key};
use emgate::bootstrap::Gateway;
use emgate::config::Config;
use emgate::domain::policy::Policies;
use emgate::sim::{Options, Running, Simulator};
use emgate::upstream::config::Account;
use emgate::{http, store, upstream, watcher, webhooks};
use serde_json::{Value, json};

pub use client::Client;

/// The secret that signs tests' tokens.
pub const SECRET: &str = "the secret with which tests sign their tokens";
/// A cloud plan that the simulator has.
pub const PLAN: &str = "3f56fa52-c902-4655-9774-2022fde214d2";

/// A gateway on a free port.
pub struct TestGateway {
    /// Enterprise Manager's double.
    pub sim: Running,
    /// A client with every scope.
    pub client: Client,
    gateway: Gateway,
    directory: tempfile::TempDir,
}

/// How a gateway for a test is made.
pub struct Builder {
    sim: Options,
    edit: Box<dyn FnOnce(&mut Config) + Send>,
    wait: bool,
}

impl TestGateway {
    /// A gateway as by default, ready.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// One with wishes.
    pub fn builder() -> Builder {
        Builder {
            sim: Options {
                speed: 50.0,
                ..Options::on_any_port()
            },
            edit: Box::new(|_| {}),
            wait: true,
        }
    }

    /// A client whose token carries exactly these scopes beside `tenants:all`.
    pub fn client_with(&self, scopes: &[&str]) -> Client {
        let scopes = [scopes, &["tenants:all"]].concat().join(" ");
        self.client_as(&json!({"sub": "tester", "scope": scopes}))
    }

    /// A client whose token carries these claims.
    pub fn client_as(&self, claims: &Value) -> Client {
        self.client.with_token(Some(token(claims)))
    }

    /// A client without a token.
    pub fn stranger(&self) -> Client {
        self.client.with_token(None)
    }

    /// Where it listens.
    pub fn addr(&self) -> std::net::SocketAddr {
        self.gateway.addr()
    }

    /// Where its store is.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Asks the simulator's control API.
    pub async fn sim_control(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let answer = client::plain()
            .request(method, format!("{}/_sim/{path}", self.sim.base_url()))
            .body(body.to_string())
            .send()
            .await
            .expect("the simulator answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let text = answer.text().await.expect("a whole answer");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Lets the simulator do something wrong.
    pub async fn fault(&self, fault: Value) {
        self.sim_control(reqwest::Method::POST, "faults", fault).await;
    }

    /// Asks again and again until the answer is as wished.
    pub async fn until(&self, path: &str, wished: impl Fn(&Value) -> bool) -> Value {
        eventually(path, async || self.client.get(path).send().await.body, wished).await
    }

    /// Stops it in order.
    pub async fn stop(self) {
        self.gateway.stop().await.expect("an orderly end");
        self.sim.stop().await;
    }
}

impl Builder {
    /// Another simulator.
    pub fn sim(mut self, edit: impl FnOnce(&mut Options)) -> Self {
        edit(&mut self.sim);
        self
    }

    /// Another configuration.
    pub fn config(mut self, edit: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        self.edit = Box::new(edit);
        self
    }

    /// Does not wait for readiness.
    pub fn unready(mut self) -> Self {
        self.wait = false;
        self
    }

    /// Starts simulator and gateway.
    pub async fn start(self) -> TestGateway {
        let account = Account::new(
            "operators",
            &self.sim.user.clone(),
            self.sim.password.clone().into(),
        );
        let sim = Simulator::start(self.sim).await.expect("the simulator starts");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut config = Config {
            server: http::config::Config {
                listen: "127.0.0.1:0".parse().expect("an address"),
                limits: unlimited(),
                ..http::config::Config::default()
            },
            upstream: upstream::config::Config {
                cache_ttl: Duration::ZERO,
                ..upstream::config::Config::new(sim.base_url().parse().expect("a URL"), vec![account])
            },
            auth: AuthConfig {
                keys: vec![Key::hs256(&SECRET.to_owned().into()).expect("a long secret")],
                ..AuthConfig::default()
            },
            store: store::config::Config {
                url: format!("sqlite://{}", directory.path().join("emgate.db").display()),
                encryption_key_file: None,
            },
            retention: store::config::Retention::default(),
            watch: watcher::config::Config {
                interval: Duration::from_millis(100),
                idle_interval: Duration::from_millis(300),
            },
            webhooks: webhooks::config::Config::default(),
            policies: Policies::default(),
            reports: emgate::app::config::Reports::default(),
        };
        (self.edit)(&mut config);
        let gateway = Gateway::start(config).await.expect("the gateway starts");
        let all: Vec<&str> = emgate::domain::access::Scope::ALL
            .iter()
            .map(|scope| scope.as_str())
            .collect();
        let client = Client::new(
            gateway.addr(),
            Some(token(&json!({"sub": "tester", "scope": all.join(" ")}))),
        );
        let test = TestGateway {
            sim,
            client,
            gateway,
            directory,
        };
        if self.wait {
            test.until("/readyz", |body| body["status"] == "ready").await;
        }
        test
    }
}

/// Limits that no test meets unless it is about them.
fn unlimited() -> http::config::Limits {
    let most = std::num::NonZeroU32::new(1_000_000).expect("not zero");
    http::config::Limits {
        requests_per_minute: most,
        burst: most,
        anonymous_per_minute: most,
        actions_per_minute: most,
        streams: 10_000,
        endpoints: 500,
    }
}

/// The path of [`PLAN`], or of what follows it.
pub fn plan(rest: &str) -> String {
    format!("/api/v1/cloud-failover-plans/{PLAN}{rest}")
}

/// The path of the operation that an answer is or names.
pub fn operation(answer: &client::Answer) -> String {
    let id = answer.body["operationId"].as_str().or(answer.body["id"].as_str());
    format!("/api/v1/operations/{}", id.expect("an operation"))
}

/// A token with these claims, valid for an hour unless the claims say otherwise.
pub fn token(claims: &Value) -> String {
    let now = seconds_now();
    let mut all = json!({"exp": now + 3600});
    all.as_object_mut()
        .expect("an object")
        .extend(claims.as_object().expect("an object").clone());
    jsonwebtoken::encode(
        &jsonwebtoken::Header::default(),
        &all,
        &jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .expect("signing works")
}

/// Seconds since 1970.
pub fn seconds_now() -> i64 {
    use emgate::clock::Clock as _;
    emgate::clock::SystemClock.now().as_second()
}
