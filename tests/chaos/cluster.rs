//! The gateways, the simulator and the store: what is killed, stopped and started again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::waiting::eventually;
use emgate::clock::{Clock as _, SystemClock};
use emgate::domain::logon::SavedLogon;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::dice::Dice;
use crate::postgres::{Database, Server};
use crate::process::Process;
use crate::scene::{Blow, Keeping, Scene};

const SECRET: &str = "the secret with which tests sign their tokens";
/// Deliveries of one endpoint at a time, of all gateways together.
pub const CONCURRENCY: usize = 4;
/// A replica without a beat for 8 s is dead to the others, which check once a second.
const DEATH: Duration = Duration::from_millis(9_200);

/// Where the gateways listen now; each start chooses another port.
pub type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

/// How often what happened.
#[derive(Default)]
pub struct Counts {
    pub kills: usize,
    pub freezes: usize,
    pub outages: usize,
}

/// What runs as processes.
pub struct Cluster {
    /// The simulated Enterprise Manager. It drops no logon session by itself, so that its counts show a leaked one.
    pub simulator: Process,
    pub counts: Counts,
    /// One for each place; none while it is to be started.
    gateways: Vec<Option<Process>>,
    addresses: Addresses,
    store: Store,
    more: &'static [(&'static str, &'static str)],
}

enum Store {
    File(tempfile::TempDir),
    Server { server: Server, database: Database },
}

impl Store {
    async fn of(scene: &Scene) -> Self {
        match scene.keeping {
            Keeping::File => Self::File(tempfile::tempdir().expect("a directory")),
            Keeping::Server => {
                let server = block_in_place(Server::start);
                let database = server.database().await;
                Self::Server { server, database }
            }
        }
    }

    fn config(&self) -> emgate::store::config::Config {
        let (url, encryption_key_file) = match self {
            Self::File(directory) => (
                format!("sqlite://{}", directory.path().join("emgate.db").display()),
                None,
            ),
            Self::Server { database, .. } => (database.url.clone(), Some(database.key_file.clone())),
        };
        emgate::store::config::Config {
            url,
            encryption_key_file,
        }
    }
}

impl Cluster {
    pub async fn start(scene: &Scene) -> Self {
        let mut arguments = vec![
            "simulate",
            "--listen",
            "127.0.0.1:0",
            "--speed",
            "20",
            "--plans",
            scene.plans,
            "--vms",
            "1",
            "--idle",
            "86400",
        ];
        arguments.extend(scene.simulator);
        let mut cluster = Self {
            simulator: Process::start(&arguments, &[]),
            counts: Counts::default(),
            gateways: (0..scene.replicas).map(|_| None).collect(),
            addresses: Addresses::default(),
            store: Store::of(scene).await,
            more: scene.more,
        };
        cluster.start_again().await;
        cluster
    }

    pub fn addresses(&self) -> Addresses {
        Arc::clone(&self.addresses)
    }

    /// Whether several gateways share the store.
    pub fn has_replicas(&self) -> bool {
        self.gateways.len() > 1
    }

    /// One round's blow, and what it hit on its feet again.
    pub async fn strike(&mut self, blow: Blow, dice: &mut Dice) {
        let hit = dice.below(self.gateways.len() as u64) as usize;
        match blow {
            Blow::Kill => {
                self.kill(hit);
                self.start_again().await;
            }
            Blow::Freeze => self.freeze(hit, None, dice).await,
            Blow::FreezeAndKill => {
                let other = (hit + 1) % self.gateways.len();
                self.freeze(hit, Some(other), dice).await;
            }
            Blow::DatabaseEnds => self.outage(Server::kill, Server::restart, dice).await,
            Blow::DatabaseKilled => self.outage(Server::crash, Server::restart, dice).await,
            Blow::DatabaseFrozen => {
                self.outage(|server| server.freeze(), |server| server.thaw(), dice)
                    .await
            }
        }
    }

    /// Stops a gateway until the others have replaced it; another may be killed and started in the meantime.
    async fn freeze(&mut self, hit: usize, killed: Option<usize>, dice: &mut Dice) {
        let frozen = self.gateways[hit].take().expect("a gateway");
        frozen.freeze();
        self.counts.freezes += 1;
        let mut left = DEATH + Duration::from_millis(dice.below(1_500));
        if let Some(other) = killed {
            let before = Duration::from_millis(dice.below(3_000));
            tokio::time::sleep(before).await;
            left -= before;
            let begun = Instant::now();
            self.kill(other);
            self.start_at(other).await;
            left = left.saturating_sub(begun.elapsed());
        }
        tokio::time::sleep(left).await;
        frozen.thaw();
        self.gateways[hit] = Some(frozen);
    }

    async fn outage(&mut self, begin: impl Fn(&mut Server), end: impl Fn(&mut Server), dice: &mut Dice) {
        let Store::Server { server, .. } = &mut self.store else {
            panic!("a file has no server");
        };
        block_in_place(|| begin(server));
        tokio::time::sleep(Duration::from_millis(dice.below(5_000))).await;
        block_in_place(|| end(server));
        self.counts.outages += 1;
    }

