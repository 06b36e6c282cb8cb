//! What is kept of a failover with its request: in the transaction that records the operation, so that neither is there without
//! the other.

use crate::app::plan_requests::ActionRequest;
use crate::app::{App, Error, OpContext};
use crate::domain::evidence::asked::{Asked, Requester};
use crate::domain::evidence::run::RunAction;
use crate::domain::id::ReportId;
use crate::domain::operation::Operation;
use crate::domain::plan::{ActionKind, Plan};
use crate::store::Tx;
use crate::store::evidence::{RunRecord, RunState};

/// What was done with the plan, of what has a report.
pub(super) const fn run_action(action: ActionKind) -> Option<RunAction> {
    match action {
        ActionKind::Test => Some(RunAction::Test),
        ActionKind::Start => Some(RunAction::Start),
        ActionKind::Undo => None,
    }
}

impl App {
    /// What is to be kept of a request for an action on `plan`; nothing of an undo, which belongs to the failover before it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(in crate::app) async fn asked(
        &self,
        context: &OpContext,
        plan: &Plan,
        action: ActionKind,
        request: &ActionRequest,
    ) -> Result<Option<Asked>, Error> {
        if run_action(action).is_none() {
            return Ok(None);
        }
        let objectives = self.objectives_in_force(std::slice::from_ref(&plan.id)).await?;
        let caller = &context.caller;
        Ok(Some(Asked {
            plan: Some(plan.clone()),
            plan_read_at: Some(self.clock.now()),
            objectives: objectives.into_iter().next().unwrap_or_default(),
            requester: Some(Requester {
                by: caller.name.clone(),
                issuer: caller.issuer.clone(),
                token_id: caller.token_id.clone(),
                address: context.client.map(|address| address.to_string()),
                idempotency_key: request
                    .idempotency
                    .as_ref()
                    .map(|request| request.key.as_str().to_owned()),
            }),
            purpose: request.purpose.clone(),
            before: request.before,
            clock: self.em.clock_difference(),
        }))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(in crate::app) async fn keep_asked(
        &self,
        tx: &mut Tx,
        operation: &Operation,
        asked: Option<&Asked>,
    ) -> Result<(), Error> {
        let Some(asked) = asked else { return Ok(()) };
        if let Some(run) = self.run_of(operation, asked.clone()) {
            tx.insert_run(&run, operation.plan.as_ref()).await?;
        }
        Ok(())
    }

    /// The failover of an operation; none of what has no report.
    pub(super) fn run_of(&self, operation: &Operation, asked: Asked) -> Option<RunRecord> {
        Some(RunRecord {
            id: ReportId::new(self.clock.id()),
            operation: Some(operation.id),
            session: None,
            action: run_action(operation.failover_action()?)?,
            plan: operation.plan.as_ref().map(|plan| plan.id.clone()),
            started_at: operation.requested_at,
            asked,
            work_ended_at: None,
            newest: None,
            state: RunState::Open,
            revision: 0,
            ended_at: None,
            hold: None,
        })
    }
}
