//! Reports in all their revisions, as they were signed.

use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::domain::evidence::hold::Hold;
use crate::domain::id::{EmId, OperationId, ReportId};
use crate::store::row::{Columns as _, json, micros};
use crate::store::{Error, Store, Tx, UPSTREAM};

/// A revision of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReport {
    /// Which one.
    pub revision: i64,
    /// When it was made.
    pub made_at: Timestamp,
    /// `sha-256:` and the digest in hex.
    pub digest: String,
    /// The JSON text.
    pub body: String,
}

/// A revision with what its failover's row says of it.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// The report.
    pub run: ReportId,
    /// The revision.
    pub report: StoredReport,
    /// EM's session, where there is one.
    pub session: Option<EmId>,
    /// The verdict.
    pub outcome: &'static str,
    /// EM's result.
    pub result: Option<String>,
    /// The recovery time, in milliseconds.
    pub rta_ms: Option<i64>,
    /// The data loss, in milliseconds.
    pub rpa_ms: Option<i64>,
    /// How many machines.
    pub machines: i64,
    /// When the failover ended.
    pub ended_at: Option<Timestamp>,
    /// How many of the gateway's own findings want something to be done.
    pub findings: usize,
    /// How many entries are in it: one that was added meanwhile makes the next revision due.
    pub entries: usize,
    /// Whether EM acted on it; what was refused, rejected or never sent is no test.
    pub executed: bool,
    /// Whether the undo that followed is in it.
    pub returned: bool,
    /// Whether the outcome of its operation is unknown: its end makes the next revision due.
    pub unsettled: bool,
    /// Who holds it, and why; what changed meanwhile makes the next revision due.
    pub hold: Option<Hold>,
}

impl Tx {
    /// Writes a revision; false, and nothing, when another process wrote it already.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn insert_report(&mut self, new: &NewReport) -> Result<bool, Error> {
        self.note_writing();
        let written = sqlx::query(
            "insert into recovery_reports (run_id, revision, made_at, digest, body) values ($1, $2, $3, $4, $5) \
             on conflict do nothing",
        )
        .bind(new.run.to_string())
        .bind(new.report.revision)
        .bind(micros(new.report.made_at))
        .bind(new.report.digest.clone())
        .bind(new.report.body.clone())
        .execute(self.connection())
        .await?
        .rows_affected();
        if written == 0 {
            return Ok(false);
        }
        sqlx::query(
            "update recovery_runs set state = case when (select count(*) from recovery_entries where run_id = $1) > $11 \
             or coalesce(hold, '') <> $12 then 'due' else 'reported' end, unsettled = $13, revision = $2, outcome = $3, result = $4, rta_ms = $5, \
             rpa_ms = $6, machines = $7, ended_at = $8, returned = $9, executed = $10, \
             findings = $14 where id = $1",
        )
        .bind(new.run.to_string())
        .bind(new.report.revision)
        .bind(new.outcome)
        .bind(new.result.clone())
        .bind(new.rta_ms)
        .bind(new.rpa_ms)
        .bind(new.machines)
        .bind(new.ended_at.map(micros))
        .bind(i64::from(new.returned))
        .bind(i64::from(new.executed))
        .bind(i64::try_from(new.entries).unwrap_or(i64::MAX))
        .bind(
            new.hold
                .as_ref()
                .map_or(Ok(String::new()), |hold| json(hold, "recovery_runs.hold"))?,
        )
        .bind(i64::from(new.unsettled))
        .bind(i64::try_from(new.findings).unwrap_or(i64::MAX))
        .execute(self.connection())
        .await?;
        if let Some(session) = &new.session {
            sqlx::query("update failover_sessions set reported = 1 where upstream_id = $1 and key = $2")
                .bind(UPSTREAM)
                .bind(session.key())
                .execute(self.connection())
                .await?;
            // What was kept of the session before it was known whose it is.
            sqlx::query(
                "delete from recovery_runs where upstream_id = $1 and session_key = $2 and operation_id is null \
                 and revision = 0 and id <> $3",
            )
            .bind(UPSTREAM)
            .bind(session.key())
            .bind(new.run.to_string())
            .execute(self.connection())
            .await?;
        }
        Ok(true)
    }
}

impl Store {
    /// A revision of a report, the last one when none is named. Whose it is was decided by its failover's row.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn report(&self, run: ReportId, revision: Option<i64>) -> Result<Option<StoredReport>, Error> {
        let row = sqlx::query(
            "select revision, made_at, digest, body from recovery_reports where run_id = $1 \
             and ($2 = 0 or revision = $2) order by revision desc limit 1",
        )
        .bind(run.to_string())
        .bind(revision.unwrap_or_default())
        .fetch_optional(self.reader())
        .await?;
        row.as_ref().map(report_from).transpose()
    }
}

/// A delivery of an event about a failover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentNotice {
    /// The endpoint; none for the operation's one-off webhook.
    pub endpoint: Option<String>,
    /// The event's type.
    pub event_type: String,
    /// The delivery's state.
    pub state: String,
    /// When it was first accepted.
    pub delivered_at: Option<Timestamp>,
}

impl Store {
    /// The deliveries of events about a failover, the oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn notices_of(
        &self,
        operation: Option<OperationId>,
        session: Option<&EmId>,
        limit: i64,
    ) -> Result<Vec<SentNotice>, Error> {
        let rows = sqlx::query(
            "select d.endpoint_id, d.event_type, d.state, (select min(a.at) from webhook_attempts a \
             where a.delivery_id = d.id and a.status >= 200 and a.status < 300) as delivered_at from webhook_deliveries d \
             where d.event_id in (select e.id from events e where e.operation_id = $1 union select e.id from events e \
             where e.upstream_id = $2 and e.session_key = $3) order by d.created_at, d.id limit $4",
        )
        .bind(operation.map(|id| id.to_string()))
        .bind(UPSTREAM)
        .bind(session.map(EmId::key))
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(notice_from).collect()
    }
}

fn notice_from(row: &AnyRow) -> Result<SentNotice, Error> {
    Ok(SentNotice {
        endpoint: row.opt_text("endpoint_id")?,
        event_type: row.text("event_type")?,
        state: row.text("state")?,
        delivered_at: row.opt_at("delivered_at")?,
    })
}

fn report_from(row: &AnyRow) -> Result<StoredReport, Error> {
    Ok(StoredReport {
        revision: row.int("revision")?,
        made_at: row.at("made_at")?,
        digest: row.text("digest")?,
        body: row.text("body")?,
    })
}