    /// Where the gateway of this place listens.
    pub fn address(&self, place: usize) -> SocketAddr {
        self.addresses.lock().unwrap()[place]
    }

    /// Stops a gateway until the others have replaced it.
    pub async fn freeze_one(&mut self, place: usize, dice: &mut Dice) {
        self.freeze(place, None, dice).await;
    }

    /// SIGKILL for one.
    pub fn kill(&mut self, place: usize) {
        let mut gateway = self.gateways[place].take().expect("a gateway");
        assert!(
            gateway.is_alive(),
            "a gateway ended by itself:\n{}",
            gateway.log()
        );
        keep_log(&mut gateway);
        gateway.kill();
        self.counts.kills += 1;
    }

    /// SIGKILL for all.
    pub fn kill_all(&mut self) {
        for place in 0..self.gateways.len() {
            self.kill(place);
        }
    }

    /// SIGTERM for one after the other, and an orderly end.
    pub fn stop(&mut self) {
        for gateway in &mut self.gateways {
            let mut gateway = gateway.take().expect("a gateway");
            keep_log(&mut gateway);
            let status = gateway.terminate();
            assert!(status.success(), "{status}");
        }
    }

    /// The next start of those that do not run, on the same store.
    pub async fn start_again(&mut self) {
        for place in 0..self.gateways.len() {
            if self.gateways[place].is_none() {
                self.start_at(place).await;
            }
        }
    }

    async fn start_at(&mut self, place: usize) {
        let (upstream, store, more) = (self.simulator.url(""), self.store.config(), self.more);
        let next = tokio::task::spawn_blocking(move || gateway(&upstream, &store, more));
        let next = next.await.expect("the gateway starts");
        {
            let mut addresses = self.addresses.lock().unwrap();
            addresses.resize(self.gateways.len(), next.addr);
            addresses[place] = next.addr;
        }
        self.gateways[place] = Some(next);
    }

    /// The logon sessions that the store keeps for unfinished tasks; to be asked while no gateway runs.
    pub async fn kept_logons(&self) -> Vec<SavedLogon> {
        assert!(self.gateways.iter().all(Option::is_none), "the store is in use");
        let store = emgate::store::Store::open(&self.store.config(), SystemClock::shared())
            .await
            .expect("the store opens");
        let kept = store.kept_logons().await.expect("the store answers");
        store.close().await;
        kept
    }

    /// Waits until every gateway is ready.
    pub async fn wait_until_ready(&self) {
        let addresses = self.addresses.lock().unwrap().clone();
        for address in addresses {
            let ask = async || http().get(format!("http://{address}/readyz")).send().await;
            let is_ready = |answer: &reqwest::Result<reqwest::Response>| {
                answer.as_ref().is_ok_and(|answer| answer.status().is_success())
            };
            let _ = eventually("readiness", ask, is_ready).await;
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

    /// The audit log as it is exported.
    pub async fn audit(&self) -> String {
        let request = http().get(self.url("/api/v1/audit/export")).bearer_auth(token());
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.text().await.expect("a whole export")
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addresses.lock().unwrap()[0])
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
    token_of("portal")
}

/// A token of this caller.
pub fn token_of(name: &str) -> String {
    let claims = json!({
        "sub": name,
        "exp": SystemClock.now().as_second() + 3600,
        "scope": "plans:read plans:test plans:start plans:undo plans:approve sessions:read operations:read events:read audit:read \
                  webhooks:read webhooks:write tenants:all",
    });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("signing works")
}

/// Keeps the log of a gateway that is about to end, for the search of a cause.
fn keep_log(gateway: &mut Process) {
    if let Ok(directory) = std::env::var("LOGS") {
        let _ = std::fs::create_dir_all(&directory);
        let file = std::path::Path::new(&directory).join(format!("{}.log", gateway.id()));
        let _ = std::fs::write(file, gateway.log());
    }
}

fn gateway(upstream: &str, store: &emgate::store::config::Config, more: &[(&str, &str)]) -> Process {
    let key = store
        .encryption_key_file
        .as_ref()
        .map(|file| file.display().to_string());
    let mut environment = vec![
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
        ("EMGATE_STORE__URL", store.url.as_str()),
        ("EMGATE_WATCH__INTERVAL", "100ms"),
        ("EMGATE_WATCH__IDLE_INTERVAL", "300ms"),
        ("EMGATE_WEBHOOKS__ALLOW_NETWORKS__0", "127.0.0.0/8"),
        ("EMGATE_WEBHOOKS__ALLOW_HTTP", "true"),
        // Long enough for a busy machine: a delivery repeated after a time-out would be no fault of the gateway.
        ("EMGATE_WEBHOOKS__TIMEOUT", "5s"),
        (
            "EMGATE_WEBHOOKS__RETRY_SCHEDULE",
            r#"["100ms","200ms","400ms","800ms","1s","1s","2s","2s","5s","5s","5s","5s"]"#,
        ),
    ];
    if let Some(file) = &key {
        environment.push(("EMGATE_STORE__ENCRYPTION_KEY_FILE", file));
    }
    environment.extend(more);
    Process::start(&["serve"], &environment)
}
