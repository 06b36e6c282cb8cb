//! The audit log (docs/behaviour.md#audit): rows that are written by the commit of what they tell, as one chain over all
//! replicas.
//!
//! A transaction collects its rows ([`Tx::append_audit`]) and writes them as its last statements, so that the lock on the
//! chain's end (`audit_head`) is held for one statement and the commit. The end of an operation has its row without
//! anybody asking for it (`operations`). The file of SQLite has one writer, which orders the chain by itself.

pub mod chain;
mod prune;
mod read;

use super::engine::Engine;
use super::row::micros;
use super::sql::Sql;
use super::text::kept;
use super::{Error, Tx};
use crate::domain::audit::AuditEntry;
use crate::store::row::Columns as _;
use chain::{Link, Row, shown};
pub use read::{AuditFilter, AuditRow};

/// The most rows of one statement: 18 parameters each, of 32,766 that SQLite takes.
const ROWS_A_STATEMENT: usize = 500;

/// What of a row cannot be made into its columns or out of them.
const CORRUPT: Error = Error::Corrupt { what: "audit" };

impl Tx {
    /// Adds a row, to be written when this is committed.
    pub fn append_audit(&mut self, entry: AuditEntry) {
        self.note_writing();
        self.audit.push(entry);
    }

    /// Writes the rows that were added, at the chain's end. Nothing but the commit may follow.
    pub(in crate::store) async fn write_audit(&mut self) -> Result<(), Error> {
        let entries = std::mem::take(&mut self.audit);
        if entries.is_empty() {
            return Ok(());
        }
        let mut head = self.lock_chain().await?;
        let at = self.clock().now();
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            let row = linked(entry, &head, shown(at))?;
            head = Link {
                sequence: row.sequence,
                hash: row.hash.clone(),
            };
            rows.push(row);
        }
        let chunks = rows.chunks(ROWS_A_STATEMENT).len();
        for (number, rows) in (1..).zip(rows.chunks(ROWS_A_STATEMENT)) {
            let end = (number == chunks).then_some(&head);
            for statement in self.engine().appended(rows, micros(at), end) {
                statement.execute(self.connection()).await?;
            }
        }
        Ok(())
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
    /// The statements that append `rows` and, with the last of them, move the chain's end. A server is asked once, since
    /// all other replicas wait meanwhile.
    fn appended(self, rows: &[Row], at: i64, end: Option<&Link>) -> Vec<Sql> {
        let (mut insert, mut advance) = (Sql::new(""), Sql::new(""));
        let one = self == Self::Postgres;
        if let Some(end) = end {
            let sql = if one { &mut insert } else { &mut advance };
            sql.push(if one { "with moved as (" } else { "" });
            sql.push("update audit_head set sequence = ").bind(end.sequence);
            sql.push(", hash = ").bind(end.hash.clone()).push(" where id = 1");
            sql.push(if one { ") " } else { "" });
        }
        append(&mut insert, rows, at);
        match end {
            Some(_) if !one => vec![insert, advance],
            Some(_) | None => vec![insert],
        }
    }
}

fn append(sql: &mut Sql, rows: &[Row], at: i64) {
    sql.push(
        "insert into audit (sequence, at, actor_issuer, actor_subject, actor_token_id, actor_address, action, target, \
         tenant_id, tenant_name, operation_id, request_id, outcome, status, details, previous_hash, hash) values ",
    );
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
