//! The logon sessions of one account: as few as possible, shared by all, none leaked.
//!
//! EM knows a caller by a session that costs a logon, dies after 15 idle minutes, and owns the tasks that it
//! started. So sessions are pooled: a caller takes a turn (bounded by sessions × `max_requests_per_session`), then a
//! slot in a session; a new session is opened only when all slots are in use, one logon at a time, whoever asked for
//! it. The logon runs in a task of its own: a caller that goes away cannot leave a session behind. There may be
//! `max_sessions`, or this replica's share of them (`share`).
//!
//! ```text
//!   logon ──▶ open ──401, or 403 that a probe explains──▶ forgotten (EM has dropped it)
//!              │ ├─ idle for 10 min, pinned ──▶ probed, which keeps it alive
//!              │ ├─ idle for 10 min ──▶ logged off
//!              │ └─ more than the share ──▶ not given out, logged off when it is free and not pinned
//!              └─ shutdown ──▶ logged off, unless it was saved to be resumed
//! ```
//!
//! A session is pinned while a task in it is followed; pins are counted, one for each accepted action.
//! Refused credentials are tried again rarely, and more and more so, that no account gets locked.
//! Tests: `tests/it/logon_pool.rs`; for whole processes `tests/it/logon_counts.rs` and `tests/chaos`.

mod attempt;
mod fair_queue;
mod liveness;
mod maintenance;
mod share;

use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tokio_util::task::TaskTracker;

use self::attempt::{GROWTH_PAUSE, LONGEST_REFUSAL};
use self::fair_queue::{FairQueue, Turn};
use super::config::Account;
use super::error::{Error, Kind};
use super::logon::{Credentials, Life, Logon};
use super::transport::{Auth, Transport};
use crate::clock::SharedClock;
use crate::domain::id::LogonId;
use crate::telemetry::{names, traces};

type LogonOutcome = Option<Result<(), Error>>;

/// The sessions of one account.
pub(super) struct Pool {
    pub account: String,
    /// The tenant whose account it is.
    pub tenant: Option<String>,
    credentials: Credentials,
    transport: Arc<Transport>,
    clock: SharedClock,
    tasks: TaskTracker,
    max_sessions: usize,
    slots: usize,
    queue: Arc<FairQueue>,
    waiting: metrics::Gauge,
    changed: Notify,
    /// Whether sessions have to leave, and the word that one of them may be free.
    shrinking: AtomicBool,
    freed: Notify,
    /// Orders good answers and expiries; see [`Entry::alive_at`].
    seq: AtomicU64,
    /// Whether a probe in a session that had just been opened was answered. Where EM does not let an account ask
    /// (tenants see little), a refused probe says nothing, and a 403 can only be passed on.
    probes: OnceLock<bool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// How many sessions there may be.
    allowed: usize,
    entries: Vec<Entry>,
    /// How many were removed and are being logged off.
    closing: usize,
    attempt: Option<watch::Receiver<LogonOutcome>>,
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
    /// The moment at which the last request was sent that got a good answer.
    alive_at: u64,
    /// It was saved to be resumed, so that it is not logged off at the end.
    saved: bool,
    /// Another replica opened it and closes it; it is here for its tasks and for nothing else.
    borrowed: bool,
    /// How many of the pins are for tasks that no other replica can know of yet, because they are not committed.
    uncommitted: u32,
    /// When the last one was.
    committed_at: Option<Instant>,
    /// It is one too many: it is not given out any more, and logged off when it is free.
    leaving: bool,
}

struct Refusal {
    times: u32,
    since: Timestamp,
    until: Timestamp,
    message: Option<String>,
}

/// A slot in a session. Dropping it gives the slot back.
pub(super) struct Lease {
    pub pool: Arc<Pool>,
    pub logon: Arc<Logon>,
    alive_at: u64,
    /// How long it was waited for, logons included.
    waited: Duration,
    slot: Option<OwnedSemaphorePermit>,
    _turn: Turn,
}

impl Lease {
    /// How a request in this slot shows who asks.
    pub fn auth(&self) -> Auth<'_> {
        self.logon.auth(self.waited)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.slot.take());
        self.pool.changed.notify_waiters();
        if self.pool.shrinking.load(Ordering::Relaxed) {
            self.pool.freed.notify_one();
        }
    }
}

