//! The only room that speaks SQL: operations, sessions, the event log, webhook deliveries, leases and sealed secrets.
//!
//! One text of SQL with `$1` parameters serves both engines; what differs is in `engine`. Moments are stored as
//! microseconds since 1970, documents as JSON text, secrets sealed, and things that EM has ids for with the EM that they
//! live in. Every statement has a time limit (`timed`), lists are read by `cursor`, a row that cannot be read costs itself
//! (`readable`). The room decides nothing: rules are in `domain`. Invariant: whatever is acknowledged to a caller or seen
//! at EM was committed first, and an event is written with its deliveries or not at all. Tests: beside each file on both
//! engines, `tests/it/store_start`, `tests/it/store_faults.rs`, `tests/it/replicas`, `tests/chaos`.

pub mod audit;
#[cfg(test)]
mod busy_tests;
pub mod census;
mod commands;
pub mod config;
pub mod console;
pub mod copy;
pub mod cursor;
pub mod engine;
mod engine_codes;
pub mod error;
pub mod event_log;
pub mod events;
pub mod evidence;
pub mod idempotency;
mod key_file;
mod keyring;
mod lock;
pub mod logons;
pub mod migrations;
#[cfg(feature = "postgres")]
pub mod notifications;
mod notify;
pub mod observations;
pub mod operations;
pub mod overview;
mod place;
mod preconditions;
pub mod readable;
pub mod replicas;
pub mod retention;
mod revision;
pub mod row;
pub mod savepoint;
pub mod seal;
pub mod session_list;
pub mod sessions;
mod sets;
mod sql;
mod tenants;
#[cfg(test)]
pub mod testing;
mod text;
pub mod tickets;
mod timed;
mod transaction;
mod trusted_clock;
#[cfg(test)]
mod upstreams_tests;
pub mod webhooks;

use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{Any, AnyPool};
use tokio::sync::watch;

use crate::clock::SharedClock;
use crate::domain::audit::AuditEntry;
use crate::domain::upstream_id::UpstreamId;
use crate::runtime::Nudge;
use crate::telemetry::traces::Span;
pub use config::Config;
use engine::Engine;
pub use engine::with_timeout;
pub use error::{Error, Refusal};
use keyring::Keyring;
use lock::ProcessLock;
use place::Place;
use revision::Commits;
pub use revision::Revision;
use seal::Sealer;
use timed::{Health, Timed};
pub use trusted_clock::ClockRecorder;
use trusted_clock::TrustedClock;
use webhooks::fan_out::Appended;

/// A transaction that may write. Dropping it without [`Tx::commit`] rolls it back.
pub struct Tx {
    inner: sqlx::Transaction<'static, Any>,
    store: Arc<Inner>,
    event_log_locked: bool,
    events_written: bool,
    operations_written: bool,
    settings_written: bool,
    /// The events appended: their deliveries are written at the end, and they are counted once they are committed.
    events: Vec<Appended>,
    /// Rows of the audit log, to be written at the end.
    audit: Vec<AuditEntry>,
    written: bool,
    begun: std::time::Instant,
    span: Span,
}

/// The database and what belongs to it; clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>, Lane);

/// Whose connections are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Requests,
    Workers,
}

struct Inner {
    engine: Engine,
    write: AnyPool,
    read: AnyPool,
    workers: engine::Pools,
    sealer: Sealer,
    clock: SharedClock,
    chain_end: audit::ChainEnd,
    trusted_clock: Mutex<TrustedClock>,
    unreadable: readable::Unreadable,
    health: Health,
    deliveries: Nudge,
    /// Counts the commits, here or in another replica, that changed an operation, a session or the event log.
    changes: watch::Sender<u64>,
    commits: Commits,
    /// Given when there may be another replica, or one less.
    replicas: Nudge,
    /// Given when another replica changed what is set about plans.
    settings: Nudge,
    /// This process among those that share the database.
    replica: String,
    /// What this process knows of its place among them.
    presence: replicas::Presence,
    /// SQLite's write-ahead log.
    log: Option<PathBuf>,
    _lock: Option<ProcessLock>,
}

/// The EM that this program serves: statements about things that EM has ids for name it.
pub(in crate::store) const UPSTREAM: &str = UpstreamId::MAIN.as_str();

impl Store {
    /// Opens the database, takes its process lock, brings its tables up to date, and joins its replicas.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::Newer`] when a newer program wrote it,
    /// [`Error::WrongKey`] and [`Error::KeyGone`] when its secrets cannot be opened, otherwise what the database says.
    pub async fn open(config: &Config, clock: SharedClock) -> Result<Self, Error> {
        let (store, place) = Self::prepare(config, clock).await?;
        store.register().await.map_err(|error| place.named(error))?;
        Ok(store)
    }

