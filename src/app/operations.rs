//! The verbs for operations: list, read, wait, cancel.

use std::collections::HashMap;
use std::time::Duration;

use super::audit::Told;
use super::ending::tell_end;
use super::page::{LogPage, one_more};
use super::{App, Error, OpContext};
use crate::clock::later;
use crate::domain::access::Tenancy;
use crate::domain::approval::{Decision, DecisionOutcome};
use crate::domain::audit::AuditAction;
use crate::domain::id::{EmId, LogonId, OperationId, TaskId};
use crate::domain::operation::{
    Failure, FailureSource, Operation, OperationResult, OperationState, ResultSource, TaskState,
};
use crate::domain::session::Session;
use crate::store::cursor::Cursor;
use crate::store::operations::OperationFilter;
use crate::upstream::Acted;

/// An operation with its session.
#[derive(Debug, Clone)]
pub struct OperationView {
    /// The operation.
    pub operation: Operation,
    /// The session it is joined with, as last observed.
    pub session: Option<Session>,
}

/// The task that a cancellation removes.
struct Cancellation {
    logon: LogonId,
    task: TaskId,
    /// Whether it was requested before.
    repeated: bool,
}

impl App {
    /// An operation.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn operation(&self, context: &OpContext, id: OperationId) -> Result<OperationView, Error> {
        let found = self.store.operation(id, context.tenancy()).await?;
        let operation = found.ok_or(Error::NotFound {
            what: "the operation",
        })?;
        self.with_session(context, operation).await
    }

    /// The operation, which the caller sees, with the session it is joined with, which is seen with it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn with_session(
        &self,
        _context: &OpContext,
        operation: Operation,
    ) -> Result<OperationView, Error> {
        let view = self.with_sessions(vec![operation]).await?.pop();
        view.ok_or(Error::Internal("an operation was lost on the way"))
    }

    /// The same for several, in their order, with one look at the sessions.
    async fn with_sessions(&self, operations: Vec<Operation>) -> Result<Vec<OperationView>, Error> {
        let mut ids: Vec<EmId> = Vec::new();
        for id in operations
            .iter()
            .filter_map(|operation| operation.session.as_ref())
        {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        let mut records = HashMap::with_capacity(ids.len());
        if !ids.is_empty() {
            for record in self.store.sessions_known(&ids, &Tenancy::All).await? {
                records.insert(record.facts.id.key(), record);
            }
        }
        let view = |operation: Operation| {
            let record = operation.session.as_ref().and_then(|id| records.get(&id.key()));
            let session = record.map(|record| Session {
                facts: record.facts.clone(),
                plan: operation.plan.clone().or_else(|| record.plan.clone()),
                action: operation.failover_action(),
                operation: Some(operation.id),
            });
            OperationView { operation, session }
        };
        Ok(operations.into_iter().map(view).collect())
    }

    /// A page of operations, newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn operations(
        &self,
        context: &OpContext,
        filter: &OperationFilter,
        cursor: Option<Cursor<OperationId>>,
        size: usize,
    ) -> Result<LogPage<OperationView, Cursor<OperationId>>, Error> {
        let tenancy = context.tenancy();
        let found = self
            .store
            .operations(tenancy, filter, cursor, one_more(size))
            .await?;
        let page = LogPage::cut(found, cursor, size, |operation| operation.id);
        Ok(LogPage {
            items: self.with_sessions(page.items).await?,
            next: page.next,
            previous: page.previous,
        })
    }

    /// Waits until the operation has ended (or is called unknown), `limit` at most, and returns it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn await_operation(
        &self,
        context: &OpContext,
        id: OperationId,
        limit: Duration,
    ) -> Result<OperationView, Error> {
        let deadline = tokio::time::Instant::now() + limit;
        let stopping = self.tasks.stopping();
        // Who waits for what another tenant runs would learn that it exists, and when it ends. Whoever gets past this sees
        // what the other waiting callers see, so that they share what is read.
        if context.tenancy().is_confined() {
            self.operation(context, id).await?;
        }
        loop {
            let waiter = self.waiters.watch(id);
            tokio::select! {
                () = stopping.cancelled() => {}
                _ = tokio::time::timeout_at(deadline, waiter.finished()) => {}
            }
            let view = waiter
                .view(async || self.view_with_permit(context, id).await)
                .await?;
            let now = tokio::time::Instant::now();
            if !view.operation.state.is_open() || now >= deadline || stopping.is_cancelled() {
                return Ok(view);
            }
        }
    }

    /// The operation for a caller who waited. Only a few reads run at a time, so that waiting callers leave the store's
    /// connections to others.
    async fn view_with_permit(&self, context: &OpContext, id: OperationId) -> Result<OperationView, Error> {
        let _permit = self.reads.acquire().await;
        self.operation(context, id).await
    }

    /// Asks EM to stop the operation's work. EM may have done some of it already.
    ///
    /// # Errors
    /// [`Error::OperationFinished`], [`Error::NotCancellable`], [`Error::NotFound`], [`Error::Upstream`],
    /// [`Error::Store`].
    pub async fn cancel(&self, context: &OpContext, id: OperationId) -> Result<OperationView, Error> {
        let (app, context) = (self.clone(), context.clone());
        let work = async move {
            let Some(cancellation) = app.record_cancel(&context, id).await? else {
                return app.operation(&context, id).await;
            };
            app.adopt_logon(cancellation.logon).await?;
            // Removing a task twice is harmless, so a cancellation that was lost on the way is sent again.
            let removed = app.em.remove_task(cancellation.logon, &cancellation.task).await;
            match removed {
                Ok(true) => app.record_removal(id).await?,
                Ok(false) if cancellation.repeated => {}
                Ok(false) => {
                    app.clear_cancel(&context, id).await?;
                    return Err(Error::NotCancellable {
                        reason: "Enterprise Manager no longer knows its task, so there was nothing to remove",
                    });
                }
                Err(error) => {
                    // A cancellation that may have arrived stays recorded: it may be why the task is gone.
                    if !cancellation.repeated && error.acted() == Acted::No {
                        app.clear_cancel(&context, id).await?;
                    }
                    return Err(error.into());
                }
            }
            app.watcher.now();
            app.operation(&context, id).await
        };
        self.tasks
            .spawn(work)
            .await
            .map_err(|_| Error::Internal("the work on a cancellation was broken off"))?
    }

    /// Adopts the logon session in which a task lives, where another replica opened it.
    pub(in crate::app) async fn adopt_logon(&self, logon: LogonId) -> Result<(), Error> {
        if !self.store.is_shared() || self.em.holds_logon(logon) {
            return Ok(());
        }
        for kept in self.store.kept_logons().await? {
            if kept.id == logon {
                self.em.resume_logon(&kept, false);
            }
        }
        Ok(())
    }

    /// Records that the operation is to be stopped, and returns the task to remove; none where nothing was sent yet, so that
    /// the operation has ended.
    async fn record_cancel(
        &self,
        context: &OpContext,
        id: OperationId,
    ) -> Result<Option<Cancellation>, Error> {
        let mut tx = self.store.begin().await?;
        let mut operation = tx
            .operation(id, context.tenancy())
            .await?
            .ok_or(Error::NotFound {
                what: "the operation",
            })?;
        match operation.state {
            OperationState::Finished => return Err(Error::OperationFinished(id)),
            OperationState::AwaitingApproval => {
                let now = self.clock.now();
                operation.cancel_requested_at = Some(now);
                let decision = Decision {
                    outcome: DecisionOutcome::Cancelled,
                    by: context.caller.name.clone(),
                    at: now,
                    comment: None,
                };
                self.end_waiting(&mut tx, &mut operation, &decision).await?;
                tx.audit(
                    context,
                    AuditAction::OperationCancel,
                    Told::of_operation(&operation),
                );
                tx.commit().await?;
                tell_end(&operation);
                return Ok(None);
            }
            OperationState::Submitting if self.clock.now() >= operation.answer_due => {
                return Err(Error::NotCancellable {
                    reason: "Enterprise Manager's answer to the request was lost; the gateway is searching for its failover session",
                });
            }
            OperationState::Submitting => {
                return Err(Error::NotCancellable {
                    reason: "Enterprise Manager has not confirmed the request yet; try again shortly",
                });
            }
            OperationState::Unknown => {
                return Err(Error::NotCancellable {
                    reason: "its task at Enterprise Manager is not known",
                });
            }
            OperationState::Running => {}
        }
        let task = operation.task.as_ref().ok_or(Error::NotCancellable {
            reason: "Enterprise Manager's answer, which names its task, was lost; stop the failover in Enterprise Manager",
        })?;
        let (logon, task) = Some(task)
            .filter(|task| task.state != TaskState::Lost)
            .and_then(|task| Some((task.logon?, task.id.clone())))
            .ok_or(Error::NotCancellable {
                reason: "its task was lost with its logon session; stop the failover in Enterprise Manager",
            })?;
        let repeated = operation.cancel_requested_at.is_some();
        if !repeated {
            operation.cancel_requested_at = Some(self.clock.now());
            tx.save_operation(&operation).await?;
        }
        let told = Told::of_operation(&operation);
        tx.audit(context, AuditAction::OperationCancel, told);
        tx.commit().await?;
        Ok(Some(Cancellation {
            logon,
            task,
            repeated,
        }))
    }

    /// Clears the record of a cancellation that EM did not accept.
    async fn clear_cancel(&self, context: &OpContext, id: OperationId) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        if let Some(mut operation) = tx.operation(id, &Tenancy::All).await? {
            operation.cancel_requested_at = None;
            tx.save_operation(&operation).await?;
            tx.audit(
                context,
                AuditAction::OperationCancelFailed,
                Told::of_operation(&operation),
            );
            tx.commit().await?;
        }
        Ok(())
    }

    /// EM removed the task. Without a session nothing more can be observed, so the operation ends; with one the session decides.
    async fn record_removal(&self, id: OperationId) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        let Some(mut operation) = tx.operation(id, &Tenancy::All).await? else {
            return Ok(());
        };
        if let Some(task) = operation.task.as_mut() {
            task.state = TaskState::Removed;
        }
        let now = self.clock.now();
        let ends = operation.session.is_none() && operation.state.is_open();
        let mut released = None;
        if ends {
            operation.failure = Some(Failure {
                message: "Enterprise Manager removed the task; work on the backup server may continue"
                    .to_owned(),
                source: FailureSource::Gateway,
            });
            operation.finish(Some(OperationResult::Cancelled), Some(ResultSource::Task), now);
            released = operation.release_logon(true);
            self.report_end(&mut tx, &operation).await?;
        } else if operation.state.is_open() {
            // From here on the session is the only evidence, and it has to show itself in time.
            let in_time = later(now, self.limits.unknown_after);
            operation.evidence_deadline = operation.evidence_deadline.max(in_time);
        }
        tx.save_operation(&operation).await?;
        tx.forget_unneeded_logons().await?;
        tx.commit().await?;
        if ends {
            tell_end(&operation);
        }
        if let Some(logon) = released {
            self.em.release(logon);
        }
        Ok(())
    }
}
