//! Stores to measure on: a file, and a server whose commits reach the disk; each filled as a gateway would have filled it,
//! and each with its own yardstick, single-row commits of eight clients.

use std::path::Path;
use std::time::{Duration, Instant};

use emgate::api_types::events::{UpstreamEventData, event};
use emgate::app::webhooks::Webhooks;
use emgate::clock::SystemClock;
use emgate::domain::event::{EventType, NewEvent, Routing};
use emgate::domain::id::EventId;
use emgate::store::{self, Store};
use emgate::webhooks::{Config, EgressPolicy};
use futures_util::future::join_all;
use serde_json::json;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Executor as _};

use super::context::operator;
use super::postgres::Server;
use super::world::PATIENCE;

/// How many write at once for the yardstick, and for how long.
const CLIENTS: usize = 8;
const COMMITS: Duration = Duration::from_secs(2);

/// Events of one transaction.
const TOGETHER: usize = 100;

/// Which database is measured.
pub enum Kind {
    Sqlite,
    Postgres(Box<Server>),
}

/// A fresh store.
pub struct Fresh {
    pub config: store::Config,
    pub directory: tempfile::TempDir,
}

impl Kind {
    /// Both, the server started.
    pub async fn both() -> [Self; 2] {
        let server = tokio::task::spawn_blocking(Server::start_durable).await;
        [Self::Sqlite, Self::Postgres(Box::new(server.expect("a server")))]
    }

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Transactions of pgbench a second (an update, a read, an insert each), by as many clients; none of a file.
    pub async fn pgbench(&self) -> Option<f64> {
        let Self::Postgres(server) = self else {
            return None;
        };
        let database = server.fresh().await;
        let run = |arguments: &[&str]| {
            let mut pgbench = server.program("pgbench");
            let output = pgbench.args(arguments).arg(&database).output();
            let output = output.expect("pgbench runs");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            said
        };
        run(&["--initialize", "--quiet", "--scale=10"]);
        let (clients, seconds) = (CLIENTS.to_string(), COMMITS.as_secs().to_string());
        let said = run(&[
            "--no-vacuum",
            "--skip-some-updates",
            "--client",
            &clients,
            "--jobs=2",
            "--time",
            &seconds,
        ]);
        let rate = said
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        rate.and_then(|rate| rate.parse().ok())
    }

    pub async fn fresh(&self) -> Fresh {
        let directory = tempfile::tempdir().expect("a directory");
        let config = match self {
            Self::Sqlite => file_in(directory.path()),
            Self::Postgres(server) => {
                let database = server.database().await;
                store::Config {
                    url: database.url,
                    encryption_key_file: Some(database.key_file),
                }
            }
        };
        Fresh { config, directory }
    }

    /// Commits of one row a second, eight clients at once; of a file, which has one writer, these wait for each other.
    pub async fn commits(&self) -> f64 {
        let fresh = self.fresh().await;
        sqlx::any::install_default_drivers();
        let (url, connections) = match self {
            Self::Sqlite => (format!("{}?mode=rwc", fresh.config.url), 1),
            Self::Postgres(_) => (fresh.config.url.clone(), CLIENTS as u32),
        };
        let settings = match self {
            Self::Sqlite => "pragma journal_mode = wal; pragma synchronous = full;",
            Self::Postgres(_) => "select 1",
        };
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .after_connect(move |connection, _| {
                Box::pin(async move { connection.execute(sqlx::raw_sql(settings)).await.map(|_| ()) })
            })
            .connect(&url)
            .await
            .expect("connected");
        let table = "create table yardstick (id text primary key, at bigint not null)";
        sqlx::query(table).execute(&pool).await.expect("a table");
        let begun = Instant::now();
        let counts = join_all((0..CLIENTS).map(|_| insert_until(&pool, begun + COMMITS))).await;
        let commits: usize = counts.iter().sum();
        pool.close().await;
        commits as f64 / begun.elapsed().as_secs_f64()
    }
}

async fn insert_until(pool: &AnyPool, end: Instant) -> usize {
    let mut commits = 0;
    while Instant::now() < end {
        sqlx::query("insert into yardstick (id, at) values ($1, $2)")
            .bind(uuid::Uuid::now_v7().to_string())
            .bind(1_i64)
            .execute(pool)
            .await
            .expect("inserted");
        commits += 1;
    }
    commits
}

/// The store of a gateway whose file is in `directory`.
pub fn file_in(directory: &Path) -> store::Config {
    store::Config {
        url: format!("sqlite://{}", directory.join("emgate.db").display()),
        encryption_key_file: None,
    }
}

/// Receivers on loopback and plain HTTP.
pub fn lab() -> Config {
    Config {
        allow_private_networks: true,
        allow_http: true,
        ..Config::default()
    }
}

/// An endpoint for each URL that gets every event of [`an_event`].
pub async fn endpoints(store: &Store, urls: &[String], concurrency: usize) {
    let clock = SystemClock::shared();
    let verbs = Webhooks::new(store.clone(), EgressPolicy::new(&lab(), Vec::new()), clock);
    for url in urls {
        let wanted =
            json!({ "url": url, "eventTypes": ["upstream.unavailable"], "maxConcurrency": concurrency });
        let wanted = serde_json::from_value(wanted).expect("an endpoint");
        verbs.create(&operator(), wanted).await.expect("created");
    }
}

/// An event with a body of 900 bytes that concerns no session.
pub fn an_event(store: &Store) -> NewEvent {
    let now = store.clock().now();
    let data = UpstreamEventData {
        account: "operators".to_owned(),
        since: now.into(),
        reason: Some("x".repeat(740)),
    };
    let id = EventId::new(store.clock().id());
    event(id, EventType::UpstreamUnavailable, now, data, Routing::default()).expect("an event")
}

/// Appends events as a gateway does, many in a transaction; the seconds it took.
pub async fn fill(store: &Store, events: usize) -> f64 {
    let begun = Instant::now();
    let mut left = events;
    while left > 0 {
        let mut tx = store.begin().await.expect("begun");
        for _ in 0..left.min(TOGETHER) {
            tx.append_event(&an_event(store)).await.expect("appended");
        }
        tx.commit().await.expect("committed");
        left -= left.min(TOGETHER);
    }
    begun.elapsed().as_secs_f64()
}

/// Closes a store, and waits until nobody uses its file.
pub async fn close(store: Store, directory: &Path) {
    store.close().await;
    drop(store);
    // The lock of the store goes with its last user.
    let deadline = Instant::now() + PATIENCE;
    let lock = directory.join("emgate.db.lock");
    while std::fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_err()) {
        assert!(Instant::now() < deadline, "somebody still uses the store");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
