//! Writes operations whose tasks or sessions have something new to say, and ends those that they end.

use std::collections::HashSet;

use super::{BatchWriter, follow, passed_over};
use crate::api_types::events::operation_event;
use crate::domain::id::EmId;
use crate::domain::operation::{Operation, OperationKind, OperationResult, OperationState};
use crate::store::Tx;
use crate::telemetry::{self, Ending};
use crate::watcher::Error;

impl BatchWriter {
    pub(super) async fn end_operations(&mut self, tx: &mut Tx, seen: &HashSet<EmId>) -> Result<(), Error> {
        let mut operations = std::mem::take(&mut self.operations);
        operations.retain(|operation| {
            let session = operation.session.as_ref();
            !session.is_some_and(|id| self.passed_over.contains(id))
        });
        if let Some(last) = &self.look.last {
            for operation in &mut operations {
                let session_seen = operation.session.as_ref().is_some_and(|id| {
                    seen.contains(id) || last.shown.contains(id) || self.unread.contains(&id.key())
                });
                follow::expire(operation, session_seen, self.observation.at);
            }
        }
        self.write_progress(tx, &operations).await?;
        for operation in operations {
            self.end_operation(tx, operation).await?;
        }
        Ok(())
    }

    /// Writes operations together that go on; where one of them is refused none is written, and each is left to be written by
    /// itself.
    async fn write_progress(&mut self, tx: &mut Tx, operations: &[Operation]) -> Result<(), Error> {
        let goes_on = |operation: &&Operation| {
            let known = self.as_read.get(&operation.id);
            known.is_some_and(|known| operation.goes_on_from(known))
        };
        let going_on: Vec<&Operation> = operations.iter().filter(goes_on).collect();
        if going_on.len() < 2 {
            return Ok(());
        }
        let mark = tx.mark().await?;
        match tx.save_operations_progress(&going_on).await.map_err(Error::from) {
            Ok(true) => {
                tx.keep(mark).await?;
                for operation in going_on {
                    if let Some(known) = self.as_read.get_mut(&operation.id) {
                        known.progress = operation.progress;
                    }
                }
                return Ok(());
            }
            Ok(false) => {}
            Err(error) => drop(passed_over(error)?),
        }
        Ok(tx.undo(mark).await?)
    }

    async fn end_operation(&mut self, tx: &mut Tx, mut operation: Operation) -> Result<(), Error> {
        let before = self.as_read.get(&operation.id);
        let was_open = before.is_some_and(|before| before.state.is_open());
        let ended = was_open && !operation.state.is_open();
        let found = operation.state == OperationState::Running
            && before.is_some_and(|before| before.state == OperationState::Submitting);
        let released = (!operation.state.is_open())
            .then(|| operation.release_logon(was_open))
            .flatten();
        let tells = ended && operation.emits_event() && !self.told.contains(&operation.id);
        if tells || before != Some(&operation) {
            let mark = tx.mark().await?;
            match self.write_operation(tx, &operation, tells).await {
                Ok(()) => tx.keep(mark).await?,
                Err(error) => {
                    let reason = passed_over(error)?;
                    tx.undo(mark).await?;
                    let what = format!("operation {}", operation.id);
                    self.applied.skipped.push((what, reason));
                    return Ok(());
                }
            }
        }
        self.applied.ended |= ended;
        self.applied.events += usize::from(tells);
        self.applied.released.extend(released);
        self.applied.active |= match operation.state {
            OperationState::Running => true,
            // Nothing at EM shows how a write through the mirror went: there is nothing to be quick about.
            OperationState::Submitting => operation.kind != OperationKind::Em,
            OperationState::AwaitingApproval | OperationState::Finished | OperationState::Unknown => false,
        };
        if ended {
            self.endings.push(operation);
        } else if found {
            self.found.push(operation);
        }
        Ok(())
    }

    async fn write_operation(&self, tx: &mut Tx, operation: &Operation, tells: bool) -> Result<(), Error> {
        if tells {
            let rto_seconds = tx.rto_of(Some(operation.id), None).await?;
            let event = operation_event(&self.origin(tx), operation, rto_seconds)?;
            tx.append_event(&event).await?;
        }
        if self.as_read.get(&operation.id) != Some(operation) {
            tx.save_operation(operation).await?;
        }
        Ok(())
    }
}

/// Tells operators that an operation, whose answer may have been lost, was found to have begun.
pub(super) fn tell_found(operation: &Operation) {
    let session = operation.session.as_ref().map(tracing::field::display);
    let plan_name = operation.plan.as_ref().map(|plan| plan.name.as_str());
    tracing::info!(operation = %operation.id, session, plan_name, "the session of an operation was found at Enterprise Manager");
}

/// Tells operators of an end that was committed.
pub(super) fn tell_end(operation: &Operation) {
    telemetry::operation_ended(Ending {
        operation: &operation.id,
        action: &operation.action,
        plan_name: operation.plan.as_ref().map(|plan| plan.name.as_str()),
        path: operation.target.as_deref(),
        result: operation.result.as_ref().map(OperationResult::as_str),
        reason: operation.failure.as_ref().map(|failure| failure.message.as_str()),
    });
}
