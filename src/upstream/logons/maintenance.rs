//! What keeps logon sessions, and what ends them: pins, saving and resuming, the upkeep of idle ones, logging off.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Entry, Pool, State};
use crate::domain::id::LogonId;
use crate::domain::logon::SavedLogon;
use crate::telemetry::names;
use crate::upstream::error::Error;
use crate::upstream::logon::{Life, Logon};

/// A session that was not used for this long is kept alive or logged off; EM gives it 15 minutes.
const IDLE: Duration = Duration::from_mins(10);

impl Pool {
    /// Keeps that session alive for a task; undone by [`Pool::release`]. False when it is gone already.
    pub fn pin(&self, id: LogonId) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.entries.iter_mut().find(|entry| entry.logon.id == id) else {
            return false;
        };
        entry.pins = entry.pins.saturating_add(1);
        entry.uncommitted = entry.uncommitted.saturating_add(1);
        self.mark_surplus(&mut state);
        true
    }

    /// The task of one of its pins is in the store from now on.
    pub fn note_committed(&self, id: LogonId) {
        let mut state = self.lock();
        if let Some(entry) = state.entries.iter_mut().find(|entry| entry.logon.id == id) {
            entry.uncommitted = entry.uncommitted.saturating_sub(1);
            entry.committed_at = Some(Instant::now());
        }
    }

    /// One task less that needs that session. False when it is not one of this account's.
    pub fn release(&self, id: LogonId) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.entries.iter_mut().find(|entry| entry.logon.id == id) else {
            return false;
        };
        entry.pins = entry.pins.saturating_sub(1);
        // It is not used any more, so it is closed like any other.
        entry.saved &= entry.pins > 0;
        self.drop_unneeded_borrowed(&mut state);
        true
    }

    /// Sets how many tasks need each session, as the store was found after `asked`; those aside that it did not know of.
    pub fn keep_pins(&self, needed: &HashMap<LogonId, u32>, asked: Instant) {
        let mut state = self.lock();
        for entry in &mut state.entries {
            if entry.committed_at.is_some_and(|at| at >= asked) {
                continue;
            }
            let needed = needed.get(&entry.logon.id).copied().unwrap_or_default();
            let pins = needed.saturating_add(entry.uncommitted);
            if entry.saved || pins > 0 {
                entry.pins = pins;
                entry.saved = pins > 0;
            }
        }
        self.drop_unneeded_borrowed(&mut state);
    }

    /// The replica that opened such a session has it as well, and closes it.
    fn drop_unneeded_borrowed(&self, state: &mut State) {
        state.entries.retain(|entry| !entry.borrowed || entry.pins > 0);
        self.mark_surplus(state);
        self.count(state);
    }

    /// Whether the session is one of this account's.
    pub fn holds(&self, id: LogonId) -> bool {
        self.lock().entries.iter().any(|entry| entry.logon.id == id)
    }

    /// Every session of this account's.
    pub fn held(&self) -> Vec<LogonId> {
        self.lock().entries.iter().map(|entry| entry.logon.id).collect()
    }

    /// What is needed to take up that session again later. From now on it is not logged off at the end while a task
    /// needs it.
    pub fn save(&self, id: LogonId) -> Option<SavedLogon> {
        let mut state = self.lock();
        let entry = state.entries.iter_mut().find(|entry| entry.logon.id == id)?;
        entry.saved = true;
        Some(entry.logon.save(&self.account))
    }

    /// Takes up a session that was saved, pinned once for each call. It counts among the account's sessions; unless it
    /// is its `own` from now on, another replica closes it.
    pub fn resume(&self, saved: &SavedLogon, own: bool) {
        let logon = Arc::new(Logon::restore(saved, self.slots));
        let mut state = self.lock();
        if let Some(entry) = state.entries.iter_mut().find(|entry| entry.logon.id == saved.id) {
            entry.pins = entry.pins.saturating_add(1);
            entry.borrowed &= !own;
        } else {
            let used_at = self.clock.now();
            state.entries.push(Entry {
                logon,
                pins: 1,
                uncommitted: 0,
                committed_at: None,
                used_at,
                alive_at: 0,
                saved: true,
                borrowed: !own,
                leaving: false,
            });
        }
        self.mark_surplus(&mut state);
        self.count(&state);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Keeps pinned sessions alive and logs off others that are unused. To be called about once a minute.
    pub async fn maintain(self: &Arc<Self>) {
        let now = self.clock.now();
        let (pinned, unused) = {
            let mut state = self.lock();
            let slots = self.slots;
            let idle = |entry: &Entry| {
                now.duration_since(entry.used_at).unsigned_abs() >= IDLE
                    && entry.logon.slots.available_permits() >= slots
            };
            let unused = self.take_out(&mut state, |entry| {
                entry.pins == 0 && !entry.borrowed && idle(entry)
            });
            let pinned: Vec<_> = state.entries.iter().filter(|entry| idle(entry)).collect();
            (
                pinned
                    .into_iter()
                    .map(|entry| entry.logon.clone())
                    .collect::<Vec<_>>(),
                unused,
            )
        };
        // In tasks of their own, so that a shutdown at this moment does not cut them short.
        let leaving: Vec<_> = (unused.into_iter())
            .map(|logon| self.tasks.spawn(self.clone().dismiss(logon)))
            .collect();
        for logon in pinned {
            let sent = self.next_seq();
            match self.life(&logon).await {
                Life::Alive => self.mark_alive(&logon, sent),
                Life::Dead => {
                    self.forget(&logon);
                }
                Life::Unclear => {}
            }
        }
        futures_util::future::join_all(leaving).await;
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
        self.queue.close();
        self.changed.notify_waiters();
        let (kept, given_up): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .partition(|entry| entry.borrowed || entry.saved && entry.pins > 0);
        let log_offs = given_up.iter().map(|entry| self.log_off(&entry.logon));
        futures_util::future::join_all(log_offs).await;
        drop(kept);
        given_up.iter().map(|entry| entry.pins).sum()
    }

    pub(super) async fn log_off(&self, logon: &Logon) {
        let mut outcome = logon.close(&self.transport, &self.account).await;
        if outcome.as_ref().is_err_and(Error::is_transient) {
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
}
