//! Approvals: the wait of an operation that a policy holds back, from the request to the decision
//! (docs/behaviour.md#approvals).
//!
//! The last approval and the step to `submitting` are one commit. The command that was stored with the request is sent, never
//! a new one. A second commit, just before the sending, marks the operation as one that may have been sent: a process that
//! dies between the two leaves one that provably was not, and `approval_clock` ends it as such.

use super::audit::Told;
use super::busy::expect_free;
use super::ending::tell_end;
use super::policies::plan_digest;
use super::submit::{Submitted, Unconfirmed};
use super::{App, Error, OpContext};
use crate::api_types::events::{approval_decided, approval_requested};
use crate::clock::later;
use crate::domain::access::Tenancy;
use crate::domain::approval::{Approval, Decision, DecisionOutcome, GivenApproval};
use crate::domain::audit::AuditAction;
use crate::domain::command::Command;
use crate::domain::id::OperationId;
use crate::domain::operation::{Failure, FailureSource, Operation, OperationResult, OperationState};
use crate::domain::plan::Plan;
use crate::store::operations::Inserted;
use crate::store::{self, Tx};

/// What the last approval needs besides the record.
struct Prepared {
    /// The plan as EM has it now; none when it is gone.
    plan: Option<Plan>,
    /// What was stored with the request.
    command: Command,
    /// Whose things the requester sees.
    requester: Tenancy,
}

/// What became of one attempt to approve.
enum Approving {
    /// The operation waits for more.
    Waits(Operation),
    /// It would be the last approval, which has to be prepared.
    Unprepared(Operation),
    /// It is to be sent.
    Submitted(Command, Tenancy),
    /// The commit was not answered: it is to be sent if it is recorded.
    Unclear(Command, Tenancy, store::Error),
    /// The plan is not what it was; the operation has ended.
    PlanChanged,
    /// Its time was over; the operation has ended.
    Expired,
}

impl App {
    /// Approves an operation that waits. The last approval submits it, with the checks of a new request made again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotAwaitingApproval`], [`Error::SelfApproval`], [`Error::PlanChanged`], after which it
    /// has ended; [`Error::PolicyDenied`], [`Error::PlanBusy`], [`Error::NotReady`], [`Error::Upstream`], after which it
    /// waits as before; [`Error::Refused`], [`Error::Store`].
    pub async fn approve(
        &self,
        context: &OpContext,
        id: OperationId,
        comment: Option<String>,
    ) -> Result<Submitted, Error> {
        // Whoever may not see it learns nothing of it.
        self.operation(context, id).await?;
        let (app, context) = (self.clone(), context.clone());
        let work = async move {
            let permit = app.send_permit();
            let mut prepared = None;
            loop {
                match app
                    .try_approve(&context, id, comment.clone(), prepared.as_ref())
                    .await?
                {
                    Approving::Waits(operation) => return Ok(decided(operation)),
                    Approving::Unprepared(operation) => {
                        prepared = Some(app.prepared(&context, &operation).await?);
                    }
                    Approving::Submitted(command, requester) => {
                        context.operation.set(id);
                        return app.send_approved(id, &requester, &command, permit).await;
                    }
                    Approving::Unclear(command, requester, error) => {
                        let unconfirmed = Unconfirmed::Approved(id);
                        app.confirm(unconfirmed, error, &context.operation).await?;
                        return app.send_approved(id, &requester, &command, permit).await;
                    }
                    Approving::PlanChanged => return Err(Error::PlanChanged(id)),
                    Approving::Expired => return Err(not_awaiting(id, OperationState::Finished)),
                }
            }
        };
        self.tasks
            .spawn(work)
            .await
            .map_err(|_| Error::Internal("the work on an approval was broken off"))?
    }

