//! What is told once a day at the most.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use crate::store::row::{Columns as _, micros};
use crate::store::{Error, Store, Tx, UPSTREAM};

/// What a notice found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// It was never told before.
    First,
    /// It was told a day ago, or before that.
    Again,
    /// It was told within a day.
    Told,
}

impl Tx {
    /// Notes that `name` is told at `now`, unless it was within a day. What is set back with the clock is told again.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn tell_daily(&mut self, name: &str, now: Timestamp) -> Result<Notice, Error> {
        self.note_writing();
        let inserted = sqlx::query(
            "insert into daily_notices (upstream_id, name, told_at) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(UPSTREAM)
        .bind(name.to_owned())
        .bind(micros(now))
        .execute(self.connection())
        .await?
        .rows_affected();
        if inserted > 0 {
            return Ok(Notice::First);
        }
        let day = SignedDuration::from_hours(24);
        let before = now.checked_sub(day).unwrap_or(Timestamp::MIN);
        let ahead = now.checked_add(day).unwrap_or(Timestamp::MAX);
        let updated = sqlx::query(
            "update daily_notices set told_at = $3 where upstream_id = $1 and name = $2 and (told_at <= $4 or told_at > $5)",
        )
        .bind(UPSTREAM)
        .bind(name.to_owned())
        .bind(micros(now))
        .bind(micros(before))
        .bind(micros(ahead))
        .execute(self.connection())
        .await?
        .rows_affected();
        Ok(if updated > 0 { Notice::Again } else { Notice::Told })
    }
}

impl Store {
    /// The names of what was told within a day.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn told_within_a_day(&self, now: Timestamp) -> Result<HashSet<String>, Error> {
        let before = now
            .checked_sub(SignedDuration::from_hours(24))
            .unwrap_or(Timestamp::MIN);
        let rows = sqlx::query("select name from daily_notices where upstream_id = $1 and told_at > $2")
            .bind(UPSTREAM)
            .bind(micros(before))
            .fetch_all(self.reader())
            .await?;
        rows.iter().map(|row| row.text("name")).collect()
    }
}
