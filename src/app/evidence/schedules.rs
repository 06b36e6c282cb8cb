//! Schedules of plans as callers set and read them; `scheduler` runs what is due.

use crate::app::audit::Told;
use crate::app::plan_requests::fault_of_tests_purpose;
use crate::app::{App, Error, FieldError, OpContext};
use crate::domain::audit::{AuditAction, AuditTenant};
use crate::domain::evidence::schedule::{Fault, Schedule, SetBy, Times};
use crate::domain::id::EmId;
use crate::domain::links::API;
use crate::domain::plan::{PlanKind, PlanRef};
use crate::store::Tx;
use crate::store::evidence::ScheduleRecord;

const NO_SCHEDULE: Error = Error::NotFound {
    what: "a schedule of the failover plan",
};

/// Only these can be tested.
const KIND: PlanKind = PlanKind::Cloud;

/// Whether a schedule is still what a caller read.
pub type UnchangedSchedule<'a> = &'a (dyn Fn(&ScheduleRecord) -> bool + Send + Sync);

fn of_text(fault: &Fault) -> FieldError {
    let pointer = match fault {
        Fault::Zone => "/timeZone",
        Fault::Cron(_) | Fault::Never => "/cron",
    };
    FieldError::new(pointer, fault.to_string())
}

impl App {
    /// The schedule of a cloud plan that the caller sees.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn schedule(&self, context: &OpContext, id: &EmId) -> Result<ScheduleRecord, Error> {
        let found = self.store.schedule(id, context.tenancy()).await?;
        found.ok_or(NO_SCHEDULE)
    }

    /// Sets the schedule of a cloud plan, whole. `unchanged` says whether the one before is still what the caller read.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::PreconditionFailed`], those of [`App::plan`], [`Error::Store`].
    pub async fn set_schedule(
        &self,
        context: &OpContext,
        id: &EmId,
        schedule: Schedule,
        unchanged: Option<UnchangedSchedule<'_>>,
    ) -> Result<ScheduleRecord, Error> {
        let now = self.clock.now();
        let times = Times::of(&schedule);
        let first = times.and_then(|times| times.first(now).map_err(|never| vec![never]));
        let mut faults: Vec<FieldError> = first.as_ref().err().into_iter().flatten().map(of_text).collect();
        if let Some(purpose) = &schedule.purpose {
            let detail = "a test that is scheduled follows no incident";
            let incident = purpose.incident_at;
            faults.extend(incident.map(|_| FieldError::new("/purpose/incidentAt", detail)));
            faults.extend(fault_of_tests_purpose(purpose));
        }
        let (Ok(due_at), true) = (first, faults.is_empty()) else {
            return Err(Error::Invalid(faults));
        };
        let plan = self.plan(context, KIND, id).await?;
        let record = ScheduleRecord {
            plan: plan.reference(),
            schedule,
            set_by: SetBy::of(&context.caller),
            set_at: now,
            due_at: Some(due_at),
            waiting: None,
            last: None,
        };
        let mut tx = self.store.begin().await?;
        require_unchanged(&mut tx, id, context, unchanged).await?;
        tx.set_schedule(&record).await?;
        let told = told(&record.plan)
            .with("cron", record.schedule.cron.as_str())
            .with("timeZone", record.schedule.time_zone.as_str());
        tx.audit(context, AuditAction::ScheduleSet, told);
        tx.commit().await?;
        self.read_settings().await?;
        self.schedule(context, id).await
    }

    /// Removes the schedule of a cloud plan; of one that has none, nothing. A plan that EM no longer has may have one.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::Upstream`], [`Error::Store`].
    pub async fn remove_schedule(
        &self,
        context: &OpContext,
        id: &EmId,
        unchanged: Option<UnchangedSchedule<'_>>,
    ) -> Result<(), Error> {
        let kept = self.store.schedule(id, context.tenancy()).await?;
        let plan = match kept {
            Some(record) => record.plan,
            None => self.plan(context, KIND, id).await?.reference(),
        };
        let mut tx = self.store.begin().await?;
        require_unchanged(&mut tx, id, context, unchanged).await?;
        tx.remove_schedule(id, context.tenancy()).await?;
        tx.audit(context, AuditAction::ScheduleRemove, told(&plan));
        tx.commit().await?;
        self.read_settings().await?;
        Ok(())
    }
}

async fn require_unchanged(
    tx: &mut Tx,
    id: &EmId,
    context: &OpContext,
    unchanged: Option<UnchangedSchedule<'_>>,
) -> Result<(), Error> {
    let Some(is_same) = unchanged else { return Ok(()) };
    let before = tx.locked_schedule(id, context.tenancy()).await?;
    before
        .is_some_and(|before| is_same(&before))
        .then_some(())
        .ok_or(Error::PreconditionFailed)
}

fn told(plan: &PlanRef) -> Told {
    let told = Told {
        target: Some(format!("{API}/{}/{}/schedule", plan.kind.collection(), plan.id)),
        tenant: AuditTenant::of_plan(Some(plan)),
        ..Told::default()
    };
    told.with("planName", plan.name.as_str())
}
