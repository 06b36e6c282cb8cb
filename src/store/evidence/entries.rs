//! Checks, notes, findings and reviews of a failover, in the order in which they were recorded.

use std::collections::HashMap;

use sqlx::any::AnyRow;

use crate::domain::evidence::entry::Entry;
use crate::domain::id::ReportId;
use crate::store::readable::RUNS;
use crate::store::row::{Columns as _, json, micros};
use crate::store::text::opt_checked;
use crate::store::{Error, Store, Tx, UPSTREAM};

/// The most entries of one failover; what comes beyond is refused.
pub const MOST_ENTRIES: i64 = 1000;

impl Tx {
    /// Adds an entry, and makes a new revision of the report due where there is one already. False, and nothing, when there are as
    /// many as there may be.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn add_entry(&mut self, run: ReportId, entry: &Entry) -> Result<bool, Error> {
        self.note_writing();
        // Locks the failover, so that two who add at once have a number each.
        sqlx::query(
            "update recovery_runs set state = case when revision > 0 then 'due' else state end where id = $1",
        )
        .bind(run.to_string())
        .execute(self.connection())
        .await?;
        let row =
            sqlx::query("select coalesce(max(position), 0) as last from recovery_entries where run_id = $1")
                .bind(run.to_string())
                .fetch_one(self.connection())
                .await?;
        let last = row.int("last")?;
        if last >= MOST_ENTRIES {
            return Ok(false);
        }
        sqlx::query("insert into recovery_entries (run_id, position, at, by_name, content) values ($1, $2, $3, $4, $5)")
            .bind(run.to_string())
            .bind(last + 1)
            .bind(micros(entry.at))
            .bind(opt_checked(entry.by.as_deref())?)
            .bind(json(&entry.content, "recovery_entries.content")?)
            .execute(self.connection())
            .await?;
        Ok(true)
    }
}

impl Store {
    /// All entries of a failover, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn entries(&self, run: ReportId) -> Result<Vec<Entry>, Error> {
        let rows = sqlx::query(
            "select at, by_name, content from recovery_entries where run_id = $1 order by position",
        )
        .bind(run.to_string())
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(entry_from).collect()
    }
}

impl Store {
    /// The findings about failovers of plans, and what became of them, by the plans' keys; of each failover in their order.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn findings_of_plans(&self) -> Result<HashMap<String, Vec<Entry>>, Error> {
        let rows = sqlx::query(
            "select r.plan_key, r.id, e.at, e.by_name, e.content from recovery_entries e join recovery_runs r on r.id = e.run_id \
             where r.upstream_id = $1 and r.plan_key is not null and e.content like '%finding%' \
             order by e.run_id, e.position",
        )
        .bind(UPSTREAM)
        .fetch_all(self.reader())
        .await?;
        let read = |row: &AnyRow| Ok((row.text("plan_key")?, entry_from(row)?));
        let mut found: HashMap<String, Vec<Entry>> = HashMap::new();
        let entries: Vec<(String, Entry)> = self.read_rows(RUNS, &rows, read)?;
        for (plan, entry) in entries {
            found.entry(plan).or_default().push(entry);
        }
        Ok(found)
    }
}

fn entry_from(row: &AnyRow) -> Result<Entry, Error> {
    Ok(Entry {
        content: row.document("content")?,
        by: row.opt_text("by_name")?,
        at: row.at("at")?,
    })
}
