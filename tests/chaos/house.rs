//! The gateway, the simulator and the store: what is killed and started again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use emgate::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::process::{PATIENCE, Process};

const SECRET: &str = "the secret with which tests sign their tokens";
/// Deliveries of one endpoint at a time.
pub const CONCURRENCY: usize = 4;

/// Where the gateway listens now; each start chooses another port.
pub type Address = Arc<Mutex<SocketAddr>>;

/// What runs as processes.
pub struct House {
    /// Enterprise Manager's double. It drops no logon session by itself, so that its counts tell who left one.
    pub simulator: Process,
    pub kills: usize,
    gateway: Option<Process>,
    address: Address,
    store: String,
    _directory: tempfile::TempDir,
}

impl House {
    pub fn start() -> Self {
        let arguments = [
            "simulate",
            "--listen",
            "127.0.0.1:0",
            "--speed",
            "20",
            "--plans",
            "6",
            "--vms",
            "1",
            "--idle",
            "86400",
        ];
        let simulator = Process::start(&arguments, &[]);
        let directory = tempfile::tempdir().expect("a directory");
        let store = format!("sqlite://{}", directory.path().join("emgate.db").display());
        let gateway = gateway(&simulator.url(""), &store);
        Self {
            address: Arc::new(Mutex::new(gateway.addr)),
            gateway: Some(gateway),
            simulator,
            kills: 0,
            store,
            _directory: directory,
        }
    }

    pub fn address(&self) -> Address {
        Arc::clone(&self.address)
    }

    /// SIGKILL, and the next start on the same store.
    pub async fn kill_and_restart(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.gateway.take().expect("a gateway").kill();
        self.kills += 1;
    }

    /// SIGTERM, and an orderly end.
    pub fn stop(&mut self) {
        let status = self.gateway.take().expect("a gateway").terminate();
        assert!(status.success(), "{status}");
    }

    /// The next start on the same store.
    pub async fn start_again(&mut self) {
        assert!(self.gateway.is_none(), "one gateway at a time");
        let (upstream, store) = (self.simulator.url(""), self.store.clone());
        let next = tokio::task::spawn_blocking(move || gateway(&upstream, &store));
        let next = next.await.expect("the gateway starts again");
        *self.address.lock().unwrap() = next.addr;
        self.gateway = Some(next);
    }

    /// How many logon sessions the store keeps for unfinished tasks; to be asked while no gateway runs.
    pub async fn kept_logons(&self) -> u64 {
        assert!(self.gateway.is_none(), "the store is in use");
        let config = emgate::store::config::Config {
            url: self.store.clone(),
            encryption_key_file: None,
        };
        let store = emgate::store::Store::open(&config, SystemClock::shared())
            .await
            .expect("the store opens");
        let kept = store.kept_logons().await.expect("the store answers").len();
        store.close().await;
        kept as u64
    }

    pub async fn wait_until_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        let url = self.url("/readyz");
        while !reqwest::get(&url)
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            assert!(Instant::now() < deadline, "never ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Registers an endpoint for all events; its secret.
    pub async fn register(&self, url: &str) -> String {
        let body = json!({"url": url, "maxConcurrency": CONCURRENCY});
        let request = http()
            .post(self.url("/api/v1/webhook-endpoints"))
            .bearer_auth(token())
            .header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        let endpoint: Value = answer.json().await.expect("JSON");
        endpoint["secret"].as_str().expect("the secret, once").to_owned()
    }

    /// All items of a list, page by page.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let request = http().get(self.url(&path)).bearer_auth(token());
            let answer = request.send().await.expect("an answer");
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
            let page: Value = answer.json().await.expect("JSON");
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            next = page["page"]["next"].as_str().map(str::to_owned);
        }
        items
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address.lock().unwrap())
    }
}

/// A client with a limit; no connection outlives a kill.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(0)
        .no_proxy()
        .build()
        .expect("a client")
}

pub fn token() -> String {
    let claims = json!({
        "sub": "portal",
        "exp": SystemClock.now().as_second() + 3600,
        "scope": "plans:read plans:test plans:start plans:undo sessions:read operations:read events:read \
                  webhooks:read webhooks:write tenants:all",
    });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("signing works")
}

fn gateway(upstream: &str, store: &str) -> Process {
    let environment = [
        ("EMGATE_SERVER__LISTEN", "127.0.0.1:0"),
        ("EMGATE_UPSTREAM__URL", upstream),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators"),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "LAB\\svc-emgate"),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "simulated"),
        ("EMGATE_UPSTREAM__CONNECT_TIMEOUT", "1s"),
        ("EMGATE_UPSTREAM__REQUEST_TIMEOUT", "2s"),
        ("EMGATE_UPSTREAM__UNKNOWN_AFTER", "5s"),
        ("EMGATE_AUTH__KEYS__0__KIND", "hs256"),
        ("EMGATE_AUTH__KEYS__0__SECRET", SECRET),
        ("EMGATE_STORE__URL", store),
        ("EMGATE_WATCH__INTERVAL", "100ms"),
        ("EMGATE_WATCH__IDLE_INTERVAL", "300ms"),
        ("EMGATE_WEBHOOKS__ALLOW_NETWORKS__0", "127.0.0.0/8"),
        ("EMGATE_WEBHOOKS__ALLOW_HTTP", "true"),
        ("EMGATE_WEBHOOKS__TIMEOUT", "2s"),
        (
            "EMGATE_WEBHOOKS__RETRY_SCHEDULE",
            r#"["100ms","200ms","400ms","800ms","1s","1s","2s","2s","5s","5s","5s","5s"]"#,
        ),
    ];
    Process::start(&["serve"], &environment)
}
