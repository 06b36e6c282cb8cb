//! The life of a request that changes EM, from its row to its sending; `record_reply` records the answer.
//!
//! The row is durable before anything is sent; a request whose row is not known to be durable is not sent. From then on
//! every answer to the caller names the operation (`OperationSlot`).

use std::time::Duration;

use super::busy::{busy_with, expect_free};
use super::idempotency::IdempotentRequest;
use super::intent::Intent;
use super::{App, BusyWith, Error, OpContext, OperationSlot};
use crate::domain::access::Tenancy;
use crate::domain::command::Command;
use crate::domain::id::OperationId;
use crate::domain::operation::{Failure, FailureSource, Operation, OperationResult, OperationState};
use crate::store::idempotency::KeyUse;
use crate::store::operations::Inserted;
use crate::store::{self, Store};
use crate::telemetry::names;
use crate::upstream::WriteResponse;

/// The longest time to confirm a record after which its request is still sent, and the pause between two attempts.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(10);
const CONFIRM_PAUSE: Duration = Duration::from_millis(300);

/// What a request became.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The operation.
    pub operation: Operation,
    /// Whether it is that of an earlier request under the same key.
    pub replayed: bool,
    /// EM's answer; none for an earlier request, and where it is not known.
    pub response: Option<WriteResponse>,
}

/// What a commit may have recorded that was not answered.
#[derive(Clone, Copy)]
pub(super) enum Unconfirmed<'a> {
    /// A new operation.
    New(&'a Operation, &'a Command),
    /// The last approval of an operation.
    Approved(OperationId),
}

impl Unconfirmed<'_> {
    const fn id(self) -> OperationId {
        match self {
            Self::New(operation, _) => operation.id,
            Self::Approved(id) => id,
        }
    }

    async fn is_recorded(self, store: &Store) -> Result<bool, store::Error> {
        match self {
            Self::New(operation, command) => store.is_recorded(operation, command).await,
            Self::Approved(id) => {
                // Read in order to change it: a commit under way is waited for.
                let operation = store.begin().await?.operation(id, &Tenancy::All).await?;
                Ok(operation.is_some_and(|operation| operation.is_unsent()))
            }
        }
    }
}

/// What recording a request found.
enum Recorded {
    New(OperationId),
    Earlier(OperationId),
    /// The commit was not answered: the operation may be recorded or not.
    Unclear(Box<Operation>, store::Error),
}

impl App {
    /// Records `intent`, sends it, and records the outcome. The work continues when the caller disconnects.
    ///
    /// # Errors
    /// [`Error::PlanBusy`], [`Error::NotReady`], [`Error::Store`] before anything was sent; [`Error::Refused`] when EM
    /// definitely did not act.
    pub(super) async fn submit(&self, context: &OpContext, intent: Intent) -> Result<Submitted, Error> {
        let app = self.clone();
        let context = context.clone();
        let work = async move {
            let permit = app.send_permit();
            let (command, waits) = (intent.command.clone(), intent.approval.is_some());
            let operation = match app.record(&context, intent).await? {
                Recorded::New(operation) => {
                    context.operation.set(operation);
                    operation
                }
                Recorded::Earlier(operation) => {
                    context.operation.set(operation);
                    return app.replayed(&context, operation).await;
                }
                Recorded::Unclear(operation, error) => {
                    let unconfirmed = Unconfirmed::New(&operation, &command);
                    app.confirm(unconfirmed, error, &context.operation).await?;
                    log_recorded(&operation);
                    operation.id
                }
            };
            if waits {
                return app.recorded(operation).await;
            }
            app.send(operation, context.tenancy(), &command, permit).await
        };
        self.tasks
            .spawn(work)
            .await
            .map_err(|_| Error::Internal("the work on an operation was broken off"))?
    }

    /// Whether what is recorded from now on may still be sent.
    pub(super) fn send_permit(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        // After that time the watcher reconciles the operation, and another one may have the plan.
        let until = tokio::time::Instant::now() + self.limits.answer;
        // The same holds once the other replicas removed this process as dead: no reply is awaited for it.
        let (store, registration) = (self.store.clone(), self.store.registration());
        move || tokio::time::Instant::now() < until && store.is_registered_since(registration)
    }

