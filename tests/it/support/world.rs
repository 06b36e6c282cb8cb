//! The gateway and the simulator as real processes, with a store that outlives the gateway.

use serde_json::{Value, json};

use super::process::Process;
use super::{SECRET, client, token};
use crate::waiting::eventually;

/// Simulator and gateway as processes.
pub struct World {
    /// Enterprise Manager's double.
    pub simulator: Process,
    /// The gateway.
    pub gateway: Process,
    pub token: String,
    directory: tempfile::TempDir,
    /// What starts the gateway.
    starter: Vec<String>,
}

/// A simulator with the account that gateways here log on with.
pub fn simulator(options: &[&str]) -> Process {
    let mut arguments = vec![
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--user",
        "LAB\\svc-emgate",
        "--password",
        "pass wörd",
    ];
    arguments.extend(options);
    Process::start(&arguments, &[])
}

impl World {
    /// Starts both and waits until the gateway is ready.
    pub async fn start(simulator_options: &[&str]) -> Self {
        let world = Self::begin(simulator_options);
        world.wait_until_ready().await;
        world
    }

    /// The same, the gateway by another program ([`Process::start_by`]); `{}` in an argument is the store's folder.
    pub async fn start_by(starter: &[&str], simulator_options: &[&str]) -> Self {
        let world = Self::begin_by(starter, simulator_options);
        world.wait_until_ready().await;
        world
    }

    /// Starts both; the gateway listens, no more.
    pub fn begin(simulator_options: &[&str]) -> Self {
        Self::begin_by(&[], simulator_options)
    }

    /// Starts both, the gateway by another program; it listens, no more.
    pub fn begin_by(starter: &[&str], simulator_options: &[&str]) -> Self {
        let simulator = simulator(simulator_options);
        let directory = tempfile::tempdir().expect("a directory");
        let folder = directory.path().display().to_string();
        let starter: Vec<String> = starter
            .iter()
            .map(|argument| argument.replace("{}", &folder))
            .collect();
        let gateway = gateway(&starter, &simulator, &directory);
        Self {
            simulator,
            gateway,
            token: everything(),
            directory,
            starter,
        }
    }

    /// Kills the gateway as a crash would, starts it again on the same store, and waits until it is ready.
    pub async fn crash_and_restart(self) -> Self {
        let world = self.crash();
        world.wait_until_ready().await;
        world
    }

    /// Kills the gateway, does something while none runs, and starts it again; it is ready then.
    pub async fn crash_around<T>(self, between: impl Future<Output = T>) -> (T, Self) {
        let Self {
            simulator,
            gateway: old,
            token,
            directory,
            starter,
        } = self;
        old.kill();
        let done = between.await;
        let gateway = gateway(&starter, &simulator, &directory);
        let world = Self {
            simulator,
            gateway,
            token,
            directory,
            starter,
        };
        world.wait_until_ready().await;
        (done, world)
    }

    /// Kills the gateway as a crash would, and starts it again on the same store; it listens, no more.
    pub fn crash(self) -> Self {
        self.again(Process::kill)
    }

    /// Ends the gateway in order, and starts it again on the same store; it listens, no more.
    pub fn restart(self) -> Self {
        self.again(|old| assert!(old.terminate().success()))
    }

    fn again(self, end: impl FnOnce(Process)) -> Self {
        let Self {
            simulator,
            gateway: old,
            token,
            directory,
            starter,
        } = self;
        end(old);
        let gateway = gateway(&starter, &simulator, &directory);
        Self {
            simulator,
            gateway,
            token,
            directory,
            starter,
        }
    }

    /// Stops the gateway in order; the simulator stays.
    pub fn stop_gateway(self) -> (std::process::ExitStatus, Process) {
        (self.gateway.terminate(), self.simulator)
    }

    /// A GET that succeeds.
    pub async fn get(&self, path: &str) -> Value {
        let request = client::plain()
            .get(self.gateway.url(path))
            .bearer_auth(&self.token);
        let answer = request.send().await.expect("an answer");
        assert!(
            answer.status().is_success(),
            "{path}: {}",
            answer.text().await.unwrap_or_default()
        );
        json_of(answer).await
    }

