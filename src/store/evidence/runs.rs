//! What is kept of each failover from its request on, and what its last report said.

use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::domain::access::Tenancy;
use crate::domain::evidence::asked::{Asked, PurposeKind};
use crate::domain::evidence::hold::Hold;
use crate::domain::evidence::run::{PointFacts, RunAction};
use crate::domain::id::{EmId, OperationId, ReportId};
use crate::domain::operation::Operation;
use crate::domain::plan::PlanRef;
use crate::domain::session::SessionRecord;
use crate::domain::words::words;
use crate::store::readable::{RUNS, SESSIONS};
use crate::store::row::{Columns as _, json, micros};
use crate::store::sessions::{COLUMNS as SESSION_COLUMNS, record_from};
use crate::store::sql::Sql;
use crate::store::{Error, Store, Tx, UPSTREAM, tenants};

const COLUMNS: &str = "id, operation_id, session_key, action, plan_key, started_at, asked, work_ended_at, newest, state, \
     revision, ended_at, hold";

words! {
    /// Whether a failover has its report.
    pub enum RunState {
        /// It has none yet.
        Open = "open",
        /// It is to have another.
        Due = "due",
        /// It has the last one that is due.
        Reported = "reported",
    }
}

/// One failover.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// The id of its report.
    pub id: ReportId,
    /// The operation that asked for it.
    pub operation: Option<OperationId>,
    /// EM's session, of those that were started elsewhere; of an operation, the operation knows it.
    pub session: Option<EmId>,
    /// What was done.
    pub action: RunAction,
    /// The plan.
    pub plan: Option<EmId>,
    /// When it was requested, or its session started.
    pub started_at: Timestamp,
    /// What was kept when it was requested.
    pub asked: Asked,
    /// When EM's task was first seen done.
    pub work_ended_at: Option<Timestamp>,
    /// The newest restore points at the request, by machine; of plans without sessions.
    pub newest: Option<Vec<(String, PointFacts)>>,
    /// Whether it has its report.
    pub state: RunState,
    /// The last revision; 0 before the first.
    pub revision: i64,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Who holds its report, and why.
    pub hold: Option<Hold>,
}

impl RunRecord {
    /// Whether it was started, but to see whether recovery works: it counts as a test.
    #[must_use]
    pub fn is_practice(&self) -> bool {
        let kind = self.asked.purpose.as_ref().and_then(|purpose| purpose.kind);
        self.action == RunAction::Start && matches!(kind, Some(PurposeKind::Test | PurposeKind::Exercise))
    }
}

