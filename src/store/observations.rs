//! How far EM was observed: the count of observations, the last that is complete, an outage, and how far back the next one has to
//! reach. Each is a row of `meta`; what was seen is in `sessions`.

use jiff::Timestamp;

use super::row::{Columns as _, micros, moment};
use super::{Error, Store, Tx, UPSTREAM};
use crate::domain::operation::Operation;

/// What the watcher needs to know before it asks EM.
#[derive(Debug, Clone)]
pub struct WatchState {
    /// When the last observation was completed.
    pub observed_at: Option<Timestamp>,
    /// When the oldest session whose end is awaited was started, by EM's clock.
    pub oldest_open: Option<Timestamp>,
    /// When the oldest session was started that EM no longer showed before it had ended, and may show again.
    pub oldest_lost: Option<Timestamp>,
    /// When the oldest session was made that EM shows and that could never be read.
    pub oldest_damaged: Option<Timestamp>,
    /// Operations that may still change.
    pub operations: Vec<Operation>,
}

/// The last complete observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// When it was completed.
    pub at: Timestamp,
    /// When the next one is late; not known of a store that an older program wrote.
    pub late_after: Option<Timestamp>,
}

impl Tx {
    /// The number of the last observation of which anything was written, complete or not: what it saw was there before
    /// whatever is asked for from now on. 0 before the baseline is complete.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn observation(&mut self) -> Result<i64, Error> {
        let rows =
            sqlx::query("select key, value from meta where key in ('observation', 'observation_begun')")
                .fetch_all(self.connection())
                .await?;
        let (mut complete, mut begun) = (0, 0);
        for row in &rows {
            let number = row.parsed("value")?;
            match row.text("key")?.as_str() {
                "observation" => complete = number,
                _ => begun = number,
            }
        }
        Ok(if complete == 0 { 0 } else { begun.max(complete) })
    }

    /// Records that a part of the observation of this number is written.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn begin_observation(&mut self, number: i64) -> Result<(), Error> {
        self.set_meta("observation_begun", number.to_string()).await
    }

    /// Records that the observation of this number was completed at this time, and when the next one is late.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn set_observation(
        &mut self,
        number: i64,
        at: Timestamp,
        late_after: Timestamp,
    ) -> Result<(), Error> {
        self.set_meta("observation", number.to_string()).await?;
        self.set_meta("observed_at", written(Some(at))).await?;
        self.set_meta("observation_late_after", written(Some(late_after)))
            .await
    }

    /// Records since when EM is away, or that it is not.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn set_outage(&mut self, since: Option<Timestamp>) -> Result<(), Error> {
        self.set_meta("outage", written(since)).await
    }

    /// Records when the oldest session was made that EM shows and that could never be read.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn set_oldest_damaged(&mut self, made: Option<Timestamp>) -> Result<(), Error> {
        self.set_meta("oldest_damaged", written(made)).await
    }

    /// Since when EM is away, as it was reported.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn outage(&mut self) -> Result<Option<Timestamp>, Error> {
        meta_moment(self.connection(), "outage").await
    }

    async fn set_meta(&mut self, key: &'static str, value: String) -> Result<(), Error> {
        self.note_writing();
        sqlx::query(
            "insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = $2",
        )
        .bind(key)
        .bind(value)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl Store {
    /// What the watcher needs to know before it asks EM. `lost_since`: EM may show lost sessions again that were started
    /// later than that.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn watch_state(&self, lost_since: Timestamp) -> Result<WatchState, Error> {
        let observed_at = self.observed().await?.map(|observed| observed.at);
        let oldest = sqlx::query(
            "select min(case when phase = 'open' then started_at end) as oldest_open, \
             min(case when phase = 'lost' and coalesce(started_at, first_seen_at) >= $1 \
             then coalesce(started_at, first_seen_at) end) as oldest_lost \
             from failover_sessions where upstream_id = $2 and phase <> 'ended'",
        )
        .bind(micros(lost_since))
        .bind(UPSTREAM)
        .fetch_one(self.reader())
        .await?;
        let operations = self.unfinished_operations().await?;
        Ok(WatchState {
            observed_at,
            oldest_open: oldest.opt_at("oldest_open")?,
            oldest_lost: oldest.opt_at("oldest_lost")?,
            oldest_damaged: meta_moment(self.reader(), "oldest_damaged").await?,
            operations,
        })
    }

    /// The last complete observation; none before the baseline.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn observed(&self) -> Result<Option<Observed>, Error> {
        let rows =
            sqlx::query("select key, value from meta where key in ('observed_at', 'observation_late_after')")
                .fetch_all(self.reader())
                .await?;
        let (mut at, mut late_after) = (None, None);
        for row in &rows {
            let value = Some(moment(row.parsed("value")?, "meta.observed_at")?);
            match row.text("key")?.as_str() {
                "observed_at" => at = value,
                _ => late_after = value,
            }
        }
        Ok(at.map(|at| Observed { at, late_after }))
    }

    /// Since when EM is away, as it was reported.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn outage(&self) -> Result<Option<Timestamp>, Error> {
        meta_moment(self.reader(), "outage").await
    }

    /// The number of complete observations so far; 0 before the baseline.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn observation(&self) -> Result<i64, Error> {
        let row = sqlx::query("select value from meta where key = 'observation'")
            .fetch_optional(self.reader())
            .await?;
        row.map_or(Ok(0), |row| row.parsed("value"))
    }
}

/// A moment as `meta` keeps it; empty where there is none.
fn written(moment: Option<Timestamp>) -> String {
    moment.map_or_else(String::new, |moment| micros(moment).to_string())
}

/// A moment that is kept under that key; none where there is none.
async fn meta_moment(
    executor: impl sqlx::Executor<'_, Database = sqlx::Any>,
    key: &'static str,
) -> Result<Option<Timestamp>, Error> {
    let row = sqlx::query("select value from meta where key = $1 and value <> ''")
        .bind(key)
        .fetch_optional(executor)
        .await?;
    row.map(|row| moment(row.parsed("value")?, key)).transpose()
}
