//! The life of a request that changes EM, from the row to the answer.
//!
//! The row is durable before anything is sent. The answer then says one of three things: EM took it, EM definitely
//! refused it, or nobody knows; the last is left to the watcher, which looks and never sends. This is the only place
//! that turns EM's answer to a write into an operation's state (contract section 7, Actions).

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use secrecy::SecretString;

use super::idempotency::IdempotentRequest;
use super::{App, BusyWith, Error};
use crate::domain::access::Caller;
use crate::domain::id::OperationId;
use crate::domain::operation::{
    Failure, FailureSource, HistoryStep, Operation, OperationKind, OperationResult, OperationState,
    OperationTask, TaskState,
};
use crate::domain::plan::PlanRef;
use crate::store::Tx;
use crate::store::idempotency::KeyUse;
use crate::store::logons::StoredLogon;
use crate::store::operations::Inserted;
use crate::telemetry::names;
use crate::upstream::mirror::Taken;
use crate::upstream::{self, Acted};

/// How long the store may be away when EM's answer is to be recorded, and the pause between two attempts. Nobody waits
/// that long; the work goes on without a caller.
const SETTLE_PATIENCE: Duration = Duration::from_mins(1);
const SETTLE_PAUSE: Duration = Duration::from_millis(300);

/// A one-off webhook that was checked and is ready to be stored.
#[derive(Debug, Clone)]
pub struct Callback {
    /// Where it goes.
    pub url: url::Url,
    /// How the address is shown.
    pub masked: String,
    /// What signs it.
    pub secret: SecretString,
}

/// What is to be recorded of a request.
#[derive(Debug, Clone)]
pub struct Intent {
    /// What kind of work it is.
    pub kind: OperationKind,
    /// The action's word.
    pub action: &'static str,
    /// The plan it acts on, unless it is a write through the mirror.
    pub plan: Option<PlanRef>,
    /// The path it acts on, for a write through the mirror.
    pub target: Option<String>,
    /// The one-off webhook that tells its end.
    pub callback: Option<Callback>,
    /// The caller's own notes.
    pub metadata: BTreeMap<String, String>,
    /// The key under which the same request is the same operation.
    pub idempotency: Option<IdempotentRequest>,
}

/// What a request became.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The operation.
    pub operation: Operation,
    /// Whether it is that of an earlier request under the same key.
    pub replayed: bool,
    /// EM's answer; none for an earlier request, and where it is not known.
    pub taken: Option<Taken>,
}

/// What recording a request found.
enum Recorded {
    New(OperationId),
    Earlier(OperationId),
}

impl App {
    /// Records `intent`, sends it, and records what came of it. The work goes on when the caller hangs up.
    ///
    /// # Errors
    /// [`Error::PlanBusy`], [`Error::NotReady`], [`Error::Store`] before anything was sent; [`Error::Refused`] when EM
    /// definitely did not act.
    pub(super) async fn submit<S, F, A>(
        &self,
        caller: &Caller,
        intent: Intent,
        send: S,
    ) -> Result<Submitted, Error>
    where
        S: FnOnce(upstream::Em) -> F + Send + 'static,
        F: Future<Output = Result<A, upstream::Error>> + Send + 'static,
        A: Into<Taken> + Send + 'static,
    {
        let app = self.clone();
        let caller = caller.clone();
        let work = async move {
            let operation = match app.record(&caller, intent).await? {
                Recorded::New(operation) => operation,
                Recorded::Earlier(operation) => return app.earlier(operation).await,
            };
            let answer = send(app.em.clone()).await.map(Into::into);
            let outcome = app.settle_in_time(operation, &answer).await;
            app.bump();
            app.watcher.now();
            outcome
        };
        self.tasks
            .spawn(work)
            .await
            .map_err(|_| Error::Internal("the work on an operation was broken off"))?
    }

