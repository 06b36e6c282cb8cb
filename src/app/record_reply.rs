//! Records EM's answer to a write in its operation (docs/behaviour.md#actions).
//!
//! There are three cases: EM accepted the request, EM definitely refused it, or the outcome is unknown; the last is left
//! to the watcher, which reads and never sends. Only an operation that is still `submitting` changes its state here: when
//! the answer is late, the watcher of this or another replica may have found out more, and reported it.

use std::time::Duration;

use super::ending::tell_end;
use super::submit::Submitted;
use super::{App, Error};
use crate::domain::access::Tenancy;
use crate::domain::id::OperationId;
use crate::domain::operation::{
    Failure, FailureSource, Operation, OperationResult, OperationState, OperationTask, TaskState,
};
use crate::store::Tx;
use crate::upstream::{self, AcceptedTask, Acted, WriteResponse};

/// How long the store may be away when EM's answer is to be recorded, and the pause between two attempts. No caller
/// waits that long; the work continues without one.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(300);

impl App {
    /// Records EM's answer, and retries while the store is away: an answer that is not recorded names a task that the
    /// watcher would not follow.
    ///
    /// # Errors
    /// [`Error::Refused`] when EM definitely did not act, [`Error::Store`].
    pub(super) async fn record_with_retry(
        &self,
        id: OperationId,
        answer: &Result<WriteResponse, upstream::Error>,
    ) -> Result<Submitted, Error> {
        let latest = tokio::time::Instant::now() + PATIENCE;
        let stopping = self.tasks.stopping();
        loop {
            match self.record_reply(id, answer).await {
                Err(Error::Store(error))
                    if tokio::time::Instant::now() < latest && !stopping.is_cancelled() =>
                {
                    tracing::warn!(operation = %id, error = &error as &dyn std::error::Error, "the outcome of an operation cannot be stored yet");
                    tokio::time::sleep(self.clock.jittered(PAUSE, 0.5)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// One attempt. An earlier one may have been committed without an answer from the store: then nothing is left to do.
    async fn record_reply(
        &self,
        id: OperationId,
        answer: &Result<WriteResponse, upstream::Error>,
    ) -> Result<Submitted, Error> {
        let mut tx = self.store.begin().await?;
        let mut operation = tx
            .operation(id, &Tenancy::All)
            .await?
            .ok_or(Error::Internal("an operation vanished from the store"))?;
        let before = operation.clone();
        match answer {
            Ok(response) => self.record_accepted(&mut tx, &mut operation, response).await?,
            Err(error) if error.acted() == Acted::No => {
                self.record_refused(&mut tx, &mut operation, error).await?;
            }
            Err(error) => self.record_unknown(&mut operation, error),
        }
        if operation != before {
            tx.save_operation(&operation).await?;
            tx.commit().await?;
        }
        if let Some(accepted) = answer.as_ref().ok().and_then(|response| response.task.as_ref()) {
            self.release_pin(&operation, accepted);
        }
        if operation.result.is_some() && before.result.is_none() {
            tell_end(&operation);
        }
        match answer {
            Err(error) if operation.failure.as_ref() == Some(&refusal(error)) => Err(Error::Refused {
                operation: id,
                source: error.clone(),
            }),
            _ => Ok(Submitted {
                operation,
                replayed: false,
                response: answer.as_ref().ok().cloned(),
            }),
        }
    }

    /// Records that EM accepted the request: the task to follow, or that it is done.
    async fn record_accepted(
        &self,
        tx: &mut Tx,
        operation: &mut Operation,
        response: &WriteResponse,
    ) -> Result<(), Error> {
        let (id, now) = (operation.id, self.clock.now());
        let submitting = operation.state == OperationState::Submitting;
        let Some(accepted) = &response.task else {
            if submitting {
                tracing::info!(operation = %id, "Enterprise Manager completed the operation");
                operation.finish(Some(OperationResult::Success), None, now);
                self.report_end(tx, operation).await?;
            }
            return Ok(());
        };
        // An operation whose session was found first gets its task too, since it can be cancelled by it.
        if operation.task.is_some() || !operation.state.is_open() {
            return Ok(());
        }
        if let Some(saved) = self.em.save_logon(accepted.logon) {
            // In the same commit: after a crash the task can be followed only in its logon session.
            tx.keep_logon(&saved).await?;
        }
        tracing::info!(operation = %id, task = %accepted.task, "Enterprise Manager accepted the operation");
        operation.task = Some(OperationTask {
            id: accepted.task.clone(),
            logon: Some(accepted.logon),
            // A task that has ended already is read once more: only its whole document holds the result.
            state: match &accepted.state {
                TaskState::Finished => TaskState::OperationFinished,
                other => other.clone(),
            },
            message: accepted.message.clone(),
        });
        if submitting {
            operation.answer_due = now;
            operation.step(OperationState::Running, now, None);
        }
        Ok(())
    }

    async fn record_refused(
        &self,
        tx: &mut Tx,
        operation: &mut Operation,
        error: &upstream::Error,
    ) -> Result<(), Error> {
        tracing::warn!(operation = %operation.id, error = error as &dyn std::error::Error, "Enterprise Manager refused the operation");
        if operation.state == OperationState::Submitting {
            operation.answer_due = self.clock.now();
            operation.failure = Some(refusal(error));
            operation.finish(Some(OperationResult::Failed), None, operation.answer_due);
            // EM never acted, so the caller may try again under the same key.
            tx.free_key(operation.id).await?;
        }
        Ok(())
    }

    /// Records that the outcome is unknown. From now on a session that appears at EM may be its session.
    fn record_unknown(&self, operation: &mut Operation, error: &upstream::Error) {
        tracing::warn!(operation = %operation.id, error = error as &dyn std::error::Error, "the outcome of the operation is not known; it is reconciled and not sent again");
        if operation.state != OperationState::Submitting {
            return;
        }
        let reason = format!(
            "the outcome of the request is not known: {}",
            error.public_message()
        );
        let last = operation.history.last();
        if last.and_then(|step| step.reason.as_ref()) != Some(&reason) {
            operation.answer_due = self.clock.now();
            operation.step(OperationState::Submitting, operation.answer_due, Some(reason));
        }
    }

    /// The record holds the task's logon session from now on; where the record has no task, the session is released.
    fn release_pin(&self, operation: &Operation, accepted: &AcceptedTask) {
        self.em.note_committed(accepted.logon);
        let recorded = operation
            .task
            .as_ref()
            .is_some_and(|task| task.id == accepted.task);
        if !recorded {
            self.em.release(accepted.logon);
        }
    }
}

/// What a refusal leaves in the record.
fn refusal(error: &upstream::Error) -> Failure {
    Failure {
        message: error.public_message(),
        source: FailureSource::Gateway,
    }
}
