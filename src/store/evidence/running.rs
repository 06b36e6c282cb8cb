//! Sessions that run, as the worker asks for them that keeps evidence of each: all of them in one row, and of many at once what
//! is kept already.

use std::collections::HashSet;

use crate::domain::id::EmId;
use crate::store::row::Columns as _;
use crate::store::sets::{KEYS, keys};
use crate::store::{Error, Store, UPSTREAM};

impl Store {
    /// The sessions whose end is awaited, oldest first, each with how many events were made of it: another number says that it
    /// changed.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn sessions_under_way(&self) -> Result<Vec<(EmId, i64)>, Error> {
        // One row, since each costs more than what is in it.
        let row = sqlx::query(
            "select string_agg(key || ' ' || sequence, ',' order by first_seen_at, key) as running \
             from failover_sessions where upstream_id = $1 and phase = 'open'",
        )
        .bind(UPSTREAM)
        .fetch_one(self.reader())
        .await?;
        let running = row.opt_text("running")?.unwrap_or_default();
        let read = |text: &str| {
            let (key, sequence) = text.split_once(' ')?;
            Some((key.parse().ok()?, sequence.parse().ok()?))
        };
        // A key that cannot be read is none that EM shows.
        Ok(running.split(',').filter_map(read).collect())
    }

    /// The keys of those among these sessions of which a failover is kept that was started elsewhere.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn sessions_with_runs(&self, sessions: &[EmId]) -> Result<HashSet<String>, Error> {
        let table = self.0.engine.table("$1", KEYS);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select session_key from recovery_runs where session_key in (select r.key from {table})"
        )))
        .bind(keys(sessions.iter().map(EmId::key))?)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(|row| row.text("session_key")).collect()
    }

    /// The keys of those among these restore points that were read.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn points_known(&self, points: &[EmId]) -> Result<HashSet<String>, Error> {
        let table = self.0.engine.table("$2", KEYS);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select point_key from recovery_points where upstream_id = $1 and point_key in (select r.key from {table})"
        )))
        .bind(UPSTREAM)
        .bind(keys(points.iter().map(EmId::key))?)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(|row| row.text("point_key")).collect()
    }
}