    /// Does what [`Store::open`] does, but the replicas that there are notice nothing: what has to be written is undone.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn examine(config: &Config, clock: SharedClock) -> Result<(), Error> {
        let (store, place) = Self::prepare(config, clock).await?;
        let examined = store.try_enrolment().await;
        store.close_pools().await;
        examined.map_err(|error| place.named(error))
    }

    /// Opens the database to read it, without joining its replicas; to be closed by [`Store::close_unregistered`].
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_unregistered(config: &Config, clock: SharedClock) -> Result<Self, Error> {
        Ok(Self::prepare(config, clock).await?.0)
    }

    /// Closes what [`Store::open_unregistered`] opened.
    pub async fn close_unregistered(&self) {
        self.close_pools().await;
    }

    /// Everything up to the first write of this process' own.
    async fn prepare(config: &Config, clock: SharedClock) -> Result<(Self, Place), Error> {
        sqlx::any::install_default_drivers();
        let place = Place::find(&config.url)?;
        let keyring = Keyring::new(config, &place)?;
        let (lock, log) = match &place {
            Place::File(location) => (Some(ProcessLock::take(location)?), Some(location.beside("-wal"))),
            Place::Server(_) => (None, None),
        };
        let engine = place.engine();
        let opened = async {
            let (requests, workers) = place.connect().await?;
            with_timeout(preconditions::of_database(&requests.write, engine)).await?;
            migrations::migrate(&requests.write, engine).await?;
            with_timeout(preconditions::of_tables(&requests.write, engine)).await?;
            Ok((requests, workers))
        };
        let (engine::Pools { write, read }, workers) = opened.await.map_err(|error| place.named(error))?;
        let sealer = keyring.open(&write, clock.as_ref()).await?;
        let inner = Inner {
            replica: clock.id().to_string(),
            presence: replicas::Presence::new(),
            engine,
            write,
            read,
            workers,
            sealer,
            health: Health::new(clock.clone()),
            unreadable: readable::Unreadable::new(clock.clone()),
            clock,
            trusted_clock: Mutex::default(),
            chain_end: audit::ChainEnd::default(),
            deliveries: Nudge::default(),
            changes: watch::Sender::new(0),
            commits: Commits::default(),
            replicas: Nudge::default(),
            settings: Nudge::default(),
            log,
            _lock: lock,
        };
        let store = Self(Arc::new(inner), Lane::Requests);
        store
            .load_trusted_time()
            .await
            .map_err(|error| place.named(error))?;
        store
            .complete_tenants()
            .await
            .map_err(|error| place.named(error))?;
        Ok((store, place))
    }

    /// The same store over connections of the workers' own: a crowd of requests does not keep them waiting.
    #[must_use]
    pub fn for_workers(&self) -> Self {
        Self(self.0.clone(), Lane::Workers)
    }

    /// Where statements that may write go.
    pub(in crate::store) fn writer(&self) -> &AnyPool {
        match self.1 {
            Lane::Requests => &self.0.write,
            Lane::Workers => &self.0.workers.write,
        }
    }

    /// Where statements that only read go.
    pub(in crate::store) fn reader(&self) -> Timed<'_, &AnyPool> {
        self.timed(self.read_pool())
    }

    /// Runs statements as `inner` does, each within its time.
    pub(in crate::store) fn timed<E>(&self, inner: E) -> Timed<'_, E> {
        Timed {
            inner,
            health: &self.0.health,
        }
    }

    fn read_pool(&self) -> &AnyPool {
        match self.1 {
            Lane::Requests => &self.0.read,
            Lane::Workers => &self.0.workers.read,
        }
    }

    /// For several statements that only read and see one state.
    pub(in crate::store) async fn snapshot(&self) -> Result<sqlx::Transaction<'static, Any>, Error> {
        self.0.health.limit(self.read_pool().begin()).await
    }

    /// Since when the database takes no writes, and why, as far as it was tried.
    #[must_use]
    pub fn refuses_writes(&self) -> Option<(Timestamp, Refusal)> {
        self.0.health.refused()
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

    /// Woken when another replica changed what is set about plans. A notification can be lost, so look at intervals as well.
    #[must_use]
    pub fn settings_nudge(&self) -> Nudge {
        self.0.settings.clone()
    }

    /// Whether the database answers, for readiness. One that took no writes is tried again: who waits for readiness
    /// brings none that could show that there is room.
    ///
    /// # Errors
    /// [`Error::Database`] when it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("select 1").fetch_one(self.reader()).await?;
        if self.refuses_writes().is_some() {
            // What it says is noted where it is said.
            let _ = self.register().await;
        }
        Ok(())
    }

    /// Closes all connections after what runs has ended; other replicas take over at once.
    pub async fn close(&self) {
        if let Err(error) = self.deregister().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "this replica could not be deregistered; the others detect its end by the missing heartbeat"
            );
        }
        self.close_pools().await;
    }

    async fn close_pools(&self) {
        for pool in [
            &self.0.workers.read,
            &self.0.workers.write,
            &self.0.read,
            &self.0.write,
        ] {
            pool.close().await;
        }
        // SQLite moves it into the database and removes it, unless the disk is full or somebody else has the database open.
        if let Some(log) = &self.0.log
            && log.metadata().is_ok_and(|log| log.len() > 0)
        {
            tracing::warn!(
                file = %log.display(),
                "a part of the store stays in its write-ahead log; a backup without that file lacks it"
            );
        }
    }
}
