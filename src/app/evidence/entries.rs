//! What people and programs record about a failover. Each entry has its row in the audit log, in its transaction, and makes a new
//! revision of the report due.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use crate::app::audit::Told;
use crate::app::{App, Error, OpContext};
use crate::domain::access::Tenancy;
use crate::domain::audit::AuditAction;
use crate::domain::evidence::asked::Asked;
use crate::domain::evidence::entry::{Content, Entry, StandingFinding, finding};
use crate::domain::field_error::FieldError;
use crate::domain::id::{FindingId, OperationId};
use crate::domain::operation::Operation;
use crate::store::evidence::{MOST_ENTRIES, RunRecord, RunState};

/// How far a caller's clock may be off.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);

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
        if let Content::Check { machine, at, .. } = &content {
            self.vet_check(&run, &operation, machine.as_deref(), *at).await?;
        }
        self.add_entry(context, &run, &operation, content).await
    }

    /// Refuses a check that cannot be one of this failover: what was recorded cannot be taken back.
    async fn vet_check(
        &self,
        run: &RunRecord,
        operation: &Operation,
        machine: Option<&str>,
        at: Timestamp,
    ) -> Result<(), Error> {
        let mut faults = Vec::new();
        let now = self.clock.now();
        if at.duration_since(now) > CLOCKS_APART {
            let detail = format!("lies in the future: it is {now} now");
            faults.push(FieldError::new("/at", detail));
        }
        if operation.requested_at.duration_since(at) > CLOCKS_APART {
            let detail = format!("is before the failover was requested: {}", operation.requested_at);
            faults.push(FieldError::new("/at", detail));
        }
        if let Some(machine) = machine
            && let Some(names) = self.machines_of(run, operation).await?
            && !names.contains(machine)
        {
            let detail = "is no machine of the plan or of the session; names are compared exactly";
            faults.push(FieldError::new("/machine", detail));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(faults))
        }
    }

    /// The machines of a failover, by the plan at its request and by its session; none where neither is known.
    async fn machines_of(
        &self,
        run: &RunRecord,
        operation: &Operation,
    ) -> Result<Option<HashSet<String>>, Error> {
        let plan = run.asked.plan.iter();
        let mut names: HashSet<String> = plan
            .flat_map(|plan| plan.machines.iter().map(|machine| machine.name.clone()))
            .collect();
        if let Some(id) = &operation.session {
            let ids = std::slice::from_ref(id);
            let found = self.store.sessions_known(ids, &Tenancy::All).await?;
            let machines = found.iter().flat_map(|session| &session.facts.machines);
            names.extend(machines.map(|machine| machine.name.clone()));
        }
        Ok((!names.is_empty()).then_some(names))
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
        let run = self.reported(run.id).await?;
        if run.state == RunState::Reported {
            return Ok((entry, run.revision));
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
