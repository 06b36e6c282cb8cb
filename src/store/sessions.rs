//! Failover sessions as the gateway last saw them; `observations` says when that was.

use std::collections::HashSet;

use serde::Serialize;
use sqlx::any::AnyRow;

use super::engine::Engine;
use super::readable::{Read, SESSIONS};
use super::row::{Columns as _, json, micros};
use super::sets::{DOCUMENT, Documents, Place, Shape, parameter, portions};
use super::sql::Sql;
use super::{Error, Store, Tx, UPSTREAM, tenants};
use crate::domain::access::Tenancy;
use crate::domain::id::EmId;
use crate::domain::plan::PlanRef;
use crate::domain::session::{SessionFacts, SessionPhase, SessionRecord};

pub(in crate::store) const COLUMNS: &str =
    "key, facts, plan, first_seen_at, first_observation, stopped_seen_at, missed, sequence, phase";

/// How many ids one statement asks for at the most; both engines take far more, but plans stay cheap.
const CHUNK: usize = 200;

impl Tx {
    /// Every session whose end is still awaited, those aside that were lost.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn open_sessions(&mut self) -> Result<Read<SessionRecord>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from failover_sessions where upstream_id = $1 and phase = 'open' \
             order by first_seen_at, key"
        )))
        .bind(UPSTREAM)
        .fetch_all(self.connection())
        .await?;
        self.read_rows(SESSIONS, &rows, record_from)
    }

    /// The sessions whose end is awaited, those aside that were lost.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn open_session_ids(&mut self) -> Result<OpenSessions, Error> {
        // One row, since each costs more than what is in it.
        let row = sqlx::query(
            "select string_agg(case when coalesce(state, '') = 'stopped' then key end, ' ') as stopped, \
             string_agg(case when coalesce(state, '') <> 'stopped' then key end, ' ') as running \
             from failover_sessions where upstream_id = $1 and phase = 'open'",
        )
        .bind(UPSTREAM)
        .fetch_one(self.connection())
        .await?;
        let ids = |what: &'static str| -> Result<Vec<EmId>, Error> {
            let keys = row.opt_text(what)?.unwrap_or_default();
            // A key that cannot be read is none that EM shows.
            Ok(keys.split(' ').filter_map(|key| key.parse().ok()).collect())
        };
        Ok(OpenSessions {
            stopped: ids("stopped")?,
            running: ids("running")?,
        })
    }

    /// What is known of the sessions with these ids.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn sessions_known(&mut self, ids: &[EmId]) -> Result<Read<SessionRecord>, Error> {
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let mut query = Sql::new(format!(
                "select {COLUMNS} from failover_sessions where upstream_id = "
            ));
            query
                .bind(UPSTREAM.to_owned())
                .and_one_of("key", chunk.iter().map(EmId::key));
            rows.extend(query.fetch_all(self.connection()).await?);
        }
        self.read_rows(SESSIONS, &rows, record_from)
    }

    /// Writes what is known of a session.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_session(&mut self, record: &SessionRecord) -> Result<(), Error> {
        self.note_operations();
        let (tenant_id, tenant_name) = tenants::of_session(record);
        let listed = tenants::Listed::of(&record.facts);
        sqlx::query(
            "insert into failover_sessions (key, facts, plan, plan_key, started_at, first_seen_at, first_observation, \
             stopped_seen_at, missed, sequence, phase, upstream_id, tenant_id, tenant_name, plan_name, state, result, \
             ended_at, tenant_read) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 1) \
             on conflict (key) do update set facts = $2, plan = $3, plan_key = $4, started_at = $5, \
             stopped_seen_at = $8, missed = $9, sequence = $10, phase = $11, tenant_id = $13, tenant_name = $14, \
             plan_name = $15, state = $16, result = $17, ended_at = $18, tenant_read = 1",
        )
        .bind(record.facts.id.key())
        .bind(json(&record.facts, "failover_sessions.facts")?)
        .bind(record.plan.as_ref().map(|plan| json(plan, "failover_sessions.plan")).transpose()?)
        .bind(record.plan.as_ref().map(|plan| plan.id.key()))
        .bind(record.facts.started_at.map(micros))
        .bind(micros(record.first_seen_at))
        .bind(record.first_observation)
        .bind(record.stopped_seen_at.map(micros))
        .bind(record.missed)
        .bind(record.sequence)
        .bind(record.phase.as_str())
        .bind(UPSTREAM)
        .bind(tenant_id)
        .bind(tenant_name)
        .bind(listed.plan_name)
        .bind(listed.state)
        .bind(listed.result)
        .bind(listed.ended_at)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Writes what is known of sessions that go on, by one statement for many: of those whose rows are there and whose plan,
    /// start and phase are as they are written, each with how many events have been made of it. False when a row is not there.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn save_progress<'r>(
        &mut self,
        records: impl Iterator<Item = (&'r SessionRecord, i64)>,
    ) -> Result<bool, Error> {
        let records: Vec<(&SessionRecord, i64, String)> = records
            .map(|(record, sequence)| {
                let document = json(&record.facts, "failover_sessions.facts")?;
                Ok((record, sequence, document))
            })
            .collect::<Result<_, Error>>()?;
        for some in portions(&records, |(_, _, document)| document.len()) {
            self.note_operations();
            let mut documents = Documents::default();
            let rows = some
                .iter()
                .map(|(record, sequence, document)| Progress::of(record, *sequence, documents.add(document)));
            let rows: Vec<Progress> = rows.collect();
            let written = sqlx::query(sqlx::AssertSqlSafe(progress_sql(self.engine())))
                .bind(parameter(&rows)?)
                .bind(documents.into_bytes())
                .execute(self.connection())
                .await?
                .rows_affected();
            if written != some.len() as u64 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An unstopped session of the plan: one that is resolved to it, or one of its name that is resolved to none
    /// and not known to run on another backup server.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn busy_session(&mut self, plan: &PlanRef) -> Result<Option<EmId>, Error> {
        // Thousands may run; those of other plans are not read.
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select {COLUMNS} from failover_sessions where upstream_id = $1 and phase = 'open' \
             and (plan_key = $2 or plan_key is null) order by first_seen_at, key"
        )))
        .bind(UPSTREAM)
        .bind(plan.id.key())
        .fetch_all(self.connection())
        .await?;
        let open = self.read_rows(SESSIONS, &rows, record_from)?;
        let mut busy = open.items.into_iter().filter(|record| record.keeps_busy(plan));
        if let Some(record) = busy.next() {
            return Ok(Some(record.facts.id));
        }
        if open.unreadable.is_empty() {
            return Ok(None);
        }
        // Of one that cannot be read it is not known whether it has stopped.
        let rows = sqlx::query(
            "select key from failover_sessions where upstream_id = $1 and phase = 'open' and plan_key = $2",
        )
        .bind(UPSTREAM)
        .bind(plan.id.key())
        .fetch_all(self.connection())
        .await?;
        let keys = rows
            .iter()
            .map(|row| row.text("key"))
            .collect::<Result<Vec<_>, _>>()?;
        let unread = keys.iter().find(|key| open.unreadable.contains(key));
        Ok(unread.and_then(|key| key.parse().ok()))
    }
}

