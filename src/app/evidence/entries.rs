//! What people and programs record about a failover. Each entry has its row in the audit log, in its transaction, and makes a new
//! revision of the report due.

use crate::app::audit::Told;
use crate::app::{App, Error, OpContext};
use crate::domain::audit::AuditAction;
use crate::domain::evidence::asked::Asked;
use crate::domain::evidence::entry::{Content, Entry, StandingFinding, finding};
use crate::domain::id::{FindingId, OperationId};
use crate::domain::operation::Operation;
use crate::store::evidence::{MOST_ENTRIES, RunRecord, RunState};

/// How often a revision is tried to be made while others make theirs.
const ATTEMPTS: usize = 5;

const NO_FINDING: Error = Error::NotFound { what: "the finding" };

impl App {
    /// Records an entry about an operation's failover.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] when there are as many as there may be, [`Error::Store`].
    pub async fn record_entry(
        &self,
        context: &OpContext,
        id: OperationId,
        content: Content,
    ) -> Result<Entry, Error> {
        let (run, operation) = self.run_to_record(context, id).await?;
        self.add_entry(context, &run, &operation, content).await
    }

    /// A new id for a finding.
    #[must_use]
    pub fn finding_id(&self) -> FindingId {
        FindingId::new(self.clock.id())
    }

    /// Records what became of a finding; the finding as it stands then.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Store`].
    pub async fn change_finding(
        &self,
        context: &OpContext,
        id: OperationId,
        of: FindingId,
        content: Content,
    ) -> Result<StandingFinding, Error> {
        // A finding of another operation, and one of an operation that the caller does not see, are answered alike.
        let found = self.run_to_record(context, id).await;
        let (run, operation) = found.map_err(|error| match error {
            Error::NotFound { .. } => NO_FINDING,
            other => other,
        })?;
        let before = self.store.entries(run.id).await?;
        finding(&before, of).ok_or(NO_FINDING)?;
        self.add_entry(context, &run, &operation, content).await?;
        let after = self.store.entries(run.id).await?;
        finding(&after, of).ok_or(NO_FINDING)
    }

    /// Records a review of the report of an operation that has ended, by another than its requester and its approvers; the
    /// entry and the revision that has it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OperationRunning`], [`Error::SelfApproval`], [`Error::Store`].
    pub async fn review_report(
        &self,
        context: &OpContext,
        id: OperationId,
        content: Content,
    ) -> Result<(Entry, i64), Error> {
        let (run, operation) = self.run_to_record(context, id).await?;
        if operation.state.is_open() {
            return Err(Error::OperationRunning(id));
        }
        if !operation.may_be_decided_by(&context.caller) {
            return Err(Error::SelfApproval(id));
        }
        if run.revision == 0 {
            // What is reviewed is there before its review.
            self.make_report(&run).await?;
        }
        let entry = self.add_entry(context, &run, &operation, content).await?;
        // Another process may be making a revision without it.
        for _ in 0..ATTEMPTS {
            let run = self.store.run(run.id).await?.ok_or(GONE)?;
            if run.state == RunState::Reported {
                return Ok((entry, run.revision));
            }
            self.make_report(&run).await?;
        }
        Err(Error::Internal("the revision with a review could not be made"))
    }

    async fn add_entry(
        &self,
        context: &OpContext,
        run: &RunRecord,
        operation: &Operation,
        content: Content,
    ) -> Result<Entry, Error> {
        let (action, name) = match &content {
            Content::Check { name, .. } => (AuditAction::CheckRecord, name.clone()),
            Content::Note { .. } => (AuditAction::NoteRecord, String::new()),
            Content::Finding { id, .. } => (AuditAction::FindingRecord, id.clone()),
            Content::FindingChange { id, .. } => (AuditAction::FindingChange, id.clone()),
            Content::Review { decision, .. } => (AuditAction::ReportReview, decision.as_str().to_owned()),
        };
        let entry = Entry {
            content,
            by: context.caller.name.clone(),
            at: self.clock.now(),
        };
        let mut tx = self.store.begin().await?;
        if !tx.add_entry(run.id, &entry).await? {
            let detail = format!("there are {MOST_ENTRIES} entries about this failover already");
            return Err(Error::invalid("", detail));
        }
        let mut told = Told::of_operation(operation).with("reportId", run.id.to_string().as_str());
        if !name.is_empty() {
            told = told.with("entry", name.as_str());
        }
        tx.audit(context, action, told);
        tx.commit().await?;
        Ok(entry)
    }

    /// The failover of an operation that the caller sees.
    async fn run_to_record(
        &self,
        context: &OpContext,
        id: OperationId,
    ) -> Result<(RunRecord, Operation), Error> {
        let found = self.store.operation(id, context.tenancy()).await?;
        let operation = found.ok_or(Error::NotFound {
            what: "the operation",
        })?;
        let run = match self.store.run_of_operation(id, context.tenancy()).await? {
            Some(run) => run,
            None => self.late_run(&operation, Asked::default()).await?,
        };
        Ok((run, operation))
    }
}

const GONE: Error = Error::Internal("a failover vanished from the store");