    /// Rejects an operation that waits: it ends without having been sent.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotAwaitingApproval`], [`Error::SelfApproval`], [`Error::Store`].
    pub async fn reject(
        &self,
        context: &OpContext,
        id: OperationId,
        comment: Option<String>,
    ) -> Result<Submitted, Error> {
        self.operation(context, id).await?;
        let (app, context) = (self.clone(), context.clone());
        let work = async move {
            let mut tx = app.store.begin().await?;
            let mut operation = waiting(&mut tx, id, context.tenancy()).await?;
            if app.end_if_expired(&mut tx, &mut operation).await? {
                tx.commit().await?;
                tell_end(&operation);
                return Err(not_awaiting(id, operation.state));
            }
            if !operation.may_be_decided_by(&context.caller) {
                return Err(Error::SelfApproval(id));
            }
            let decision = Decision {
                outcome: DecisionOutcome::Rejected,
                by: context.caller.name.clone(),
                at: app.clock.now(),
                comment,
            };
            app.end_waiting(&mut tx, &mut operation, &decision).await?;
            tx.audit(
                &context,
                AuditAction::OperationReject,
                told(&operation, &decision),
            );
            tx.commit().await?;
            tell_end(&operation);
            Ok(decided(operation))
        };
        self.tasks
            .spawn(work)
            .await
            .map_err(|_| Error::Internal("the work on a rejection was broken off"))?
    }

