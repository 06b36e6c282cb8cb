//! Operations in the store: written before anything is sent, and after every change.
//!
//! An operation is read and written whole; whoever changes one reads it in the transaction that writes it. The
//! unique index on busy plans is the last word on whether a plan may run.

mod approvals;
mod progress;
mod rows;

use std::collections::{HashMap, HashSet};

use sqlx::any::AnyRow;

use super::commands::sealed;
use super::cursor::{Cursor, Page};
use super::readable::OPERATIONS;
use super::row::{Columns as _, json, micros};
use super::sets::{KEYS, keys};
use super::sql::Sql;
use super::text::{checked, kept, opt_checked, opt_kept};
use super::{Error, Store, Tx, UPSTREAM, tenants};
use crate::domain::access::Tenancy;
use crate::domain::audit::AuditEntry;
use crate::domain::command::Command;
use crate::domain::id::{EmId, LogonId, OperationId};
use crate::domain::operation::{Operation, OperationKind, OperationState, ResultSource};
use crate::domain::plan::PlanRef;
use rows::{columns, one_of, operation_from};

/// Which operations a list shows; `None` and empty mean all.
#[derive(Debug, Clone, Default)]
pub struct OperationFilter {
    /// The states wanted.
    pub states: Vec<OperationState>,
    /// The results wanted, in the JSON's words.
    pub results: Vec<String>,
    /// The kinds wanted.
    pub kinds: Vec<OperationKind>,
    /// The plan they act on.
    pub plan: Option<EmId>,
}

/// How an operation's insertion went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is there.
    Done,
    /// Another operation keeps the plan busy.
    PlanBusy,
}

/// How many ids a statement names; both engines take more.
const MOST_IDS: usize = 1000;

impl Tx {
    /// Writes a new operation and what it sends, unless its plan is busy.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`].
    pub async fn insert_operation(
        &mut self,
        operation: &Operation,
        command: &Command,
    ) -> Result<Inserted, Error> {
        let command = sealed(&self.sealer(), command)?;
        let owner = operation.plan.as_ref().and_then(PlanRef::owner);
        let (tenant_id, tenant_name) = tenants::columns(owner);
        let result = sqlx::query(
            "insert into operations (id, kind, action, plan_key, plan, target, state, requested_by, requested_at, \
             callback_url, metadata, seen_observation, answer_due, evidence_deadline, submitted_by, command, upstream_id, \
             tenant_id, tenant_name, tenant_read, requester_issuer, reason, approval, approval_until, on_behalf_of, \
             traceparent) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 1, \
             $20, $21, $22, $23, $24, $25)",
        )
        .bind(operation.id.to_string())
        .bind(operation.kind.as_str())
        .bind(checked(&operation.action)?)
        .bind(operation.plan.as_ref().map(|plan| plan.id.key()))
        .bind(operation.plan.as_ref().map(|plan| json(plan, "operations.plan")).transpose()?)
        .bind(opt_checked(operation.target.as_deref())?)
        .bind(operation.state.as_str())
        .bind(opt_checked(operation.requested_by.as_deref())?)
        .bind(micros(operation.requested_at))
        .bind(opt_checked(operation.callback_url.as_deref())?)
        .bind(json(&operation.metadata, "operations.metadata")?)
        .bind(operation.seen_observation)
        .bind(micros(operation.answer_due))
        .bind(micros(operation.evidence_deadline))
        .bind(self.replica().to_owned())
        .bind(command)
        .bind(UPSTREAM)
        .bind(tenant_id)
        .bind(tenant_name)
        .bind(opt_checked(operation.requester_issuer.as_deref())?)
        .bind(opt_checked(operation.reason.as_deref())?)
        .bind(operation.approval.as_ref().map(|approval| json(approval, "operations.approval")).transpose()?)
        .bind(operation.approval.as_ref().map(|approval| micros(approval.expires_at)))
        .bind(operation.on_behalf_of.as_ref().map(|who| json(who, "operations.on_behalf_of")).transpose()?)
        .bind(opt_checked(operation.traceparent.as_deref())?)
        .execute(self.connection())
        .await
        .map_err(Error::from);
        match result {
            Err(error) if error.violates_unique() => return Ok(Inserted::PlanBusy),
            other => other?,
        };
        self.write_history(operation).await?;
        Ok(Inserted::Done)
    }

