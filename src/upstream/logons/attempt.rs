//! How a logon session comes into the pool: version, password, the logon itself, and what a refusal means.

use std::sync::Arc;
use std::time::Duration;

use super::{Entry, Pool, Refusal};
use crate::clock::later;
use crate::domain::id::LogonId;
use crate::telemetry::names;
use crate::upstream::error::{Error, Kind};
use crate::upstream::logon::{self, Life, Logon};

/// EM grants no further session: how long until it is asked for one again while there are others.
pub(super) const GROWTH_PAUSE: Duration = Duration::from_secs(10);
/// The first pause after refused credentials; each further one is three times as long.
const FIRST_REFUSAL: Duration = Duration::from_secs(30);
/// The longest.
pub(super) const LONGEST_REFUSAL: Duration = Duration::from_mins(15);

impl Pool {
    pub(super) async fn log_on(&self) -> Result<Logon, Error> {
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

    /// Records what a logon brought that was sent at the moment `sent`: a session, for whoever waits, or for nobody when
    /// the pool has been closed.
    pub(super) async fn record_attempt(&self, sent: u64, outcome: Result<Logon, Error>) -> Result<(), Error> {
        let label = outcome.as_ref().err().map_or("ok", Error::label);
        metrics::counter!(names::UPSTREAM_LOGONS, "account" => self.account.clone(), "outcome" => label)
            .increment(1);
        let now = self.clock.now();
        match outcome {
            Ok(logon) => {
                let logon = Arc::new(logon);
                if self.probes.get().is_none() {
                    // Once for the account, in a session that lives for certain.
                    match logon.probe(&self.transport, &self.account).await {
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
                            uncommitted: 0,
                            committed_at: None,
                            used_at: now,
                            // Not now: EM may have dropped it while its answer was on its way.
                            alive_at: sent,
                            saved: false,
                            borrowed: false,
                            leaving: false,
                        };
                        state.entries.push(entry);
                        self.mark_surplus(&mut state);
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
                let error = error.before_main_request();
                let mut state = self.lock();
                state.grow_after = Some(later(now, GROWTH_PAUSE));
                let Kind::CredentialsRefused { message, .. } = error.kind() else {
                    state.version = None;
                    return Err(error);
                };
                let before = state.refusal.as_ref();
                let (times, since) = before.map_or((0, now), |refusal| (refusal.times, refusal.since));
                let pause = FIRST_REFUSAL
                    .saturating_mul(3_u32.saturating_pow(times))
                    .min(LONGEST_REFUSAL);
                let until = later(now, pause);
                state.refusal = Some(Refusal {
                    times: times.saturating_add(1),
                    since,
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
        // In a task of its own, so that a caller who stops waiting leaves no session behind.
        let work = self.tasks.spawn(async move {
            let logon = pool.log_on().await?;
            let version = pool.lock().version;
            logon.close(&pool.transport, &pool.account).await?;
            version.ok_or_else(|| Error::before_sending(Kind::ShuttingDown))
        });
        work.await
            .unwrap_or(Err(Error::before_sending(Kind::ShuttingDown)))
    }
}