impl Tx {
    /// Keeps a failover from its request on.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn insert_run(&mut self, run: &RunRecord, plan: Option<&PlanRef>) -> Result<(), Error> {
        let (tenant_id, tenant_name) = tenants::columns(plan.and_then(PlanRef::owner));
        self.note_writing();
        sqlx::query(
            "insert into recovery_runs (id, upstream_id, operation_id, session_key, action, plan_key, tenant_id, \
             tenant_name, started_at, asked, practice, rto_seconds, state) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'open') \
             on conflict do nothing",
        )
        .bind(run.id.to_string())
        .bind(UPSTREAM)
        .bind(run.operation.map(|id| id.to_string()))
        .bind(run.session.as_ref().map(EmId::key))
        .bind(run.action.as_str())
        .bind(plan.map(|plan| plan.id.key()))
        .bind(tenant_id)
        .bind(tenant_name)
        .bind(micros(run.started_at))
        .bind(json(&run.asked, "recovery_runs.asked")?)
        .bind(i64::from(run.is_practice()))
        .bind(run.asked.objectives.rto_seconds.map(i64::from))
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// The target of the recovery time that a failover has by its request, or since its session was first seen, in seconds.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn rto_of(
        &mut self,
        operation: Option<OperationId>,
        session: Option<&EmId>,
    ) -> Result<Option<i64>, Error> {
        let row =
            sqlx::query("select rto_seconds from recovery_runs where operation_id = $1 or session_key = $2")
                .bind(operation.map(|id| id.to_string()))
                .bind(session.map(EmId::key))
                .fetch_optional(self.connection())
                .await?;
        row.as_ref().map_or(Ok(None), |row| row.opt_int("rto_seconds"))
    }

    /// Keeps what is known of a plan without sessions while its task runs.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_run_course(&mut self, run: &RunRecord) -> Result<(), Error> {
        self.note_writing();
        let newest = run
            .newest
            .as_ref()
            .map(|newest| json(newest, "recovery_runs.newest"))
            .transpose()?;
        sqlx::query("update recovery_runs set work_ended_at = $2, newest = $3 where id = $1")
            .bind(run.id.to_string())
            .bind(run.work_ended_at.map(micros))
            .bind(newest)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Who holds the report of a failover; nobody changes that before this transaction ends.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn locked_hold(&mut self, id: ReportId) -> Result<Option<Hold>, Error> {
        self.note_writing();
        let row = sqlx::query("update recovery_runs set hold = hold where id = $1 returning hold")
            .bind(id.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.map_or(Ok(None), |row| row.opt_document("hold"))
    }

    /// Holds the report of a failover, or no longer; makes a new revision due where there is one already.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn set_hold(&mut self, id: ReportId, hold: Option<&Hold>) -> Result<(), Error> {
        self.note_writing();
        sqlx::query(
            "update recovery_runs set hold = $2, state = case when revision > 0 then 'due' else state end where id = $1",
        )
        .bind(id.to_string())
        .bind(hold.map(|hold| json(hold, "recovery_runs.hold")).transpose()?)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Forgets what was kept of a session whose operation has its own.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn forget_run(&mut self, id: ReportId) -> Result<(), Error> {
        self.note_writing();
        sqlx::query("delete from recovery_runs where id = $1 and operation_id is null")
            .bind(id.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Records that a session that ended needs no report of its own, or has one.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn set_session_reported(&mut self, session: &EmId) -> Result<(), Error> {
        self.note_writing();
        sqlx::query("update failover_sessions set reported = 1 where upstream_id = $1 and key = $2")
            .bind(UPSTREAM)
            .bind(session.key())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

impl Store {
    /// A failover by the id of its report, for the gateway itself.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn run(&self, id: ReportId) -> Result<Option<RunRecord>, Error> {
        self.one_run("id", id.to_string(), &Tenancy::All).await
    }

    /// What is kept of an operation's failover, if `tenancy` sees it.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn run_of_operation(
        &self,
        id: OperationId,
        tenancy: &Tenancy,
    ) -> Result<Option<RunRecord>, Error> {
        self.one_run("operation_id", id.to_string(), tenancy).await
    }

    /// What is kept of a session that was started elsewhere, if `tenancy` sees it.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn run_of_session(&self, id: &EmId, tenancy: &Tenancy) -> Result<Option<RunRecord>, Error> {
        self.one_run("session_key", id.key(), tenancy).await
    }

    async fn one_run(
        &self,
        column: &str,
        value: String,
        tenancy: &Tenancy,
    ) -> Result<Option<RunRecord>, Error> {
        let mut query = Sql::new(format!("select {COLUMNS} from recovery_runs where {column} = "));
        query.bind(value).and_seen_by(tenancy);
        let rows = query.fetch_all(self.reader()).await?;
        rows.first().map(run_from).transpose()
    }

    /// Failovers that ended and lack a report, or the last one that is due: those of operations on which EM acted or may have, those to be
    /// reported anew, starts that were undone since, and what was unknown and has ended since. Oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn runs_due(&self, limit: i64) -> Result<Vec<RunRecord>, Error> {
        let ended = format!(
            "select {COLUMNS} from recovery_runs where upstream_id = $1 and (state = 'due' or (state = 'open' and \
             operation_id is not null and exists (select 1 from operations o where o.id = recovery_runs.operation_id \
             and (o.state = 'unknown' or (o.state = 'finished' and (o.session_key is not null \
             or o.result_source is not null)))))) and state <> 'reported' order by started_at limit $2"
        );
        let undone = format!(
            "select {COLUMNS} from recovery_runs where upstream_id = $1 and action = 'start' and returned = 0 \
             and state = 'reported' and exists (select 1 from operations o where o.upstream_id = $1 \
             and o.plan_key = recovery_runs.plan_key and o.kind = 'failover' and o.action = 'undo' \
             and o.state = 'finished' and o.requested_at >= recovery_runs.started_at) order by started_at limit $2"
        );
        let settled = format!(
            "select {COLUMNS} from recovery_runs where upstream_id = $1 and unsettled = 1 and state = 'reported' \
             and exists (select 1 from operations o where o.id = recovery_runs.operation_id and o.state = 'finished') \
             order by started_at limit $2"
        );
        let mut due = Vec::new();
        for text in [ended, undone, settled] {
            let rows = sqlx::query(sqlx::AssertSqlSafe(text))
                .bind(UPSTREAM)
                .bind(limit)
                .fetch_all(self.reader())
                .await?;
            due.extend(self.read_rows(RUNS, &rows, run_from)?);
        }
        Ok(due)
    }

    /// Failovers of operations that have not ended, of plans for which EM records no session.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn runs_without_sessions(&self) -> Result<Vec<(RunRecord, bool)>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {}, cast(case when o.task_state in ('operationFinished', 'finished') then 1 else 0 end as bigint) as done \
             from recovery_runs r join operations o on o.id = r.operation_id \
             where r.upstream_id = $1 and r.state = 'open' and o.plan like '%\"onPremises\"%' order by r.started_at",
            COLUMNS.split(", ").map(|column| format!("r.{column}")).collect::<Vec<_>>().join(", ")
        )))
        .bind(UPSTREAM)
        .fetch_all(self.reader())
        .await?;
        self.read_rows(RUNS, &rows, |row| Ok((run_from(row)?, row.int("done")? != 0)))
    }

    /// Sessions that ended, were reported as events, and are in no report yet, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn unreported_sessions(&self, limit: i64) -> Result<Vec<SessionRecord>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {SESSION_COLUMNS} from failover_sessions where upstream_id = $1 and reported = 0 \
             and phase <> 'open' and sequence > 0 order by first_seen_at limit $2"
        )))
        .bind(UPSTREAM)
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        self.read_rows(SESSIONS, &rows, record_from)
    }

    /// Whether a session is one of [`Store::unreported_sessions`].
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn is_unreported(&self, session: &EmId) -> Result<bool, Error> {
        let row = sqlx::query(
            "select 1 from failover_sessions where key = $1 and reported = 0 and phase <> 'open' and sequence > 0",
        )
        .bind(session.key())
        .fetch_optional(self.reader())
        .await?;
        Ok(row.is_some())
    }

    /// The undo of a plan that followed a start at that moment, unless the plan was started once more before it.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn undo_of(&self, plan: &EmId, started_at: Timestamp) -> Result<Option<Operation>, Error> {
        let rows = sqlx::query(
            "select id, action from operations where upstream_id = $1 and plan_key = $2 and kind = 'failover' \
             and action in ('start', 'undo') and requested_at > $3 order by id limit 1",
        )
        .bind(UPSTREAM)
        .bind(plan.key())
        .bind(micros(started_at))
        .fetch_all(self.reader())
        .await?;
        match rows.first() {
            Some(row) if row.text("action")? == "undo" => {
                self.operation(row.parsed("id")?, &Tenancy::All).await
            }
            Some(_) | None => Ok(None),
        }
    }
}

fn run_from(row: &AnyRow) -> Result<RunRecord, Error> {
    let corrupt = |what| Error::Corrupt { what };
    Ok(RunRecord {
        id: row.parsed("id")?,
        operation: row.opt_parsed("operation_id")?,
        session: row.opt_parsed("session_key")?,
        action: RunAction::parse(&row.text("action")?).ok_or(corrupt("recovery_runs.action"))?,
        plan: row.opt_parsed("plan_key")?,
        started_at: row.at("started_at")?,
        asked: row.document("asked")?,
        work_ended_at: row.opt_at("work_ended_at")?,
        newest: row.opt_document("newest")?,
        state: RunState::parse(&row.text("state")?).ok_or(corrupt("recovery_runs.state"))?,
        revision: row.int("revision")?,
        ended_at: row.opt_at("ended_at")?,
        hold: row.opt_document("hold")?,
    })
}