    /// The operation that an earlier request under the same key became, if there is one.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when the key stands for another request, [`Error::Store`].
    pub(super) async fn replay(
        &self,
        caller: &Caller,
        request: Option<&IdempotentRequest>,
    ) -> Result<Option<Submitted>, Error> {
        let Some(request) = request else { return Ok(None) };
        match self.store.key_use(&request.digests(caller)).await? {
            KeyUse::Free => Ok(None),
            KeyUse::Same(operation) => self.earlier(operation).await.map(Some),
            KeyUse::Other => Err(Error::KeyReused),
        }
    }

    async fn earlier(&self, id: OperationId) -> Result<Submitted, Error> {
        let operation = self.store.operation(id).await?.ok_or(Error::NotFound {
            what: "the operation",
        })?;
        Ok(Submitted {
            operation,
            replayed: true,
            taken: None,
        })
    }

    async fn record(&self, caller: &Caller, intent: Intent) -> Result<Recorded, Error> {
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
        let now = self.clock.now();
        let operation = Operation {
            id: OperationId::new(self.clock.id()),
            kind: intent.kind,
            action: intent.action.to_owned(),
            plan: intent.plan.clone(),
            target: intent.target.clone(),
            state: OperationState::Submitting,
            result: None,
            result_source: None,
            progress: 0,
            task: None,
            session: None,
            failure: None,
            requested_by: caller.name.clone(),
            requested_at: now,
            finished_at: None,
            cancel_requested_at: None,
            callback_url: intent.callback.as_ref().map(|callback| callback.masked.clone()),
            metadata: intent.metadata,
            seen_observation,
            answer_due: now.checked_add(self.limits.answer).unwrap_or(now),
            evidence_deadline: now.checked_add(self.limits.patience).unwrap_or(now),
            history: vec![HistoryStep {
                state: OperationState::Submitting,
                at: now,
                reason: None,
            }],
        };
        if intent.kind == OperationKind::Failover
            && let Some(plan) = &intent.plan
        {
            // The operation tells more than the session that it led to.
            if let Some(holder) = tx.busy_operation(&plan.id).await? {
                return Err(Error::PlanBusy(BusyWith::Operation(holder)));
            }
            if let Some(session) = tx.busy_session(plan).await? {
                return Err(Error::PlanBusy(BusyWith::Session(session)));
            }
        }
        if tx.insert_operation(&operation).await? == Inserted::PlanBusy {
            drop(tx);
            let mut tx = self.store.begin().await?;
            let holder = match &intent.plan {
                Some(plan) => tx.busy_operation(&plan.id).await?,
                None => None,
            };
            // Whoever held the plan a moment ago may have ended since; the caller may try again at once.
            return Err(Error::PlanBusy(BusyWith::Operation(
                holder.unwrap_or(operation.id),
            )));
        }
        if let Some(key) = &key {
            tx.bind_key(key, operation.id).await?;
        }
        if let Some(callback) = intent.callback {
            tx.add_callback(operation.id, &callback.url, &callback.secret)
                .await?;
        }
        tx.commit().await?;
        metrics::counter!(names::OPERATIONS_STARTED, "action" => intent.action).increment(1);
        let requested_by = caller.name.as_deref().unwrap_or_default();
        let (id, action) = (operation.id, intent.action);
        match &intent.plan {
            Some(plan) => tracing::info!(
                operation = %id, action, plan = %plan.id, plan_name = plan.name, requested_by, "an operation was recorded"
            ),
            None => tracing::info!(
                operation = %id, action, target = intent.target, requested_by, "an operation was recorded"
            ),
        }
        Ok(Recorded::New(operation.id))
    }

