//! What the tests of plans showed: the last one of each, those before a moment, how many there were.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::domain::evidence::asked::Asked;
use crate::domain::id::{EmId, OperationId, ReportId};
use crate::store::readable::RUNS;
use crate::store::row::{Columns as _, micros};
use crate::store::{Error, Store, UPSTREAM};

const PAST: &str =
    "id, operation_id, session_key, started_at, outcome, result, rta_ms, rpa_ms, machines, findings, asked";

/// What counts as a test. EM does not tell of a session that was started elsewhere whether it was one, so it does not count.
const IS_TEST: &str = "(action = 'test' or practice = 1)";

/// What an earlier failover of the same plan showed.
#[derive(Debug, Clone, PartialEq)]
pub struct PastRun {
    /// The id of its report.
    pub id: ReportId,
    /// The operation that asked for it.
    pub operation: Option<OperationId>,
    /// EM's session, of those that were started elsewhere.
    pub session: Option<EmId>,
    /// When it was requested, or its session started.
    pub started_at: Timestamp,
    /// The verdict of its report.
    pub outcome: Option<String>,
    /// EM's result.
    pub result: Option<String>,
    /// The recovery time, in milliseconds.
    pub rta_ms: Option<i64>,
    /// The data loss, in milliseconds.
    pub rpa_ms: Option<i64>,
    /// How many machines.
    pub machines: i64,
    /// How many findings of the gateway's own want something to be done.
    pub findings: i64,
    /// What was kept when it was requested.
    pub asked: Asked,
}

/// What was tested of a plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanTests {
    /// The last test, whenever it was.
    pub last: Option<PastRun>,
    /// How many tests there were in the time that was asked for.
    pub count: i64,
    /// How many sessions were started elsewhere in that time, of which EM does not tell whether they were tests.
    pub elsewhere: i64,
}

/// What the last test of a plan measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastFigures {
    /// When it was requested, or its session started.
    pub started_at: Timestamp,
    /// The recovery time, in milliseconds.
    pub rta_ms: Option<i64>,
    /// The data loss, in milliseconds.
    pub rpa_ms: Option<i64>,
}

impl Store {
    /// Up to `limit` tests of a plan that were reported and began before that moment, newest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn past_tests(
        &self,
        plan: &EmId,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<PastRun>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {PAST} from recovery_runs where upstream_id = $1 and plan_key = $2 and started_at < $3 and {IS_TEST} \
             and revision > 0 and executed = 1 order by started_at desc limit $4"
        )))
        .bind(UPSTREAM)
        .bind(plan.key())
        .bind(micros(before))
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        self.read_rows(RUNS, &rows, past_from)
    }

    /// The last test of each plan, and how many there were from one moment to another, by the plans' keys.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn tests_of_plans(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<HashMap<String, PlanTests>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select plan_key, sum(case when {IS_TEST} and started_at >= $2 and started_at < $3 then 1 else 0 end) as tests, \
             sum(case when action = 'unknown' and started_at >= $2 and started_at < $3 then 1 else 0 end) as elsewhere \
             from recovery_runs where upstream_id = $1 and plan_key is not null and revision > 0 and executed = 1 group by plan_key"
        )))
        .bind(UPSTREAM)
        .bind(micros(from))
        .bind(micros(to))
        .fetch_all(self.reader())
        .await?;
        let counted = |row: &AnyRow| {
            let tests = PlanTests {
                last: None,
                count: row.int("tests")?,
                elsewhere: row.int("elsewhere")?,
            };
            Ok((row.text("plan_key")?, tests))
        };
        let mut found: HashMap<String, PlanTests> =
            self.read_rows(RUNS, &rows, counted)?.into_iter().collect();
        for (plan, last) in self.last_tests(PAST, past_from).await? {
            found.entry(plan).or_default().last = Some(last);
        }
        Ok(found)
    }

    /// What the last test of each plan measured, by the plans' keys.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn last_figures(&self) -> Result<HashMap<String, LastFigures>, Error> {
        let read = |row: &AnyRow| {
            Ok(LastFigures {
                started_at: row.at("started_at")?,
                rta_ms: row.opt_int("rta_ms")?,
                rpa_ms: row.opt_int("rpa_ms")?,
            })
        };
        self.last_tests("started_at, rta_ms, rpa_ms", read).await
    }

    /// These columns of the last test of each plan, by the plans' keys.
    async fn last_tests<T>(
        &self,
        columns: &str,
        read: impl Fn(&AnyRow) -> Result<T, Error>,
    ) -> Result<HashMap<String, T>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {columns}, plan_key from recovery_runs where upstream_id = $1 and {IS_TEST} and revision > 0 and executed = 1 \
             and (plan_key, started_at) in (select plan_key, max(started_at) from recovery_runs where upstream_id = $1 \
             and plan_key is not null and {IS_TEST} and revision > 0 and executed = 1 group by plan_key)"
        )))
        .bind(UPSTREAM)
        .fetch_all(self.reader())
        .await?;
        let found: Vec<(String, T)> =
            self.read_rows(RUNS, &rows, |row| Ok((row.text("plan_key")?, read(row)?)))?;
        Ok(found.into_iter().collect())
    }
}

fn past_from(row: &AnyRow) -> Result<PastRun, Error> {
    Ok(PastRun {
        id: row.parsed("id")?,
        operation: row.opt_parsed("operation_id")?,
        session: row.opt_parsed("session_key")?,
        started_at: row.at("started_at")?,
        outcome: row.opt_text("outcome")?,
        result: row.opt_text("result")?,
        rta_ms: row.opt_int("rta_ms")?,
        rpa_ms: row.opt_int("rpa_ms")?,
        machines: row.opt_int("machines")?.unwrap_or_default(),
        findings: row.int("findings")?,
        asked: row.document("asked")?,
    })
}
