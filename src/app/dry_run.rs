//! Dry runs: what a request would become, with everything that stands in its way. Nothing is recorded or sent
//! (docs/behaviour.md#dry-runs).

use std::sync::Arc;

use jiff::Timestamp;

use super::busy::expect_free;
use super::evidence::PlanSettings;
use super::idempotency::IdempotentRequest;
use super::policies::{Checks, Examined};
use super::{App, Error, OpContext};
use crate::domain::access::Tenancy;
use crate::domain::plan::{Plan, RestorePoint};
use crate::domain::words::words;
use crate::store::idempotency::KeyUse;

words! {
    /// What a request would become.
    pub enum WouldBe {
        /// An operation that is sent at once.
        Submitted = "submitted",
        /// An operation that waits for approval.
        AwaitingApproval = "awaitingApproval",
        /// Nothing: it would be refused.
        Refused = "refused",
    }
}

/// What a request would become, and why.
#[derive(Debug)]
pub struct DryRun {
    /// What it would become.
    pub would_be: WouldBe,
    /// Everything that it would be refused for.
    pub problems: Vec<Error>,
    /// Its plan.
    pub plan: Plan,
    /// What is set about it.
    pub settings: Arc<PlanSettings>,
    /// For each machine of the plan its newest restore point, where that is known.
    pub newest_points: Vec<Option<RestorePoint>>,
    /// The policies that apply.
    pub policies: Vec<String>,
    /// How many others would have to approve.
    pub approvers: usize,
}

impl App {
    /// Completes the checks of a request that is not made. `before` bounds the restore points that are shown.
    pub(super) async fn dry_run(
        &self,
        context: &OpContext,
        examined: Examined,
        before: Option<Timestamp>,
        mut checks: Checks,
    ) -> Result<DryRun, Error> {
        let Examined {
            action,
            plan,
            verdict,
            ..
        } = examined;
        if verdict.approvals.is_none() {
            // Dropped without a commit: it has only read.
            let mut tx = self.store.begin().await?;
            let free = expect_free(&mut tx, Some(action), Some(&plan.reference()), context.tenancy()).await;
            checks.note(free)?;
        }
        let would_be = match (checks.failed.is_empty(), verdict.approvals) {
            (false, _) => WouldBe::Refused,
            (true, Some(_)) => WouldBe::AwaitingApproval,
            (true, None) => WouldBe::Submitted,
        };
        Ok(DryRun {
            would_be,
            problems: checks.failed,
            newest_points: self.newest_points(context, &plan, before).await,
            settings: self.plan_settings(context).await?,
            plan,
            policies: verdict.policies,
            approvers: verdict.approvals.map_or(0, |rule| rule.required),
        })
    }

    /// Refuses a key that stands for another request.
    pub(super) async fn expect_own_key(
        &self,
        context: &OpContext,
        request: Option<&IdempotentRequest>,
    ) -> Result<(), Error> {
        let Some(request) = request else { return Ok(()) };
        match self.store.key_use(&request.digests(&context.caller)).await? {
            KeyUse::Free | KeyUse::Same(_) => Ok(()),
            KeyUse::Other => Err(Error::KeyReused),
        }
    }

    /// The newest restore point of each machine. EM names no tenant with a point, and machines of two tenants may have one
    /// name, so that callers confined to tenants are shown none.
    async fn newest_points(
        &self,
        context: &OpContext,
        plan: &Plan,
        before: Option<Timestamp>,
    ) -> Vec<Option<RestorePoint>> {
        if context.caller.tenancy == Tenancy::All {
            match self.em.newest_points(plan, before).await {
                Ok(points) => return points,
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the restore points of a plan could not be read for a dry run"
                ),
            }
        }
        plan.machines.iter().map(|_| None).collect()
    }
}