enum Found {
    Slot {
        logon: Arc<Logon>,
        slot: OwnedSemaphorePermit,
        alive_at: u64,
    },
    Attempt(watch::Receiver<LogonOutcome>),
    Full,
}

/// One more caller who waits, until it is dropped.
struct Waiting<'a>(&'a metrics::Gauge);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a metrics::Gauge) -> Self {
        waiting.increment(1);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

impl Pool {
    /// The version agreed on with EM: by the last logon, or, where there was none yet or it failed, that of a session which was
    /// taken up or is still open.
    pub fn version(&self) -> Option<&'static str> {
        let state = self.lock();
        let of_sessions = || state.entries.iter().find_map(|entry| entry.logon.version);
        state.version.or_else(of_sessions)
    }

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
        // Most are counted while the process ends, when nobody reads them any more; what is not there raises questions.
        metrics::counter!(names::UPSTREAM_LOGOFFS, "account" => account.name.clone(), "outcome" => "ok")
            .increment(0);
        Arc::new(Self {
            account: account.name.clone(),
            tenant: account.tenant.clone(),
            credentials: Credentials::new(account),
            transport,
            clock,
            tasks,
            max_sessions,
            slots,
            queue: FairQueue::new(max_sessions.saturating_mul(slots)),
            waiting: metrics::gauge!(names::UPSTREAM_WAITING, "account" => account.name.clone()),
            changed: Notify::new(),
            shrinking: AtomicBool::new(false),
            freed: Notify::new(),
            seq: AtomicU64::new(0),
            probes: OnceLock::new(),
            state: Mutex::new(State {
                allowed: max_sessions,
                ..State::default()
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Since when EM refuses the account's credentials, if it does.
    pub fn refused_since(&self) -> Option<Timestamp> {
        self.lock().refusal.as_ref().map(|refusal| refusal.since)
    }

    /// The next sequence number.
    pub fn next_seq(&self) -> u64 {
        self.seq.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A slot in any session, opening one where that is needed.
    ///
    /// # Errors
    /// The logon failed, or nothing became free in time. Nothing was sent for the caller then.
    pub async fn lease(self: &Arc<Self>) -> Result<Lease, Error> {
        tokio::time::timeout(self.transport.limits.lease(), self.find_lease())
            .await
            .unwrap_or(Err(Error::before_sending(Kind::NoFreeLogon)))
            .map_err(Error::before_main_request)
    }

    /// A slot in a session that has given a good answer after `moment`: for the one new attempt after a session
    /// turned out dead, which must not meet the next dead one.
    ///
    /// # Errors
    /// As [`Pool::lease`].
    pub async fn lease_alive_since(self: &Arc<Self>, since: u64) -> Result<Lease, Error> {
        let find = async {
            loop {
                let lease = self.lease().await?;
                if lease.alive_at > since {
                    return Ok(lease);
                }
                let sent = self.next_seq();
                match self.life(&lease.logon).await {
                    Life::Dead => {
                        self.forget(&lease.logon);
                    }
                    Life::Alive => {
                        self.mark_alive(&lease.logon, sent);
                        return Ok(lease);
                    }
                    Life::Unclear => return Ok(lease),
                }
            }
        };
        tokio::time::timeout(self.transport.limits.lease(), find)
            .await
            .unwrap_or(Err(Error::before_sending(Kind::NoFreeLogon)))
    }

    /// A slot in that very session; `None` when it is gone.
    ///
    /// # Errors
    /// Nothing became free in time.
    pub async fn lease_in(self: &Arc<Self>, id: LogonId) -> Result<Option<Lease>, Error> {
        let find = async {
            let asked = Instant::now();
            let turn = self.turn().await?;
            let known = self
                .lock()
                .entries
                .iter()
                .find(|entry| entry.logon.id == id)
                .map(|entry| (entry.logon.clone(), entry.alive_at));
            let Some((logon, alive_at)) = known else {
                return Ok(None);
            };
            let slot = logon.slots.clone().acquire_owned().await;
            let slot = slot.map_err(|_| Error::before_sending(Kind::ShuttingDown))?;
            Ok(Some(Lease {
                pool: self.clone(),
                logon,
                alive_at,
                waited: asked.elapsed(),
                slot: Some(slot),
                _turn: turn,
            }))
        };
        tokio::time::timeout(self.transport.limits.lease(), find)
            .await
            .unwrap_or(Err(Error::before_sending(Kind::NoFreeLogon)))
    }

    async fn turn(&self) -> Result<Turn, Error> {
        let _waiting = Waiting::begin(&self.waiting);
        let turn = self.queue.take().await;
        turn.ok_or_else(|| Error::before_sending(Kind::ShuttingDown))
    }

    async fn find_lease(self: &Arc<Self>) -> Result<Lease, Error> {
        let asked = Instant::now();
        let turn = self.turn().await?;
        loop {
            // Listening begins before looking, so that nothing that happens in between is missed.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.find()? {
                Found::Slot {
                    logon,
                    slot,
                    alive_at,
                } => {
                    return Ok(Lease {
                        pool: self.clone(),
                        logon,
                        alive_at,
                        waited: asked.elapsed(),
                        slot: Some(slot),
                        _turn: turn,
                    });
                }
                Found::Attempt(mut attempt) => {
                    tokio::select! {
                        // The outcome before the news, or a failure would be answered by another attempt.
                        biased;
                        outcome = attempt.wait_for(Option::is_some) => {
                            let failed = outcome.ok().and_then(|outcome| outcome.as_ref()?.as_ref().err().cloned());
                            // With other sessions alive, waiting for a slot there is better than failing.
                            if let Some(error) = failed && !self.lock().is_usable() {
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
        for entry in state.entries.iter_mut().filter(|entry| entry.is_usable()) {
            if let Ok(slot) = entry.logon.slots.clone().try_acquire_owned() {
                entry.used_at = now;
                return Ok(Found::Slot {
                    logon: entry.logon.clone(),
                    slot,
                    alive_at: entry.alive_at,
                });
            }
        }
        // A flight whose task is gone (it panicked) is no flight.
        if let Some(attempt) = state
            .attempt
            .as_ref()
            .filter(|attempt| attempt.has_changed().is_ok())
        {
            return Ok(Found::Attempt(attempt.clone()));
        }
        if let Some(refusal) = &state.refusal {
            let left = Duration::try_from(refusal.until.duration_since(now)).unwrap_or_default();
            // A clock that was set back must not lock the account out for longer than intended.
            if !left.is_zero() && left <= LONGEST_REFUSAL {
                if !state.is_usable() {
                    return Err(Error::before_sending(Kind::CredentialsRefused {
                        message: refusal.message.clone(),
                        retry_after: left,
                    }));
                }
                return Ok(Found::Full);
            }
        }
        let pause = state.grow_after.map_or(Duration::ZERO, |at| {
            Duration::try_from(at.duration_since(now)).unwrap_or_default()
        });
        // A clock that was set back must not keep the pool from growing for longer than intended.
        let may_grow = !state.is_usable() || pause.is_zero() || pause > GROWTH_PAUSE;
        if state.own() < state.allowed && may_grow {
            let (sender, receiver) = watch::channel(None);
            state.attempt = Some(receiver.clone());
            drop(state);
            let pool = self.clone();
            self.tasks.spawn(traces::carried(async move {
                let sent = pool.next_seq();
                let outcome = pool.record_attempt(sent, pool.log_on().await).await;
                {
                    // Both at once: a reader sees an attempt under way, or its recorded outcome.
                    let mut state = pool.lock();
                    state.attempt = None;
                    let _ = sender.send(Some(outcome));
                }
                pool.changed.notify_waiters();
            }));
            return Ok(Found::Attempt(receiver));
        }
        Ok(Found::Full)
    }

    #[expect(clippy::cast_precision_loss, reason = "at most a hundred sessions")]
    fn count(&self, state: &State) {
        metrics::gauge!(names::UPSTREAM_SESSIONS, "account" => self.account.clone())
            .set(state.entries.len() as f64);
    }
}
