//! The only room that speaks to EM: its paths, headers and habits end here.
//!
//! [`EmClient`] is what the rest of the program sees: plans, actions, tasks and sessions as domain values, and one
//! [`Error`] that says whether EM may have acted. The room decides nothing about failovers and writes nothing down.
//! Invariant: one call that changes EM is at most one request that EM can have acted on.
//!
//! | file | holds |
//! |---|---|
//! | `commands` | what changes EM: one request each |
//! | `failover`, `sessions`, `tasks`, `query` | what EM is asked |
//! | `mirror` | whatever else EM has, by its path |
//! | `documents`, `fields`, `lenient`, `paths`, `xml` | how its answers are read |
//! | `known_documents` | documents that came before as the same bytes |
//! | `known_pages`, `known_rows` | the same of pages that the watcher reads, and of their rows |
//! | `oversize` | pages that are larger than an answer may be |
//! | `damage` | which of its records are damaged |
//! | `call` | one request in a leased logon session, with the one new attempt that is allowed |
//! | `logons`, `logon` | the pool of logon sessions (`attempt`: how one is opened, `maintenance` and `liveness`: what keeps and ends it, `share` and `fair_queue`: how many there may be and who is next), and one of them |
//! | `audience` | on whose behalf EM is asked: with which account, out of which part of the cache |
//! | `reads`, `read_cache`, `breaker` | sparing EM, and sparing callers the wait |
//! | `transport`, `tls`, `limits` | the wire, and how long each class of request may take |
//!
//! Tests: `tests/it/logon_pool.rs`, `tests/it/upstream_faults.rs`, `tests/it/upstream.rs`.

mod audience;
mod breaker;
mod call;
mod commands;
pub mod config;
mod damage;
mod documents;
mod error;
mod failover;
mod fields;
mod known_documents;
mod known_pages;
mod known_rows;
mod lenient;
mod limits;
mod logon;
mod logons;
pub mod mirror;
mod oversize;
mod paths;
mod query;
mod read_cache;
mod reads;
mod restore_points;
mod sessions;
mod tasks;
mod tls;
mod transport;
pub mod types;
mod xml;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::commands::WriteResponse;
pub use self::config::Config;
pub use self::damage::Damaged;
pub use self::error::{Error, Kind, SetupError, Whose};
pub use self::mirror::AsSent;
pub use self::paths::below_api;
pub use self::sessions::Walked;
pub use self::types::{
    AcceptedTask, Acted, Circuit, Health, Page, PageRequest, SessionQuery, Sort, SortField, TaskView,
};

use self::call::{Call, SendPermit};
use self::damage::Damages;
use self::known_documents::KnownDocuments;
use self::known_pages::KnownPages;
use self::logons::{Lease, Pool};
use self::oversize::Oversize;
use self::read_cache::{Audience, ReadCache};
use self::transport::{Answer, Transport};
use crate::clock::SharedClock;
use crate::domain::command::WriteMethod;
use crate::domain::evidence::run::ClockDifference;
use crate::domain::id::LogonId;
use crate::domain::links::Links;
use crate::domain::logon::SavedLogon;

/// How often idle logon sessions are maintained.
const TENDING: Duration = Duration::from_mins(1);

/// EM, as the rest of the program sees it. Cheap to clone; all clones share the logon sessions.
#[derive(Clone)]
pub struct EmClient {
    inner: Arc<Inner>,
    /// On whose behalf EM is asked.
    audience: Audience,
    /// Whether writes may still be sent.
    permit: Option<SendPermit>,
}

struct Inner {
    transport: Arc<Transport>,
    pools: Vec<Arc<Pool>>,
    read_cache: ReadCache,
    damages: Damages,
    oversize: Oversize,
    known_documents: KnownDocuments,
    known_pages: KnownPages,
    clock: SharedClock,
    links: Links,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What [`EmClient::check`] found out about one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The account's name in the configuration.
    pub account: String,
    /// The version of EM's REST API that was agreed on, `v1_7` for example.
    pub version: String,
}

/// The logon sessions of one account; see [`EmClient::logon_counts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogonCount {
    /// The account's name in the configuration.
    pub account: String,
    /// The tenant whose account it is.
    pub tenant: Option<String>,
    /// `max_sessions`: how many there may be in all replicas together.
    pub configured: usize,
    /// How many there may be here.
    pub allowed: usize,
    /// How many EM may have of this replica's, those included that come or go at this moment.
    pub held: usize,
}

