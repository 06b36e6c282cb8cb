//! How many logon sessions this replica may have: all that are configured, or its share of them.
//!
//! A share that shrinks takes effect as sessions become free: a surplus one is not given out any more and logged off
//! after the last request in it. One that a task needs stays until the task has ended. A borrowed session, which another replica
//! opened and closes, is counted there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Entry, Pool, State};
use crate::upstream::logon::Logon;

impl State {
    /// How many sessions of this replica's EM may have: those here, and those whose log-off is under way.
    pub(super) fn own(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.borrowed).count() + self.closing
    }

    /// Whether a caller may get a slot here sooner or later.
    pub(super) fn is_usable(&self) -> bool {
        self.entries.iter().any(Entry::is_usable)
    }
}

impl Entry {
    /// Whether it is given to callers.
    pub(super) const fn is_usable(&self) -> bool {
        !self.borrowed && !self.leaving
    }
}

impl Pool {
    /// How many sessions there may be, how many are EM's to count here, and how many are configured.
    pub fn count_of(&self) -> (usize, usize, usize) {
        let state = self.lock();
        (
            state.allowed,
            state.own() + usize::from(state.attempt.is_some()),
            self.max_sessions,
        )
    }

    /// From now on so many sessions and no more, as far as tasks let them go.
    pub fn allow(&self, most: usize) {
        let mut state = self.lock();
        if state.allowed == most {
            return;
        }
        tracing::info!(
            account = self.account,
            before = state.allowed,
            now = most,
            "this replica's share of the logon sessions has changed"
        );
        state.allowed = most;
        self.queue.resize(most.saturating_mul(self.slots));
        self.mark_surplus(&mut state);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Chooses those that have to leave: as many as are too many, the newest first, because the oldest is filled first.
    pub(super) fn mark_surplus(&self, state: &mut State) {
        let here = state.entries.iter().filter(|entry| !entry.borrowed).count();
        let mut surplus = here.saturating_sub(state.allowed);
        for entry in state.entries.iter_mut().rev() {
            entry.leaving = surplus > 0 && !entry.borrowed && entry.pins == 0;
            surplus -= usize::from(entry.leaving);
        }
        let leaving = state.entries.iter().any(|entry| entry.leaving);
        self.shrinking.store(leaving, Ordering::Relaxed);
        if leaving {
            self.freed.notify_one();
        }
    }

    /// Logs off sessions that have to leave, each once it is free, for as long as it is polled.
    pub async fn close_surplus(self: Arc<Self>) {
        loop {
            self.freed.notified().await;
            let free = {
                let mut state = self.lock();
                let slots = self.slots;
                self.take_out(&mut state, |entry| {
                    entry.leaving && entry.logon.slots.available_permits() >= slots
                })
            };
            for logon in free {
                // In a task of its own, so that stopping does not cut it short.
                self.tasks.spawn(self.clone().dismiss(logon));
            }
        }
    }

    /// Takes sessions out that are going to be dismissed.
    pub(super) fn take_out(&self, state: &mut State, which: impl Fn(&Entry) -> bool) -> Vec<Arc<Logon>> {
        let mut out = Vec::new();
        state.entries.retain(|entry| {
            let goes = which(entry);
            if goes {
                out.push(entry.logon.clone());
            }
            !goes
        });
        state.closing += out.len();
        self.count(state);
        out
    }

    /// Logs off a session that was removed, and only then frees its place for another.
    pub(super) async fn dismiss(self: Arc<Self>, logon: Arc<Logon>) {
        self.log_off(&logon).await;
        {
            let mut state = self.lock();
            state.closing = state.closing.saturating_sub(1);
        }
        self.changed.notify_waiters();
    }
}