/// What changes in the row of a session that goes on.
#[derive(Serialize)]
struct Progress {
    session: String,
    document: Place,
    stopped: Option<i64>,
    missing: i64,
    number: i64,
    word: String,
    outcome: Option<String>,
    ended: Option<i64>,
}

const PROGRESS: Shape = &[
    ("session", "text"),
    ("document", DOCUMENT),
    ("stopped", "bigint"),
    ("missing", "bigint"),
    ("number", "bigint"),
    ("word", "text"),
    ("outcome", "text"),
    ("ended", "bigint"),
];

impl Progress {
    fn of(record: &SessionRecord, number: i64, document: Place) -> Self {
        let listed = tenants::Listed::of(&record.facts);
        Self {
            session: record.facts.id.key(),
            document,
            stopped: record.stopped_seen_at.map(micros),
            missing: record.missed,
            number,
            word: listed.state,
            outcome: listed.result,
            ended: listed.ended_at,
        }
    }
}

/// No index has any of these columns.
fn progress_sql(engine: Engine) -> String {
    let rows = engine.table_beside("$1", "$2", PROGRESS);
    format!(
        "update failover_sessions set facts = r.document, stopped_seen_at = r.stopped, missed = r.missing, \
         sequence = r.number, state = r.word, result = r.outcome, ended_at = r.ended from {rows} where key = r.session"
    )
}

