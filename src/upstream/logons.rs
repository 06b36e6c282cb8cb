//! The logon sessions of one account: as few as possible, shared by all, none leaked.
//!
//! EM knows a caller by a session that costs a logon, dies after 15 idle minutes, and owns the tasks that it
//! started. So sessions are pooled: a caller takes a turn (bounded by `max_sessions × max_requests_per_session`),
//! then a slot in a session; a new session is opened only when all slots are taken, one logon at a time, whoever
//! asked for it. The logon runs in a task of its own: a caller that goes away cannot leave a session behind.
//!
//! ```text
//!   logon ──▶ open ──401, or 403 that a probe explains──▶ forgotten (EM has dropped it)
//!              │ ├─ idle for 10 min, pinned ──▶ probed, which keeps it alive
//!              │ └─ idle for 10 min ──▶ logged off
//!              └─ shutdown ──▶ logged off, unless it was saved to be taken up again
//! ```
//!
//! A session is pinned while a task in it is followed; pins are counted, one for each accepted action.
//! Refused credentials are tried again rarely, and more and more so, that no account gets locked.
//! Tests: `tests/it/logon_pool.rs`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::TaskTracker;

use super::config::Account;
use super::error::{Error, Kind};
use super::logon::{self, Credentials, Life, Logon, SavedLogon};
use super::transport::Transport;
use crate::clock::SharedClock;
use crate::domain::id::LogonId;
use crate::telemetry::names;

/// A session that was not used for this long is kept alive or logged off; EM gives it 15 minutes.
const IDLE: Duration = Duration::from_mins(10);
/// How long a probe may take.
pub(super) const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// EM grants no further session: how long until it is asked for one again while there are others.
const GROWTH_PAUSE: Duration = Duration::from_secs(10);
/// Pauses between logons with refused credentials: the first, and the longest after tripling.
const FIRST_REFUSAL: Duration = Duration::from_secs(30);
const LONGEST_REFUSAL: Duration = Duration::from_mins(15);

type Landed = Option<Result<(), Error>>;

/// The sessions of one account.
pub(super) struct Pool {
    pub account: String,
    credentials: Credentials,
    transport: Arc<Transport>,
    clock: SharedClock,
    tasks: TaskTracker,
    max_sessions: usize,
    slots: usize,
    turns: Arc<Semaphore>,
    changed: Notify,
    /// Orders good answers and expiries; see [`Entry::proven`].
    moments: AtomicU64,
    /// Whether a probe in a session that had just been opened was answered. Where EM does not let an account ask
    /// (tenants see little), a refused probe says nothing, and a 403 can only be taken as it is.
    probes: OnceLock<bool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    entries: Vec<Entry>,
    flight: Option<watch::Receiver<Landed>>,
    /// The version agreed on with EM, forgotten when a logon fails.
    version: Option<&'static str>,
    /// No further session is asked for before this moment.
    grow_after: Option<Timestamp>,
    refusal: Option<Refusal>,
}

struct Entry {
    logon: Arc<Logon>,
    pins: u32,
    used_at: Timestamp,
    /// The moment of the last good answer.
    proven: u64,
    /// It was saved to be taken up again, so that it is not logged off at the end.
    saved: bool,
}

struct Refusal {
    times: u32,
    until: Timestamp,
    message: Option<String>,
}

/// A slot in a session. Dropping it gives the slot back.
pub(super) struct Lease {
    pub pool: Arc<Pool>,
    pub logon: Arc<Logon>,
    proven: u64,
    slot: Option<OwnedSemaphorePermit>,
    _turn: OwnedSemaphorePermit,
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.slot.take());
        self.pool.changed.notify_waiters();
    }
}

enum Found {
    Slot {
        logon: Arc<Logon>,
        slot: OwnedSemaphorePermit,
        proven: u64,
    },
    Landing(watch::Receiver<Landed>),
    Full,
}

