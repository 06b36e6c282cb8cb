//! The end of an operation that no observation reports: the answer to its request ended it, or its cancellation did.

use super::{App, Error};
use crate::api_types::events::{Origin, operation_event};
use crate::domain::id::EventId;
use crate::domain::operation::{Operation, OperationResult};
use crate::store::Tx;
use crate::telemetry::{self, Ending};

impl App {
    /// Appends the event that reports the end of `operation`, which has no failover session; none for kinds that report no
    /// end. To be called in the transaction that saves the end, once.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn report_end(&self, tx: &mut Tx, operation: &Operation) -> Result<(), Error> {
        if !operation.emits_event() {
            return Ok(());
        }
        let rto_seconds = tx.rto_of(Some(operation.id), None).await?;
        let event = operation_event(&self.origin(), operation, rto_seconds)
            .map_err(|_| Error::Internal("an event could not be represented"))?;
        tx.append_event(&event).await?;
        Ok(())
    }

    /// What an event that is made now begins with.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin {
            id: EventId::new(self.clock.id()),
            at: self.clock.now(),
            links: self.em.links(),
        }
    }
}

/// Tells operators of an end that was committed: once for each.
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
