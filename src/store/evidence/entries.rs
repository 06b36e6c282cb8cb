//! Checks, notes, findings and reviews of a failover, in the order in which they were recorded.

use sqlx::any::AnyRow;

use crate::domain::evidence::entry::Entry;
use crate::domain::id::ReportId;
use crate::store::row::{Columns as _, json, micros};
use crate::store::text::opt_checked;
use crate::store::{Error, Store, Tx};

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

fn entry_from(row: &AnyRow) -> Result<Entry, Error> {
    Ok(Entry {
        content: row.document("content")?,
        by: row.opt_text("by_name")?,
        at: row.at("at")?,
    })
}