impl Pool {
    pub fn new(
        account: &Account,
        transport: Arc<Transport>,
        clock: SharedClock,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let (max_sessions, slots) = (
            account.max_sessions.max(1),
            account.max_requests_per_session.max(1),
        );
        Arc::new(Self {
            account: account.name.clone(),
            credentials: Credentials::new(
                &account.username,
                account.password.clone(),
                account.password_file.clone(),
            ),
            transport,
            clock,
            tasks,
            max_sessions,
            slots,
            turns: Arc::new(Semaphore::new(max_sessions.saturating_mul(slots))),
            changed: Notify::new(),
            moments: AtomicU64::new(0),
            probes: OnceLock::new(),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A slot in any session, opening one where that is needed.
    ///
    /// # Errors
    /// The logon failed, or nothing became free in time. Nothing was sent for the caller then.
    pub async fn lease(self: &Arc<Self>) -> Result<Lease, Error> {
        tokio::time::timeout(self.transport.limit(), self.find_lease())
            .await
            .unwrap_or(Err(Error::before_sending(Kind::NoFreeLogon)))
            .map_err(Error::of_preparation)
    }

    /// A slot in a session that has given a good answer after `moment`: for the one new attempt after a session
    /// turned out dead, which must not meet the next dead one.
    ///
    /// # Errors
    /// As [`Pool::lease`].
    pub async fn lease_proven(self: &Arc<Self>, moment: u64) -> Result<Lease, Error> {
        let find = async {
            loop {
                let lease = self.lease().await?;
                if lease.proven > moment {
                    return Ok(lease);
                }
                match self.life(&lease.logon).await {
                    Life::Dead => {
                        self.forget(&lease.logon);
                    }
                    Life::Alive | Life::Unclear => return Ok(lease),
                }
            }
        };
        tokio::time::timeout(self.transport.limit(), find)
            .await
            .unwrap_or(Err(Error::before_sending(Kind::NoFreeLogon)))
    }

    /// A slot in that very session; `None` when it is gone.
    ///
    /// # Errors
    /// Nothing became free in time.
    pub async fn lease_in(self: &Arc<Self>, id: LogonId) -> Result<Option<Lease>, Error> {
        let find = async {
            let turn = self.turn().await?;
            let known = self
                .lock()
                .entries
                .iter()
                .find(|entry| entry.logon.id == id)
                .map(|entry| (entry.logon.clone(), entry.proven));
            let Some((logon, proven)) = known else {
                return Ok(None);
            };
            let slot = logon.slots.clone().acquire_owned().await;
            let slot = slot.map_err(|_| Error::before_sending(Kind::ShuttingDown))?;
            Ok(Some(Lease {
                pool: self.clone(),
                logon,
                proven,
                slot: Some(slot),
                _turn: turn,
            }))
        };
        tokio::time::timeout(self.transport.limit(), find)
            .await
            .unwrap_or(Err(Error::before_sending(Kind::NoFreeLogon)))
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let turn = self.turns.clone().acquire_owned().await;
        turn.map_err(|_| Error::before_sending(Kind::ShuttingDown))
    }

    async fn find_lease(self: &Arc<Self>) -> Result<Lease, Error> {
        let turn = self.turn().await?;
        loop {
            // Listening begins before looking, so that nothing that happens in between is missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.find()? {
                Found::Slot { logon, slot, proven } => {
                    return Ok(Lease {
                        pool: self.clone(),
                        logon,
                        proven,
                        slot: Some(slot),
                        _turn: turn,
                    });
                }
                Found::Landing(mut landing) => {
                    tokio::select! {
                        // The outcome before the news, or a failure would be answered by another attempt.
                        biased;
                        landed = landing.wait_for(Option::is_some) => {
                            let failed = landed.ok().and_then(|landed| landed.as_ref()?.as_ref().err().cloned());
                            // With other sessions alive, waiting for a slot there is better than failing.
                            if let Some(error) = failed && self.lock().entries.is_empty() {
                                return Err(error);
                            }
                        }
                        () = changed => {}
                    }
                }
                Found::Full => changed.await,
            }
        }
    }

    fn find(self: &Arc<Self>) -> Result<Found, Error> {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.closed {
            return Err(Error::before_sending(Kind::ShuttingDown));
        }
        for entry in &mut state.entries {
            if let Ok(slot) = entry.logon.slots.clone().try_acquire_owned() {
                entry.used_at = now;
                return Ok(Found::Slot {
                    logon: entry.logon.clone(),
                    slot,
                    proven: entry.proven,
                });
            }
        }
        // A flight whose task is gone (it panicked) is no flight.
        if let Some(flight) = state
            .flight
            .as_ref()
            .filter(|flight| flight.has_changed().is_ok())
        {
            return Ok(Found::Landing(flight.clone()));
        }
        if let Some(refusal) = &state.refusal {
            let left = Duration::try_from(refusal.until.duration_since(now)).unwrap_or_default();
            // A clock that was set back must not lock the account out for longer than intended.
            if !left.is_zero() && left <= LONGEST_REFUSAL {
                if state.entries.is_empty() {
                    return Err(Error::before_sending(Kind::CredentialsRefused {
                        message: refusal.message.clone(),
                        retry_after: left,
                    }));
                }
                return Ok(Found::Full);
            }
        }
        let may_grow = state.entries.is_empty() || state.grow_after.is_none_or(|at| at <= now);
        if state.entries.len() < self.max_sessions && may_grow {
            let (sender, receiver) = watch::channel(None);
            state.flight = Some(receiver.clone());
            drop(state);
            let pool = self.clone();
            self.tasks.spawn(async move {
                let landed = pool.land(pool.log_on().await).await;
                {
                    // Both at once: whoever looks sees a flight that is under way, or its outcome taken in.
                    let mut state = pool.lock();
                    state.flight = None;
                    let _ = sender.send(Some(landed));
                }
                pool.changed.notify_waiters();
            });
            return Ok(Found::Landing(receiver));
        }
        Ok(Found::Full)
    }

    async fn log_on(&self) -> Result<Logon, Error> {
        let agreed = self.lock().version;
        let version = match agreed {
            Some(version) => version,
            None => logon::negotiate(&self.transport, &self.account).await?,
        };
        self.lock().version = Some(version);
        let id = LogonId(self.clock.id());
        let attempt = || {
            logon::open(
                &self.transport,
                &self.account,
                &self.credentials,
                version,
                id,
                self.slots,
            )
        };
        match attempt().await {
            Err(error)
                if matches!(error.kind(), Kind::CredentialsRefused { .. })
                    && self.credentials.reread().await =>
            {
                tracing::info!(
                    account = self.account,
                    "the password was changed; logging on with the new one"
                );
                attempt().await
            }
            outcome => outcome,
        }
    }

    /// Takes in what a logon brought: a session, for whoever waits, or for nobody when the pool has been closed.
    async fn land(&self, outcome: Result<Logon, Error>) -> Result<(), Error> {
        let label = outcome.as_ref().err().map_or("ok", Error::label);
        metrics::counter!(names::UPSTREAM_LOGONS, "account" => self.account.clone(), "outcome" => label)
            .increment(1);
        let now = self.clock.now();
        match outcome {
            Ok(logon) => {
                let logon = Arc::new(logon);
                if self.probes.get().is_none() {
                    // Once for the account, in a session that lives for certain.
                    match logon.probe(&self.transport, &self.account, PROBE_PATIENCE).await {
                        Life::Unclear => {}
                        life => drop(self.probes.set(life == Life::Alive)),
                    }
                }
                let closed = {
                    let mut state = self.lock();
                    state.refusal = None;
                    state.grow_after = None;
                    if !state.closed {
                        let entry = Entry {
                            logon: logon.clone(),
                            pins: 0,
                            used_at: now,
                            proven: self.moment(),
                            saved: false,
                        };
                        state.entries.push(entry);
                    }
                    self.count(&state);
                    state.closed
                };
                if closed {
                    self.log_off(&logon).await;
                    return Err(Error::before_sending(Kind::ShuttingDown));
                }
                tracing::info!(account = self.account, "logged on to Enterprise Manager");
                Ok(())
            }
            Err(error) => {
                let error = error.of_preparation();
                let mut state = self.lock();
                state.grow_after = now.checked_add(GROWTH_PAUSE).ok();
                let Kind::CredentialsRefused { message, .. } = error.kind() else {
                    state.version = None;
                    return Err(error);
                };
                let times = state.refusal.as_ref().map_or(0, |refusal| refusal.times);
                let pause = FIRST_REFUSAL
                    .saturating_mul(3_u32.saturating_pow(times))
                    .min(LONGEST_REFUSAL);
                let until = now.checked_add(pause).unwrap_or(now);
                state.refusal = Some(Refusal {
                    times: times.saturating_add(1),
                    until,
                    message: message.clone(),
                });
                tracing::warn!(
                    account = self.account,
                    retry_in_seconds = pause.as_secs(),
                    "Enterprise Manager refuses the credentials of an account"
                );
                Err(Error::before_sending(Kind::CredentialsRefused {
                    message: message.clone(),
                    retry_after: pause,
                }))
            }
        }
    }

    /// Logs on in a session of its own and off again; the version agreed on.
    ///
    /// # Errors
    /// As a logon.
    pub async fn check(self: &Arc<Self>) -> Result<&'static str, Error> {
        let pool = self.clone();
        // In a task of its own, so that whoever stops waiting leaves no session behind.
        let work = self.tasks.spawn(async move {
            let logon = pool.log_on().await?;
            let version = pool.lock().version;
            logon.close(&pool.transport, &pool.account).await?;
            version.ok_or_else(|| Error::before_sending(Kind::ShuttingDown))
        });
        work.await
            .unwrap_or(Err(Error::before_sending(Kind::ShuttingDown)))
    }

    /// A good answer came through that session.
    pub fn prove(&self, logon: &Logon) {
        let (moment, now) = (self.moment(), self.clock.now());
        if let Some(entry) = self
            .lock()
            .entries
            .iter_mut()
            .find(|entry| entry.logon.id == logon.id)
        {
            entry.proven = moment;
            entry.used_at = now;
        }
    }

    /// EM has dropped that session: nobody gets it any more. Returns the moment, for [`Pool::lease_proven`].
    pub fn forget(&self, logon: &Logon) -> u64 {
        let mut state = self.lock();
        let before = state.entries.len();
        let pinned = state
            .entries
            .iter()
            .any(|entry| entry.logon.id == logon.id && entry.pins > 0);
        state.entries.retain(|entry| entry.logon.id != logon.id);
        if state.entries.len() < before {
            tracing::info!(
                account = self.account,
                pinned,
                "a logon session at Enterprise Manager has ended"
            );
        }
        self.count(&state);
        drop(state);
        self.changed.notify_waiters();
        self.moment()
    }

    /// Whether a 403 in that session means that the session is dead. EM answers an expired session with 401, some
    /// builds with 403 (contract section 5); a question that every live session may ask tells the two apart.
    pub async fn expired_behind_403(&self, lease: &Lease) -> bool {
        self.probes.get() == Some(&true) && self.life(&lease.logon).await == Life::Dead
    }

    /// Asks EM whether the session lives; dead only where a probe's refusal means something.
    async fn life(&self, logon: &Logon) -> Life {
        match logon.probe(&self.transport, &self.account, PROBE_PATIENCE).await {
            Life::Dead if self.probes.get() != Some(&true) => Life::Unclear,
            life => life,
        }
    }

    /// Keeps that session alive for a task; undone by [`Pool::release`]. False when it is gone already.
    pub fn pin(&self, id: LogonId) -> bool {
        let mut state = self.lock();
        let entry = state.entries.iter_mut().find(|entry| entry.logon.id == id);
        entry
            .map(|entry| entry.pins = entry.pins.saturating_add(1))
            .is_some()
    }

    /// One task less that needs that session. False when it is not one of this account's.
    pub fn release(&self, id: LogonId) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.entries.iter_mut().find(|entry| entry.logon.id == id) else {
            return false;
        };
        entry.pins = entry.pins.saturating_sub(1);
        // Nobody has a use for it any more, so that it has to be closed like any other.
        entry.saved &= entry.pins > 0;
        true
    }