    /// A GET with its status and whether it says when to come again.
    pub async fn ask(&self, path: &str) -> (u16, bool, Value) {
        let request = client::plain()
            .get(self.gateway.url(path))
            .bearer_auth(&self.token);
        let answer = request.send().await.expect("an answer");
        let pause = answer.headers().contains_key("retry-after");
        (answer.status().as_u16(), pause, json_of(answer).await)
    }

    /// Where the store is.
    pub fn folder(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Asks the simulator's control API.
    pub async fn control(&self, path: &str, body: &Value) {
        let url = self.simulator.url(&format!("/_sim/{path}"));
        let answer = client::plain().post(url).body(body.to_string()).send().await;
        assert!(answer.expect("an answer").status().is_success(), "{path}");
    }

    /// A POST with its status.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, _, body) = self.try_post(path, body).await;
        (status, body)
    }

    /// A POST with its status and whether it says when to come again.
    pub async fn try_post(&self, path: &str, body: &Value) -> (u16, bool, Value) {
        let request = client::plain()
            .post(self.gateway.url(path))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await.expect("an answer");
        let pause = answer.headers().contains_key("retry-after");
        (answer.status().as_u16(), pause, json_of(answer).await)
    }

    /// A POST without a body, under an idempotency key.
    pub fn post_with_key(&self, path: &str, key: &str) -> impl Future<Output = (u16, Value)> + use<> {
        let request = client::plain()
            .post(self.gateway.url(path))
            .bearer_auth(&self.token)
            .header("idempotency-key", key);
        async move {
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), json_of(answer).await)
        }
    }

    /// Asks again and again until the answer is as wished.
    pub async fn until(&self, path: &str, wished: impl Fn(&Value) -> bool) -> Value {
        eventually(path, async || self.get(path).await, wished).await
    }

    /// Waits until the gateway is ready.
    pub async fn wait_until_ready(&self) {
        eventually(
            "readiness",
            async || self.ask("/readyz").await,
            |(status, _, _)| *status == 200,
        )
        .await;
    }
}

/// The simulator's counters.
pub async fn stats(simulator: &Process) -> Value {
    json_of(
        client::plain()
            .get(simulator.url("/_sim/stats"))
            .send()
            .await
            .expect("an answer"),
    )
    .await
}

/// The bodies of answers as JSON.
pub async fn json_of(answer: reqwest::Response) -> Value {
    serde_json::from_str(&answer.text().await.expect("a whole answer")).expect("JSON")
}

fn gateway(starter: &[String], simulator: &Process, directory: &tempfile::TempDir) -> Process {
    let upstream = simulator.url("");
    let store = format!("sqlite://{}", directory.path().join("emgate.db").display());
    let environment = [
        ("EMGATE_SERVER__LISTEN", "127.0.0.1:0"),
        ("EMGATE_UPSTREAM__URL", upstream.as_str()),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators"),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "LAB\\svc-emgate"),
        ("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "pass wörd"),
        // A tenant's own account, which is used for callers who are confined to that tenant alone.
        ("EMGATE_UPSTREAM__ACCOUNTS__1__NAME", "abc"),
        ("EMGATE_UPSTREAM__ACCOUNTS__1__USERNAME", "ABC Company"),
        ("EMGATE_UPSTREAM__ACCOUNTS__1__PASSWORD", "simulated"),
        ("EMGATE_UPSTREAM__ACCOUNTS__1__TENANT", "ABC Company"),
        ("EMGATE_AUTH__KEYS__0__KIND", "hs256"),
        ("EMGATE_AUTH__KEYS__0__SECRET", SECRET),
        ("EMGATE_STORE__URL", store.as_str()),
        ("EMGATE_WATCH__INTERVAL", "100ms"),
        ("EMGATE_WATCH__IDLE_INTERVAL", "300ms"),
        ("EMGATE_WEBHOOKS__ALLOW_NETWORKS__0", "127.0.0.0/8"),
        ("EMGATE_WEBHOOKS__ALLOW_HTTP", "true"),
    ];
    let starter: Vec<&str> = starter.iter().map(String::as_str).collect();
    Process::start_by(&starter, &["serve"], &environment)
}

fn everything() -> String {
    token(&json!({
        "sub": "portal",
        "scope": "plans:read plans:test plans:start plans:undo plans:write sessions:read operations:read \
                  operations:cancel events:read webhooks:read webhooks:write em:read em:write audit:read \
                  reports:read reports:write tenants:all",
    }))
}
