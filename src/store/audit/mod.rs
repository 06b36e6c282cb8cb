//! The audit log (docs/behaviour.md#audit): rows that are written by the commit of what they tell, as one chain over all
//! replicas.
//!
//! A transaction collects its rows ([`Tx::append_audit`]) and writes them as its last statements, so that the lock on the
//! chain's end (`audit_head`) is held for two statements and the commit. The end of an operation has its row without
//! anybody asking for it (`operations`). The file of SQLite has one writer, which orders the chain by itself.

pub mod chain;
mod prune;
mod read;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::engine::{Engine, with_timeout};
use super::row::micros;
use super::sql::Sql;
use super::text::kept;
use super::{Error, Tx};
use crate::domain::audit::AuditEntry;
use crate::store::row::Columns as _;
use chain::{Link, Row, shown};
pub use read::{AuditFilter, AuditRow};

/// The most rows of one statement: 18 parameters each, of the 32,766 that SQLite takes.
const ROWS_A_STATEMENT: usize = 500;

/// What of a row cannot be made into its columns or out of them.
const CORRUPT: Error = Error::Corrupt { what: "audit" };

impl Tx {
    /// Adds a row, to be written when this is committed.
    pub fn append_audit(&mut self, entry: AuditEntry) {
        self.note_writing();
        self.audit.push(entry);
    }

    /// Writes the rows that were added, at the chain's end. Nothing but the commit may follow, which is to be followed by
    /// [`Turn::committed`].
    pub(in crate::store) async fn write_audit(&mut self) -> Result<Option<Turn>, Error> {
        let entries = std::mem::take(&mut self.audit);
        if entries.is_empty() {
            return Ok(None);
        }
        let at = self.clock().now();
        // Of several replicas the last to commit is seldom the next: they ask for the end.
        if self.engine() == Engine::Postgres {
            self.append_at_end(&entries, at).await?;
            return Ok(None);
        }
        let (mut turn, known) = self.store.chain_end.turn().await?;
        if let Some(known) = known {
            let (rows, end) = chained(&entries, &known, at)?;
            if self.append_at(&rows, at, &known, &end).await? {
                turn.end = Some(end);
                return Ok(Some(turn));
            }
        }
        turn.end = Some(self.append_at_end(&entries, at).await?);
        Ok(Some(turn))
    }

    /// Appends after the end that the database tells; the new end.
    async fn append_at_end(&mut self, entries: &[AuditEntry], at: Timestamp) -> Result<Link, Error> {
        let known = self.lock_chain().await?;
        let (rows, end) = chained(entries, &known, at)?;
        if self.append_at(&rows, at, &known, &end).await? {
            Ok(end)
        } else {
            Err(CORRUPT)
        }
    }