    /// Whether the session is one of this account's.
    pub fn holds(&self, id: LogonId) -> bool {
        self.lock().entries.iter().any(|entry| entry.logon.id == id)
    }

    /// What is needed to take up that session again later. From now on it is not logged off at the end while a task
    /// needs it.
    pub fn save(&self, id: LogonId) -> Option<SavedLogon> {
        let mut state = self.lock();
        let entry = state.entries.iter_mut().find(|entry| entry.logon.id == id)?;
        entry.saved = true;
        Some(entry.logon.save(&self.account))
    }

    /// Takes up a session that was saved, pinned once for each call. It counts among the account's sessions.
    pub fn resume(&self, saved: &SavedLogon) {
        let logon = Arc::new(Logon::restore(saved, self.slots));
        let mut state = self.lock();
        if let Some(entry) = state.entries.iter_mut().find(|entry| entry.logon.id == saved.id) {
            entry.pins = entry.pins.saturating_add(1);
        } else {
            let used_at = self.clock.now();
            state.entries.push(Entry {
                logon,
                pins: 1,
                used_at,
                proven: 0,
                saved: true,
            });
        }
        self.count(&state);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Keeps pinned sessions alive and logs off others that nobody uses. To be called about once a minute.
    pub async fn tend(&self) {
        let now = self.clock.now();
        let mut pinned = Vec::new();
        let mut unused = Vec::new();
        {
            let mut state = self.lock();
            state.entries.retain(|entry| {
                let idle = now.duration_since(entry.used_at).unsigned_abs() >= IDLE;
                if !idle || entry.logon.slots.available_permits() < self.slots {
                    return true;
                }
                if entry.pins > 0 {
                    pinned.push(entry.logon.clone());
                    return true;
                }
                unused.push(entry.logon.clone());
                false
            });
            self.count(&state);
        }
        for logon in pinned {
            match self.life(&logon).await {
                Life::Alive => self.prove(&logon),
                Life::Dead => {
                    self.forget(&logon);
                }
                Life::Unclear => {}
            }
        }
        for logon in unused {
            self.log_off(&logon).await;
        }
        let refused = self.lock().refusal.is_some();
        if refused && self.credentials.reread().await {
            tracing::info!(
                account = self.account,
                "the password was changed; the next request logs on with it"
            );
            self.lock().refusal = None;
        }
    }

    /// Gives out no more sessions and logs off all but the saved ones that tasks need. Returns how many tasks lose theirs.
    pub async fn close(&self) -> u32 {
        let entries = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.entries)
        };
        self.turns.close();
        self.changed.notify_waiters();
        let (kept, given_up): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .partition(|entry| entry.saved && entry.pins > 0);
        let log_offs = given_up.iter().map(|entry| self.log_off(&entry.logon));
        futures_util::future::join_all(log_offs).await;
        drop(kept);
        given_up.iter().map(|entry| entry.pins).sum()
    }

    async fn log_off(&self, logon: &Logon) {
        let mut outcome = logon.close(&self.transport, &self.account).await;
        if outcome.as_ref().is_err_and(Error::is_passing) {
            outcome = logon.close(&self.transport, &self.account).await;
        }
        let label = outcome.as_ref().err().map_or("ok", Error::label);
        metrics::counter!(names::UPSTREAM_LOGOFFS, "account" => self.account.clone(), "outcome" => label)
            .increment(1);
        match outcome {
            Ok(()) => tracing::info!(account = self.account, "logged off from Enterprise Manager"),
            Err(error) => tracing::warn!(
                account = self.account,
                error = &error as &dyn std::error::Error,
                "a logon session could not be closed; Enterprise Manager drops it after 15 minutes"
            ),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "at most a hundred sessions")]
    fn count(&self, state: &State) {
        metrics::gauge!(names::UPSTREAM_SESSIONS, "account" => self.account.clone())
            .set(state.entries.len() as f64);
    }
}
