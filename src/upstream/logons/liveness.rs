//! Whether a logon session lives: what answers say about it, in the order in which their requests were sent.

use super::{Lease, Pool};
use crate::upstream::logon::{Life, Logon};

impl Pool {
    /// A good answer came through that session to a request sent at the moment `sent`. When the answer came says less:
    /// EM may have dropped the session while it was on its way.
    pub fn mark_alive(&self, logon: &Logon, sent: u64) {
        let now = self.clock.now();
        if let Some(entry) = self
            .lock()
            .entries
            .iter_mut()
            .find(|entry| entry.logon.id == logon.id)
        {
            entry.alive_at = entry.alive_at.max(sent);
            entry.used_at = now;
        }
    }

    /// EM has dropped that session: it is not given out any more. Returns the moment at which that was noticed first, by
    /// whomever, for [`Pool::lease_alive_since`].
    pub fn forget(&self, logon: &Logon) -> u64 {
        let noticed = *logon.ended.get_or_init(|| self.next_seq());
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
        self.mark_surplus(&mut state);
        self.count(&state);
        drop(state);
        self.changed.notify_waiters();
        noticed
    }

    /// Whether a 403 in that session means that the session is dead. EM answers an expired session with 401, some
    /// builds with 403 (docs/behaviour.md#how-em-behaves); a read that every live session may make distinguishes the two.
    pub async fn expired_behind_403(&self, lease: &Lease) -> bool {
        self.probes.get() == Some(&true) && self.life(&lease.logon).await == Life::Dead
    }

    /// Asks EM whether the session lives; dead only where a probe's refusal means something.
    pub(super) async fn life(&self, logon: &Logon) -> Life {
        match logon.probe(&self.transport, &self.account).await {
            Life::Dead if self.probes.get() != Some(&true) => Life::Unclear,
            life => life,
        }
    }
}
