//! How much of what is committed this process knows of: what was read at a state of the store is still all there is as long as
//! nobody can have committed since.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::engine::Engine;
use super::{Inner, Store, Tx};

/// A state of the store; by default one at which it never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revision {
    /// How many commits this process knows of.
    pub commits: u64,
    /// Whether nobody else commits, and no commit is under way, so that it knows of all.
    pub is_alone: bool,
}

/// Commits, counted.
#[derive(Default)]
pub(super) struct Commits {
    /// All of this process, those of unknown outcome included, and what other replicas announced.
    over: AtomicU64,
    /// How many of this process are under way: visible to readers maybe, and not counted yet.
    under_way: AtomicU64,
}

/// A commit that is under way; counted once it is over, whatever came of it.
pub(super) struct UnderWay<'c>(&'c Commits);

impl Commits {
    pub fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let Self(commits) = self;
        commits.over.fetch_add(1, Ordering::SeqCst);
        commits.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Store {
    /// Changes after each commit that changed an operation, a session or the event log, whichever replica made it. Only
    /// that something changed is certain: a notification between replicas can be lost, so look at intervals as well.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The state of the store as far as this process knows: what is read after this is at least as new.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.0.revision()
    }

    /// Whether what was read after that state is still all there is.
    #[must_use]
    pub fn is_still_at(&self, revision: Revision) -> bool {
        self.0.is_still_at(revision)
    }
}

impl Tx {
    /// Whether what was read after that state is what this transaction would read.
    #[must_use]
    pub fn is_still_at(&self, revision: Revision) -> bool {
        self.store.is_still_at(revision)
    }
}

impl Inner {
    fn revision(&self) -> Revision {
        let Commits { over, under_way } = &self.commits;
        Revision {
            // In this order: a commit that is not under way any more is counted.
            is_alone: self.engine == Engine::Sqlite && under_way.load(Ordering::SeqCst) == 0,
            commits: over.load(Ordering::SeqCst),
        }
    }

    fn is_still_at(&self, revision: Revision) -> bool {
        revision.is_alone && self.revision() == revision
    }

    /// Tells those who follow [`Store::changes`].
    pub(super) fn announce(&self) {
        self.commits.over.fetch_add(1, Ordering::SeqCst);
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}
