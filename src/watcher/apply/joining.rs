//! Joins operations with the sessions that they started, before either is written.

use std::collections::{HashMap, HashSet};

use super::BatchWriter;
use crate::domain::id::EmId;
use crate::domain::operation::Operation;
use crate::domain::session::SessionRecord;
use crate::store::Tx;
use crate::watcher::observe::Change;
use crate::watcher::{Error, follow, plan_match};

impl BatchWriter {
    /// Joins operations with sessions. What is left of the changes: without the ends that wait for an answer of EM.
    pub(super) async fn join(&mut self, tx: &mut Tx, changes: Vec<Change>) -> Result<Vec<Change>, Error> {
        if !self.operations.iter().any(follow::lacks_session) {
            return Ok(changes);
        }
        let now = self.observation.at;
        let plans: HashSet<&EmId> = self
            .operations
            .iter()
            .filter(|operation| follow::lacks_session(operation))
            .filter_map(|operation| Some(&operation.plan.as_ref()?.id))
            .collect();
        let mut had = Vec::new();
        for plan in plans {
            had.extend(tx.sessions_of_plan(plan).await?);
        }
        let apart = self.set_apart(tx).await?;
        let mut sessions: HashMap<&EmId, &SessionRecord> = self.known.iter().collect();
        sessions.extend(
            changes
                .iter()
                .map(|change| (&change.record.facts.id, &change.record)),
        );
        let sessions: Vec<&SessionRecord> = sessions
            .into_values()
            .filter(|record| !plan_match::is_ambiguous(record, &self.look.plans))
            .collect();
        follow::join(&mut self.operations, &sessions, &had, now);
        let awaiting = follow::awaiting_answer(&self.operations, &sessions, &had, now);
        let changes = self.keep_back(changes, &awaiting);
        self.operations.extend(apart);
        self.operations
            .sort_by_key(|operation| (operation.requested_at, operation.id));
        Ok(changes)
    }

    /// Takes out the operations of plans that are kept busy by one that cannot be read: what that one started is no
    /// other's.
    async fn set_apart(&mut self, tx: &mut Tx) -> Result<Vec<Operation>, Error> {
        let mut busy = tx.busy_plans().await?;
        for operation in self
            .operations
            .iter()
            .filter(|operation| operation.state.is_open())
        {
            if let Some(plan) = &operation.plan {
                busy.remove(&plan.id.key());
            }
        }
        let of_busy = |operation: &mut Operation| {
            let plan = operation.plan.as_ref();
            plan.is_some_and(|plan| busy.contains(&plan.id.key()))
        };
        Ok(self.operations.extract_if(.., of_busy).collect())
    }

    /// The changes without the ends of sessions whose operation may still get its answer: the event is to carry it.
    fn keep_back(&mut self, changes: Vec<Change>, awaiting: &HashSet<EmId>) -> Vec<Change> {
        let mut left = Vec::with_capacity(changes.len());
        for change in changes {
            let id = &change.record.facts.id;
            let until = change.may_end_later(self.observation.at);
            let Some(until) = until.filter(|_| awaiting.contains(id)) else {
                left.push(change);
                continue;
            };
            self.applied.look_again = self.applied.look_again.into_iter().chain([until]).min();
            let kept = change.without_end();
            if self.known.get(&kept.record.facts.id) != Some(&kept.record) {
                left.push(kept);
            }
        }
        left
    }
}
