//! When plans are tested by themselves. A due time is done with in the transaction that says what became of it, and only if it
//! is still the one that was looked at.

use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::domain::access::Tenancy;
use crate::domain::evidence::schedule::{LastRun, Schedule, SetBy, SkipReason};
use crate::domain::id::EmId;
use crate::domain::plan::PlanRef;
use crate::store::readable::SCHEDULES;
use crate::store::row::{Columns as _, json, micros};
use crate::store::sql::Sql;
use crate::store::{Error, Store, Tx, UPSTREAM, tenants};

const COLUMNS: &str = "plan, schedule, set_by, set_at, due_at, waiting, last_run";

/// The schedule of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// The plan when it was set.
    pub plan: PlanRef,
    /// The schedule.
    pub schedule: Schedule,
    /// Who set it.
    pub set_by: SetBy,
    /// When.
    pub set_at: Timestamp,
    /// The next due time.
    pub due_at: Option<Timestamp>,
    /// Why that could not be run so far.
    pub waiting: Option<SkipReason>,
    /// What became of the last.
    pub last: Option<LastRun>,
}

impl Tx {
    /// Sets the schedule of a plan.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn set_schedule(&mut self, record: &ScheduleRecord) -> Result<(), Error> {
        let (tenant_id, tenant_name) = tenants::columns(record.plan.owner());
        sqlx::query(
            "insert into plan_schedules (upstream_id, plan_key, plan, tenant_id, tenant_name, schedule, set_by, set_at, due_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (upstream_id, plan_key) do update set \
             plan = $3, tenant_id = $4, tenant_name = $5, schedule = $6, set_by = $7, set_at = $8, due_at = $9, waiting = null",
        )
        .bind(UPSTREAM)
        .bind(record.plan.id.key())
        .bind(json(&record.plan, "plan_schedules.plan")?)
        .bind(tenant_id)
        .bind(tenant_name)
        .bind(json(&record.schedule, "plan_schedules.schedule")?)
        .bind(json(&record.set_by, "plan_schedules.set_by")?)
        .bind(micros(record.set_at))
        .bind(record.due_at.map(micros))
        .execute(self.connection())
        .await?;
        self.note_settings().await
    }

    /// The schedule of a plan, if `tenancy` sees it; nobody sets or removes it before this transaction ends.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn locked_schedule(
        &mut self,
        plan: &EmId,
        tenancy: &Tenancy,
    ) -> Result<Option<ScheduleRecord>, Error> {
        self.note_settings().await?;
        let rows = one(plan, tenancy).fetch_all(self.connection()).await?;
        rows.first().map(schedule_from).transpose()
    }

    /// Removes the schedule of a plan that `tenancy` sees; false when there is none.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn remove_schedule(&mut self, plan: &EmId, tenancy: &Tenancy) -> Result<bool, Error> {
        let mut query = Sql::new("delete from plan_schedules where upstream_id = ");
        query
            .bind(UPSTREAM.to_owned())
            .push(" and plan_key = ")
            .bind(plan.key())
            .and_seen_by(tenancy);
        let removed = query.execute(self.connection()).await?;
        self.note_settings().await?;
        Ok(removed > 0)
    }

    /// Is done with the due time of `record`: the next one is `next`. False, and nothing, when it is not due any more, since another
    /// process was faster or the schedule is another one by now.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn advance_schedule(
        &mut self,
        record: &ScheduleRecord,
        next: Option<Timestamp>,
        last: &LastRun,
    ) -> Result<bool, Error> {
        self.note_writing();
        let changed = sqlx::query(
            "update plan_schedules set due_at = $5, waiting = null, last_run = $6 where upstream_id = $1 and plan_key = $2 \
             and due_at = $3 and set_at = $4",
        )
        .bind(UPSTREAM)
        .bind(record.plan.id.key())
        .bind(record.due_at.map(micros))
        .bind(micros(record.set_at))
        .bind(next.map(micros))
        .bind(json(last, "plan_schedules.last_run")?)
        .execute(self.connection())
        .await?
        .rows_affected();
        Ok(changed > 0)
    }

    /// Notes why the due time of `record` could not be run so far.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn note_waiting_schedule(
        &mut self,
        record: &ScheduleRecord,
        why: SkipReason,
    ) -> Result<(), Error> {
        self.note_writing();
        sqlx::query(
            "update plan_schedules set waiting = $4 where upstream_id = $1 and plan_key = $2 and due_at = $3",
        )
        .bind(UPSTREAM)
        .bind(record.plan.id.key())
        .bind(record.due_at.map(micros))
        .bind(why.as_str())
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl Store {
    /// The schedule of a plan, if `tenancy` sees it.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn schedule(&self, plan: &EmId, tenancy: &Tenancy) -> Result<Option<ScheduleRecord>, Error> {
        let rows = one(plan, tenancy).fetch_all(self.reader()).await?;
        rows.first().map(schedule_from).transpose()
    }

    /// Up to `limit` schedules with a due time that has come, the oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn schedules_due(&self, now: Timestamp, limit: i64) -> Result<Vec<ScheduleRecord>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS}, plan_key from plan_schedules where upstream_id = $1 and due_at is not null and due_at <= $2 \
             order by due_at, plan_key limit $3"
        )))
        .bind(UPSTREAM)
        .bind(micros(now))
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        self.read_rows(SCHEDULES, &rows, schedule_from)
    }

    /// The next due time of each plan that has one, by the plans' keys.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn due_times(&self) -> Result<std::collections::HashMap<String, Timestamp>, Error> {
        let rows = sqlx::query(
            "select plan_key, due_at from plan_schedules where upstream_id = $1 and due_at is not null",
        )
        .bind(UPSTREAM)
        .fetch_all(self.reader())
        .await?;
        rows.iter()
            .map(|row| Ok((row.text("plan_key")?, row.at("due_at")?)))
            .collect()
    }
}

/// The statement that reads the schedule of a plan.
fn one(plan: &EmId, tenancy: &Tenancy) -> Sql {
    let mut query = Sql::new(format!(
        "select {COLUMNS} from plan_schedules where upstream_id = "
    ));
    query
        .bind(UPSTREAM.to_owned())
        .push(" and plan_key = ")
        .bind(plan.key())
        .and_seen_by(tenancy);
    query
}

fn schedule_from(row: &AnyRow) -> Result<ScheduleRecord, Error> {
    let waiting = row.opt_text("waiting")?;
    Ok(ScheduleRecord {
        plan: row.document("plan")?,
        schedule: row.document("schedule")?,
        set_by: row.document("set_by")?,
        set_at: row.at("set_at")?,
        due_at: row.opt_at("due_at")?,
        waiting: waiting.and_then(|word| SkipReason::parse(&word)),
        last: row.opt_document("last_run")?,
    })
}
