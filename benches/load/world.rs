//! What the measurements share: simulator and gateway as processes, a receiver, and a caller with a token.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::process::{self, Running};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The loopback network and plain HTTP, for the receiver.
pub const LAB: [(&str, &str); 2] = [
    ("EMGATE_WEBHOOKS__ALLOW_NETWORKS__0", "127.0.0.0/8"),
    ("EMGATE_WEBHOOKS__ALLOW_HTTP", "true"),
];

/// Simulator, gateway and store.
pub struct World {
    pub simulator: Running,
    pub gateway: Running,
    client: reqwest::Client,
    token: String,
    _directory: tempfile::TempDir,
}

impl World {
    /// Starts both and waits until the gateway is ready.
    pub async fn start(simulator_options: &[&str], more: &[(&str, &str)]) -> Self {
        let simulator = process::simulator(simulator_options);
        let directory = tempfile::tempdir().expect("a directory");
        let gateway = gateway(&simulator, directory.path(), more);
        let world = Self {
            simulator,
            gateway,
            client: client(),
            token: token(),
            _directory: directory,
        };
        ready(&world.gateway).await;
        world
    }

    /// The simulator's control API.
    pub async fn control(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let url = format!("http://{}{path}", self.simulator.addr);
        let answer = self
            .client
            .request(method, url)
            .json(&body)
            .send()
            .await
            .expect("an answer");
        serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or(Value::Null)
    }

    /// A call of the gateway that succeeds.
    pub async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> Value {
        let url = if path.starts_with('/') {
            format!("http://{}{path}", self.gateway.addr)
        } else {
            path.to_owned()
        };
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.expect("a body")).unwrap_or(Value::Null)
    }

    /// The token of its calls.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The ids of all cloud plans.
    pub async fn plans(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut next = Some("/api/v1/cloud-failover-plans?pageSize=100".to_owned());
        while let Some(path) = next {
            let page = self.call(reqwest::Method::GET, &path, None).await;
            found.extend(
                page["items"]
                    .as_array()
                    .expect("items")
                    .iter()
                    .map(|plan| plan["id"].as_str().expect("an id").to_owned()),
            );
            next = page["page"]["next"].as_str().map(str::to_owned);
        }
        found
    }

    /// The value of a series of the gateway's metrics; 0 before there is one.
    pub async fn metric(&self, series: &str) -> f64 {
        let url = format!("http://{}/metrics", self.gateway.addr);
        let answer = self.client.get(url).send().await.expect("an answer");
        let text = answer.text().await.expect("a body");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    /// Starts a failover as if from EM's console.
    pub async fn failover(&self, plan: &str, seconds: f64) {
        let body = json!({ "planId": plan, "action": "test", "seconds": seconds });
        let answer = self.control(reqwest::Method::POST, "/_sim/failovers", body).await;
        assert!(answer["sessionId"].is_string(), "{answer}");
    }
}

/// A gateway before that simulator, with its store in `directory`.
pub fn gateway(simulator: &Running, directory: &Path, more: &[(&str, &str)]) -> Running {
    gateway_by(&[], simulator, directory, more)
}

/// The same by another program, whose last arguments are `emgate` and its own.
pub fn gateway_by(starter: &[&str], simulator: &Running, directory: &Path, more: &[(&str, &str)]) -> Running {
    let upstream = format!("http://{}", simulator.addr);
    let store = format!("sqlite://{}", directory.join("emgate.db").display());
    let mut settings = process::settings(&upstream, &store);
    settings.extend(LAB);
    settings.extend(more.iter().copied());
    Running::start_by(starter, &["serve"], &settings)
}

/// Waits until the gateway is ready.
pub async fn ready(gateway: &Running) {
    let deadline = Instant::now() + PATIENCE;
    while !process::is_ready(gateway.addr) {
        assert!(Instant::now() < deadline, "the gateway did not become ready");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The seconds of processor time that a process has used; ticks are hundredths on Linux.
pub fn processor_seconds(process: &Running) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap_or_default();
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = behind
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    ticks / 100.0
}

/// Resident memory in megabytes.
pub fn megabytes(process: &Running) -> f64 {
    process::resident_kib(process).map_or(0.0, |kib| kib as f64 * 1024.0 / 1e6)
}

/// A receiver on loopback that answers 200 and records each request with its time.
pub async fn receiver() -> (SocketAddr, UnboundedReceiver<(Timestamp, Value)>) {
    let (sender, received) = tokio::sync::mpsc::unbounded_channel();
    let take = move |body: axum::body::Bytes| {
        let sender = sender.clone();
        async move {
            let _ = sender.send((
                Timestamp::now(),
                serde_json::from_slice(&body).unwrap_or(Value::Null),
            ));
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
    (addr, received)
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .no_proxy()
        .build()
        .expect("a client")
}

/// A token that may do everything.
fn token() -> String {
    let scopes = "plans:read plans:test sessions:read operations:read events:read webhooks:read webhooks:write em:read em:write \
         reports:read tenants:all";
    let claims = json!({ "sub": "bench", "scope": scopes, "exp": Timestamp::now().as_second() + 3600 });
    let key = jsonwebtoken::EncodingKey::from_secret(process::SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
}