    /// Records EM's answer, again where the store is away for a moment: an answer that is not written down names a task
    /// that nobody follows.
    async fn settle_in_time(
        &self,
        id: OperationId,
        answer: &Result<Taken, upstream::Error>,
    ) -> Result<Submitted, Error> {
        let latest = tokio::time::Instant::now() + SETTLE_PATIENCE;
        let stopping = self.tasks.stopping();
        loop {
            match self.settle(id, answer).await {
                Err(Error::Store(error))
                    if tokio::time::Instant::now() < latest && !stopping.is_cancelled() =>
                {
                    tracing::warn!(operation = %id, error = &error as &dyn std::error::Error, "the outcome of an operation cannot be stored yet");
                    tokio::time::sleep(self.clock.jittered(SETTLE_PAUSE, 0.5)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn settle(
        &self,
        id: OperationId,
        answer: &Result<Taken, upstream::Error>,
    ) -> Result<Submitted, Error> {
        let mut tx = self.store.begin().await?;
        let mut operation = tx
            .operation(id)
            .await?
            .ok_or(Error::Internal("an operation vanished from the store"))?;
        let now = self.clock.now();
        // The answer is here: from now on nothing that appears at EM can be the doing of a refused request.
        operation.answer_due = now;
        let mut taken = None;
        let refusal = match answer {
            Ok(answer) => {
                self.note_taken(&mut tx, &mut operation, answer).await?;
                taken = Some(answer.clone());
                None
            }
            Err(error) if error.acted() == Acted::No => {
                tracing::warn!(operation = %id, error = error as &dyn std::error::Error, "Enterprise Manager refused the operation");
                operation.failure = Some(Failure {
                    message: error.public_message(),
                    source: FailureSource::Gateway,
                });
                operation.finish(Some(OperationResult::Failed), None, now);
                // EM never acted, so the caller may try again under the same key.
                tx.free_key(id).await?;
                Some(error.clone())
            }
            Err(error) => {
                tracing::warn!(operation = %id, error = error as &dyn std::error::Error, "the outcome of the operation is not known; it is looked for and not sent again");
                let reason = format!(
                    "the outcome of the request is not known: {}",
                    error.public_message()
                );
                operation.step(OperationState::Submitting, now, Some(reason));
                None
            }
        };
        tx.save_operation(&operation).await?;
        tx.commit().await?;
        if let Some(logon) = taken.as_ref().and_then(|taken| Some(taken.task.as_ref()?.logon)) {
            self.em.note_committed(logon);
        }
        if let Some(result) = &operation.result {
            let (action, result) = (operation.action.clone(), result.as_str().to_owned());
            metrics::counter!(names::OPERATIONS_ENDED, "action" => action, "result" => result).increment(1);
        }
        match refusal {
            Some(source) => Err(Error::Refused {
                operation: id,
                source,
            }),
            None => Ok(Submitted {
                operation,
                replayed: false,
                taken,
            }),
        }
    }

    /// Records that EM took the request: what is to be followed now, or that it is done.
    async fn note_taken(&self, tx: &mut Tx, operation: &mut Operation, taken: &Taken) -> Result<(), Error> {
        let (id, now) = (operation.id, self.clock.now());
        let Some(accepted) = &taken.task else {
            tracing::info!(operation = %id, "Enterprise Manager did what the operation asks for");
            operation.finish(Some(OperationResult::Success), None, now);
            return Ok(());
        };
        if let Some(saved) = self.em.save_logon(accepted.logon) {
            // In the same commit: whoever goes on after a crash needs the logon session that the task lives in.
            let kept = StoredLogon {
                id: saved.id,
                account: saved.account,
                token: saved.token,
                path: saved.path,
            };
            tx.keep_logon(&kept).await?;
        }
        tracing::info!(operation = %id, task = %accepted.task, "Enterprise Manager took the operation");
        operation.task = Some(OperationTask {
            id: accepted.task.clone(),
            logon: Some(accepted.logon),
            // A task that is over already is looked at once more: how it went stands in its whole document.
            state: match &accepted.state {
                TaskState::Finished => TaskState::OperationFinished,
                other => other.clone(),
            },
            message: accepted.message.clone(),
        });
        operation.step(OperationState::Running, now, None);
        Ok(())
    }
}