    /// Writes an operation that was read in this transaction and changed.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_operation(&mut self, operation: &Operation) -> Result<(), Error> {
        let task = operation.task.as_ref();
        sqlx::query(
            "update operations set state = $2, result = $3, result_source = $4, progress = $5, task_id = $6, \
             task_logon = $7, task_state = $8, task_message = $9, session_key = $10, session_id = $11, \
             failure_message = $12, failure_source = $13, finished_at = $14, cancel_requested_at = $15, \
             answer_due = $16, evidence_deadline = $17, approval = $18, \
             command = case when kind = 'em' and $2 = 'finished' then null else command end where id = $1",
        )
        .bind(operation.id.to_string())
        .bind(operation.state.as_str())
        .bind(operation.result.as_ref().map(|result| result.as_str().to_owned()))
        .bind(operation.result_source.map(ResultSource::as_str))
        .bind(operation.progress)
        .bind(task.map(|task| kept(&task.id.0)))
        .bind(task.and_then(|task| task.logon).map(|logon| logon.to_string()))
        .bind(task.map(|task| task.state.as_str().to_owned()))
        .bind(task.and_then(|task| opt_kept(task.message.as_ref())))
        .bind(operation.session.as_ref().map(EmId::key))
        .bind(operation.session.as_ref().map(|id| id.as_str().to_owned()))
        .bind(operation.failure.as_ref().map(|failure| kept(&failure.message)))
        .bind(operation.failure.as_ref().map(|failure| failure.source.as_str()))
        .bind(operation.finished_at.map(micros))
        .bind(operation.cancel_requested_at.map(micros))
        .bind(micros(operation.answer_due))
        .bind(micros(operation.evidence_deadline))
        .bind(
            operation
                .approval
                .as_ref()
                .map(|approval| json(approval, "operations.approval"))
                .transpose()?,
        )
        .execute(self.connection())
        .await?;
        self.write_history(operation).await
    }

    /// Writes the steps that are not there yet; one that is the end has its row in the audit log.
    async fn write_history(&mut self, operation: &Operation) -> Result<(), Error> {
        self.note_operations();
        for (position, step) in (1i64..).zip(&operation.history) {
            let written = sqlx::query(
                "insert into operation_history (operation_id, position, state, at, reason) values ($1, $2, $3, $4, $5) \
                 on conflict do nothing",
            )
            .bind(operation.id.to_string())
            .bind(position)
            .bind(step.state.as_str())
            .bind(micros(step.at))
            .bind(opt_kept(step.reason.as_ref()))
            .execute(self.connection())
            .await?
            .rows_affected();
            if written > 0 && !step.state.is_open() {
                self.append_audit(AuditEntry::of_end(operation));
            }
        }
        Ok(())
    }

    /// Reads an operation in order to change it, if `tenancy` sees it.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn operation(
        &mut self,
        id: OperationId,
        tenancy: &Tenancy,
    ) -> Result<Option<Operation>, Error> {
        let mut query = Sql::new(format!("select {} from operations where id = ", self.columns()));
        query.bind(id.to_string()).and_seen_by(tenancy);
        query.push(self.engine().for_update());
        let rows = query.fetch_all(self.connection()).await?;
        let there = rows.len();
        let found = self.with_history(rows).await?.into_iter().next();
        one_of(there, found)
    }

    /// Every operation that may still change: not finished, or unknown and possibly found again.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn unfinished_operations(&mut self) -> Result<Vec<Operation>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {} from operations where upstream_id = $1 and state in ('submitting', 'running', 'unknown') \
             order by requested_at, id{}",
            self.columns(),
            self.engine().for_update()
        )))
        .bind(UPSTREAM)
        .fetch_all(self.connection())
        .await?;
        self.with_history(rows).await
    }

    /// Those of them that are joined to one of these sessions, or are one of these operations.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn unfinished_operations_of(
        &mut self,
        sessions: &[EmId],
        operations: &[OperationId],
    ) -> Result<Vec<Operation>, Error> {
        let (table, columns) = (self.engine().table("$2", KEYS), self.columns());
        let texts = sessions.iter().map(EmId::key);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {columns} from operations where upstream_id = $1 and state in ('submitting', 'running', 'unknown') \
             and (session_key in (select r.key from {table}) or id in (select r.key from {table})) \
             order by requested_at, id{}",
            self.engine().for_update()
        )))
        .bind(UPSTREAM)
        .bind(keys(texts.chain(operations.iter().map(OperationId::to_string)))?)
        .fetch_all(self.connection())
        .await?;
        self.with_history(rows).await
    }

    /// The sessions that operations on a plan are joined to, ended ones included.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn sessions_of_plan(&mut self, plan: &EmId) -> Result<Vec<EmId>, Error> {
        let rows =
            sqlx::query("select session_id from operations where upstream_id = $1 and plan_key = $2 and session_id is not null")
                .bind(UPSTREAM)
                .bind(plan.key())
                .fetch_all(self.connection())
                .await?;
        // An id that cannot be read is no id that EM shows.
        Ok(rows
            .iter()
            .filter_map(|row| row.parsed("session_id").ok())
            .collect())
    }

    /// The newest operation that is joined to each of these sessions, where there is one that can be read.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn newest_operations_of(
        &mut self,
        sessions: &[EmId],
    ) -> Result<HashMap<EmId, Operation>, Error> {
        let mut newest = HashMap::new();
        for some in sessions.chunks(MOST_IDS) {
            let mut query = Sql::new(format!(
                "select {} from operations where upstream_id = ",
                self.columns()
            ));
            query
                .bind(UPSTREAM.to_owned())
                .and_one_of("session_key", some.iter().map(EmId::key))
                .push(" order by id");
            let rows = query.fetch_all(self.connection()).await?;
            // The last of a session counts.
            for operation in self.with_history(rows).await? {
                if let Some(session) = operation.session.clone() {
                    newest.insert(session, operation);
                }
            }
        }
        Ok(newest)
    }

    /// The keys of the plans that open operations keep busy, those that cannot be read included.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn busy_plans(&mut self) -> Result<HashSet<String>, Error> {
        let rows = sqlx::query(
            "select plan_key from operations where upstream_id = $1 and plan_key is not null and kind = 'failover' \
             and state in ('submitting', 'running')",
        )
        .bind(UPSTREAM)
        .fetch_all(self.connection())
        .await?;
        rows.iter().map(|row| row.text("plan_key")).collect()
    }

    /// The operation that keeps a plan busy, whoever sees it: it has to be known for every caller that the plan is.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn busy_operation(&mut self, plan: &EmId) -> Result<Option<OperationId>, Error> {
        let row = sqlx::query(
            "select id from operations where upstream_id = $1 and plan_key = $2 and kind = 'failover' \
             and state in ('submitting', 'running')",
        )
        .bind(UPSTREAM)
        .bind(plan.key())
        .fetch_optional(self.connection())
        .await?;
        row.map(|row| row.parsed("id")).transpose()
    }

    fn columns(&self) -> String {
        columns(self.engine(), self.replica())
    }

    /// The operations behind rows; those that cannot be read are left out.
    async fn with_history(&mut self, rows: Vec<AnyRow>) -> Result<Vec<Operation>, Error> {
        let mut histories: HashMap<String, Vec<AnyRow>> = HashMap::new();
        for some in rows.chunks(MOST_IDS) {
            for row in history_of(some)?.fetch_all(self.connection()).await? {
                histories.entry(row.text("operation_id")?).or_default().push(row);
            }
        }
        let read = self.read_rows(OPERATIONS, &rows, |row| operation_from(row, &histories))?;
        Ok(read.items)
    }
}