    /// Appends `rows` after `known` and makes `end` the chain's end; false, and nothing, when `known` is not its end.
    async fn append_at(
        &mut self,
        rows: &[Row],
        at: Timestamp,
        known: &Link,
        end: &Link,
    ) -> Result<bool, Error> {
        for (number, rows) in rows.chunks(ROWS_A_STATEMENT).enumerate() {
            let advance = (number == 0).then_some((known, end));
            let statement = self.engine().appended(rows, micros(at), advance);
            if statement.execute(self.connection()).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The end of the chain, which stays as it is until this transaction has ended.
    async fn lock_chain(&mut self) -> Result<Link, Error> {
        let sql = format!(
            "select sequence, hash from audit_head where id = 1{}",
            self.engine().for_update()
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_one(self.connection())
            .await?;
        Ok(Link {
            sequence: row.int("sequence")?,
            hash: row.text("hash")?,
        })
    }
}

/// The chain's end as this process committed it last, for a file: nobody else writes to it, so that commits need not ask for the
/// end.
#[derive(Default)]
pub(in crate::store) struct ChainEnd(Arc<Mutex<Option<Link>>>);

/// The right to append, until it is dropped.
pub(in crate::store) struct Turn {
    known: OwnedMutexGuard<Option<Link>>,
    end: Option<Link>,
}

impl ChainEnd {
    /// Waits for the turn; the end is forgotten until the turn's transaction is committed.
    async fn turn(&self) -> Result<(Turn, Option<Link>), Error> {
        let waiting = self.0.clone().lock_owned();
        let mut known = with_timeout(async { Ok::<_, Error>(waiting.await) }).await?;
        let end = known.take();
        Ok((Turn { known, end: None }, end))
    }
}

impl Turn {
    /// The rows are there.
    pub(in crate::store) fn committed(mut self) {
        *self.known = self.end.take();
    }
}

/// The rows of `entries` after `last`, and the last of them.
fn chained(entries: &[AuditEntry], last: &Link, at: Timestamp) -> Result<(Vec<Row>, Link), Error> {
    let mut end = last.clone();
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let row = linked(entry.clone(), &end, shown(at))?;
        end = Link {
            sequence: row.sequence,
            hash: row.hash.clone(),
        };
        rows.push(row);
    }
    Ok((rows, end))
}

/// The row after `last`.
fn linked(entry: AuditEntry, last: &Link, at: String) -> Result<Row, Error> {
    let outcome = kept(entry.outcome());
    let opt = |text: Option<String>| text.map(|text| kept(&text));
    let mut row = Row {
        sequence: last.sequence + 1,
        at,
        actor: chain::Actor {
            issuer: opt(entry.actor.issuer),
            subject: opt(entry.actor.subject),
            token_id: opt(entry.actor.token_id),
            address: entry.actor.address,
        },
        action: entry.action.as_str().to_owned(),
        target: opt(entry.target),
        tenant: entry.tenant.map(|tenant| chain::Tenant {
            id: opt(tenant.id),
            name: opt(tenant.name),
        }),
        operation_id: entry.operation.map(|id| id.to_string()),
        request_id: opt(entry.request_id),
        outcome,
        status: entry.action.status().map(i64::from),
        details: serde_json::to_value(&entry.details).map_err(|_| CORRUPT)?,
        previous_hash: last.hash.clone(),
        hash: String::new(),
    };
    row.seal().map_err(|_| CORRUPT)?;
    Ok(row)
}

impl Engine {
    /// The statement that appends `rows` and, with the first of them, moves the chain's end from one link to another. It is one,
    /// since all other replicas wait meanwhile, and does nothing where the end is another.
    fn appended(self, rows: &[Row], at: i64, advance: Option<(&Link, &Link)>) -> Sql {
        let mut sql = Sql::new("");
        let Some((from, to)) = advance else {
            sql.push(INSERT);
            values(&mut sql, rows, at);
            return sql;
        };
        let (open, close, moved) = match self {
            Self::Postgres => ("with moved as (", " returning id) ", "moved"),
            Self::Sqlite => ("", "; ", "audit_head where id = 1 and hash = "),
        };
        sql.push(open);
        advance_end(&mut sql, from, to);
        sql.push(close).push(INSERT).push("select * from (");
        values(&mut sql, rows, at);
        sql.push(") as appended where exists (select 1 from ").push(moved);
        if self == Self::Sqlite {
            sql.bind(to.hash.clone());
        }
        sql.push(")");
        sql
    }
}

fn advance_end(sql: &mut Sql, from: &Link, to: &Link) {
    sql.push("update audit_head set sequence = ").bind(to.sequence);
    sql.push(", hash = ").bind(to.hash.clone());
    sql.push(" where id = 1 and sequence = ").bind(from.sequence);
    sql.push(" and hash = ").bind(from.hash.clone());
}

const INSERT: &str = "insert into audit (sequence, at, actor_issuer, actor_subject, actor_token_id, actor_address, action, \
     target, tenant_id, tenant_name, operation_id, request_id, outcome, status, details, previous_hash, hash) ";

fn values(sql: &mut Sql, rows: &[Row], at: i64) {
    sql.push("values ");
    for (number, row) in rows.iter().enumerate() {
        let tenant = row.tenant.as_ref();
        sql.push(if number == 0 { "(" } else { ", (" });
        sql.bind(row.sequence).push(", ").bind(at);
        for text in [
            row.actor.issuer.clone(),
            row.actor.subject.clone(),
            row.actor.token_id.clone(),
            row.actor.address.clone(),
            Some(row.action.clone()),
            row.target.clone(),
            tenant.and_then(|tenant| tenant.id.clone()),
            tenant.and_then(|tenant| tenant.name.clone()),
            row.operation_id.clone(),
            row.request_id.clone(),
            Some(row.outcome.clone()),
        ] {
            sql.push(", ").bind(text);
        }
        sql.push(", ").bind(row.status);
        for text in [&row.details.to_string(), &row.previous_hash, &row.hash] {
            sql.push(", ").bind(text.clone());
        }
        sql.push(")");
    }
}

#[cfg(test)]
mod tests;