    /// One attempt. `prepared` is there once it was needed.
    async fn try_approve(
        &self,
        context: &OpContext,
        id: OperationId,
        comment: Option<String>,
        prepared: Option<&Prepared>,
    ) -> Result<Approving, Error> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let mut operation = waiting(&mut tx, id, context.tenancy()).await?;
        if self.end_if_expired(&mut tx, &mut operation).await? {
            tx.commit().await?;
            tell_end(&operation);
            return Ok(Approving::Expired);
        }
        if !operation.may_be_decided_by(&context.caller) {
            return Err(Error::SelfApproval(id));
        }
        let missing = Error::Internal("an operation waits for approval and has none");
        let approval = operation.approval.as_mut().ok_or(missing)?;
        let (last, digest) = (approval.lacks_one(), approval.plan_digest.clone());
        let decision = Decision {
            outcome: DecisionOutcome::Approved,
            by: context.caller.name.clone(),
            at: now,
            comment: comment.clone(),
        };
        approval.given.push(GivenApproval {
            by: context.caller.name.clone(),
            issuer: context.caller.issuer.clone(),
            at: now,
            comment,
        });
        if !last {
            tx.save_operation(&operation).await?;
            tx.audit(
                context,
                AuditAction::OperationApprove,
                told(&operation, &decision),
            );
            tx.commit().await?;
            tracing::info!(operation = %id, by = decision.by, "an operation was approved and waits for more approvals");
            return Ok(Approving::Waits(operation));
        }
        let Some(prepared) = prepared else {
            return Ok(Approving::Unprepared(operation));
        };
        let unchanged = match &prepared.plan {
            Some(plan) => plan_digest(plan)? == digest,
            None => false,
        };
        if !unchanged {
            let changed = Decision {
                outcome: DecisionOutcome::PlanChanged,
                by: None,
                at: now,
                comment: None,
            };
            // The approval was not given.
            operation
                .approval
                .as_mut()
                .and_then(|approval| approval.given.pop());
            self.end_waiting(&mut tx, &mut operation, &changed).await?;
            tx.audit(
                context,
                AuditAction::OperationApproveFailed,
                told(&operation, &decision),
            );
            tx.commit().await?;
            tell_end(&operation);
            return Ok(Approving::PlanChanged);
        }
        self.submit_waiting(context, tx, operation, prepared, &decision)
            .await
    }

    /// Makes the checks of a new request again, and submits: one commit.
    async fn submit_waiting(
        &self,
        context: &OpContext,
        mut tx: Tx,
        mut operation: Operation,
        prepared: &Prepared,
        decision: &Decision,
    ) -> Result<Approving, Error> {
        let now = decision.at;
        let Prepared {
            command, requester, ..
        } = prepared;
        if let (Some(action), Some(plan)) = (command.plan_action(), command.plan())
            && let Some(denial) = self.policies().closed(action, plan, now)
        {
            return Err(Error::PolicyDenied(denial));
        }
        operation.seen_observation = tx.observation().await?;
        if operation.seen_observation == 0 {
            return Err(Error::NotReady);
        }
        expect_free(&mut tx, command.plan_action(), command.plan(), context.tenancy()).await?;
        operation.answer_due = later(now, self.limits.answer);
        operation.evidence_deadline = later(now, self.limits.unknown_after);
        operation.unsent = true;
        operation.step(
            OperationState::Submitting,
            now,
            Some("it was approved".to_owned()),
        );
        if tx.submit_approved(&operation).await? == Inserted::PlanBusy {
            drop(tx);
            return Err(self.busy_since(&operation, context.tenancy()).await?);
        }
        let event = approval_decided(&self.origin(), &operation, decision).map_err(unrepresentable)?;
        tx.append_event(&event).await?;
        tx.audit(context, AuditAction::OperationApprove, told(&operation, decision));
        match tx.commit().await {
            Ok(()) => {}
            // Only this error proves that nothing was committed.
            Err(error @ store::Error::Refused { .. }) => return Err(error.into()),
            Err(error) => return Ok(Approving::Unclear(command.clone(), requester.clone(), error)),
        }
        tracing::info!(operation = %operation.id, by = decision.by, "an operation was approved and is submitted");
        Ok(Approving::Submitted(command.clone(), requester.clone()))
    }

    /// Sends what was approved, unless it must not be sent any more.
    async fn send_approved(
        &self,
        id: OperationId,
        requester: &Tenancy,
        command: &Command,
        permit: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Submitted, Error> {
        let begun = if permit() {
            self.begin_sending(id).await
        } else {
            Ok(false)
        };
        match begun {
            Ok(true) => self.send(id, requester, command, permit).await,
            Ok(false) => {
                self.end_unsent(id).await?;
                self.operation_as_decided(id).await
            }
            Err(error) => {
                // If this fails as well, `approval_clock` ends it, unless the mark was written: then it becomes unknown.
                let _ = self.end_unsent(id).await;
                Err(error)
            }
        }
    }

    async fn begin_sending(&self, id: OperationId) -> Result<bool, Error> {
        let mut tx = self.store.begin().await?;
        let begun = tx.begin_sending(id).await?;
        tx.commit().await?;
        Ok(begun)
    }

    async fn operation_as_decided(&self, id: OperationId) -> Result<Submitted, Error> {
        let operation = self.store.operation(id, &Tenancy::All).await?;
        operation
            .map(decided)
            .ok_or(Error::Internal("an operation vanished from the store"))
    }

    /// Reads what the last approval needs, outside of its transaction.
    async fn prepared(&self, context: &OpContext, operation: &Operation) -> Result<Prepared, Error> {
        let command = self.store.command(operation.id).await?;
        let missing = Error::Internal("an operation waits without what it is to send");
        let command = command.ok_or(missing)?;
        let missing = Error::Internal("an operation without a plan waits for approval");
        let plan = command.plan().ok_or(missing)?;
        let approval = operation.approval.as_ref();
        let requester = approval.map_or(Tenancy::All, Approval::requester_tenancy);
        let plan = match self
            .plan_fresh(&context.seeing(requester.clone()), plan.kind, &plan.id)
            .await
        {
            Ok((plan, _)) => Some(plan),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Prepared {
            plan,
            command,
            requester,
        })
    }

    /// Ends an operation whose time for approval is over; whether it did.
    pub(super) async fn end_if_expired(&self, tx: &mut Tx, operation: &mut Operation) -> Result<bool, Error> {
        let trusted_now = tx.trusted_now();
        let expired = operation
            .approval
            .as_ref()
            .is_some_and(|approval| approval.is_expired(trusted_now));
        if expired {
            self.expire_waiting(tx, operation).await?;
        }
        Ok(expired)
    }

    pub(super) async fn expire_waiting(&self, tx: &mut Tx, operation: &mut Operation) -> Result<(), Error> {
        let decision = Decision {
            outcome: DecisionOutcome::Expired,
            by: None,
            at: self.clock.now(),
            comment: None,
        };
        self.end_waiting(tx, operation, &decision).await
    }

    /// Ends an operation that waits, without having sent it; its key is free again. For the transaction that read it.
    pub(super) async fn end_waiting(
        &self,
        tx: &mut Tx,
        operation: &mut Operation,
        decision: &Decision,
    ) -> Result<(), Error> {
        let message = match decision.outcome {
            DecisionOutcome::Rejected => {
                "the request was rejected, so nothing was sent to Enterprise Manager"
            }
            DecisionOutcome::Expired => {
                "it was not approved in time, so nothing was sent to Enterprise Manager"
            }
            DecisionOutcome::PlanChanged => {
                "the plan was changed or removed after the request, so nothing was sent to Enterprise Manager"
            }
            DecisionOutcome::Cancelled | DecisionOutcome::Approved => {
                "it was cancelled before it was approved, so nothing was sent to Enterprise Manager"
            }
        };
        operation.end_by_policy(message, decision.at);
        let event = approval_decided(&self.origin(), operation, decision).map_err(unrepresentable)?;
        tx.append_event(&event).await?;
        self.report_end(tx, operation).await?;
        tx.free_key(operation.id).await?;
        tx.save_operation(operation).await?;
        tracing::info!(operation = %operation.id, outcome = decision.outcome.as_str(), by = decision.by, "an operation that waited for approval has ended");
        Ok(())
    }

    /// Ends an approved operation that was not sent and must not be any more.
    pub(super) async fn end_unsent(&self, id: OperationId) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        let Some(mut operation) = tx
            .operation(id, &Tenancy::All)
            .await?
            .filter(Operation::is_unsent)
        else {
            return Ok(());
        };
        operation.failure = Some(Failure {
            message: "the gateway ended after the last approval and before it sent the request, so nothing was sent to \
                      Enterprise Manager"
                .to_owned(),
            source: FailureSource::Gateway,
        });
        operation.finish(Some(OperationResult::Failed), None, self.clock.now());
        self.report_end(&mut tx, &operation).await?;
        tx.free_key(id).await?;
        tx.save_operation(&operation).await?;
        tx.commit().await?;
        tell_end(&operation);
        tracing::warn!(operation = %id, "an approved operation ended without having been sent");
        Ok(())
    }

    /// Appends the event of an operation that begins to wait, in the transaction that writes it.
    pub(super) async fn report_request(&self, tx: &mut Tx, operation: &Operation) -> Result<(), Error> {
        let event = approval_requested(&self.origin(), operation).map_err(unrepresentable)?;
        tx.append_event(&event).await?;
        Ok(())
    }
}

/// An operation that waits, read in order to change it.
async fn waiting(tx: &mut Tx, id: OperationId, tenancy: &Tenancy) -> Result<Operation, Error> {
    let operation = tx.operation(id, tenancy).await?.ok_or(Error::NotFound {
        what: "the operation",
    })?;
    if operation.state != OperationState::AwaitingApproval {
        return Err(not_awaiting(id, operation.state));
    }
    Ok(operation)
}

const fn not_awaiting(operation: OperationId, state: OperationState) -> Error {
    Error::NotAwaitingApproval { operation, state }
}

/// What the audit log is told of a decision.
fn told(operation: &Operation, decision: &Decision) -> Told {
    let told = Told::of_operation(operation);
    match &decision.comment {
        Some(comment) => told.with("comment", comment.as_str()),
        None => told,
    }
}

const fn decided(operation: Operation) -> Submitted {
    Submitted {
        operation,
        replayed: false,
        response: None,
    }
}

fn unrepresentable(_: crate::api_types::events::Unrepresentable) -> Error {
    Error::Internal("an event could not be represented")
}