impl Store {
    /// An operation, if `tenancy` sees it.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn operation(&self, id: OperationId, tenancy: &Tenancy) -> Result<Option<Operation>, Error> {
        let mut query = Sql::new(format!("select {} from operations where id = ", self.columns()));
        query.bind(id.to_string()).and_seen_by(tenancy);
        let rows = query.fetch_all(self.reader()).await?;
        one_of(rows.len(), self.with_history(&rows).await?.into_iter().next())
    }

    /// Which of these operations have not ended and are not called unknown.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn open_among(&self, ids: &[OperationId]) -> Result<HashSet<OperationId>, Error> {
        let mut open = HashSet::new();
        for some in ids.chunks(MOST_IDS) {
            let mut query = Sql::new(
                "select id from operations where state in ('awaitingApproval', 'submitting', 'running')",
            );
            query.and_one_of("id", some.iter().map(ToString::to_string));
            for row in query.fetch_all(self.reader()).await? {
                open.insert(row.parsed("id")?);
            }
        }
        Ok(open)
    }

    /// Whether a new operation is there whose commit was not answered.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`]; it is not known then.
    pub async fn is_recorded(&self, operation: &Operation, command: &Command) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        // A read would not see a commit that is still under way; the same row once more has to wait for it.
        let absent = tx.insert_operation(operation, command).await? == Inserted::Done;
        drop(tx);
        // The plan may also be another's by now.
        Ok(!absent && self.operation(operation.id, &Tenancy::All).await?.is_some())
    }

    /// Every operation that may still change: not finished, or unknown and possibly found again.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn unfinished_operations(&self) -> Result<Vec<Operation>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {} from operations where upstream_id = $1 and state in ('submitting', 'running', 'unknown') \
             order by requested_at, id",
            self.columns()
        )))
        .bind(UPSTREAM)
        .fetch_all(self.reader())
        .await?;
        self.with_history(&rows).await
    }

    /// Up to `limit` operations that `tenancy` sees, newest first.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn operations(
        &self,
        tenancy: &Tenancy,
        filter: &OperationFilter,
        cursor: Option<Cursor<OperationId>>,
        limit: i64,
    ) -> Result<Vec<Operation>, Error> {
        let mut page = Page::newest_first(cursor, limit);
        loop {
            let mut query = Sql::new(format!("select {} from operations where 1 = 1", self.columns()));
            if let Some(plan) = &filter.plan {
                query.push(" and upstream_id = ").bind(UPSTREAM.to_owned());
                query.push(" and plan_key = ").bind(plan.key());
            }
            query
                .and_one_of(
                    "state",
                    filter.states.iter().map(|state| state.as_str().to_owned()),
                )
                .and_one_of("kind", filter.kinds.iter().map(|kind| kind.as_str().to_owned()))
                .and_one_of("result", filter.results.iter().cloned())
                .and_seen_by(tenancy);
            page.confine(&mut query);
            let rows = query.fetch_all(self.reader()).await?;
            if !page.add(self.with_history(&rows).await?, &rows)? {
                return Ok(page.done());
            }
        }
    }

    /// Up to `limit` operations that this caller asked for, that `tenancy` sees, and whose task lives in one of these logon
    /// sessions, newest first.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn operations_with_tasks(
        &self,
        tenancy: &Tenancy,
        requested_by: &str,
        logons: &[LogonId],
        limit: i64,
    ) -> Result<Vec<Operation>, Error> {
        if logons.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = Sql::new(format!(
            "select {} from operations where requested_by = ",
            self.columns()
        ));
        query
            .bind(requested_by.to_owned())
            .and_one_of("task_logon", logons.iter().map(ToString::to_string))
            .and_seen_by(tenancy)
            .push(" order by id desc limit ")
            .bind(limit);
        let rows = query.fetch_all(self.reader()).await?;
        self.with_history(&rows).await
    }

    fn columns(&self) -> String {
        columns(self.0.engine, self.replica())
    }

    /// The operations behind rows; those that cannot be read are left out.
    async fn with_history(&self, rows: &[AnyRow]) -> Result<Vec<Operation>, Error> {
        let histories = self.histories(rows).await?;
        self.read_rows(OPERATIONS, rows, |row| operation_from(row, &histories))
    }

    async fn histories(&self, rows: &[AnyRow]) -> Result<HashMap<String, Vec<AnyRow>>, Error> {
        let mut histories: HashMap<String, Vec<AnyRow>> = HashMap::new();
        for some in rows.chunks(MOST_IDS) {
            for row in history_of(some)?.fetch_all(self.reader()).await? {
                histories.entry(row.text("operation_id")?).or_default().push(row);
            }
        }
        Ok(histories)
    }
}

/// The statement for the histories of the operations behind rows, of which there is one at least.
fn history_of(rows: &[AnyRow]) -> Result<Sql, Error> {
    let mut query = Sql::new("select operation_id, state, at, reason from operation_history where 1 = 1");
    let ids = rows.iter().map(|row| row.text("id"));
    query
        .and_one_of("operation_id", ids.collect::<Result<Vec<_>, _>>()?.into_iter())
        .push(" order by operation_id, position");
    Ok(query)
}

#[cfg(test)]
impl Tx {
    /// Changes rows as nothing of this program does.
    pub async fn run(&mut self, sql: &str) -> Result<(), Error> {
        sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The text that a query finds.
    pub async fn text_of(&mut self, sql: &str) -> Result<String, Error> {
        let query = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()));
        query.fetch_one(self.connection()).await?.text("found")
    }

    /// Makes all operations those of another process.
    pub async fn leave_to(&mut self, process: &str) -> Result<(), Error> {
        sqlx::query("update operations set submitted_by = $1")
            .bind(process.to_owned())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