    /// Sends what was recorded, once, with the account for a requester of this tenancy, and records the outcome.
    ///
    /// # Errors
    /// [`Error::Refused`] when EM definitely did not act, [`Error::Store`].
    pub(super) async fn send(
        &self,
        operation: OperationId,
        tenancy: &Tenancy,
        command: &Command,
        permit: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Submitted, Error> {
        let em = self.em.sent_for(tenancy, command);
        let answer = em.only_while(permit).send(command).await;
        let outcome = self.record_with_retry(operation, &answer).await;
        self.watcher.now();
        outcome
    }

    /// An operation as it was recorded.
    async fn recorded(&self, id: OperationId) -> Result<Submitted, Error> {
        let operation = self.store.operation(id, &Tenancy::All).await?;
        Ok(Submitted {
            operation: operation.ok_or(Error::Internal("an operation vanished from the store"))?,
            replayed: false,
            response: None,
        })
    }

    /// The operation that an earlier request under the same key became, if there is one.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when the key was used for another request, [`Error::Store`].
    pub(super) async fn replay(
        &self,
        context: &OpContext,
        request: Option<&IdempotentRequest>,
    ) -> Result<Option<Submitted>, Error> {
        let Some(request) = request else { return Ok(None) };
        match self.store.key_use(&request.digests(&context.caller)).await? {
            KeyUse::Free => Ok(None),
            KeyUse::Same(operation) => self.replayed(context, operation).await.map(Some),
            KeyUse::Other => Err(Error::KeyReused),
        }
    }

    async fn replayed(&self, context: &OpContext, id: OperationId) -> Result<Submitted, Error> {
        context.operation.set(id);
        let found = self.store.operation(id, context.tenancy()).await?;
        let operation = found.ok_or(Error::NotFound {
            what: "the operation",
        })?;
        Ok(Submitted {
            operation,
            replayed: true,
            response: None,
        })
    }

    async fn record(&self, context: &OpContext, intent: Intent) -> Result<Recorded, Error> {
        let caller = &context.caller;
        let mut tx = self.store.begin().await?;
        let key = intent.idempotency.as_ref().map(|request| request.digests(caller));
        if let Some(key) = &key {
            match tx.key_use(key).await? {
                KeyUse::Free => {}
                KeyUse::Same(operation) => return Ok(Recorded::Earlier(operation)),
                KeyUse::Other => return Err(Error::KeyReused),
            }
        }
        let seen_observation = tx.observation().await?;
        if seen_observation == 0 {
            return Err(Error::NotReady);
        }
        let id = OperationId::new(self.clock.id());
        let now = self.clock.now();
        let operation = Operation {
            on_behalf_of: context.on_behalf_of().cloned(),
            traceparent: context.traceparent.as_deref().map(str::to_owned),
            ..intent.operation(id, caller, seen_observation, now, self.limits)
        };
        // What waits for approval starts nothing yet; its last approval asks again.
        if intent.approval.is_none() {
            expect_free(
                &mut tx,
                intent.command.plan_action(),
                intent.command.plan(),
                &caller.tenancy,
            )
            .await?;
        }
        if tx.insert_operation(&operation, &intent.command).await? == Inserted::PlanBusy {
            drop(tx);
            return Err(self.busy_since(&operation, &caller.tenancy).await?);
        }
        self.keep_asked(&mut tx, &operation, intent.asked.as_ref())
            .await?;
        if operation.approval.is_some() {
            self.report_request(&mut tx, &operation).await?;
        }
        if let Some(key) = &key {
            tx.bind_key(key, operation.id).await?;
        }
        if let Some(callback) = intent.callback {
            tx.add_callback(operation.id, &callback.url, &callback.secret)
                .await?;
        }
        tx.audit_submission(context, &intent.command, &operation);
        match tx.commit().await {
            Ok(()) => {}
            // Only this error proves that nothing was committed; all others may come from a server that is ending.
            Err(error @ store::Error::Refused { .. }) => return Err(error.into()),
            Err(error) => return Ok(Recorded::Unclear(Box::new(operation), error)),
        }
        log_recorded(&operation);
        Ok(Recorded::New(operation.id))
    }

    /// What keeps the plan of an operation busy that could not be written for that reason.
    pub(super) async fn busy_since(&self, operation: &Operation, tenancy: &Tenancy) -> Result<Error, Error> {
        let mut tx = self.store.begin().await?;
        let busy = match &operation.plan {
            Some(plan) => busy_with(&mut tx, plan, tenancy).await?,
            None => None,
        };
        // What held the plan may have ended since; the caller may try again at once.
        Ok(Error::PlanBusy(busy.unwrap_or(BusyWith::Operation(operation.id))))
    }

    /// Confirms an operation whose commit was not answered. One that is recorded may be sent. One that is confirmed too
    /// late ends without having been sent. `lost` is the error of the commit.
    pub(super) async fn confirm(
        &self,
        unconfirmed: Unconfirmed<'_>,
        lost: store::Error,
        slot: &OperationSlot,
    ) -> Result<(), Error> {
        let id = unconfirmed.id();
        tracing::warn!(operation = %id, error = &lost as &dyn std::error::Error, "it is not known whether an operation was recorded; nothing is sent before that is known");
        slot.set(id);
        let begun = tokio::time::Instant::now();
        let stopping = self.tasks.stopping();
        loop {
            let done = match unconfirmed.is_recorded(&self.store).await {
                Ok(true) if begun.elapsed() < CONFIRM_PATIENCE => return Ok(()),
                // The caller may have given up by now.
                Ok(true) => cancel_unsent(&self.store, id).await.is_ok(),
                Ok(false) => {
                    slot.clear();
                    true
                }
                Err(_) => false,
            };
            // At its evidence deadline the watcher calls it unknown, if it is recorded.
            if done || stopping.is_cancelled() || begun.elapsed() >= self.limits.unknown_after {
                return Err(Error::Store(lost));
            }
            tokio::time::sleep(self.clock.jittered(CONFIRM_PAUSE, 0.5)).await;
        }
    }
}

/// Ends an operation that was recorded and will not be sent. One that is no longer `submitting` is left unchanged.
async fn cancel_unsent(store: &Store, id: OperationId) -> Result<(), store::Error> {
    let mut tx = store.begin().await?;
    let submitting = |operation: &Operation| operation.state == OperationState::Submitting;
    let found = tx.operation(id, &Tenancy::All).await?;
    let Some(mut operation) = found.filter(submitting) else {
        return Ok(());
    };
    let message =
        "the gateway's store did not confirm the record in time, so nothing was sent to Enterprise Manager";
    operation.failure = Some(Failure {
        message: message.to_owned(),
        source: FailureSource::Gateway,
    });
    operation.finish(Some(OperationResult::Failed), None, tx.clock().now());
    tx.free_key(id).await?;
    tx.save_operation(&operation).await?;
    tx.commit().await?;
    tracing::warn!(operation = %id, "an operation was cancelled before it was sent: {message}");
    Ok(())
}

fn log_recorded(operation: &Operation) {
    let action = operation.action.clone();
    metrics::counter!(names::OPERATIONS_STARTED, "action" => action).increment(1);
    let requested_by = operation.requested_by.as_deref().unwrap_or_default();
    let (id, action) = (operation.id, operation.action.as_str());
    if operation.approval.is_some() {
        let plan_name = operation.plan.as_ref().map(|plan| plan.name.as_str());
        tracing::info!(operation = %id, action, plan_name, requested_by, "an operation waits for approval");
        return;
    }
    match &operation.plan {
        Some(plan) => tracing::info!(
            operation = %id, action, plan = %plan.id, plan_name = plan.name, requested_by, "an operation was recorded"
        ),
        None => tracing::info!(
            operation = %id, action, path = operation.target, requested_by, "an operation was recorded"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::app::Limits;
    use crate::clock::{Clock as _, SystemClock};
    use crate::domain::access::Caller;
    use crate::store::idempotency::KeyDigests;
    use crate::store::testing::{new_command, temporary};

    fn write() -> Operation {
        let intent = Intent::plain(new_command(), None);
        let limits = Limits {
            answer: Duration::from_secs(90),
            unknown_after: Duration::from_mins(20),
            endpoints: 50,
            events_kept: Duration::from_hours(30 * 24),
            attempt: Duration::from_mins(1),
            look_every: Duration::from_secs(2),
        };
        let caller = Caller {
            name: None,
            issuer: None,
            scopes: BTreeSet::new(),
            tenancy: crate::domain::access::Tenancy::All,
            token_id: None,
            expires_at: jiff::Timestamp::MAX,
            rules: Vec::new(),
        };
        let id = OperationId::new(SystemClock.id());
        intent.operation(id, &caller, 1, SystemClock.now(), limits)
    }

    #[tokio::test]
    async fn an_operation_that_was_not_sent_in_time_fails_with_its_key_free() {
        let store = temporary().await;
        for state in [OperationState::Submitting, OperationState::Running] {
            let mut operation = write();
            let key = KeyDigests {
                scope: format!("a scope of {}", operation.id),
                request: "a request".into(),
            };
            let mut tx = store.begin().await.expect("begun");
            tx.insert_operation(&operation, &new_command())
                .await
                .expect("inserted");
            tx.bind_key(&key, operation.id).await.expect("bound");
            if state == OperationState::Running {
                operation.step(state, operation.requested_at, None);
                tx.save_operation(&operation).await.expect("saved");
            }
            tx.commit().await.expect("committed");
            assert!(
                store
                    .is_recorded(&operation, &new_command())
                    .await
                    .expect("asked")
            );
            cancel_unsent(&store, operation.id).await.expect("cancelled");
            let after = store.operation(operation.id, &Tenancy::All).await.expect("read");
            let after = after.expect("there");
            let key = store.key_use(&key).await.expect("read");
            if state == OperationState::Submitting {
                assert_eq!(after.result, Some(OperationResult::Failed));
                let failure = after.failure.expect("a failure");
                assert!(failure.message.contains("nothing was sent"), "{failure:?}");
                assert_eq!(key, KeyUse::Free);
            } else {
                assert_eq!(after, operation);
                assert_eq!(key, KeyUse::Same(operation.id));
            }
        }
        assert!(!store.is_recorded(&write(), &new_command()).await.expect("asked"));
    }

    #[tokio::test]
    async fn checking_for_a_record_makes_none() {
        let store = temporary().await;
        let operation = write();
        assert!(
            !store
                .is_recorded(&operation, &new_command())
                .await
                .expect("asked")
        );
        assert!(
            !store
                .is_recorded(&operation, &new_command())
                .await
                .expect("asked again")
        );
        assert_eq!(
            store.operation(operation.id, &Tenancy::All).await.expect("read"),
            None
        );
    }
}