/// The sessions whose end is awaited.
#[derive(Debug)]
pub struct OpenSessions {
    /// Those that have stopped.
    pub stopped: Vec<EmId>,
    /// The others.
    pub running: Vec<EmId>,
}

impl Store {
    /// What is known of the sessions with these ids, as far as `tenancy` sees them.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn sessions_known(&self, ids: &[EmId], tenancy: &Tenancy) -> Result<Vec<SessionRecord>, Error> {
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let mut query = Sql::new(format!(
                "select {COLUMNS} from failover_sessions where upstream_id = "
            ));
            query
                .bind(UPSTREAM.to_owned())
                .and_one_of("key", chunk.iter().map(EmId::key))
                .and_seen_by(tenancy);
            rows.extend(query.fetch_all(self.reader()).await?);
        }
        self.read_rows(SESSIONS, &rows, record_from)
    }

    /// The sessions whose end is awaited and of which it is not known where they run.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn open_sessions_without_server(&self) -> Result<HashSet<EmId>, Error> {
        let rows =
            sqlx::query("select key, facts from failover_sessions where upstream_id = $1 and phase = 'open'")
                .bind(UPSTREAM)
                .fetch_all(self.reader())
                .await?;
        let facts = self.read_rows(SESSIONS, &rows, |row| row.document::<SessionFacts>("facts"))?;
        let lacking = facts.into_iter().filter(|facts| facts.backup_server.is_none());
        Ok(lacking.map(|facts| facts.id).collect())
    }

    /// Every session whose end is still awaited, those aside that were lost.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn open_session_ids(&self) -> Result<Vec<EmId>, Error> {
        let rows = sqlx::query("select key from failover_sessions where upstream_id = $1 and phase = 'open'")
            .bind(UPSTREAM)
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(|row| row.parsed("key")).collect()
    }

    /// The keys of those among these sessions that are known.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn session_keys_known(&self, ids: &[EmId]) -> Result<HashSet<String>, Error> {
        let mut known = HashSet::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let mut query = Sql::new("select key from failover_sessions where upstream_id = ");
            query
                .bind(UPSTREAM.to_owned())
                .and_one_of("key", chunk.iter().map(EmId::key));
            for row in query.fetch_all(self.reader()).await? {
                known.insert(row.text("key")?);
            }
        }
        Ok(known)
    }

    /// The operations that asked for these sessions, as far as `tenancy` sees them: session key, operation id, action.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn operations_behind(
        &self,
        sessions: &[EmId],
        tenancy: &Tenancy,
    ) -> Result<Vec<(String, crate::domain::id::OperationId, String)>, Error> {
        let mut found = Vec::new();
        for chunk in sessions.chunks(CHUNK) {
            let mut query = Sql::new("select session_key, id, action from operations where upstream_id = ");
            query
                .bind(UPSTREAM.to_owned())
                .and_one_of("session_key", chunk.iter().map(EmId::key))
                .and_seen_by(tenancy);
            query.push(" order by id");
            for row in query.fetch_all(self.reader()).await? {
                found.push((row.text("session_key")?, row.parsed("id")?, row.text("action")?));
            }
        }
        Ok(found)
    }
}

pub(in crate::store) fn record_from(row: &AnyRow) -> Result<SessionRecord, Error> {
    Ok(SessionRecord {
        facts: row.document::<SessionFacts>("facts")?,
        plan: row.opt_document("plan")?,
        first_seen_at: row.at("first_seen_at")?,
        first_observation: row.int("first_observation")?,
        stopped_seen_at: row.opt_at("stopped_seen_at")?,
        missed: row.int("missed")?,
        sequence: row.int("sequence")?,
        phase: SessionPhase::parse(&row.text("phase")?).ok_or(Error::Corrupt {
            what: "failover_sessions.phase",
        })?,
    })
}
