//! The only room that speaks SQL.
//!
//! One text of SQL with `$1` parameters serves both engines; what differs (the way a transaction starts, the
//! migrations, the process lock) is in this file. Moments are stored as microseconds since 1970, documents as JSON
//! text, secrets sealed. Invariant: whatever is acknowledged to a caller or seen at EM was committed first.

pub mod config;
pub mod error;
pub mod events;
pub mod idempotency;
pub mod lock;
pub mod operations;
pub mod row;
pub mod seal;
pub mod sessions;
pub mod webhooks;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, Connection as _, Executor as _};

use crate::clock::SharedClock;
use crate::runtime::Nudge;
pub use config::Config;
pub use error::Error;
use lock::ProcessLock;
use seal::Sealer;

/// A transaction that may write. Dropping it without [`Tx::commit`] rolls it back.
pub struct Tx {
    inner: sqlx::Transaction<'static, Any>,
    store: Arc<Inner>,
    events_written: bool,
}

/// The database and what belongs to it; clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    write: AnyPool,
    read: AnyPool,
    sealer: Sealer,
    clock: SharedClock,
    deliveries: Nudge,
    _lock: Option<ProcessLock>,
}

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "core", include_str!("migrations/sqlite/0001_core.sql")),
    (2, "webhooks", include_str!("migrations/sqlite/0002_webhooks.sql")),
    (
        3,
        "idempotency",
        include_str!("migrations/sqlite/0003_idempotency.sql"),
    ),
];

/// How long a statement waits for another process or connection that holds the database.
const BUSY_TIMEOUT_MS: u32 = 5_000;

impl Store {
    /// Opens the database, takes its process lock, brings its tables up to date.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::Newer`] when a newer program wrote it, otherwise
    /// what the database says.
    pub async fn open(config: &Config, clock: SharedClock) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let path = sqlite_path(&config.url)?;
        let lock = ProcessLock::take(&path)?;
        let sealer = Sealer::open(config, &path)?;
        let options = AnyConnectOptions::from_str(&format!("sqlite://{}?mode=rwc", path.display()))
            .map_err(Error::Database)?;
        // SQLite has one writer at a time: a pool of one queues them fairly, where many would only meet SQLITE_BUSY.
        let write = sqlite_pool(1)
            .connect_with(options.clone())
            .await
            .map_err(Error::Database)?;
        migrate(&write).await?;
        let read = sqlite_pool(4)
            .connect_with(options)
            .await
            .map_err(Error::Database)?;
        Ok(Self(Arc::new(Inner {
            write,
            read,
            sealer,
            clock,
            deliveries: Nudge::default(),
            _lock: Some(lock),
        })))
    }

    /// Begins a transaction that may write; on SQLite it holds the write lock from the start, so that what it
    /// reads stays true until it commits.
    ///
    /// # Errors
    /// [`Error::Database`] when the database does not answer in time.
    pub async fn begin(&self) -> Result<Tx, Error> {
        let connection = self.0.write.acquire().await?;
        let inner =
            sqlx::Transaction::begin(connection, Some(sqlx::SqlStr::from_static("BEGIN IMMEDIATE"))).await?;
        Ok(Tx {
            inner,
            store: self.0.clone(),
            events_written: false,
        })
    }

    /// Where statements that only read go.
    pub(in crate::store) fn reader(&self) -> &AnyPool {
        &self.0.read
    }

    /// Seals and opens secrets kept in the store.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.0.sealer
    }

    /// The store's clock.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// Woken after each commit that may have made deliveries due.
    #[must_use]
    pub fn deliveries_nudge(&self) -> Nudge {
        self.0.deliveries.clone()
    }

    /// Whether the database answers, for readiness.
    ///
    /// # Errors
    /// [`Error::Database`] when it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("select 1").fetch_one(self.reader()).await?;
        Ok(())
    }

    /// Closes all connections after what runs has ended.
    pub async fn close(&self) {
        self.0.read.close().await;
        self.0.write.close().await;
    }
}

impl Tx {
    /// The connection, for statements of this room.
    pub(in crate::store) fn connection(&mut self) -> &mut sqlx::AnyConnection {
        &mut self.inner
    }

    /// Seals and opens secrets kept in the store.
    pub(in crate::store) fn sealer(&self) -> Sealer {
        self.store.sealer.clone()
    }

    /// The store's clock.
    #[must_use]
    pub fn clock(&self) -> SharedClock {
        self.store.clock.clone()
    }

    /// Remembers that this transaction may have made deliveries due.
    pub(in crate::store) fn note_deliveries(&mut self) {
        self.events_written = true;
    }

    /// Makes it durable, then wakes whom it concerns.
    ///
    /// # Errors
    /// [`Error::Database`] when the database did not take it; then nothing of it is there.
    pub async fn commit(self) -> Result<(), Error> {
        self.inner.commit().await?;
        if self.events_written {
            self.store.deliveries.now();
        }
        Ok(())
    }
}

fn sqlite_pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(|connection, _| {
            Box::pin(async move {
                // FULL, because the product is for the day the power fails: a commit that was answered must survive it.
                connection
                    .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
                        "pragma busy_timeout = {BUSY_TIMEOUT_MS}; pragma journal_mode = wal; \
                         pragma synchronous = full; pragma foreign_keys = on;"
                    ))))
                    .await?;
                Ok(())
            })
        })
}

async fn migrate(pool: &AnyPool) -> Result<(), Error> {
    let migrations = MIGRATIONS
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(
                *version,
                (*name).into(),
                MigrationType::Simple,
                sqlx::SqlStr::from_static(sql),
                false,
            )
        })
        .collect::<Vec<_>>();
    let mut connection = pool.acquire().await?;
    Migrator::with_migrations(migrations)
        .run(&mut *connection)
        .await
        .map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => Error::Newer { version },
            other => Error::Migration(other),
        })?;
    connection.ping().await?;
    Ok(())
}

fn sqlite_path(url: &str) -> Result<PathBuf, Error> {
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
        .ok_or(Error::UnsupportedUrl)?;
    let path = path.split('?').next().unwrap_or_default();
    if path.is_empty() || path.starts_with(':') {
        Err(Error::UnsupportedUrl)
    } else {
        Ok(PathBuf::from(path))
    }
}

/// Temporary stores for tests of this room and of those above it.
#[cfg(test)]
pub mod testing {
    use super::{Config, Store};
    use crate::clock::{SharedClock, SystemClock};

    /// A fresh store in a directory that is left to the system to clean.
    pub async fn temporary() -> Store {
        temporary_with(SystemClock::shared()).await
    }

    /// The same with a clock of one's own.
    pub async fn temporary_with(clock: SharedClock) -> Store {
        let directory = tempfile::tempdir().expect("a temporary directory").keep();
        let config = Config {
            url: format!("sqlite://{}", directory.join("emgate.db").display()),
            encryption_key_file: None,
        };
        Store::open(&config, clock).await.expect("a fresh store")
    }
}
