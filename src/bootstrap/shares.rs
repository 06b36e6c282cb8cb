//! The total of logon sessions over all replicas: the store knows the replicas, `upstream` the sessions.

use crate::store::Store;
use crate::store::replicas::{LimitSource, SharedLimit};
use crate::upstream::EmClient;

/// The logon sessions of each account, shared out by account.
pub(super) struct LogonShares(EmClient);

impl LogonShares {
    /// Where several replicas share the store, none of them begins before it has claimed its share.
    pub fn of(em: &EmClient, store: &Store) -> Self {
        if store.is_shared() {
            for count in em.logon_counts() {
                em.allow_logons(&count.account, 0);
            }
        }
        Self(em.clone())
    }
}

impl LimitSource for LogonShares {
    fn limits(&self) -> Vec<SharedLimit> {
        let counts = self.0.logon_counts().into_iter();
        let limit = counts.map(|count| SharedLimit {
            name: count.account,
            total: count.configured,
            held: count.held,
            allowed: count.allowed,
        });
        limit.collect()
    }

    fn allow(&self, name: &str, most: usize) {
        self.0.allow_logons(name, most);
    }
}