impl EmClient {
    /// EM as configured. Nothing is sent before the first question; the logon sessions are maintained until
    /// [`EmClient::shutdown`]. Has to be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(config: &Config, clock: SharedClock) -> Result<Self, SetupError> {
        let transport = Arc::new(Transport::new(config, clock.clone())?);
        let tasks = TaskTracker::new();
        let pool = |account| Pool::new(account, transport.clone(), clock.clone(), tasks.clone());
        let pools: Vec<Arc<Pool>> = config.accounts.iter().map(pool).collect();
        if pools.is_empty() {
            return Err(SetupError::NoAccount);
        }
        let read_cache = ReadCache::new(config.coalesce, config.cache_ttl, clock.clone());
        let stop = CancellationToken::new();
        let inner = Inner {
            transport,
            pools,
            read_cache,
            damages: Damages::default(),
            oversize: Oversize::default(),
            known_documents: KnownDocuments::new(),
            known_pages: KnownPages::default(),
            clock,
            links: config.links.clone(),
            tasks,
            stop,
        };
        let em = Self {
            permit: None,
            audience: Audience::default(),
            inner: Arc::new(inner),
        };
        let tasks = &em.inner.tasks;
        tasks.spawn(em.clone().look_after());
        for pool in &em.inner.pools {
            let (pool, stop) = (pool.clone(), em.inner.stop.clone());
            tasks.spawn(async move { stop.run_until_cancelled(pool.close_surplus()).await });
        }
        Ok(em)
    }

    /// What addresses begin with in the documents that callers get.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.inner.links
    }

    /// Logs on to EM with every account, one after another, and off again.
    ///
    /// # Errors
    /// The first account's name and what went wrong with it.
    pub async fn check(&self) -> Result<Vec<Checked>, (String, Error)> {
        let mut checked = Vec::new();
        for pool in &self.inner.pools {
            let version = pool
                .check()
                .await
                .map_err(|error| (pool.account.clone(), error))?;
            checked.push(Checked {
                account: pool.account.clone(),
                version: version.to_owned(),
            });
        }
        Ok(checked)
    }

    /// Whether EM answered last, since when, and whether requests are sent to it.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.transport.breaker.health()
    }

    /// Since when there are records at EM that are damaged, and how many of which type; none when there are none.
    #[must_use]
    pub fn damaged_records(&self) -> Option<(jiff::Timestamp, String)> {
        self.inner.damages.summary(self.inner.clock.now())
    }

    /// How far EM's clock is ahead of this machine's; negative when it is slow, none before EM answered.
    #[must_use]
    pub fn clock_skew(&self) -> Option<jiff::SignedDuration> {
        self.inner.transport.skew()
    }

    /// The same, with how far that may be off.
    #[must_use]
    pub fn clock_difference(&self) -> Option<ClockDifference> {
        self.inner.transport.clock_difference()
    }

    /// Where EM is: the configured address, without credentials.
    #[must_use]
    pub fn address(&self) -> String {
        self.inner.transport.address()
    }

    /// The version of EM's REST API that the first account agreed on, if it has a session or had one.
    #[must_use]
    pub fn api_version(&self) -> Option<&'static str> {
        self.inner.pools.first()?.version()
    }

    /// Since when EM refuses the credentials of an account, if it does; of several the first.
    #[must_use]
    pub fn refused_since(&self) -> Option<jiff::Timestamp> {
        self.inner
            .pools
            .iter()
            .filter_map(|pool| pool.refused_since())
            .min()
    }

    /// The name of the account that is used where no other is asked for: the first of the configuration.
    #[must_use]
    pub fn default_account(&self) -> &str {
        // There is one: `new` refuses to be without.
        self.inner.pools.first().map_or("", |pool| pool.account.as_str())
    }

    /// The longest that a write can take, its logon and its one new attempt included.
    #[must_use]
    pub fn longest_write(&self) -> Duration {
        self.inner.transport.limits.action_in_all()
    }

    /// One task less that needs that logon session; see [`AcceptedTask`].
    pub fn release(&self, logon: LogonId) {
        let known = self.inner.pools.iter().any(|pool| pool.release(logon));
        if !known {
            tracing::debug!("a logon session was released that is gone already");
        }
    }

    /// What is needed to take up a logon session after a restart; `None` when it is gone. From now on
    /// [`EmClient::shutdown`] leaves it open while a task needs it.
    #[must_use]
    pub fn save_logon(&self, logon: LogonId) -> Option<SavedLogon> {
        self.inner.pools.iter().find_map(|pool| pool.save(logon))
    }

    /// Takes up a logon session that was saved, pinned once for each call. Unless it is its `own` from now on, it is
    /// dropped and not logged off when it is no longer needed. False when its account is not configured any more.
    pub fn resume_logon(&self, saved: &SavedLogon, own: bool) -> bool {
        let pool = self.inner.pools.iter().find(|pool| pool.account == saved.account);
        pool.map(|pool| pool.resume(saved, own)).is_some()
    }

    /// A task in that logon session is in the store from now on.
    pub fn note_committed(&self, logon: LogonId) {
        for pool in &self.inner.pools {
            pool.note_committed(logon);
        }
    }

    /// Sets how many tasks need each saved logon session, where operations may end without this process. `asked`: when
    /// the store began to be asked; what was committed later, or not yet, the store did not know.
    pub fn keep_pins(&self, needed: &HashMap<LogonId, u32>, asked: Instant) {
        for pool in &self.inner.pools {
            pool.keep_pins(needed, asked);
        }
    }

    /// How many logon sessions each account has here, and how many it may have.
    #[must_use]
    pub fn logon_counts(&self) -> Vec<LogonCount> {
        let count = |pool: &Arc<Pool>| {
            let (allowed, held, configured) = pool.count_of();
            LogonCount {
                account: pool.account.clone(),
                tenant: pool.tenant.clone(),
                configured,
                allowed,
                held,
            }
        };
        self.inner.pools.iter().map(count).collect()
    }

    /// From now on an account has at most so many logon sessions here. Surplus ones are logged off as they become free
    /// of requests and tasks; without any, callers wait.
    pub fn allow_logons(&self, account: &str, most: usize) {
        if let Some(pool) = self.inner.pools.iter().find(|pool| pool.account == account) {
            pool.allow(most);
        }
    }

    /// Whether a logon session is in reach.
    #[must_use]
    pub fn holds_logon(&self, logon: LogonId) -> bool {
        self.inner.pools.iter().any(|pool| pool.holds(logon))
    }

    /// Keeps pinned logon sessions alive, logs off unused ones. Happens by itself every minute.
    pub async fn maintain(&self) {
        for pool in &self.inner.pools {
            pool.maintain().await;
        }
    }

    /// Asks EM nothing any more and logs off all logon sessions that were not saved, within `limit`. True when that
    /// was done in time.
    pub async fn shutdown(&self, limit: Duration) -> bool {
        self.inner.stop.cancel();
        let work = async {
            let closing = self.inner.pools.iter().map(|pool| pool.close());
            let given_up: u32 = futures_util::future::join_all(closing).await.into_iter().sum();
            if given_up > 0 {
                tracing::warn!(
                    tasks = given_up,
                    "logged off while tasks were not finished; their failovers continue and are found by their sessions"
                );
            }
            self.inner.tasks.close();
            self.inner.tasks.wait().await;
        };
        let done = tokio::time::timeout(limit, work).await.is_ok();
        if !done {
            tracing::warn!(
                "not all logon sessions could be closed in time; Enterprise Manager drops them after 15 minutes"
            );
        }
        done
    }

    async fn look_after(self) {
        while self
            .inner
            .stop
            .run_until_cancelled(tokio::time::sleep(TENDING))
            .await
            .is_some()
        {
            if self
                .inner
                .stop
                .run_until_cancelled(self.maintain())
                .await
                .is_none()
            {
                return;
            }
        }
    }

    /// The same, but a write is sent before that moment or not at all.
    #[must_use]
    pub fn until(&self, moment: tokio::time::Instant) -> Self {
        self.only_while(move || tokio::time::Instant::now() < moment)
    }

    /// The same, but a write is sent while `permit` says so or not at all: a process that was frozen does not do what
    /// nobody expects any more.
    #[must_use]
    pub fn only_while(&self, permit: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self {
            permit: Some(Arc::new(permit)),
            ..self.clone()
        }
    }

    async fn write(&self, target: &str, method: WriteMethod, body: &[u8]) -> Result<(Answer, Lease), Error> {
        let Inner {
            transport,
            read_cache,
            ..
        } = &*self.inner;
        let pool = self.pool()?;
        let outcome = call::authorized(
            transport,
            pool,
            target,
            Call::Write(method, body),
            self.permit.as_ref(),
        )
        .await;
        read_cache.forget();
        outcome
    }

    async fn lease_in(&self, logon: LogonId) -> Result<Option<Lease>, Error> {
        match self.inner.pools.iter().find(|pool| pool.holds(logon)) {
            Some(pool) => pool.lease_in(logon).await,
            None => Ok(None),
        }
    }
}

impl std::fmt::Debug for EmClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmClient").finish_non_exhaustive()
    }
}
