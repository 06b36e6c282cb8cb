//! The legal hold of a report: whoever sets it keeps the report beyond its age, until it is released.

use crate::app::audit::Told;
use crate::app::{App, Error, OpContext};
use crate::domain::audit::AuditAction;
use crate::domain::evidence::asked::Asked;
use crate::domain::evidence::hold::Hold;
use crate::domain::id::OperationId;
use crate::domain::links::API;
use crate::store::evidence::RunRecord;

/// Whether a hold is still what a caller read.
pub type UnchangedHold<'a> = &'a (dyn Fn(&Hold) -> bool + Send + Sync);

impl App {
    /// Who holds the report of an operation.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nobody does, [`Error::Store`].
    pub async fn report_hold(&self, context: &OpContext, id: OperationId) -> Result<Hold, Error> {
        let run = self.store.run_of_operation(id, context.tenancy()).await?;
        run.and_then(|run| run.hold).ok_or(Error::NotFound {
            what: "a hold of the report",
        })
    }

    /// Holds the report of an operation; one that is held is held for the new reason. `unchanged` says whether the hold before is
    /// still what the caller read.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::Store`].
    pub async fn hold_report(
        &self,
        context: &OpContext,
        id: OperationId,
        reason: String,
        unchanged: Option<UnchangedHold<'_>>,
    ) -> Result<Hold, Error> {
        let hold = Hold {
            reason,
            by: context.caller.name.clone(),
            at: self.clock.now(),
        };
        self.change_hold(context, id, Some(&hold), unchanged).await?;
        Ok(hold)
    }

    /// Releases the report of an operation; of one that is not held, nothing. `unchanged` as for [`App::hold_report`].
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::Store`].
    pub async fn release_report(
        &self,
        context: &OpContext,
        id: OperationId,
        unchanged: Option<UnchangedHold<'_>>,
    ) -> Result<(), Error> {
        self.change_hold(context, id, None, unchanged).await
    }

    async fn change_hold(
        &self,
        context: &OpContext,
        id: OperationId,
        hold: Option<&Hold>,
        unchanged: Option<UnchangedHold<'_>>,
    ) -> Result<(), Error> {
        let run = self.run_of_report(context, id).await?;
        let mut told = match self.store.operation(id, context.tenancy()).await? {
            Some(operation) => Told::of_operation(&operation),
            // Reports are kept longer than operations.
            None => Told {
                operation: Some(id),
                ..Told::of(format!("{API}/operations/{id}/report"))
            },
        };
        told = told.with("reportId", run.id.to_string().as_str());
        let action = match hold {
            Some(hold) => {
                told = told.with("reason", hold.reason.as_str());
                AuditAction::ReportHold
            }
            None => AuditAction::ReportRelease,
        };
        let mut tx = self.store.begin().await?;
        if let Some(is_same) = unchanged
            && !tx
                .locked_hold(run.id)
                .await?
                .is_some_and(|before| is_same(&before))
        {
            return Err(Error::PreconditionFailed);
        }
        if hold.is_some() || run.hold.is_some() {
            tx.set_hold(run.id, hold).await?;
        }
        tx.audit(context, action, told);
        Ok(tx.commit().await?)
    }

    /// The failover of an operation that the caller sees, or saw while it was kept.
    pub(super) async fn run_of_report(
        &self,
        context: &OpContext,
        id: OperationId,
    ) -> Result<RunRecord, Error> {
        if let Some(run) = self.store.run_of_operation(id, context.tenancy()).await? {
            return Ok(run);
        }
        let found = self.store.operation(id, context.tenancy()).await?;
        let operation = found.ok_or(Error::NotFound {
            what: "the operation",
        })?;
        self.late_run(&operation, Asked::default()).await
    }
}
