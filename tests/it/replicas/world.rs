//! Replicas as real processes on one PostgreSQL database and one simulator.

use emgate::clock::SystemClock;
use emgate::store::{Config, Store};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::support::postgres::{Database, database};
use crate::support::process::Process;
use crate::support::world::json_of;
use crate::support::{SECRET, client, token};
use crate::waiting::eventually;

/// What the replicas share.
pub struct Shared {
    pub simulator: Process,
    pub database: Database,
}

/// One of them.
pub struct Replica {
    pub process: Process,
    token: String,
}

impl Shared {
    /// A simulator and a fresh database on the server of all tests.
    pub async fn start(simulator_options: &[&str]) -> Self {
        Self::on(database().await, simulator_options)
    }

    /// The same on a database of one's own.
    pub fn on(database: Database, simulator_options: &[&str]) -> Self {
        let mut arguments = vec!["simulate", "--listen", "127.0.0.1:0", "--user", "LAB\\svc-emgate"];
        arguments.extend(["--password", "pass wörd"]);
        arguments.extend(simulator_options);
        Self {
            simulator: Process::start(&arguments, &[]),
            database,
        }
    }

    /// The store that they share, opened by the test as one more of them.
    pub async fn store(&self) -> Store {
        store_on(&self.database).await
    }

    /// A connection of the test's own to the database.
    pub async fn connection(&self) -> sqlx::PgConnection {
        connection_to(&self.database).await
    }

    /// One more replica, ready. The first of a database observes.
    pub async fn replica(&self) -> Replica {
        self.replica_with(&[]).await
    }

    /// The same with more variables in its environment.
    pub async fn replica_with(&self, more: &[(&str, &str)]) -> Replica {
        let upstream = self.simulator.url("");
        let key = self.database.key_file.display().to_string();
        let mut environment = vec![
            ("EMGATE_SERVER__LISTEN", "127.0.0.1:0"),
            ("EMGATE_UPSTREAM__URL", upstream.as_str()),
            ("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators"),
            ("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "LAB\\svc-emgate"),
            ("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "pass wörd"),
            ("EMGATE_AUTH__KEYS__0__KIND", "hs256"),
            ("EMGATE_AUTH__KEYS__0__SECRET", SECRET),
            ("EMGATE_STORE__URL", self.database.url.as_str()),
            ("EMGATE_STORE__ENCRYPTION_KEY_FILE", key.as_str()),
            ("EMGATE_WATCH__INTERVAL", "100ms"),
            ("EMGATE_WATCH__IDLE_INTERVAL", "300ms"),
            ("EMGATE_WEBHOOKS__ALLOW_NETWORKS__0", "127.0.0.0/8"),
            ("EMGATE_WEBHOOKS__ALLOW_HTTP", "true"),
        ];
        environment.extend(more);
        let scope = "plans:read plans:test plans:start plans:undo sessions:read operations:read operations:cancel \
                     events:read webhooks:read webhooks:write em:read em:write \
                     reports:read reports:write tenants:all";
        let replica = Replica {
            process: Process::start(&["serve"], &environment),
            token: token(&json!({"sub": "portal", "scope": scope})),
        };
        replica.until_ready().await;
        replica
    }

    /// Lets the simulator run a failover that was not requested through the gateway.
    pub async fn failover_elsewhere(&self) {
        let body =
            json!({"planId": crate::support::PLAN, "action": "test", "result": "Success", "seconds": 1});
        let answer = client::plain()
            .post(self.simulator.url("/_sim/failovers"))
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        assert!(answer.status().is_success());
    }
}

impl Replica {
    /// A GET with its status and `Retry-After`.
    pub async fn ask(&self, path: &str) -> (u16, Option<String>, Value) {
        let request = client::plain()
            .get(self.process.url(path))
            .bearer_auth(&self.token);
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let pause = answer.headers().get("retry-after");
        let pause = pause.map(|value| value.to_str().expect("text").to_owned());
        (status, pause, json_of(answer).await)
    }

    /// A GET that succeeds.
    pub async fn get(&self, path: &str) -> Value {
        let (status, _, body) = self.ask(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A GET that waits for the end of an operation.
    pub async fn wait_for(&self, operation: &Value) -> Value {
        let request = client::plain()
            .get(self.process.url(&path_of(operation)))
            .bearer_auth(&self.token)
            .header("prefer", "wait=30");
        json_of(request.send().await.expect("an answer")).await
    }

    /// A POST with headers.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
        let mut request = self.request(reqwest::Method::POST, path, body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// Any request; null means no body.
    pub fn request(&self, method: reqwest::Method, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = client::plain()
            .request(method, self.process.url(path))
            .bearer_auth(&self.token);
        if body.is_null() {
            return request;
        }
        request
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Asks again and again until the answer is as wished; what fails in between is asked again as well.
    pub async fn until(&self, path: &str, wished: impl Fn(&Value) -> bool) -> Value {
        eventually(path, async || self.ask(path).await.2, wished).await
    }

    /// The events of this type, once there are so many.
    pub async fn events(&self, kind: &str, count: usize) -> Vec<Value> {
        let of_kind = |log: &Value| -> Vec<Value> {
            let items = log["items"].as_array().cloned().unwrap_or_default();
            items.into_iter().filter(|event| event["type"] == kind).collect()
        };
        let log = self
            .until("/api/v1/events?pageSize=100", |log| of_kind(log).len() >= count)
            .await;
        of_kind(&log)
    }

    /// What it counts, as text.
    pub async fn metrics(&self) -> String {
        let request = client::plain()
            .get(self.process.url("/metrics"))
            .bearer_auth(&self.token);
        let answer = request.send().await.expect("an answer");
        answer.text().await.expect("text")
    }

    /// The value of a counter or gauge; labels as they are written.
    pub async fn counter(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.trim().parse().expect("a number"))
    }

    /// Waits until it is ready.
    pub async fn until_ready(&self) {
        self.until("/readyz", |body| body["status"] == "ready").await;
    }
}

/// Where an operation is read.
pub fn path_of(operation: &Value) -> String {
    format!("/api/v1/operations/{}", operation["id"].as_str().expect("an id"))
}

/// What comes back; null for no body.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = if status == 204 {
        Value::Null
    } else {
        json_of(answer).await
    };
    (status, body)
}

/// The store on that database, opened by the test as one more replica; it does not beat by itself.
pub async fn store_on(database: &Database) -> Store {
    let config = Config {
        url: database.url.clone(),
        encryption_key_file: Some(database.key_file.clone()),
    };
    Store::open(&config, SystemClock::shared())
        .await
        .expect("the store opens")
}

/// A connection of the test's own.
pub async fn connection_to(database: &Database) -> sqlx::PgConnection {
    sqlx::PgConnection::connect(&database.url)
        .await
        .expect("connected")
}

/// Waits until so many transactions of this database wait for another one; `over` says that none ever will.
pub async fn until_waiting(connection: &mut sqlx::PgConnection, count: i64, over: impl Fn() -> bool) {
    let waiting = async || -> i64 {
        let waiting = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        waiting.fetch_one(&mut *connection).await.expect("asked")
    };
    eventually("transactions that wait", waiting, |waiting| {
        *waiting >= count || over()
    })
    .await;
}
