//! What comes with several replicas: the one that observes takes up the logon sessions of the others, because a task is
//! only seen in the session that made it; the others stand by.

use std::collections::HashMap;
use std::time::Instant;

use super::Watcher;
use crate::domain::id::LogonId;
use crate::domain::operation::Operation;
use crate::store;

impl Watcher {
    /// What a replica does that does not observe.
    pub(super) async fn stand_by(&mut self) {
        self.report.stand_by();
        let asked = Instant::now();
        if let Ok(operations) = self.store.unfinished_operations().await {
            self.align_pins(&operations, asked);
        }
        if self.report.contact.is_open() || !self.em.health().up {
            self.report.contact.begin();
            // A failure is noted where requests are made; who reaches EM may be asked to observe.
            if self.em.sessions_since(Some(self.clock.now())).await.is_ok()
                && let Err(error) = store::with_timeout(self.store.record_em_contact()).await
            {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the other replicas could not be notified that Enterprise Manager answers"
                );
            }
        }
    }

    /// Takes up the sessions that are needed and not this replica's own: for good when their replica is no more, as a
    /// guest while it lives. Each once, because one that was resumed and is gone is lost.
    pub(super) async fn adopt_logons(&mut self, operations: &[Operation]) -> Result<(), store::Error> {
        let needed = needed(operations);
        self.adopted.retain(|id| needed.contains_key(id));
        if needed.is_empty() {
            return Ok(());
        }
        for kept in self.store.kept_logons().await? {
            if !needed.contains_key(&kept.id) {
                continue;
            }
            let own = self.store.take_logon(kept.id).await?;
            if own || self.adopted.insert(kept.id) {
                self.em.resume_logon(&kept, own);
            }
        }
        Ok(())
    }

    /// Brings the pins in line with the operations, which were read after `asked`: where several replicas share the store, an operation may have been
    /// asked for here and ended elsewhere.
    pub(super) fn align_pins(&mut self, operations: &[Operation], asked: Instant) {
        if self.store.is_shared() {
            let needed = needed(operations);
            self.em.keep_pins(&needed, asked);
            self.adopted.retain(|id| needed.contains_key(id));
        }
    }
}

fn needed(operations: &[Operation]) -> HashMap<LogonId, u32> {
    let mut needed = HashMap::new();
    for logon in operations
        .iter()
        .filter_map(|operation| operation.task.as_ref()?.logon)
    {
        *needed.entry(logon).or_default() += 1;
    }
    needed
}
